"""All markets at once: a load on every venue, trouble for it, and the comparison of what is here with what is there."""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

import attrs

from oms.cli.demo.limits import demo_risk
from oms.cli.stack import Stack
from oms.client import OmsClient, OmsRefused, OmsTimeout, new_order
from oms.config import Config, RateLimits, ReconcileConfig, VenueConfig, override
from oms.messages import events as e
from oms.messages.enums import FINAL_STATUSES, OrderStatus
from oms.messages.frames import Commit
from oms.messages.instructions import parse_venue_client_id
from oms.messages.queries import OrderRow
from oms.messages.reports import UNSENT
from oms.messages.subjects import ANY
from oms.simulator.client import ControlClient
from oms.simulator.showing import amount

SECOND: Final = 10**9
Fill = tuple[str, str, str, str, Decimal, Decimal]
"""(exchange, account, market, order id, quantity, price)"""


@attrs.frozen
class Place:
    """Where and in which sizes a venue is traded. ``price`` is about where the simulated market starts."""

    exchange: str
    market: str
    symbol: str
    price: Decimal
    tick: Decimal
    unit: Decimal

    @property
    def venue(self) -> str:
        return f"{self.exchange}.{self.market}"


D = Decimal
PLACES: Final = (
    Place("binance", "spot", "BTCUSDT", D(50_000), D("0.01"), D("0.001")),
    Place("binance", "futures", "BTCUSDT", D(50_000), D("0.1"), D("0.002")),
    Place("bybit", "spot", "BTCUSDT", D(50_000), D("0.1"), D("0.001")),
    Place("bybit", "futures", "BTCUSDT", D(50_000), D("0.1"), D("0.002")),
    Place("okx", "spot", "BTC-USDT", D(50_000), D("0.1"), D("0.001")),
    Place("okx", "futures", "BTC-USDT-SWAP", D(50_000), D("0.1"), D("0.1")),
    Place("upbit", "spot", "KRW-BTC", D(50_000_000), D(1_000), D("0.001")),
)
EXCHANGES: Final = tuple(dict.fromkeys(place.exchange for place in PLACES))

FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "drop_request", "probability_percent": 2},
    {"kind": "late_request", "probability_percent": 2, "delay_ms": 1_500},
    {"kind": "server_error_before", "probability_percent": 2},
    {"kind": "rate_limited", "probability_percent": 1, "retry_after_s": 1},
    {"kind": "lost_reply", "probability_percent": 3},
    {"kind": "truncated_reply", "probability_percent": 3},
    {"kind": "server_error_after", "probability_percent": 3},
    {"kind": "timeout_1007", "probability_percent": 1},
    {"kind": "delay_reply", "probability_percent": 5, "delay_ms": 300},
    {"kind": "duplicate_report", "probability_percent": 10},
    {"kind": "delay_report", "probability_percent": 10, "delay_ms": 400},
    {"kind": "reorder_report", "probability_percent": 10, "delay_ms": 400},
    {"kind": "drop_report", "probability_percent": 3},
)
"""Everything that can go wrong at an exchange, together: a request in six meets something, a report in three."""


def all_markets(config: Config) -> Config:
    """The configuration with every venue enabled, on which both accounts trade, compared often."""
    quick = RateLimits(weight_per_minute=60_000, orders_per_second=200)
    exchanges: dict[str, dict[str, VenueConfig]] = defaultdict(dict)
    for place in PLACES:
        exchanges[place.exchange][place.market] = VenueConfig(enabled=True, rate_limits=quick)
    venues = tuple(place.venue for place in PLACES)
    accounts = {name: attrs.evolve(account, venues=venues) for name, account in config.accounts.items()}
    often = ReconcileConfig(orders=5 * SECOND, fills=5 * SECOND, funds=10 * SECOND)
    simulator = attrs.evolve(
        config.simulator, balances={"USDT": D(1_000_000), "BTC": D(20), "KRW": D(10_000_000_000)}
    )
    changed = attrs.evolve(
        config,
        exchanges=dict(exchanges),
        accounts=accounts,
        reconcile=often,
        simulator=simulator,
        risk=demo_risk(),
    )
    return override(changed)


# -- load


