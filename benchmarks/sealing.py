"""What proof costs: durable orders with seals, receipts and mark beside durable orders without, round by round in turns."""

from collections.abc import AsyncIterator

from benchmarks.durable import BULK_OF, BULKS, IN_FLIGHT_BULKS, IN_FLIGHT_SINGLES, SINGLES, rounds, serving
from benchmarks.engine_process import UNSEALED
from benchmarks.figures import Figure, of_rates


async def measure() -> AsyncIterator[Figure]:
    """Two engines on two servers take turns, so that the machine's drift hits both."""
    async with serving(lambda _: UNSEALED) as bare, serving(str) as proven:
        for name, messages, orders, in_flight in (
            ("single commands", SINGLES, 1, IN_FLIGHT_SINGLES),
            (f"bulks of {BULK_OF}", BULKS, BULK_OF, IN_FLIGHT_BULKS),
        ):
            without, with_proof = [], []
            turns = rounds(proven, messages, orders, in_flight)
            async for rate in rounds(bare, messages, orders, in_flight):
                without.append(rate)
                with_proof.append(await anext(turns))
            await turns.aclose()
            yield of_rates(f"no seals, {name}", without, "orders/s")
            yield of_rates(f"seals, receipts, mark, {name}", with_proof, "orders/s")
            cost = sorted(1 - ours / theirs for ours, theirs in zip(with_proof, without, strict=True))
            yield Figure(
                f"cost of proof, {name}",
                "share",
                cost[len(cost) // 2],
                cost[-1],
                "<= 0.05",
                "of throughput, by pairs of rounds",
            )
