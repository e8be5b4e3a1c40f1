"""The demonstration, step by step: real processes, real journal, and every claim checked before it is made."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console

from oms.cli import render as r
from oms.cli.demo import compare as c
from oms.cli.demo import evidence
from oms.cli.demo.compare import Acknowledged
from oms.cli.demo.limits import demo_risk
from oms.cli.demo.telling import Telling
from oms.cli.stack import ENGINE
from oms.client import OmsClient, Result, new_order
from oms.config import Config, RateLimits, VenueConfig, load_config, override
from oms.messages.enums import OrderStatus
from oms.simulator.client import ControlClient

STREAM_ORDERS: Final = 240
"""Orders sent while the engine is killed, by so many clients at once: :data:`STREAM_WORKERS`."""
STREAM_WORKERS: Final = 8
KILL_AFTER: Final = 80
BPS: Final = Decimal("0.0001")
CENT: Final = Decimal("0.01")


def demo_config(data_dir: Path) -> Config:
    """The default configuration on free ports, with rate limits that do not make an audience wait."""
    config = override(load_config(), data_dir=data_dir, port=0)
    quick = RateLimits(weight_per_minute=60_000, orders_per_second=1_000)
    exchanges = {"binance": {"spot": VenueConfig(enabled=True, rate_limits=quick)}}
    return attrs.evolve(config, exchanges=exchanges, risk=demo_risk())


class Story(Telling):
    """Spot on Binance, and an engine that is killed."""

    steps = 6

    def __init__(self, console: Console, data_dir: Path) -> None:
        super().__init__(console, demo_config(data_dir))
        self._acknowledged: list[Acknowledged] = []

    # -- the story

    async def tell(self) -> None:
        """Tell all of it.

        Raises:
            StoppedError: a claim did not hold, or a process failed.
        """
        await self.start()
        config = self.stack.config
        async with (
            OmsClient.connect(config.nats.url, "main", name="mexoms-demo") as oms,
            ControlClient(self.stack.ca_path, self.stack.simulator_port) as venue,
        ):
            await self._trade(oms, venue)
            await self._fills(oms)
            await self._crash(oms, venue)
            await self._compare(oms, venue)
        await self.stop()

    async def _trade(self, oms: OmsClient, venue: ControlClient) -> None:
        self.title("Place, amend, cancel, and place in bulk")
        prices = await evidence.venue_prices(venue)
        btc, eth = Decimal(prices["BTCUSDT"]), Decimal(prices["ETHUSDT"])
        below = (btc * Decimal("0.9")).quantize(CENT)
        placed = await oms.place("BTCUSDT", "buy", "0.5", price=below, strategy="demo")
        self.say(
            f"place   buy 0.5 BTCUSDT @ {r.decimal_text(below)}   → {placed.order_id} {placed.status}, durable at {placed.sequence}"
        )
        await self._becomes(oms, placed.order_id, OrderStatus.NEW)
        amended = await oms.amend(placed.order_id, quantity="0.4")
        self.say(f"amend   to 0.4                       → {amended.status}")
        await self._becomes(oms, placed.order_id, OrderStatus.NEW)
        canceled = await oms.cancel(placed.order_id)
        self.say(f"cancel                               → {canceled.status}")
        await self._becomes(oms, placed.order_id, OrderStatus.CANCELED)
        for account, side, quantity in (("main", "buy", "0.2"), ("sub_arb", "sell", "0.1")):
            result = await oms.place("BTCUSDT", side, quantity, account=account, strategy="demo")
            self.say(f"place   {side} {quantity} BTCUSDT at market for {account:<8} → {result.order_id}")
        bulks = {
            "main": [
                *(new_order("BTCUSDT", "buy", "0.01", price=_near(btc, -2 * i), strategy="maker") for i in range(1, 11)),
                *(new_order("BTCUSDT", "sell", "0.01", price=_near(btc, 2 * i), strategy="maker") for i in range(1, 11)),
            ],
            "sub_arb": [new_order("ETHUSDT", "buy", "0.2", price=_near(eth, -i), strategy="dip") for i in range(1, 21)],
        }  # fmt: skip
        for account, orders in bulks.items():
            before = time.perf_counter()
            results = await oms.place_many(orders, account=account)
            took = (time.perf_counter() - before) * 1_000
            self.say(
                f"place   {len(orders)} orders for {account} in one message → {sum(x.ok for x in results)} durable, {took:.1f} ms"
            )
            self._take(account, orders, results)
        self.say("")

        async def sent() -> bool:
            return not (await oms.status(account="_")).unanswered

        await evidence.until("the venue has answered for every order", sent)
        shown = await oms.orders(open=True, account="_", rows=8)
        r.show(self.console, BLOTTER, shown.rows, "no open orders")
        if shown.more:
            self.say("[dim]… and more: `oms orders`[/]")

    def _take(self, account: str, orders: Sequence[Any], results: Sequence[Result]) -> None:
        self._acknowledged += [
            Acknowledged(account, order, result.order_id)
            for order, result in zip(orders, results, strict=True)
            if result.ok
        ]

    async def _becomes(self, oms: OmsClient, order_id: str, status: OrderStatus) -> None:
        async def is_so() -> bool:
            rows = (await oms.orders(order_id=order_id)).rows
            return bool(rows) and rows[0].status is status

        await evidence.until(f"order {order_id} is {status}", is_so)

    async def _fills(self, oms: OmsClient) -> None:
        self.title("The simulated market moves, and fills")
        enough = 12

        async def filled() -> bool:
            return len((await oms.trades(account="_", rows=enough)).rows) >= enough

        await evidence.until(f"{enough} trades happened", filled)
        for columns, rows in (
            (TRADES, (await oms.trades(account="_", rows=5)).rows),
            (POSITIONS, (await oms.positions(account="_")).rows),
            (r.BALANCES, (await oms.balances(account="_")).rows),
            (r.PNL, (await oms.pnl(account="_")).rows),
        ):
            r.show(self.console, columns, rows, "nothing")
            self.say("")

    async def _crash(self, oms: OmsClient, venue: ControlClient) -> None:
        self.title("Kill the engine in the middle of a stream of orders")
        prices = await evidence.venue_prices(venue)
        far = {symbol: (Decimal(price) * Decimal("0.8")).quantize(CENT) for symbol, price in prices.items()}
        todo: deque[tuple[str, Any]] = deque()
        for number in range(STREAM_ORDERS):
            account = ("main", "sub_arb")[number % 2]
            symbol, quantity = (("BTCUSDT", "0.001"), ("ETHUSDT", "0.01"))[number // 2 % 2]
            price = far[symbol] - CENT * number
            todo.append((account, new_order(symbol, "buy", quantity, price=price, strategy="stream")))
        answers: list[Result] = []
        engine = self.stack.processes.children[ENGINE]
        victim = engine.pid
        killed_at = 0.0

        async def send() -> None:
            nonlocal killed_at
            while todo:
                account, order = todo.popleft()
                result = await oms.place_many([order], account=account)
                answers.extend(result)
                self._take(account, [order], result)
                if len(answers) == KILL_AFTER:
                    engine.signal(signal.SIGKILL)
                    killed_at = time.monotonic()

        before = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(STREAM_WORKERS):
                group.create_task(send())
        repeated = sum(result.duplicate for result in answers)
        self.say(
            f"{STREAM_WORKERS} clients sent {STREAM_ORDERS} orders; after {KILL_AFTER} answers: SIGKILL to engine process {victim}"
        )
        self.say(
            f"the supervisor started process {engine.pid}; all {len(answers)} orders were answered {time.monotonic() - killed_at:.1f} s after the kill"
        )
        if repeated:
            self.say(
                f"{repeated} of them were durable before the kill, but not yet answered: sent again with the same"
                " command_id, and answered as duplicates"
            )
        self.check(
            f"the engine was killed and is another process now ({victim} → {engine.pid})",
            [] if engine.pids == [victim, engine.pid] else ["it was not restarted once"],
        )
        self.check(
            "every order of the stream was acknowledged",
            [f"{result.command_id}: {result.error}" for result in answers if not result.ok]
            or (
                [] if len(answers) == STREAM_ORDERS else [f"{len(answers)} answers to {STREAM_ORDERS} orders"]
            ),
        )
        self.say(
            f"[dim]{STREAM_ORDERS} orders in {time.monotonic() - before:.1f} s, crash and recovery included[/]"
        )

    async def _compare(self, oms: OmsClient, venue: ControlClient) -> None:
        self.title("Compare: clients, engine, follower, journal, venue, replay")
        config = self.stack.config
        acknowledged = self._acknowledged
        await self._quiet(oms, venue)
        again = {
            account: await oms.place_many([one.command for one in acknowledged if one.account == account], account=account)
            for account in config.accounts
        }  # fmt: skip
        turns = {account: iter(results) for account, results in again.items()}
        count = f"{len(acknowledged)} acknowledged orders"
        self.check(
            f"{count}: sent once more, the new engine answers each as before, as a duplicate",
            c.engine_remembers(acknowledged, [next(turns[one.account]) for one in acknowledged]),
        )
        rows = (await oms.orders(account="_", rows=10_000)).rows
        self.check(
            f"{count}: the follower shows each, with the terms asked for",
            c.follower_shows(acknowledged, rows),
        )
        nc = await evidence.connect(config.nats.url)
        try:
            facts, last = await evidence.read_journal(nc)
            self.check(
                f"{count}: each is in the journal's {last:,} frames, under its command, once",
                c.acknowledged_are_in_journal(acknowledged, facts),
            )
            self.check(
                f"{len(facts.made)} orders and {len(facts.trades)} trades in the journal: none twice",
                c.nothing_twice(facts),
            )
            venue_orders = await evidence.venue_rows(venue.orders(), config)
            self.check(
                f"{len(venue_orders)} orders at the venue: none twice, none that the journal does not know, none missing",
                c.venue_agrees(venue_orders, facts),
            )
            venue_trades = await evidence.venue_rows(venue.trades(), config)
            self.check(
                f"{len(venue_trades)} trades at the venue: the same in the journal, to the last digit",
                c.trades_agree(venue_trades, facts),
            )
            balances = await oms.balances(account="_")
            self.check(
                "balances at the venue: the same here, to the last digit",
                c.balances_agree(await evidence.venue_balances(venue, config), balances.rows),
            )
            unsure = sum(row.in_doubt for row in (await oms.orders(open=True, account="_")).rows)
            if unsure:
                self.say(
                    f"[dim]{unsure} orders were durable but not yet sent when the engine was killed: in doubt, looked up, never sent again[/]"
                )
            await self.prove(nc)
        finally:
            await nc.close()

    async def _quiet(self, oms: OmsClient, venue: ControlClient) -> None:
        """End what is open, and wait until the venue has nothing more to tell."""
        for account in self.stack.config.accounts:
            await oms.cancel_all(account=account)

        async def closed() -> bool:
            config = self.stack.config
            return not await evidence.venue_rows(venue.orders(open="true"), config)

        async def told() -> bool:
            venue_trades = len(await evidence.venue_rows(venue.trades(), self.stack.config))
            status = await oms.status(account="_")
            return status.trades == venue_trades and status.lag == 0 and status.unanswered == status.in_doubt

        await evidence.until("the venue holds no open order", closed)
        # An order whose fate the crash left open is certain only after the venue's grace.
        await evidence.until("every trade was reported", told, within_s=45)


def _near(price: Decimal, bps: int) -> Decimal:
    return (price * (1 + bps * BPS)).quantize(CENT)


BLOTTER: Final = tuple(column for column in r.ORDERS if column.name not in ("UPDATED (UTC)", "VENUE", "REF"))
TRADES: Final = tuple(column for column in r.TRADES if column.name not in ("TRADE", "VENUE"))
OF_FUTURES: Final = ("FUNDING", "LEVERAGE", "MARGIN", "LIQUIDATION")
POSITIONS: Final = tuple(column for column in r.POSITIONS if column.name not in OF_FUTURES)
