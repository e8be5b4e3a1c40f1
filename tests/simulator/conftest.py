"""A running simulator, and the ways to it that the tests take."""

import hashlib
import hmac
import ssl
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import ccxt.pro
import pytest
from yarl import URL

from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ControlClient, ccxt_session
from oms.simulator.wire import Wire

KEY, SECRET = "key-main", "secret-main"
FUNDS = {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(10)}


class RawClient:
    """Speaks HTTP to the simulator with no exchange library between."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.headers: dict[str, str] = {}

    async def get(self, path: str, **params: object) -> tuple[int, object]:
        """Send an unsigned request; return status and body."""
        return await self.send("GET", path, urlencode(params), key=None)

    async def signed(
        self, method: str, path: str, *, in_body: bool = False, **params: object
    ) -> tuple[int, object]:
        """Send a signed request with a fresh timestamp; return status and body."""
        params.setdefault("timestamp", int(time.time() * 1000))
        query = urlencode({name: value for name, value in params.items() if value is not None})
        return await self.send(method, path, f"{query}&signature={sign(query)}", in_body=in_body)

    async def send(
        self, method: str, path: str, text: str, *, key: str | None = KEY, in_body: bool = False
    ) -> tuple[int, object]:
        """Send exactly `text` as the query or as the body; return status and body, and keep the headers."""
        url = f"https://api.binance.com/api/v3/{path}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | (
            {} if key is None else {"X-MBX-APIKEY": key}
        )
        if not in_body and text:
            url += "?" + text
        async with self.session.request(
            method, URL(url, encoded=True), data=text if in_body else None, headers=headers
        ) as response:
            self.headers = dict(response.headers)
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()


def sign(text: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def config(tmp_path: Path) -> SimulatorConfig:
    """Two accounts, both funded; the market moves by hand only."""
    accounts = (
        AccountConfig("main", KEY, SECRET, FUNDS),
        AccountConfig("other", "key-other", "secret-other", FUNDS),
    )
    return SimulatorConfig((binance(accounts),), ca_path=tmp_path / "ca.pem")


def binance(accounts: tuple[AccountConfig, ...] = (), **more: object) -> ExchangeConfig:
    """Binance's spot market alone."""
    return ExchangeConfig("binance", **{"symbols": PRESETS["binance.spot"], "accounts": accounts, **more})


@pytest.fixture
async def simulator(config: SimulatorConfig) -> AsyncIterator[Simulator]:
    """A simulator that listens."""
    simulator = Simulator(config)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
def wire(simulator: Simulator) -> Wire:
    """The simulated Binance."""
    return simulator.exchanges["binance"]


@pytest.fixture
async def session(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session to which every host is the simulator."""
    async with ccxt_session(simulator.ca_path, simulator.port) as session:
        yield session


@pytest.fixture
def raw(session: aiohttp.ClientSession) -> RawClient:
    """Plain HTTP."""
    return RawClient(session)


class UserStream:
    """A ws-api connection that speaks JSON and keeps the events that come between the answers."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, object]] = []
        self._next_id = 0

    async def ask(self, method: str, **params: object) -> dict[str, object]:
        """Send a request and return its answer."""
        self._next_id += 1
        await self.socket.send_json({"id": self._next_id, "method": method, "params": params})
        while (message := await self.socket.receive_json(timeout=5)).get("id") != self._next_id:
            self.events.append(message["event"])
        return message

    async def ask_signed(self, method: str, **params: object) -> dict[str, object]:
        """Send a request signed with the key of the account `main`."""
        params = dict(sorted({**params, "apiKey": KEY, "timestamp": int(time.time() * 1000)}.items()))
        text = "&".join(f"{name}={value}" for name, value in params.items())
        return await self.ask(method, **params, signature=sign(text))

    async def event(self) -> dict[str, object]:
        """Return the next event."""
        if not self.events:
            self.events.append((await self.socket.receive_json(timeout=5))["event"])
        return self.events.pop(0)

    async def report(self) -> dict[str, object]:
        """Return the next execution report."""
        while (event := await self.event())["e"] != "executionReport":
            pass
        return event


@pytest.fixture
async def api(session: aiohttp.ClientSession) -> AsyncIterator[UserStream]:
    """A ws-api connection that nobody has logged on to."""
    async with session.ws_connect("wss://ws-api.binance.com:443/ws-api/v3") as socket:
        yield UserStream(socket)


@pytest.fixture
async def user(api: UserStream) -> UserStream:
    """A ws-api connection that is subscribed to the account `main`."""
    answer = await api.ask_signed("userDataStream.subscribe.signature")
    assert answer["result"] == {"subscriptionId": 0}, answer
    return api


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[ControlClient]:
    """The control API."""
    async with ControlClient(simulator.ca_path, simulator.port) as client:
        yield client


@pytest.fixture
async def exchange(session: aiohttp.ClientSession) -> AsyncIterator[ccxt.pro.binance]:
    """ccxt's Binance, unmodified, with its markets loaded."""
    client = ccxt.pro.binance(
        {
            "apiKey": KEY,
            "secret": SECRET,
            "session": session,
            "enableRateLimit": False,
            "options": {
                "defaultType": "spot",
                "fetchCurrencies": False,
                "fetchMargins": False,
                "fetchMarkets": {"types": ["spot"]},
            },
        }
    )
    client.number = str
    await client.load_markets()
    yield client
    await client.close()


@pytest.fixture
def trust(simulator: Simulator) -> ssl.SSLContext:
    """What a client that is not aiohttp needs to trust the simulator."""
    return ssl.create_default_context(cafile=str(simulator.ca_path))
