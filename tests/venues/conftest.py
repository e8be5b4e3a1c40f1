"""A desk in one process: real nats-server, real engine, real simulator, and the connector over unmodified ccxt."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
import nats
import pytest
from nats.aio.client import Client

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.engine.engine import Engine, EngineSettings
from oms.messages.enums import AccountKind, OrderStatus
from oms.nats_server import EmbeddedNats
from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.orders import OrderRequest
from oms.simulator.wire import Wire
from oms.venues.binance_spot import BinanceSpot
from oms.venues.budgets import Budgets
from oms.venues.connector import Connector
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.limiter import Pool
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS
from oms.venues.settings import Settings
from tests.limits import CONTROLS_OFF

if TYPE_CHECKING:
    from .markets import Markets

VENUE = "binance.spot"
QUICK = Settings(
    grace_margin_s=0.2,
    send_within_s=0.3,
    confirm_s=0.05,
    clock_skew_s=0.2,
    overlap_s=5.0,
    look_up_s=0.05,
    look_up_max_s=0.2,
    backoff_s=0.1,
    backoff_max_s=0.5,
    heartbeat_s=0.5,
    probe_s=0.5,
    marks_s=0.1,
    settled_s=0.2,
)
RECV_WINDOW_MS = 500
TIMEOUT_S = 0.5
"""How long a request may go unanswered."""
FUNDS = {"USDT": Decimal(100_000), "BTC": Decimal(2)}


async def until(condition: Callable[[], Any], within_s: float = 10.0, what: str = "") -> Any:
    """Wait until the condition holds and return its value; fail with what was waited for."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"did not happen within {within_s} s: {what or condition}")


