"""The second demonstration: every market of every exchange at once, with all that can go wrong on a wire going wrong."""

import asyncio
import signal
import textwrap
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console

from oms.cli import render as r
from oms.cli.demo import evidence
from oms.cli.demo import markets as m
from oms.cli.demo.tally import COLUMNS, Payment, Tally, funding_agrees
from oms.cli.demo.telling import Telling
from oms.client import OmsClient
from oms.config import Config, load_config, override
from oms.messages.queries import SessionRow
from oms.messages.subjects import ANY
from oms.simulator.client import ControlClient
from replay.source import journal_bounds

INDENT: Final = " " * 9
TRADE_S: Final = 17.0
CUT: Final = "bybit"
"""The exchange whose sockets are cut, so many seconds after the start: :data:`CUT_AFTER_S`."""
CUT_AFTER_S: Final = 3.0
KILLED: Final = "okx"
"""The exchange whose connector is killed."""
KILL_AFTER_S: Final = 6.0
BACK_WITHIN_S: Final = 60.0
FUND_AFTER_S: Final = 13.0
SEED: Final = 20_261_121
LEVERAGE: Final = Decimal(5)
FUTURES: Final = tuple(place for place in m.PLACES if place.market == "futures")
RATE: Final = "0.0001"
SETTLE_WITHIN_S: Final = 60.0
AGREE_WITHIN_S: Final = 25.0
"""How long the connectors have to find what the last faults kept from them: some of their own comparisons."""


def demo_config(data_dir: Path) -> Config:
    """Every market, on free ports."""
    return m.all_markets(override(load_config(), data_dir=data_dir, port=0))


@attrs.frozen
class _Differences:
    """What differs between the journal and the exchanges."""

    orders: list[str]
    fills: list[str]
    funds: list[str]
    funding: list[str]

    @property
    def any(self) -> bool:
        return bool(self.orders or self.fills or self.funds or self.funding)


