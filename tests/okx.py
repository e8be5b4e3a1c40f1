"""A simulated OKX that runs, and the ways to it that its tests take."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import attrs
import ccxt.pro
from aiohttp import web
from yarl import URL

from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, FaultRule, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Balance
from oms.simulator.okx.wire import OkxWire
from oms.simulator.orders import Order, OrderRequest

KEY, SECRET, PASSPHRASE = "key-of-main", "secret-of-main", "Pass-Phrase1"
OTHER_KEY, OTHER_SECRET = "key-of-other", "secret-of-other"
SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
FUNDS = {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(10)}
REST = "https://www.okx.com"
WS = "wss://ws.okx.com:8443/ws/v5"


@attrs.frozen
class Sent:
    """A request as it came in."""

    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define
class Okx:
    """The simulator, and a session by which every host is it. ``sent`` is every request that came."""

    simulator: Simulator
    session: aiohttp.ClientSession
    sent: list[Sent] = attrs.field(factory=list)

    @property
    def wire(self) -> OkxWire:
        wire = self.simulator.exchanges["okx"]
        assert isinstance(wire, OkxWire)
        return wire

    @property
    def exchange(self) -> Exchange:
        return self.wire.exchange

    @property
    def main(self) -> Account:
        return self.exchange.accounts["main"]

    def record(self) -> None:
        """Keep every request from now on."""
        serve = self.wire.serve

        async def recording(request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
            body = (await request.read()).decode() if request.can_read_body else ""
            self.sent.append(Sent(request.method, path, query, body, dict(request.headers)))
            return await serve(request, path, query)

        self.wire.serve = recording  # type: ignore[method-assign]

    def last(self, path: str) -> Sent:
        """The last request to a path."""
        return [sent for sent in self.sent if sent.path == f"/api/v5/{path}"][-1]

    def fault(self, kind: str, endpoint: str | None = None, count: int | None = 1, **fields: Any) -> None:
        """Switch a fault on."""
        self.wire.faults.add(FaultRule(kind=kind, endpoint=endpoint, count=count, **fields))  # type: ignore[arg-type]

    def place(self, symbol: str = SPOT, account: str = "main", **fields: Any) -> Order:
        """Place an order past the wire."""
        market = "futures" if symbol.endswith("SWAP") else "spot"
        fields = {
            "side": "BUY",
            "type": "LIMIT",
            "quantity": Decimal("0.01"),
            "price": Decimal(40_000),
            **fields,
        }
        request = OrderRequest(market=market, symbol=symbol, **fields)
        return self.exchange.place(self.exchange.accounts[account], request)

    def buy(self, symbol: str, quantity: str, account: str = "main", side: str = "BUY") -> Order:
        """Trade at market past the wire."""
        return self.place(
            symbol, account, side=side, type="MARKET", quantity=Decimal(quantity), price=Decimal(0)
        )

    def balance(self, asset: str, wallet: str = "unified") -> Balance:
        return self.main.balance(wallet, asset)

    def ccxt(self, **options: Any) -> Any:
        """Unmodified ccxt, of the account ``main``."""
        client = ccxt.pro.okx(
            {
                "session": self.session,
                "apiKey": KEY,
                "secret": SECRET,
                "password": PASSPHRASE,
                "enableRateLimit": False,
                "options": {"fetchMarkets": {"types": ["spot", "swap"]}, **options},
            }
        )
        client.number = str
        return client


@asynccontextmanager
async def running(tmp_path: Path, **settings: Any) -> AsyncIterator[Okx]:
    """A simulated OKX with the accounts ``main`` and ``other``, moved by hand alone."""
    accounts = (
        AccountConfig("main", KEY, SECRET, FUNDS, PASSPHRASE),
        AccountConfig("other", OTHER_KEY, OTHER_SECRET, FUNDS, PASSPHRASE),
    )
    symbols = PRESETS["okx.spot"] + PRESETS["okx.futures"]
    config = ExchangeConfig("okx", symbols, accounts, **settings)
    simulator = Simulator(SimulatorConfig(exchanges=(config,), ca_path=tmp_path / "ca.pem"))
    await simulator.start()
    try:
        async with ccxt_session(tmp_path / "ca.pem", simulator.port) as session:
            yield Okx(simulator, session)
    finally:
        await simulator.stop()


def sign(payload: str, secret: str = SECRET) -> str:
    """A signature, made with nothing of the project."""
    return base64.b64encode(hmac.digest(secret.encode(), payload.encode(), hashlib.sha256)).decode()


def timestamp(late_s: float = 0.0) -> str:
    """OKX's form of the time, or of one so much earlier."""
    at = datetime.now(UTC) - timedelta(seconds=late_s)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def send(
    okx: Okx,
    method: str,
    path: str,
    body: Any = None,
    *,
    change: dict[str, str | None] | None = None,
    late_s: float = 0.0,
    raw: bytes | None = None,
    **params: Any,
) -> tuple[int, Any]:
    """Send one signed request with no exchange library between; return status and body.

    ``change`` replaces headers after signing, None takes one away.
    """
    query = f"?{urlencode(params)}" if params else ""
    target = f"/api/v5/{path}{query}"
    data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    now = timestamp(late_s)
    headers: dict[str, str | None] = {
        "OK-ACCESS-KEY": KEY,
        "OK-ACCESS-PASSPHRASE": PASSPHRASE,
        "OK-ACCESS-TIMESTAMP": now,
        "OK-ACCESS-SIGN": sign(now + method + target + data.decode()),
        "Content-Type": "application/json",
        **(change or {}),
    }
    kept = {name: value for name, value in headers.items() if value is not None}
    url = URL(REST + target, encoded=True)
    async with okx.session.request(method, url, data=data or None, headers=kept) as response:
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else await response.text()


NEW: dict[str, str] = {
    "instId": SPOT,
    "tdMode": "cash",
    "side": "buy",
    "ordType": "limit",
    "sz": "0.01",
    "px": "40000",
}
"""A good new order."""


async def new(okx: Okx, **changes: str | None) -> dict[str, Any]:
    """Send a new order and return its row."""
    body = {name: value for name, value in {**NEW, **changes}.items() if value is not None}
    _, answer = await send(okx, "POST", "trade/order", body)
    row: dict[str, Any] = answer["data"][0]
    return row
