"""Ways to the futures side of the simulated Binance with no exchange library between."""

import asyncio
import time
from urllib.parse import urlencode

import aiohttp
import attrs
from yarl import URL

from oms.simulator import PRESETS, SimulatorConfig

from .conftest import KEY, sign


def with_futures(config: SimulatorConfig) -> SimulatorConfig:
    """Binance's futures beside its spot market."""
    (binance,) = config.exchanges
    symbols = PRESETS["binance.spot"] + PRESETS["binance.futures"]
    return attrs.evolve(config, exchanges=(attrs.evolve(binance, symbols=symbols),))


class Fapi:
    """Speaks HTTP to fapi.binance.com."""

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

    async def order(self, **params: object) -> dict[str, object]:
        """Place an order that is taken; a limit order far from the market unless said otherwise."""
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.010", **params}
        if order["type"] == "LIMIT":
            order = {"price": "40000", "timeInForce": "GTC", **order}
        status, body = await self.signed("POST", "v1/order", **order)
        assert status == 200, body
        return body

    async def send(
        self, method: str, path: str, text: str, *, key: str | None = KEY, in_body: bool = False
    ) -> tuple[int, object]:
        """Send exactly `text` as the query or as the body; return status and body, and keep the headers."""
        url = f"https://fapi.binance.com/fapi/{path}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if key is not None:
            headers["X-MBX-APIKEY"] = key
        if not in_body and text:
            url += "?" + text
        async with self.session.request(
            method, URL(url, encoded=True), data=text if in_body else None, headers=headers
        ) as response:
            self.headers = dict(response.headers)
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def listen_key(self) -> str:
        """Create a listen key, or get the one that there is."""
        status, body = await self.send("POST", "v1/listenKey", "")
        assert status == 200, body
        return body["listenKey"]


async def event(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, object]:
    """Return the next event of that kind."""
    while (message := await asyncio.wait_for(socket.receive_json(), 5)).get("e") != kind:
        pass
    return message