class Load:
    """Workers that place, cancel and amend round the market on every venue, until told to stop.

    Args:
        seed: of everything that they choose.
        pause_s: between a worker's orders; one worker an account and venue.
    """

    def __init__(self, client: OmsClient, accounts: Iterable[str], seed: int, pause_s: float = 0.2) -> None:
        self._client = client
        self._accounts = tuple(accounts)
        self._seed = seed
        self._pause_s = pause_s
        self.stopping = asyncio.Event()
        self.placed: dict[str, Place] = {}
        """Acknowledged orders by id."""
        self.denied: Counter[str] = Counter()

    async def run(self) -> None:
        """Work until ``stopping``."""
        await asyncio.gather(*(self._work(account, place) for account in self._accounts for place in PLACES))

    async def _work(self, account: str, place: Place) -> None:
        rng = random.Random(f"{self._seed} {account} {place.venue}")
        while not self.stopping.is_set():
            with contextlib.suppress(OmsTimeout):
                await self._one(rng, account, place)
            await asyncio.sleep(self._pause_s * rng.uniform(0.5, 1.5))

    async def _one(self, rng: random.Random, account: str, place: Place) -> None:
        # Some cross, some rest.
        price = place.price * (1 + D(rng.randrange(-12, 12)) / 10_000)
        order = new_order(
            place.symbol,
            rng.choice(("buy", "sell")),
            rng.randrange(2, 8) * place.unit,
            price=price.quantize(place.tick) // place.tick * place.tick,
            time_in_force=rng.choice(("GTC", "GTC", "GTC", "IOC")),
            strategy=f"s{rng.randrange(3)}",
            exchange=place.exchange,
            market=place.market,
        )
        (result,) = await self._client.place_many([order], account=account)
        if not result.ok:
            self.denied[str(result.error.code if result.error else "?")] += 1
            return
        assert result.order_id is not None
        self.placed[result.order_id] = place
        what = rng.random()
        if what > 0.6:
            return
        await asyncio.sleep(rng.uniform(0.0, 3 * self._pause_s))
        if what < 0.35:
            await self._client.cancel_many([result.order_id], account=account)
        else:
            with contextlib.suppress(OmsRefused):
                await self._client.amend(
                    result.order_id, quantity=order.quantity + 2 * place.unit, account=account
                )


async def trouble(stack: Stack) -> None:
    """Switch every fault on, at every exchange."""
    for exchange in EXCHANGES:
        async with ControlClient(stack.ca_path, stack.simulator_port, exchange) as venue:
            for fault in FAULTS:
                await venue.add_fault(**fault)


async def calm(stack: Stack) -> Counter[str]:
    """Switch every fault off; return how often each kind struck."""
    struck: Counter[str] = Counter()
    for exchange in EXCHANGES:
        async with ControlClient(stack.ca_path, stack.simulator_port, exchange) as venue:
            for rule in await venue.faults():
                struck[str(rule["kind"])] += int(str(rule["fired"]))
            await venue.clear_faults()
    return struck


# -- comparison


@attrs.define
class Record:
    """What the journal's events say.

    Args:
        placed: order id → (exchange, account, market).
        client_ids: of orders found at a venue, by what they are called there: → order id.
        fills: every one applied, less those taken back.
    """

    placed: dict[str, tuple[str, str, str]] = attrs.field(factory=dict)
    client_ids: dict[tuple[str, str, str], str] = attrs.field(factory=dict)
    fills: Counter[Fill] = attrs.field(factory=Counter)

    def add(self, commit: Commit) -> None:
        """Take in the next commit."""
        for event in commit.events:
            match event:
                case e.OrderPlaced():
                    self.placed[event.order_id] = (event.exchange, event.account, event.market)
                case e.OrderAdopted():
                    self.client_ids[event.exchange, event.account, event.client_order_id] = event.order_id
                case e.OrderFilled():
                    self.fills[_fill(event)] += 1
                case e.TradeBusted():
                    self.fills[_fill(event)] -= 1


def _fill(event: e.OrderFilled | e.TradeBusted) -> Fill:
    return (event.exchange, event.account, event.market, event.order_id, event.quantity, event.price)


@attrs.define
class Venues:
    """What the simulated exchanges say of our accounts.

    Args:
        orders: (exchange, row of the control API).
        fills: by our order ids.
        balances: (exchange, account, wallet, asset) → total, where it is not zero.
        positions: (exchange, account, symbol) → quantity, where it is not zero.
    """

    orders: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    fills: Counter[Fill] = attrs.field(factory=Counter)
    balances: dict[tuple[str, ...], Decimal] = attrs.field(factory=dict)
    positions: dict[tuple[str, ...], Decimal] = attrs.field(factory=dict)


async def read_venues(stack: Stack, record: Record) -> Venues:
    """Ask every simulated exchange."""
    found = Venues()
    for exchange in EXCHANGES:
        async with ControlClient(stack.ca_path, stack.simulator_port, exchange) as control:
            accounts = stack.config.accounts
            orders = [row for row in await control.orders() if row["account"] in accounts]
            found.orders += [(exchange, row) for row in orders]
            names = {(row["market"], row["order_id"]): str(row["client_order_id"]) for row in orders}
            for row in await control.trades():
                account = str(row["account"])
                if account in accounts:
                    name = names[row["market"], row["order_id"]]
                    order_id = record.client_ids.get((exchange, account, name)) or _base(name)
                    key = (exchange, account, str(row["market"]), order_id)
                    found.fills[*key, D(str(row["quantity"])), D(str(row["price"]))] += 1
            balances = cast(
                "Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]", await control.balances()
            )
            for account in accounts:
                for wallet, assets in balances[account].items():
                    for asset, each in assets.items():
                        if total := D(each["free"]) + D(each["locked"]):
                            found.balances[exchange, account, wallet, asset] = total
            if any(place.exchange == exchange and place.market == "futures" for place in PLACES):
                positions = cast("Mapping[str, Mapping[str, Mapping[str, str]]]", await control.positions())
                for account in accounts:
                    for symbol, each in positions.get(account, {}).items():
                        if quantity := D(each["quantity"]):
                            found.positions[exchange, account, symbol] = quantity
    return found


