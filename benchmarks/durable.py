"""Through NATS, with fsync: a round trip beside its floor, and orders a second, single and in bulks.

nats-server, engine and client are processes of their own, as in production; the floor is measured in the same run.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.desk import HEARTBEAT, PLACE, SETUP, bulk, place
from benchmarks.figures import Figure, of_latencies, of_rates
from oms.nats_server import EmbeddedNats, bound_to_parent

TRIPS = 1_000
SINGLES, BULKS, BULK_OF = 20_000, 1_500, 100
ROUNDS = 5
IN_FLIGHT_SINGLES, IN_FLIGHT_BULKS = 2_000, 40


async def measure() -> AsyncIterator[Figure]:
    """Floor, round trip, pipelined singles, bulks."""
    async with serving(str) as nc:
        async for figure in _trips(nc):
            yield figure
        rates = [rate async for rate in rounds(nc, SINGLES, 1, IN_FLIGHT_SINGLES)]
        yield _of(rates, "single commands, pipelined", ">= 15,000")
        rates = [rate async for rate in rounds(nc, BULKS, BULK_OF, IN_FLIGHT_BULKS)]
        yield _of(rates, f"bulks of {BULK_OF}", ">= 50,000")


def _of(rates: list[float], name: str, target: str) -> Figure:
    return of_rates(f"durable orders, {name}", rates, "orders/s", target, "p99: slowest round")


@contextlib.asynccontextmanager
async def serving(proof: Callable[[Path], str]) -> AsyncIterator[Client]:
    """A nats-server and an engine that takes orders, each a process. ``proof``: see :mod:`benchmarks.engine_process`."""
    with tempfile.TemporaryDirectory() as name:
        async with EmbeddedNats(Path(name) / "nats") as server:
            nc = await nats.connect(server.url)
            command = [
                sys.executable,
                "-m",
                "benchmarks.engine_process",
                server.url,
                proof(Path(name) / "data"),
            ]
            engine = await asyncio.create_subprocess_exec(
                *bound_to_parent(command), stdout=asyncio.subprocess.PIPE
            )
            assert engine.stdout is not None
            await asyncio.wait_for(engine.stdout.readline(), 30)
            beating = asyncio.create_task(_beat(nc))
            try:
                for subject, payload in SETUP:
                    answer = await nc.request(subject, json.dumps(payload).encode(), timeout=5)
                    assert json.loads(answer.data)["ok"], answer.data
                yield nc
            finally:
                beating.cancel()
                engine.terminate()
                await engine.wait()
                await nc.close()


async def _beat(nc: Client) -> None:
    while True:
        await nc.publish(*HEARTBEAT)
        await asyncio.sleep(1)


async def _trips(nc: Client) -> AsyncIterator[Figure]:
    js = nc.jetstream()
    await js.add_stream(name="FLOOR", subjects=["floor.append"])
    echo = await nats.connect(nc.connected_url.geturl())

    async def answer(message: Msg) -> None:
        await message.respond(b"{}")

    await echo.subscribe("floor.request", cb=answer)
    await echo.flush()
    times: dict[str, list[float]] = {"request": [], "append": [], "place": []}
    payload = b"x" * 600
    for number in range(TRIPS):
        started = time.perf_counter()
        await nc.request("floor.request", payload, timeout=5)
        at_request = time.perf_counter()
        await js.publish("floor.append", payload)
        at_append = time.perf_counter()
        await nc.request(PLACE, place(number, "trip"), timeout=5)
        ended = time.perf_counter()
        times["request"].append(at_request - started)
        times["append"].append(at_append - at_request)
        times["place"].append(ended - at_append)
    await echo.close()
    floor = [a + b for a, b in zip(times["request"], times["append"], strict=True)]
    yield of_latencies("floor: bare request/reply", times["request"], "us")
    yield of_latencies("floor: bare fsynced append", times["append"], "us")
    whole = of_latencies("durable place, round trip", times["place"], "us", "near its floor")
    least = of_latencies("floor: request + append", floor, "us")
    yield least
    yield whole
    yield Figure("round trip / floor", "ratio", whole.p50 / least.p50, whole.p99 / least.p99)


async def rounds(nc: Client, messages: int, orders: int, in_flight: int) -> AsyncGenerator[float, None]:
    """Send ``messages`` of so many ``orders`` each, in :data:`ROUNDS` rounds; yield the orders a second of each round."""
    inbox = nc.new_inbox()
    room = asyncio.Semaphore(in_flight)
    bad: list[bytes] = []
    left = 0
    done = asyncio.Event()

    async def answered(message: Msg) -> None:
        nonlocal left
        if b'"ok":false' in message.data:
            bad.append(message.data[:300])
        left -= 1
        room.release()
        if left == 0:
            done.set()

    subscription = await nc.subscribe(inbox, cb=answered)
    for turn in range(ROUNDS):
        count = messages // ROUNDS
        prefix = f"{orders}-{turn}"
        ready = [place(i, prefix) if orders == 1 else bulk(i * orders, orders, prefix) for i in range(count)]
        left = count
        done.clear()
        started = time.perf_counter()
        for message in ready:
            await room.acquire()
            await nc.publish(PLACE, message, reply=inbox)
        await asyncio.wait_for(done.wait(), 120)
        yield count * orders / (time.perf_counter() - started)
    await subscription.unsubscribe()
    assert not bad, bad[0]