@attrs.define
class Desk:
    """The parts of one desk, and the shortest ways to use them."""

    nc: Client
    engine: Engine
    simulator: Simulator
    ca_path: Path
    connectors: list[tuple[Connector, asyncio.Event, asyncio.Task[None], Any]] = attrs.field(factory=list)
    _number: int = 0

    @property
    def wire(self) -> Wire:
        """The simulated Binance."""
        return self.simulator.exchanges["binance"]

    @property
    def state(self) -> Partition:
        return self.engine.state

    def order(self, order_id: str) -> Order:
        return self.state.orders[order_id]

    async def connect(
        self,
        account: str = "main",
        settings: Settings = QUICK,
        wait: bool = True,
        limits: tuple[int, int, int] = (6_000, 1_000, 100_000),
    ) -> Connector:
        """Start a connector for one account, and wait until its session is ready."""
        session = ccxt_session(self.ca_path, self.simulator.port)
        market = BinanceSpot(
            FixedCredentials({("binance", account): Key(f"{account}-key", f"{account}-secret")}),
            Budgets(Pool(POOLS[VENUE]), *limits),
            Reach(session=session, timeout_s=TIMEOUT_S, recv_window_ms=RECV_WINDOW_MS),
        )
        connector = Connector(self.nc, VENUE, market, [account], settings)
        stop = asyncio.Event()
        task = asyncio.create_task(connector.run(stop))
        self.connectors.append((connector, stop, task, session))
        if wait:
            await self.ready(connector, account)
        return connector

    async def ready(self, connector: Connector, account: str = "main") -> None:
        """Wait until the connector's session serves the account."""
        await until(
            lambda: account in connector.sessions and connector.sessions[account].ready.is_set(),
            what="the session to be ready",
        )
        await until(lambda: self.state.instruments["binance", "spot", "BTCUSDT"].mark, what="a mark")

    async def disconnect(self) -> None:
        """Stop every connector."""
        for _, stop, task, session in self.connectors:
            stop.set()
            await task
            await session.close()
        self.connectors.clear()

    async def ask(self, subject: str, **fields: Any) -> dict[str, Any]:
        """Send one command of a client."""
        self._number += 1
        payload = msgspec.json.encode({"command_id": f"c{self._number}", **fields})
        answer: dict[str, Any] = msgspec.json.decode(
            (await self.nc.request(subject, payload, timeout=5)).data
        )
        return answer

    async def place(self, *, symbol: str = "BTCUSDT", account: str = "main", **fields: str | bool) -> str:
        """Place an order and return its id."""
        fields = {"side": "buy", "type": "limit", "quantity": "0.01", **fields}
        if fields["type"] == "limit":
            fields.setdefault("price", "40000")
        answer = await self.ask(f"place.binance.{account}.spot.{symbol}", **fields)
        assert answer["ok"], answer
        order_id: str = answer["order_id"]
        return order_id

    async def cancel(self, order_id: str, account: str = "main") -> None:
        """Ask for a cancel."""
        answer = await self.ask(f"cancel.binance.{account}.spot.BTCUSDT", order_id=order_id)
        assert answer["ok"], answer

    async def amend(self, order_id: str, **fields: str) -> None:
        """Ask for an amend."""
        answer = await self.ask("amend.binance.main.spot.BTCUSDT", order_id=order_id, **fields)
        assert answer["ok"], answer

    async def becomes(self, order_id: str, status: OrderStatus, within_s: float = 10.0) -> Order:
        """Wait until the order has this status and is not in doubt."""
        try:
            await until(
                lambda: self.order(order_id).status is status and not self.order(order_id).in_doubt, within_s
            )
        except AssertionError:
            raise AssertionError(f"{order_id} should become {status}, is {self.order(order_id)}") from None
        return self.order(order_id)

    def external(self, account: str, **fields: str) -> Any:
        """Place an order as the account's owner would from the exchange's own app."""
        exchange = self.wire.exchange
        amounts = {name: Decimal(fields.pop(name)) for name in ("quantity", "price") if name in fields}
        request = OrderRequest("spot", **fields, **amounts)
        return exchange.place(exchange.accounts[account], request)

    async def adopted(self, client_id: str) -> Order:
        """Wait until an order from elsewhere is known here."""
        ids = self.state.venue_ids
        key = (("binance", "main", "spot"), client_id)
        await until(lambda: key in ids, what=f"{client_id} to be adopted")
        return self.order(ids[key])

    def at_venue(self, order_id: str, account: str = "main") -> list[Any]:
        """Every order at the simulator that stands, or stood, for this one."""
        return [
            order
            for order in self.wire.exchange.accounts[account].all_orders()
            if order.client_order_id.split("R")[0] == order_id
        ]

    def fault(self, kind: str, **fields: Any) -> None:
        """Switch a fault on."""
        from oms.simulator import FaultRule

        self.wire.faults.add(FaultRule(kind=kind, **fields))

    def check_funds(self, account: str = "main") -> None:
        """What the engine holds is what the venue holds, to the last digit."""
        held = self.wire.exchange.accounts[account].wallets["spot"]
        wallet = self.state.wallets["binance", account, "spot"].balances
        venue = {asset: b.free + b.locked for asset, b in held.items() if b.free + b.locked}
        ours = {asset: b.total for asset, b in wallet.items() if b.total}
        assert ours == venue


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulated exchange with the accounts ``main`` and ``sub_arb``, moved by hand alone."""
    accounts = tuple(
        AccountConfig(name, f"{name}-key", f"{name}-secret", FUNDS) for name in ("main", "sub_arb")
    )
    binance = ExchangeConfig("binance", PRESETS["binance.spot"], accounts)
    simulator = Simulator(SimulatorConfig((binance,), ca_path=tmp_path / "ca.pem"))
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def bare_desk(nats_server_shared: EmbeddedNats, simulator: Simulator) -> AsyncIterator[Desk]:
    """A desk without a connector."""
    nc = await nats.connect(nats_server_shared.url, max_reconnect_attempts=-1)
    accounts = {"main": AccountKind.MAIN, "sub_arb": AccountKind.SUB}
    engine = Engine(nc, EngineSettings(accounts=accounts, controls=CONTROLS_OFF))
    stop = asyncio.Event()
    running = asyncio.create_task(engine.run(stop))
    await until(lambda: engine.ready.is_set() or running.done())
    assert simulator.ca_path is not None
    desk = Desk(nc, engine, simulator, simulator.ca_path)
    yield desk
    await desk.disconnect()
    stop.set()
    await running
    js = nc.jetstream()
    await js.delete_stream("JOURNAL")
    await nc.close()


@pytest.fixture
async def desk(bare_desk: Desk) -> Desk:
    """A desk whose account ``main`` is connected and ready."""
    await bare_desk.connect()
    return bare_desk


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """The exchanges of a test's desk, unless its module says otherwise."""
    return ("binance", "bybit", "okx", "upbit")


@pytest.fixture
async def markets(
    nats_server_shared: EmbeddedNats, tmp_path: Path, exchanges: tuple[str, ...]
) -> AsyncIterator["Markets"]:
    """A desk on the simulated ``exchanges``; without a connector."""
    from .markets import Markets, simulator_of

    simulator = simulator_of(exchanges, tmp_path / "ca.pem")
    await simulator.start()
    nc = await nats.connect(nats_server_shared.url, max_reconnect_attempts=-1)
    accounts = {"main": AccountKind.MAIN, "sub_arb": AccountKind.SUB}
    engine = Engine(nc, EngineSettings(accounts=accounts, controls=CONTROLS_OFF))
    stop = asyncio.Event()
    running = asyncio.create_task(engine.run(stop))
    await until(lambda: engine.ready.is_set() or running.done())
    desk = Markets(nc, engine, simulator, tmp_path / "ca.pem")
    yield desk
    await desk.disconnect()
    stop.set()
    await running
    await nc.jetstream().delete_stream("JOURNAL")
    await nc.close()
    await simulator.stop()