def _base(client_id: str) -> str:
    return parse_venue_client_id(client_id)[0]


def orders_agree(venues: Venues, record: Record, rows: Iterable[OrderRow]) -> list[str]:
    """Never two venue orders of one name, none that is not ours, and each has ended or works here as it does there."""
    found = []
    names = Counter((exchange, row["account"], row["client_order_id"]) for exchange, row in venues.orders)
    found += [f"{key} stands {count} times at the venue" for key, count in names.items() if count > 1]
    last: dict[str, dict[str, Any]] = {}
    alive: Counter[str] = Counter()
    for exchange, row in sorted(venues.orders, key=lambda each: each[1]["created_ns"]):
        name, account = str(row["client_order_id"]), str(row["account"])
        order_id = record.client_ids.get((exchange, account, name)) or _base(name)
        if order_id not in record.placed and order_id not in record.client_ids.values():
            found.append(f"{exchange} holds {name} of {account}, which the journal does not know")
        last[order_id] = row
        alive[order_id] += row["status"] in ("NEW", "PARTIALLY_FILLED")
    found += [
        f"{order_id} works {count} times at the venue" for order_id, count in alive.items() if count > 1
    ]
    for ours in rows:
        there = last.get(ours.order_id)
        if there is None:
            never = ours.status in (OrderStatus.REJECTED, OrderStatus.DENIED) or ours.reason == UNSENT
            if not never or ours.filled:
                found.append(f"{ours.order_id} is {ours.status}, filled {ours.filled}, and not at the venue")
        elif _word(there["status"]) != _word(ours.status):
            found.append(
                f"{ours.order_id} is {ours.status} here and {there['status']} at {ours.exchange}.{ours.market}"
            )
    return found


def _word(status: Any) -> str:
    # Exchanges differ in what they call the end of an IOC order.
    return "CANCELED" if status == "EXPIRED" else str(status)


def fills_agree(venues: Venues, record: Record) -> list[str]:
    """Every fill of a venue is applied, once."""
    ours = +record.fills
    return [
        *(f"{fill} happened {count} times more there than here" for fill, count in (venues.fills - ours).items()),
        *(f"{fill} was applied {count} times more here than it happened" for fill, count in (ours - venues.fills).items()),
    ]  # fmt: skip


async def funds_agree(venues: Venues, client: OmsClient) -> list[str]:
    """Balances and positions are the venues', to the last digit."""
    balances: dict[tuple[str, ...], Decimal] = {
        (row.exchange, row.account, row.wallet, row.asset): row.total
        for row in (await client.balances(account=ANY, exchange=ANY, market=ANY)).rows
        if row.total
    }
    positions: dict[tuple[str, ...], Decimal] = {
        (row.exchange, row.account, row.symbol): row.quantity
        for row in (await client.positions(account=ANY, exchange=ANY, market=ANY)).rows
        if row.quantity and row.market == "futures"
    }
    # Wallets that no market's funds are in are not watched.
    watched = {key[:3] for key in balances}
    theirs = {key: total for key, total in venues.balances.items() if key[:3] in watched}
    return [*_differ("balance", balances, theirs), *_differ("position", positions, venues.positions)]


def _differ(
    what: str, ours: Mapping[tuple[str, ...], Decimal], theirs: Mapping[tuple[str, ...], Decimal]
) -> list[str]:
    return [
        f"{what} {'.'.join(key)} is {amount(ours.get(key, D(0)))} here and {amount(theirs.get(key, D(0)))} there"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key, D(0)) != theirs.get(key, D(0))
    ]


async def all_orders(client: OmsClient) -> list[OrderRow]:
    """Every order that the follower keeps."""
    return (await client.orders(account=ANY, exchange=ANY, market=ANY, rows=20_000)).rows


async def settled(client: OmsClient) -> bool:
    """Whether every session is ready, nothing waits for a venue, and nothing is in doubt."""
    status = await client.status(account=ANY)
    ready = all(session.ready for session in status.sessions)
    return ready and not status.unanswered and not status.in_doubt and not status.lag


async def still_open(client: OmsClient) -> list[OrderRow]:
    """Orders that have not ended."""
    return [row for row in await all_orders(client) if row.status not in FINAL_STATUSES]
