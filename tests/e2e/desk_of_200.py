"""A desk of one main and 200 sub-accounts on two exchanges, with real processes: its limits, its script, and what that comes to."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from oms._config_risk import default_limits
from oms.cli.demo import evidence
from oms.cli.stack import Stack
from oms.client import OmsClient, OmsRefused
from oms.client.asking import Result
from oms.config import SUB_ACCOUNTS_MAX, AccountConfig, Config, RiskConfig, StrategyConfig, VenueConfig
from oms.config import load_config as default_config
from oms.messages.enums import AccountKind, OrderStatus
from oms.messages.subjects import ANY
from oms.simulator.client import ControlClient

D = Decimal
EXCHANGES: Final = ("binance", "bybit")
SUBS: Final = tuple(f"sub_{number:03}" for number in range(1, SUB_ACCOUNTS_MAX + 1))
FLOODED, KEYLESS, KILLED = "sub_041", "sub_100", "sub_150"
OTHERS: Final = tuple(name for name in SUBS if name not in (FLOODED, KEYLESS, KILLED))
MOVED: Final = "49700"
"""Where the market goes when all is done: profit and loss are what they are at that price."""
MESSAGES: Final = 8
"""Orders and amends that an account may send in a second."""
PACE_S: Final = 0.6
"""Between two commands of an account. All of them together stay within what Bybit allows our address."""
WAITING: Final = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
ROWS: Final = 200_000
HOUR: Final = 3_600 * 10**9


def exchange_of(account: str) -> str:
    """Where a sub-account trades."""
    return EXCHANGES[int(account[-3:]) % len(EXCHANGES)]


# -- the desk


def _limits() -> dict[str, dict[str, str]]:
    limits = default_limits()
    # A desk of 200 sends more than one of a few.
    limits["global"] |= {"max_messages": "5000"}
    for number, account in enumerate(SUBS):
        limits[f"account:{account}"] = {"max_exposure": str(400 + number), "max_messages": str(MESSAGES)}
    limits[f"account:{FLOODED}"] |= {"max_exposure": "50000"}
    limits["account:main"] = {"max_exposure": "9500", "max_daily_loss": "30"}
    return limits


def _config(directory: Path) -> Config:
    config = default_config()
    venues = {exchange: f"{exchange}.spot" for exchange in EXCHANGES}
    accounts = {"main": AccountConfig(kind=AccountKind.MAIN, venues=tuple(venues.values()))}
    accounts |= {
        name: AccountConfig(kind=AccountKind.SUB, venues=(venues[exchange_of(name)],)) for name in SUBS
    }
    strategies = {f"of_{name}": StrategyConfig(account=name, capital=D(20_000)) for name in accounts}
    return attrs.evolve(
        config,
        exchanges={exchange: {"spot": VenueConfig(enabled=True)} for exchange in EXCHANGES},
        accounts=accounts,
        risk=RiskConfig(limits=_limits(), strategies=strategies),
        # Prices move when they are told to.
        simulator=attrs.evolve(config.simulator, step_interval=HOUR),
        nats=attrs.evolve(config.nats, port=0),
        storage=attrs.evolve(config.storage, data_dir=directory),
    )


@contextlib.asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[Stack]:
    lines: list[str] = []
    stack = Stack(_config(directory), lambda name, line: lines.append(f"{name}: {line}"))
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()
        (directory / "processes.log").write_text("\n".join(lines))


# -- what an account does


@attrs.define
class Trader:
    """One account: its client, its script, and what it was answered."""

    client: OmsClient
    number: int
    answers: list[tuple[str, str]] = attrs.field(factory=list)
    """(step, OK or the code of the refusal)"""
    taken_s: list[float] = attrs.field(factory=list)
    orders: dict[str, str] = attrs.field(factory=dict)
    """Step → id of the order that it placed."""

    @property
    def size(self) -> Decimal:
        return D("0.0003") + self.number % 3 * D("0.0001")

    async def ask(self, step: str, command: Awaitable[Result]) -> None:
        """Send a command and note what is answered."""
        started = time.perf_counter()
        try:
            result = await command
        except OmsRefused as refused:
            self.answers.append((step, refused.code))
        else:
            self.answers.append((step, "OK"))
            self.orders[step] = result.order_id
        self.taken_s.append(time.perf_counter() - started)
        await asyncio.sleep(PACE_S)

    async def place(self, step: str, side: str, quantity: Decimal, price: Decimal, **terms: Any) -> None:
        """Place a limit order that goes by the name of its step."""
        strategy = f"of_{self.client.account}"
        more = {"client_order_id": step, "strategy": strategy, **terms}
        await self.ask(step, self.client.place("BTCUSDT", side, quantity, price=price, **more))

    async def _in_turn(self) -> None:
        """Not all of them in the same moment."""
        await asyncio.sleep(self.number % 100 / 100 * PACE_S)

    async def buy(self) -> None:
        """Rest and take: what the books of all accounts hold is below all that is sold later."""
        await self._in_turn()
        await self.place("rest", "buy", self.size, D(49_600) - self.number % 10)
        await self.place("take", "buy", 2 * self.size, D(50_050))

    async def change(self) -> None:
        """Amend what rests, and add to it."""
        await self._in_turn()
        rest, size = self.orders.get("rest", "none"), self.size + D("0.0001")
        await self.ask("amend", self.client.amend(rest, quantity=size, price=D(49_610)))
        await self.place("gone", "buy", self.size, D(49_500) - self.number % 10)

    async def sell(self) -> None:
        """Cancel, sell, break limits, rest again."""
        await self._in_turn()
        await self.ask("cancel", self.client.cancel(self.orders.get("gone", "none")))
        await self.place("sell", "sell", self.size, D(49_950), time_in_force="IOC")
        await self.place("far", "buy", self.size, D(40_000))
        await self.place("much", "buy", D("0.012"), D(49_450))
        await self.place("last", "buy", self.size, D(49_400) - self.number % 10)


@attrs.define
class Trading:
    """All accounts at it."""

    stack: Stack
    main: OmsClient
    traders: dict[str, Trader]

    async def day(
        self, first: Awaitable[None] | None = None, *more: Awaitable[None], but: tuple[str, ...] = ()
    ) -> None:
        """Every account does its script, each part when the venues have answered all of the one before, but those of some.

        Args:
            first: what happens before the second part. ``more``: what else happens during it.
        """
        for part in (Trader.buy, Trader.change, Trader.sell):
            others: tuple[Awaitable[None], ...] = ()
            if part is Trader.change and first is not None:
                await first
                others = more
            await asyncio.gather(*(part(trader) for trader in self.traders.values()), *others)
            await self.settled(but)

    async def settled(self, but: tuple[str, ...] = ()) -> None:
        """Wait until nothing waits for a venue, of all accounts but these."""

        async def quiet() -> bool:
            rows = (await self.main.orders(open=True, account=ANY, rows=ROWS)).rows
            waits = [row.account for row in rows if row.in_doubt or row.status in WAITING]
            return set(waits) <= set(but)

        await evidence.until("nothing waits for a venue", quiet, 30)

    def venue(self, exchange: str) -> ControlClient:
        """The other side of the wire."""
        return ControlClient(self.stack.ca_path, self.stack.simulator_port, exchange)


@contextlib.asynccontextmanager
async def trading_desk(directory: Path) -> AsyncIterator[Trading]:
    async with _running(directory) as stack, contextlib.AsyncExitStack() as clients:

        async def client(account: str) -> OmsClient:
            exchange = "binance" if account == "main" else exchange_of(account)
            url = stack.config.nats.url
            return await clients.enter_async_context(
                OmsClient.connect(url, account, exchange=exchange, patience_s=30)
            )

        traders = {name: Trader(await client(name), number) for number, name in enumerate(SUBS)}
        yield Trading(stack, await client("main"), traders)


# -- what it comes to


@attrs.define
class Outcome:
    """What is true of one account in the end, without what no two runs have in common: ids and times."""

    answers: list[tuple[str, str]]
    orders: list[tuple[Any, ...]] = attrs.field(factory=list)
    fills: list[tuple[Any, ...]] = attrs.field(factory=list)
    funds: list[tuple[Any, ...]] = attrs.field(factory=list)
    profit: list[tuple[Any, ...]] = attrs.field(factory=list)
    figures: tuple[Any, ...] = ()
    status: tuple[Any, ...] = ()
    latches: list[tuple[str, ...]] = attrs.field(factory=list)
    there: list[tuple[Any, ...]] = attrs.field(factory=list)
    """Its orders as the venue has them."""


async def _outcomes(trading: Trading) -> dict[str, Outcome]:
    client = trading.main
    found = {name: Outcome(trader.answers) for name, trader in trading.traders.items()}
    found["main"] = Outcome([])
    steps: dict[str, str] = {}
    for order in (await client.orders(account=ANY, rows=ROWS)).rows:
        steps[order.order_id] = order.client_order_id
        state = (order.status, order.in_doubt, order.filled, order.cost, order.locked)
        terms = (order.side, order.quantity, order.price)
        found[order.account].orders.append((order.client_order_id, *state, *terms))
    for fill in (await client.trades(account=ANY, rows=ROWS)).rows:
        what = (fill.side, fill.quantity, fill.price, fill.fee, fill.fee_asset, fill.maker, fill.realised)
        found[fill.account].fills.append((steps[fill.order_id], *what))
    for funds in (await client.balances(account=ANY, rows=ROWS)).rows:
        amounts = (funds.total, funds.locked, funds.free)
        found[funds.account].funds.append((funds.wallet, funds.asset, *amounts))
    for row in (await client.pnl(account=ANY, rows=ROWS)).rows:
        profit = (row.realised, row.fees, row.funding, row.unrealised, row.net, row.trades)
        found[row.account].profit.append((row.strategy, row.symbol, *profit, sorted(row.other_fees.items())))
    for each in (await client.accounts(account=ANY)).rows:
        found[each.account].figures = (
            each.value,
            each.exposure,
            each.open_orders,
            each.pnl_day,
            each.drawdown,
        )
        found[each.account].status = (each.status, [venue.ready for venue in each.venues])
        found[each.account].latches = [(latch.scope, latch.by, latch.cause) for latch in each.latches]
    for exchange in EXCHANGES:
        async with trading.venue(exchange) as venue:
            for there in await venue.orders():
                account, client_id = str(there["account"]), str(there["client_order_id"])
                if account in found:
                    terms_there = [there[field] for field in ("side", "quantity", "price", "executed")]
                    step = steps.get(client_id.partition("R")[0], "unknown")
                    found[account].there.append((step, there["status"], *terms_there))
    for outcome in found.values():
        for some in (outcome.orders, outcome.fills, outcome.funds, outcome.profit, outcome.there):
            some.sort(key=str)
    return found


async def in_the_end(trading: Trading) -> dict[str, Outcome]:
    """Move the market, wait until everybody knows, and see."""
    for exchange in EXCHANGES:
        async with trading.venue(exchange) as venue:
            await venue.set_price("BTCUSDT", MOVED)

    async def known() -> bool:
        rows = (await trading.main.positions(account=ANY, symbol="BTCUSDT", rows=ROWS)).rows
        return {row.mark for row in rows if row.quantity} == {D(MOVED)}

    await evidence.until("every position is valued at where the market went", known)
    return await _outcomes(trading)
