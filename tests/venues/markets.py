"""A desk on every exchange: real nats-server, real engine, one simulator of them all, and the connectors over unmodified ccxt."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import msgspec
from nats.aio.client import Client

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.engine.engine import Engine
from oms.messages.enums import OrderStatus
from oms.simulator import AccountConfig, ExchangeConfig, FaultRule, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.config import venue_id_of
from oms.simulator.exchange import Exchange as Simulated
from oms.simulator.orders import Order as VenueOrder
from oms.simulator.orders import OrderRequest
from oms.simulator.presets import PRESETS
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.exchange import Exchange, Service
from oms.venues.over_ccxt import Reach
from oms.venues.settings import Settings

from .conftest import QUICK, RECV_WINDOW_MS, until

ACCOUNTS = ("main", "sub_arb")
FUNDS = {"USDT": Decimal(1_000_000), "BTC": Decimal(20), "KRW": Decimal(10_000_000_000)}
TIMEOUT_S = 1.0


@attrs.frozen
class Place:
    """Where and in which sizes a venue is traded in tests. ``price`` is inside the spread of an untouched market."""

    venue: str
    symbol: str
    price: Decimal
    tick: Decimal
    unit: Decimal

    @property
    def exchange(self) -> str:
        return self.venue.split(".")[0]

    @property
    def market(self) -> str:
        return self.venue.split(".")[1]


D = Decimal
PLACES = {
    place.venue: place
    for place in (
        Place("binance.spot", "BTCUSDT", D(50_000), D("0.01"), D("0.001")),
        Place("binance.futures", "BTCUSDT", D(50_000), D("0.1"), D("0.002")),
        Place("bybit.spot", "BTCUSDT", D(50_000), D("0.1"), D("0.001")),
        Place("bybit.futures", "BTCUSDT", D(50_000), D("0.1"), D("0.002")),
        Place("okx.spot", "BTC-USDT", D(50_000), D("0.1"), D("0.001")),
        Place("okx.futures", "BTC-USDT-SWAP", D(50_000), D("0.1"), D("0.1")),
        Place("upbit.spot", "KRW-BTC", D(50_000_000), D(1_000), D("0.001")),
    )
}


def simulator_of(exchanges: Iterable[str], ca_path: Path) -> Simulator:
    """A simulator of these exchanges, moved by hand alone."""
    made = []
    for exchange in exchanges:
        symbols = tuple(
            each for venue, some in PRESETS.items() if venue.startswith(f"{exchange}.") for each in some
        )
        accounts = tuple(
            AccountConfig(name, f"{exchange}-{name}-key", f"{exchange}-{name}-secret", FUNDS, "pass-Phrase1")
            for name in ACCOUNTS
        )
        made.append(ExchangeConfig(exchange, symbols, accounts))
    return Simulator(SimulatorConfig(tuple(made), ca_path=ca_path))


@attrs.define
class Markets:
    """The parts, and the shortest ways to use them."""

    nc: Client
    engine: Engine
    simulator: Simulator
    ca_path: Path
    running: list[tuple[Exchange, asyncio.Event, asyncio.Task[None], aiohttp.ClientSession]] = attrs.field(
        factory=list
    )
    _number: int = 0

    @property
    def state(self) -> Partition:
        return self.engine.state

    def order(self, order_id: str) -> Order:
        return self.state.orders[order_id]

    def venue(self, place: Place) -> Simulated:
        return self.simulator.exchanges[place.exchange].exchange

    async def connect(
        self, *venues: str, settings: Settings = QUICK, accounts: tuple[str, ...] = ("main",)
    ) -> None:
        """Start the connectors of these venues, and wait until every session is ready."""
        by_exchange: dict[str, list[str]] = {}
        for venue in venues:
            by_exchange.setdefault(venue.split(".")[0], []).append(venue)
        for exchange, its in by_exchange.items():
            session = ccxt_session(self.ca_path, self.simulator.port)
            service = Service(
                accounts=accounts,
                weight_per_minute=100_000,
                orders_per_second=1_000,
                orders_per_day=100_000,
                reach=Reach(session=session, timeout_s=TIMEOUT_S, recv_window_ms=RECV_WINDOW_MS),
            )
            keys = {
                (exchange, name): Key(f"{exchange}-{name}-key", f"{exchange}-{name}-secret", "pass-Phrase1")
                for name in accounts
            }
            names = {name: venue_id_of(exchange, name) for name in ACCOUNTS}
            served = Exchange(self.nc, dict.fromkeys(its, service), FixedCredentials(keys), settings, names)
            stop = asyncio.Event()
            self.running.append((served, stop, asyncio.create_task(served.run(stop)), session))
        await until(self._ready, 20, "every session to be ready")

    def _ready(self) -> bool:
        for _, _, task, _ in self.running:
            if task.done():
                task.result()
        return all(served.ready for served, *_ in self.running) and all(
            any(i.mark for k, i in self.state.instruments.items() if f"{k[0]}.{k[1]}" == venue)
            for served, *_ in self.running
            for venue in served.connectors
        )

    async def disconnect(self) -> None:
        """Stop every connector."""
        for _, stop, task, session in self.running:
            stop.set()
            await task
            await session.close()
        self.running.clear()

    def alone(self, place: Place) -> None:
        """Take the house's orders off the book: nothing trades but what the test says."""
        exchange = self.venue(place)
        market = exchange.market(place.market, place.symbol)
        for side in ("BUY", "SELL"):
            for level in list(market.book.levels(side)):
                for order in list(level.orders.values()):
                    exchange.withdraw(market, order)
        exchange.finish_quotes(market)

    async def ask(self, verb: str, place: Place, *, account: str = "main", **fields: Any) -> dict[str, Any]:
        """Send one command of a client, under a new id unless it names one."""
        self._number += 1
        fields = {"command_id": f"c{self._number}", **fields}
        subject = f"{verb}.{place.exchange}.{account}.{place.market}.{place.symbol}"
        reply = await self.nc.request(subject, msgspec.json.encode(fields), timeout=5)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        return answer

    async def place(self, place: Place, account: str = "main", **fields: Any) -> str:
        """Place a limit buy of ten units inside the spread, or what the fields say instead, and return its id."""
        wanted = {
            "side": "buy",
            "type": "limit",
            "quantity": f"{10 * place.unit:f}",
            "price": f"{place.price:f}",
            **fields,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        answer = await self.ask("place", place, account=account, **wanted)
        assert answer["ok"], answer
        order_id: str = answer["order_id"]
        return order_id

    async def becomes(self, order_id: str, status: OrderStatus, within_s: float = 10.0) -> Order:
        """Wait until the order has this status and is not in doubt."""
        try:
            await until(
                lambda: self.order(order_id).status is status and not self.order(order_id).in_doubt, within_s
            )
        except AssertionError:
            raise AssertionError(f"{order_id} should become {status}, is {self.order(order_id)}") from None
        return self.order(order_id)

    def at_venue(self, place: Place, order_id: str, account: str = "main") -> list[VenueOrder]:
        """Every order at the simulator that stands, or stood, for this one."""
        return [
            order
            for order in self.venue(place).accounts[account].all_orders()
            if order.client_order_id.split("R")[0] == order_id
        ]

    def trade(
        self, place: Place, quantity: Decimal, price: Decimal, side: str = "SELL", tif: str = "IOC"
    ) -> VenueOrder:
        """Have the other account trade against what stands there."""
        exchange = self.venue(place)
        request = OrderRequest(
            place.market, place.symbol, side, "LIMIT", quantity, price=price, time_in_force=tif
        )
        return exchange.place(exchange.accounts["sub_arb"], request)

    def fault(self, place: Place, kind: str, **fields: Any) -> None:
        """Switch a fault of the exchange on."""
        self.simulator.exchanges[place.exchange].faults.add(FaultRule(kind=kind, **fields))

    def differences(self, account: str = "main") -> list[str]:
        """Where funds and positions here are not those of the simulators, to the last digit."""
        found = []
        for exchange, wire in self.simulator.exchanges.items():
            venue = wire.exchange.accounts[account]
            for name, balances in venue.wallets.items():
                theirs = {a: b.free + b.locked for a, b in balances.items() if b.free + b.locked}
                wallet = self.state.wallets.get((exchange, account, name))
                ours = {} if wallet is None else {a: b.total for a, b in wallet.balances.items() if b.total}
                if wallet is not None and ours != theirs:
                    found.append(f"{exchange} {name}: here {ours}, there {theirs}")
            positions = {symbol: p.quantity for symbol, p in venue.positions.items() if p.quantity}
            here = {
                key[3]: p.quantity
                for key, p in self.state.positions.items()
                if key[:3] == (exchange, account, "futures") and p.quantity
            }
            if positions != here:
                found.append(f"{exchange} positions: here {here}, there {positions}")
        return found
