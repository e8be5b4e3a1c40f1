"""A simulated Bybit that runs, and the ways to it that its tests take."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import attrs
import ccxt.pro
from yarl import URL

from oms.messages.enums import OrderType, Side
from oms.messages.instructions import Submit
from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, FaultRule, Simulator, SimulatorConfig
from oms.simulator.bybit.wire import BybitWire
from oms.simulator.client import ccxt_session
from oms.simulator.ledger import Account, Balance
from oms.simulator.orders import Order, OrderRequest
from oms.venues.adapter import StreamEvent
from oms.venues.admission import Pool
from oms.venues.budgets import Budgets
from oms.venues.bybit import BybitFutures, BybitSpot
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS

KEY, SECRET = "key-main", "secret-main"
OTHER_KEY, OTHER_SECRET = "key-other", "secret-other"
BTC = "BTCUSDT"
PRICE = Decimal(50_000)
FUNDS = {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(10)}
TIMEOUT_S = 0.5
"""How long an adapter waits for an answer."""
S = 10**9


@attrs.define
class Bybit:
    """The simulator, and a session by which every host is it."""

    simulator: Simulator
    session: aiohttp.ClientSession
    headers: dict[str, str] = attrs.field(factory=dict)
    """Of the last answer to :meth:`send`, in lower case."""

    @property
    def wire(self) -> BybitWire:
        wire = self.simulator.exchanges["bybit"]
        assert isinstance(wire, BybitWire)
        return wire

    @property
    def main(self) -> Account:
        return self.wire.exchange.accounts["main"]

    @property
    def other(self) -> Account:
        return self.wire.exchange.accounts["other"]

    def fault(self, kind: str, endpoint: str | None = None, count: int | None = 1, **fields: Any) -> None:
        """Switch a fault on."""
        self.wire.faults.add(FaultRule(kind=kind, endpoint=endpoint, count=count, **fields))  # type: ignore[arg-type]

    def place(self, account: str = "other", market: str = "spot", symbol: str = BTC, **fields: Any) -> Order:
        """Place an order past the wire."""
        fields = {
            "side": "BUY",
            "type": "LIMIT",
            "quantity": Decimal("0.001"),
            "price": PRICE - 1_000,
            **fields,
        }
        exchange = self.wire.exchange
        return exchange.place(
            exchange.accounts[account], OrderRequest(market=market, symbol=symbol, **fields)
        )

    def hit(self, order: Order, quantity: str, account: str = "other") -> None:
        """Let another account trade with a resting order; the house steps aside."""
        self.clear(order.market)
        side = "SELL" if order.side == "BUY" else "BUY"
        self.place(
            account,
            order.market,
            side=side,
            type="LIMIT",
            time_in_force="IOC",
            quantity=Decimal(quantity),
            price=order.price,
        )

    def clear(self, market: str = "spot", symbol: str = BTC) -> None:
        """Take the house's quotes off the book."""
        exchange = self.wire.exchange
        quoted = self.wire.driver._quoted[market, symbol]
        for order in quoted.orders:
            exchange.withdraw(quoted.market, order)
        quoted.orders.clear()

    def balance(self, asset: str, account: str = "main", wallet: str = "unified") -> Balance:
        return self.wire.exchange.accounts[account].balance(wallet, asset)

    def ccxt(self, category: str = "spot", key: str = KEY, secret: str = SECRET) -> Any:
        """Unmodified ccxt, of an account."""
        client = ccxt.pro.bybit(
            {
                "session": self.session,
                "apiKey": key,
                "secret": secret,
                "enableRateLimit": False,
                # Its session is closed by whoever made it.
                "timeout_on_exit": 0,
                "options": {
                    "defaultType": "spot" if category == "spot" else "swap",
                    "fetchMarkets": {"types": ["spot", "linear"]},
                    "enableUnifiedMargin": False,
                    "enableUnifiedAccount": True,
                },
            }
        )
        client.has["fetchCurrencies"] = False
        client.number = str
        return client

    def market(self, category: str = "spot", key: Key | None = None) -> Any:
        """The adapter of a market."""
        credentials = FixedCredentials({("bybit", "main"): key or Key(KEY, SECRET)})
        budgets = Budgets(Pool(POOLS["bybit"]), 100_000, 1_000, 1_000_000)
        reach = Reach(session=self.session, timeout_s=TIMEOUT_S, recv_window_ms=2_000)
        kind = BybitSpot if category == "spot" else BybitFutures
        return kind(credentials, budgets, reach)

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: str | None = KEY,
        secret: str = SECRET,
        sent_ms: int | None = None,
        signature: str | None = None,
        text: str | None = None,
        **params: Any,
    ) -> tuple[int, Any]:
        """Send one request with no exchange library between; return status and body. ``text`` is sent as it is."""
        get = method == "GET"
        if text is None:
            text = urlencode(params) if get else json.dumps(params)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            stamp = str(sent_ms or int(time.time() * 1000))
            words = f"{stamp}{key}5000{text}".encode()
            right = hmac.new(secret.encode(), words, hashlib.sha256).hexdigest()
            headers |= {
                "X-BAPI-API-KEY": key,
                "X-BAPI-TIMESTAMP": stamp,
                "X-BAPI-RECV-WINDOW": "5000",
                "X-BAPI-SIGN": signature or right,
            }
        url = f"https://api.bybit.com/v5/{path}" + (f"?{text}" if get and text else "")
        async with self.session.request(
            method, URL(url, encoded=True), data=None if get else text, headers=headers
        ) as response:
            self.headers = {name.lower(): value for name, value in response.headers.items()}
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def ask(self, method: str, path: str, **params: Any) -> Any:
        """The result of a request that is taken."""
        status, answer = await self.send(method, path, **params)
        assert (status, answer["retCode"]) == (200, 0), answer
        return answer["result"]

    async def code(self, method: str, path: str, **params: Any) -> int:
        """The code of an answer."""
        _, answer = await self.send(method, path, **params)
        code: int = answer["retCode"]
        return code


