"""A simulated Upbit that runs, and the ways to it that its tests take."""

import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import aiohttp
import attrs
import ccxt.pro
import jwt
import msgspec
from yarl import URL

from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, FaultRule, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.config import SymbolConfig
from oms.simulator.ledger import Account, Balance
from oms.simulator.orders import Order, OrderRequest
from oms.simulator.upbit.wire import UpbitWire

KEY, SECRET = "access-key-main", "secret-of-the-main-account-0123456789ab"
OTHER_KEY, OTHER_SECRET = "access-key-other", "secret-of-the-other-account-0123456789a"
BTC = "KRW-BTC"
PRICE = Decimal(70_000_000)
FUNDS = {"KRW": Decimal(1_000_000_000), "BTC": Decimal(5), "ETH": Decimal(50), "SHIB": Decimal(10**12)}
SHIB = SymbolConfig(
    "KRW-SHIB",
    "SHIB",
    "KRW",
    start_price=Decimal("0.0085"),
    tick=Decimal("0.00001"),
    ticks=PRESETS["upbit.spot"][0].ticks,
    step=Decimal("0.00000001"),
    min_notional=Decimal(5_000),
    max_quantity=Decimal(10**12),
    max_price=Decimal(10**12),
    maker_fee=Decimal("0.0005"),
    taker_fee=Decimal("0.0005"),
)


@attrs.define
class Upbit:
    """The simulator, and a session by which every host is it."""

    simulator: Simulator
    session: aiohttp.ClientSession

    @property
    def wire(self) -> UpbitWire:
        wire = self.simulator.exchanges["upbit"]
        assert isinstance(wire, UpbitWire)
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

    def place(self, account: str = "other", symbol: str = BTC, **fields: Any) -> Order:
        """Place an order past the wire."""
        fields = {
            "side": "BUY",
            "type": "LIMIT",
            "quantity": Decimal("0.001"),
            "price": PRICE - 10**6,
            **fields,
        }
        exchange = self.wire.exchange
        return exchange.place(
            exchange.accounts[account], OrderRequest(market="spot", symbol=symbol, **fields)
        )

    def balance(self, asset: str, account: str = "main") -> Balance:
        return self.wire.exchange.accounts[account].balance("spot", asset)

    def ccxt(self, key: str = KEY, secret: str = SECRET) -> Any:
        """Unmodified ccxt, of an account."""
        return ccxt.pro.upbit(
            {"session": self.session, "apiKey": key, "secret": secret, "enableRateLimit": False}
        )


@asynccontextmanager
async def running(tmp_path: Path, **settings: Any) -> AsyncIterator[Upbit]:
    """A simulated Upbit with the accounts ``main`` and ``other``, moved by hand alone."""
    accounts = (
        AccountConfig("main", KEY, SECRET, FUNDS),
        AccountConfig("other", OTHER_KEY, OTHER_SECRET, FUNDS),
    )
    config = ExchangeConfig("upbit", (*PRESETS["upbit.spot"], SHIB), accounts, **settings)
    simulator = Simulator(SimulatorConfig(exchanges=(config,), ca_path=tmp_path / "ca.pem"))
    await simulator.start()
    try:
        async with ccxt_session(tmp_path / "ca.pem", simulator.port) as session:
            yield Upbit(simulator, session)
    finally:
        await simulator.stop()


def token(params: str = "", *, key: str = KEY, secret: str = SECRET, **claims: Any) -> str:
    """A JWT for a query, made with nothing of the project."""
    payload: dict[str, Any] = {"access_key": key, "nonce": str(uuid.uuid4())}
    if params:
        payload |= {"query_hash": hashlib.sha512(params.encode()).hexdigest(), "query_hash_alg": "SHA512"}
    return jwt.encode({**payload, **claims}, secret, algorithm="HS256")


async def send(
    upbit: Upbit, method: str, path: str, *, bearer: str | None = "", body: Any = None, **params: Any
) -> tuple[int, Any, dict[str, str]]:
    """Send one request with no exchange library between; return status, body and headers.

    ``bearer`` is made for the request unless given; None sends none.
    """
    query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
    data = None if body is None else msgspec.json.encode(body)
    if bearer == "":
        bearer = token(unquote(query) if body is None else "&".join(f"{k}={v}" for k, v in body.items()))
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    if data is not None:
        headers["Content-Type"] = "application/json"
    url = URL(f"https://api.upbit.com/v1/{path}" + (f"?{query}" if query else ""), encoded=True)
    async with upbit.session.request(method, url, data=data, headers=headers) as response:
        answer = (
            await response.json() if response.content_type == "application/json" else await response.text()
        )
        return response.status, answer, dict(response.headers)


NEW: dict[str, str] = {
    "market": BTC,
    "side": "bid",
    "ord_type": "limit",
    "volume": "0.001",
    "price": "69000000",
}
"""A good new order."""


async def new(upbit: Upbit, **changes: str | None) -> tuple[int, Any, dict[str, str]]:
    """Send a new order."""
    body = {name: value for name, value in {**NEW, **changes}.items() if value is not None}
    return await send(upbit, "POST", "orders", body=body)