class Everywhere(Telling):
    """Seven markets of four exchanges, faults on, a connector that is killed, and an exchange whose sockets are cut."""

    steps = 7

    def __init__(self, console: Console, data_dir: Path) -> None:
        super().__init__(console, demo_config(data_dir))
        self._tally = Tally()
        self._denied = 0

    async def tell(self) -> None:
        """See :meth:`Telling.tell`."""
        await self.start()
        async with OmsClient.connect(
            self.stack.config.nats.url, "main", name="mexoms-demo", patience_s=30
        ) as oms:
            await self._leverage(oms)
            await self._trade(oms)
            await self._end(oms)
            await self._reconcile(oms)
            await self._compare(oms)
        await self.stop()

    @property
    def _accounts(self) -> list[str]:
        return list(self.stack.config.accounts)

    @asynccontextmanager
    async def _venue(self, exchange: str) -> AsyncIterator[ControlClient]:
        async with ControlClient(self.stack.ca_path, self.stack.simulator_port, exchange) as venue:
            yield venue

    # -- leverage

    async def _leverage(self, oms: OmsClient) -> None:
        self.title("Leverage")
        wanted = [(account, place) for account in self._accounts for place in FUTURES]
        for account, place in wanted:
            await oms.set_terms(
                place.symbol, leverage=LEVERAGE, account=account, exchange=place.exchange, market=place.market
            )

        async def confirmed() -> bool:
            rows = (await oms.positions(account=ANY)).rows
            known = {(row.account, row.exchange, row.symbol): row.leverage for row in rows}
            return all(known.get((a, p.exchange, p.symbol)) == LEVERAGE for a, p in wanted)

        await evidence.until(f"leverage is {LEVERAGE} everywhere", confirmed)
        found = []
        for place in FUTURES:
            async with self._venue(place.exchange) as venue:
                positions: Any = await venue.positions()
            found += [
                f"{place.venue} has leverage {positions[account][place.symbol]['leverage']} for {account}"
                for account in self._accounts
                if Decimal(positions[account][place.symbol]["leverage"]) != LEVERAGE
            ]
        names = ", ".join(f"{place.exchange} {place.symbol}" for place in FUTURES)
        self.check(f"leverage {LEVERAGE} for {' and '.join(self._accounts)} at {names}", found)

    # -- trading

    async def _trade(self, oms: OmsClient) -> None:
        self.title("Trade on seven markets while everything goes wrong")
        load = m.Load(oms, self._accounts, SEED)
        await m.trouble(self.stack)
        self.say(
            f"{len(m.FAULTS)} kinds of fault are on at {len(m.EXCHANGES)} exchanges:"
            " of seven requests one meets something, of three reports one"
        )
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await self._events(oms, began)
            load.stopping.set()
        self._say_at(began, f"{len(load.placed):,} orders are durable")
        for code, count in sorted(load.denied.items()):
            self.say(f"{INDENT}{count:,} more were denied at once, with {code}")
        self._denied = load.denied.total()
        struck = await m.calm(self.stack)
        self._say_at(began, f"all faults are off; they struck {struck.total():,} times")
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in struck.most_common())
        for line in textwrap.wrap(kinds, self.console.width - len(INDENT)):
            self.say(f"[dim]{INDENT}{line}[/]")
        missing = {place.venue for place in m.PLACES} - {place.venue for place in load.placed.values()}
        self.check("orders were placed on every market", [f"none on {venue}" for venue in sorted(missing)])
        silent = {str(fault["kind"]) for fault in m.FAULTS} - struck.keys()
        self.check("every kind of fault struck", [f"{kind} never did" for kind in sorted(silent)])

    async def _events(self, oms: OmsClient, began: float) -> None:
        async def at(seconds: float) -> None:
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))

        async def sessions() -> list[SessionRow]:
            return [row for row in (await oms.status(account=ANY)).sessions if row.exchange == KILLED]

        async def again() -> bool:
            return all(row.ready and row.session not in before for row in await sessions())

        await at(CUT_AFTER_S)
        async with self._venue(CUT) as venue:
            self._say_at(began, f"cut: all {await venue.drop_websockets('all')} websockets of {CUT}")
        await at(KILL_AFTER_S)
        child = self.stack.processes.children[f"connector {KILLED}"]
        victim = child.pid
        before = {row.session for row in await sessions()}
        child.signal(signal.SIGKILL)
        self._say_at(began, f"SIGKILL to the connector of {KILLED}, process {victim}")
        await evidence.until(f"{KILLED} is served again", again, BACK_WITHIN_S)
        self._say_at(
            began,
            f"process {child.pid} serves the {len(before)} accounts and markets of {KILLED}, orders and trades compared",
        )
        self.check(
            f"the connector of {KILLED} was killed and is another process now ({victim} → {child.pid})",
            [] if child.pids == [victim, child.pid] else ["it was not restarted once"],
        )
        await at(FUND_AFTER_S)
        for place in FUTURES:
            async with self._venue(place.exchange) as venue:
                await venue.settle_funding(place.symbol, rate=RATE)
        self._say_at(began, f"funding is paid at {', '.join(place.venue for place in FUTURES)}")
        await at(TRADE_S)

    def _say_at(self, began: float, text: str) -> None:
        self.say(f"{time.monotonic() - began:6.1f} s {text}")

    # -- the end of it

    async def _end(self, oms: OmsClient) -> None:
        self.title("Cancel everything, and wait until all is certain")
        began = time.monotonic()
        status = await oms.status(account=ANY)
        self.say(f"{status.open_orders:,} orders are open, {status.in_doubt:,} of them in doubt")
        self.say(
            "[dim]what may still reach its venue is not called lost before the venue would refuse it for its age[/]"
        )
        while True:
            for account in self._accounts:
                await oms.cancel_all(account=account)
            await evidence.until(
                "nothing waits for a venue, nothing is in doubt", lambda: m.settled(oms), SETTLE_WITHIN_S
            )
            # What was in doubt may turn out to work.
            if not await m.still_open(oms) or time.monotonic() > began + SETTLE_WITHIN_S:
                break
        # What no report told of is found by the connectors themselves.
        deadline = time.monotonic() + AGREE_WITHIN_S
        while (await self._differences(oms)).any and time.monotonic() < deadline:  # noqa: ASYNC110 - others' work
            await asyncio.sleep(1.0)
        self.say(f"quiet after {time.monotonic() - began:.1f} s")
        orders = (await oms.status(account=ANY)).orders - self._denied
        self.check(
            f"{orders:,} orders: none is open, none is in doubt, none waits for an answer",
            [f"{row.order_id} is {row.status}" for row in await m.still_open(oms)],
        )

    async def _reconcile(self, oms: OmsClient) -> None:
        self.title("Reconcile each account with each market, as `oms reconcile` does")
        sessions = (await oms.status(account=ANY)).sessions
        answers = await asyncio.gather(
            *(
                oms.reconcile(account=each.account, exchange=each.exchange, market=each.market)
                for each in sessions
            )
        )
        total: Counter[str] = Counter()
        for answer in answers:
            for what in ("trades", "balances", "positions"):
                total[what] += getattr(answer, what)
        self.check(
            f"{len(answers)} accounts on markets answer: {total['trades']:,} trades, {total['balances']} balances and"
            f" {total['positions']} positions compared, no difference",
            [
                f"{answer.exchange}.{answer.market} of {answer.account}: {each.kind} {each.key} expected {each.expected},"
                f" found {each.found}"
                for answer in answers
                for each in answer.differences
            ],
        )

    # -- comparison

    async def _compare(self, oms: OmsClient) -> None:
        self.title("Compare the journal with the exchanges")
        found = await self._differences(oms)
        unsure = [row.order_id for row in await m.all_orders(oms) if row.in_doubt]
        rows = self._tally.rows(unsure)
        r.show(self.console, COLUMNS, rows, "nothing happened")
        self.say(
            "[dim]LOST: in doubt, and proven never to have reached its venue. DIFFERENCES: found by comparing, and mended[/]"
        )
        self.say("")
        total = rows[-1]
        funds = [row for row in (await oms.balances(account=ANY)).rows if row.total]
        positions = [
            row for row in (await oms.positions(account=ANY, open=True)).rows if row.market == "futures"
        ]
        r.show(self.console, POSITIONS, positions, "no position is open")
        self.say("")
        self.check(
            f"{total.orders:,} orders: none twice at its venue, none there that the journal does not know, each ended as it did there",
            found.orders,
        )
        self.check(
            f"{total.fills:,} fills: each in the journal once, none missing, none made up", found.fills
        )
        self.check(
            f"{len(funds)} balances and {len(positions)} positions: those of the exchanges, to the last digit",
            found.funds,
        )
        self.check(
            f"{self._tally.funding.total()} funding payments: those of the exchanges, each once",
            found.funding,
        )
        self.check(
            f"{len(total.doubted)} orders were in doubt: all are certain now, none was sent twice",
            [f"{order_id} is in doubt" for order_id in unsure],
        )
        nc = await evidence.connect(self.stack.config.nats.url)
        try:
            await self.prove(nc)
        finally:
            await nc.close()

    async def _differences(self, oms: OmsClient) -> _Differences:
        record, self._tally = m.Record(), Tally()
        nc = await evidence.connect(self.stack.config.nats.url)
        try:
            _, last = await journal_bounds(nc)
            async with aclosing(evidence.commits(nc, last)) as commits:
                async for commit in commits:
                    record.add(commit)
                    self._tally.add(commit)
        finally:
            await nc.close()
        venues = await m.read_venues(self.stack, record)
        return _Differences(
            orders=m.orders_agree(venues, record, await m.all_orders(oms)),
            fills=m.fills_agree(venues, record),
            funds=await m.funds_agree(venues, oms),
            funding=funding_agrees(await self._funding(), self._tally.funding),
        )

    async def _funding(self) -> Counter[Payment]:
        paid: Counter[Payment] = Counter()
        for place in FUTURES:
            async with self._venue(place.exchange) as venue:
                for row in await venue.funding_payments():
                    if row["account"] in self._accounts:
                        account, symbol, asset = (str(row[name]) for name in ("account", "symbol", "asset"))
                        paid[place.exchange, account, symbol, asset, Decimal(str(row["amount"]))] += 1
        return paid


_SHOWN: Final = ("ACCOUNT", "VENUE", "SYMBOL", "QUANTITY", "ENTRY", "FUNDING", "LEVERAGE")
POSITIONS: Final = (
    *(column for column in r.POSITIONS if column.name in _SHOWN),
    r.Column("MARGIN", lambda row: round(row.margin, 2)),
)
