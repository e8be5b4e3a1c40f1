"""Faults and limits on the wire of futures: what each does, and what has happened by then."""

import asyncio

import aiohttp
import attrs
import pytest

from oms.simulator import SimulatorConfig
from oms.simulator.client import ControlClient
from oms.simulator.wire import Wire

from .fapi import Fapi, event, with_futures

STREAMS = "wss://fstream.binance.com"
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "40000",
    "timeInForce": "GTC",
}


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    return with_futures(config)


@pytest.fixture
def fapi(session: aiohttp.ClientSession) -> Fapi:
    return Fapi(session)


def orders(wire: Wire) -> int:
    return len(list(wire.exchange.accounts["main"].all_orders()))


@pytest.mark.parametrize(
    "kind, status, taken",
    [
        ("drop_request", None, 0),
        ("rate_limited", 429, 0),
        ("banned", 418, 0),
        ("server_error_before", 502, 0),
        ("delay_reply", 200, 1),
        ("lost_reply", None, 1),
        ("hang", None, 1),
        ("truncated_reply", None, 1),
        ("server_error_after", 502, 1),
        ("timeout_1007", 408, 1),
    ],
)
async def test_faults_of_requests(
    fapi: Fapi, control: ControlClient, wire: Wire, kind: str, status: int | None, taken: int
) -> None:
    """Each fault strikes once, before or after the order is taken, switched on while the simulator runs."""
    await control.add_fault(kind, endpoint="POST /fapi/v1/order", count=1, delay_ms=20, retry_after_s=3)
    if status is None:
        with pytest.raises(aiohttp.ClientError):
            await fapi.signed("POST", "v1/order", **ORDER)
    else:
        got, body = await fapi.signed("POST", "v1/order", **ORDER)
        assert got == status
        if kind in ("rate_limited", "banned"):
            assert (body["code"], fapi.headers["Retry-After"]) == (-1003, "3")
        if kind == "timeout_1007":
            assert body["code"] == -1007
    assert orders(wire) == taken
    await fapi.order()
    assert orders(wire) == taken + 1


async def test_reports(fapi: Fapi, session: aiohttp.ClientSession, control: ControlClient) -> None:
    """Reports come twice, late, after the next one, or never, by execution or all of them."""
    key = await fapi.listen_key()
    async with session.ws_connect(f"{STREAMS}/private/ws/{key}") as socket:

        async def told() -> tuple[object, object]:
            raw = (await event(socket, "ORDER_TRADE_UPDATE"))["o"]
            return raw["c"], raw["x"]

        await control.add_fault("duplicate_report", endpoint="NEW", count=1)
        await fapi.order(newClientOrderId="twice")
        assert [await told(), await told()] == [("twice", "NEW")] * 2
        await control.add_fault("delay_report", endpoint="ORDER_TRADE_UPDATE", count=1, delay_ms=60)
        await fapi.order(newClientOrderId="late")
        await fapi.order(newClientOrderId="next")
        assert [await told(), await told()] == [("next", "NEW"), ("late", "NEW")]
        await control.add_fault("reorder_report", count=1, delay_ms=500)
        await fapi.order(newClientOrderId="filled", type="MARKET")
        assert [await told(), await told()] == [("filled", "TRADE"), ("filled", "NEW")]
        await control.add_fault("drop_report", endpoint="NEW", count=1)
        await fapi.order(newClientOrderId="unheard")
        await fapi.order(newClientOrderId="heard")
        assert await told() == ("heard", "NEW")


async def test_a_refused_websocket(
    fapi: Fapi, session: aiohttp.ClientSession, control: ControlClient
) -> None:
    """A WebSocket can be refused by path."""
    await control.add_fault("refuse_websocket", endpoint="/private/ws", count=1)
    key = await fapi.listen_key()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{STREAMS}/private/ws?listenKey={key}")
    assert refused.value.status == 503
    async with session.ws_connect(f"{STREAMS}/private/ws?listenKey={key}"):
        pass


class TestLimits:
    """Weight is counted by address, orders by account; the answers say how far."""

    @pytest.fixture
    def config(self, config: SimulatorConfig) -> SimulatorConfig:
        (binance,) = config.exchanges
        limits = {"futures_weight_1m": 60, "futures_orders_10s": 2, "futures_orders_1m": 3}
        return attrs.evolve(config, exchanges=(attrs.evolve(binance, limits=limits),))

    async def test_weight(self, fapi: Fapi) -> None:
        """Weight adds up in the header until the limit, beyond which it is 429 with the time to wait."""
        await fapi.get("v1/time")
        assert fapi.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        await fapi.signed("GET", "v1/openOrders")
        assert fapi.headers["X-MBX-USED-WEIGHT-1M"] == "41"
        await fapi.signed("GET", "v1/openOrders", symbol="BTCUSDT")
        assert fapi.headers["X-MBX-USED-WEIGHT-1M"] == "42"
        status, body = await fapi.signed("GET", "v1/income")
        assert (status, body["code"]) == (429, -1003)
        assert 0 < int(fapi.headers["Retry-After"]) <= 60

    async def test_orders(self, fapi: Fapi) -> None:
        """New and amended orders weigh nothing and count by account in both windows; cancels do not count."""
        order = await fapi.order()
        assert fapi.headers["X-MBX-ORDER-COUNT-10S"] == fapi.headers["X-MBX-ORDER-COUNT-1M"] == "1"
        assert fapi.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020", "price": "41000"}
        await fapi.signed("PUT", "v1/order", **terms, orderId=order["orderId"])
        assert fapi.headers["X-MBX-ORDER-COUNT-10S"] == "2"
        status, body = await fapi.signed("POST", "v1/order", **ORDER)
        assert (status, body["code"]) == (429, -1015)
        assert 0 < int(fapi.headers["Retry-After"]) <= 10
        status, _ = await fapi.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        assert status == 200
        assert "X-MBX-ORDER-COUNT-10S" not in fapi.headers

    async def test_limits_are_listed(self, fapi: Fapi) -> None:
        """The listing tells the limits that hold."""
        _, info = await fapi.get("v1/exchangeInfo")
        assert [
            (row["rateLimitType"], row["interval"], row["intervalNum"], row["limit"])
            for row in info["rateLimits"]
        ] == [
            ("REQUEST_WEIGHT", "MINUTE", 1, 60),
            ("ORDERS", "MINUTE", 1, 3),
            ("ORDERS", "SECOND", 10, 2),
        ]


async def test_many_requests_at_once(fapi: Fapi, wire: Wire) -> None:
    """Requests that come together are each done once."""
    await asyncio.gather(*(fapi.order(newClientOrderId=f"n{number}") for number in range(20)))
    assert orders(wire) == 20