@asynccontextmanager
async def running(tmp_path: Path, **settings: Any) -> AsyncIterator[Bybit]:
    """A simulated Bybit with the accounts ``main`` and ``other``, moved by hand alone."""
    accounts = (
        AccountConfig("main", KEY, SECRET, FUNDS),
        AccountConfig("other", OTHER_KEY, OTHER_SECRET, FUNDS),
    )
    symbols = settings.pop("symbols", (*PRESETS["bybit.spot"], *PRESETS["bybit.futures"]))
    config = ExchangeConfig("bybit", symbols, accounts, **settings)
    simulator = Simulator(SimulatorConfig(exchanges=(config,), ca_path=tmp_path / "ca.pem"))
    await simulator.start()
    try:
        async with ccxt_session(tmp_path / "ca.pem", simulator.port) as session:
            yield Bybit(simulator, session)
    finally:
        await simulator.stop()


@attrs.define
class Connected:
    """An adapter's market with one account of it open, and what its stream has told."""

    bybit: Bybit
    market: Any
    account: Any
    events: list[StreamEvent]

    async def heard(self, kind: type, where: Callable[[Any], bool] = lambda event: True) -> Any:
        """Wait for an event of this kind, and return the first that fits."""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for event in self.events:
                if isinstance(event, kind) and where(event):
                    return event
            await asyncio.sleep(0.005)
        raise AssertionError(f"no such {kind.__name__} among {self.events}")

    def at_venue(self, client_id: str) -> Order:
        """The order at the simulator."""
        order = self.bybit.main.find(None, client_order_id=client_id)
        assert order is not None, client_id
        return order


@asynccontextmanager
async def connected(bybit: Bybit, category: str) -> AsyncIterator[Connected]:
    """The account ``main`` over the adapter."""
    market = bybit.market(category)
    await market.open()
    account = market.account("main")
    events: list[StreamEvent] = []
    await account.open(events.append)
    try:
        yield Connected(bybit, market, account, events)
    finally:
        await account.close()
        await market.close()


def submit(client_id: str = "abc0", **fields: Any) -> Submit:
    """A new order far below the market."""
    fields = {
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("0.01"),
        "price": PRICE - 1_000,
        "symbol": BTC,
        "deadline": time.time_ns() + 5 * S,
        **fields,
    }
    return Submit(order_id=client_id, client_id=client_id, **fields)
