"""Each fault does to a client what it says, and the order is booked exactly when it says so."""

import asyncio
import time

import aiohttp
import attrs
import ccxt
import ccxt.pro
import pytest

from oms.simulator import Fault, FaultRule, Simulator, SimulatorConfig
from oms.simulator.client import ControlClient, ControlRefused
from oms.simulator.faults import STAGE, Faults, Stage

from .conftest import RawClient, UserStream

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "40000",
}
PLACE = "POST /api/v3/order"

# What ccxt makes of each fault of a request, and whether the order exists afterwards.
REQUEST_FAULTS = [
    ("drop_request", ccxt.ExchangeNotAvailable, False),
    ("rate_limited", ccxt.DDoSProtection, False),
    ("banned", ccxt.DDoSProtection, False),
    ("server_error_before", ccxt.ExchangeNotAvailable, False),
    ("lost_reply", ccxt.ExchangeNotAvailable, True),
    ("truncated_reply", ccxt.ExchangeError, True),
    ("server_error_after", ccxt.ExchangeNotAvailable, True),
    ("timeout_1007", ccxt.RequestTimeout, True),
    ("hang", ccxt.RequestTimeout, True),
]


@pytest.mark.parametrize("kind,error,booked", REQUEST_FAULTS)
async def test_request_faults(
    exchange: ccxt.pro.binance, control: ControlClient, kind: str, error: type[Exception], booked: bool
) -> None:
    """The client sees the failure once, the next request succeeds, and the truth says whether the order exists."""
    exchange.timeout = 500
    await control.add_fault(kind, count=1, endpoint=PLACE, delay_ms=1500)
    with pytest.raises(error):
        await exchange.create_order(
            "BTC/USDT", "limit", "buy", "0.01", "40000", {"newClientOrderId": "first"}
        )
    found = {order["client_order_id"] for order in await control.orders(account="main")}
    assert found == ({"first"} if booked else set())
    await exchange.create_order("BTC/USDT", "limit", "buy", "0.01", "40000", {"newClientOrderId": "second"})
    [rule] = await control.faults()
    assert (rule["fired"], rule["spent"]) == (1, True)


async def test_fault_details_on_the_wire(raw: RawClient, control: ControlClient) -> None:
    """429 and 418 carry Retry-After and code -1003, a 5xx has an HTML body and the status asked for."""
    for kind, status in (("rate_limited", 429), ("banned", 418)):
        await control.add_fault(kind, count=1, retry_after_s=7)
        got, body = await raw.signed("POST", "order", **LIMIT)
        assert (got, body["code"], raw.headers["Retry-After"]) == (status, -1003, "7")
    await control.add_fault("server_error_before", count=1, status=503)
    status, text = await raw.signed("POST", "order", **LIMIT)
    assert status == 503
    assert text.startswith("<html>")


async def test_delayed_reply(raw: RawClient, control: ControlClient) -> None:
    """A delayed reply is whole and late, while other endpoints are not delayed."""
    await control.add_fault("delay_reply", endpoint=PLACE, delay_ms=200)
    started = time.monotonic()
    assert (await raw.get("ping"))[0] == 200
    assert time.monotonic() - started < 0.15
    started = time.monotonic()
    assert (await raw.signed("POST", "order", **LIMIT))[0] == 200
    assert time.monotonic() - started >= 0.2


async def test_refused_orders_do_not_use_up_a_fault(raw: RawClient, control: ControlClient) -> None:
    """A fault after acceptance waits for a request that is accepted."""
    await control.add_fault("lost_reply", count=1, endpoint=PLACE)
    assert (await raw.signed("POST", "order", **{**LIMIT, "price": "0.001"}))[0] == 400
    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.signed("POST", "order", **LIMIT)


async def test_faults_of_ws_api_orders(user: UserStream, control: ControlClient) -> None:
    """An order placed by ws-api suffers the same: -1007 is answered although it is booked; a lost reply cuts."""
    await control.add_fault("timeout_1007", count=1, endpoint="order.place")
    answer = await user.ask_signed("order.place", **LIMIT)
    assert (answer["status"], answer["error"]["code"]) == (408, -1007)
    await control.add_fault("lost_reply", count=1, endpoint="order.place")
    with pytest.raises((TypeError, RuntimeError)):
        await user.ask_signed("order.place", **LIMIT)
    assert len(await control.orders(account="main")) == 2


async def test_duplicate_reports(user: UserStream, raw: RawClient, control: ControlClient) -> None:
    """A duplicated report comes twice, byte for byte; others once."""
    await control.add_fault("duplicate_report", endpoint="NEW")
    await raw.signed("POST", "order", **LIMIT)
    first, second = await user.report(), await user.report()
    assert first == second
    assert first["x"] == "NEW"
    await raw.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert (await user.report())["x"] == "CANCELED"


async def test_dropped_reports(user: UserStream, raw: RawClient, control: ControlClient) -> None:
    """A dropped report never comes, while what it told is true and the reports after it come."""
    await control.add_fault("drop_report", count=1, endpoint="NEW")
    await raw.signed("POST", "order", **LIMIT)
    assert (await raw.signed("GET", "openOrders"))[1][0]["status"] == "NEW"
    await raw.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert (await user.report())["x"] == "CANCELED"


async def test_reordered_and_late_reports(user: UserStream, raw: RawClient, control: ControlClient) -> None:
    """A reordered report comes after the next one, or after its delay; a delayed one comes late."""
    await control.add_fault("reorder_report", count=1, endpoint="NEW", delay_ms=5000)
    await raw.signed("POST", "order", **{**LIMIT, "price": "51000"})
    assert [(await user.report())["x"] for _ in range(2)] == ["TRADE", "NEW"]
    for kind in ("reorder_report", "delay_report"):
        await control.add_fault(kind, count=1, endpoint="NEW", delay_ms=200)
        started = time.monotonic()
        await raw.signed("POST", "order", **LIMIT)
        assert (await user.report())["x"] == "NEW"
        assert time.monotonic() - started >= 0.2


async def test_dropped_and_refused_websockets(
    user: UserStream, session: aiohttp.ClientSession, control: ControlClient
) -> None:
    """WebSockets are cut at once on demand, and refused with 503 while that fault is on."""
    assert await control.drop_websockets("market") == 0
    assert await control.drop_websockets("user") == 1
    message = await user.socket.receive(timeout=5)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
    fault_id = await control.add_fault("refuse_websocket", endpoint="/ws-api/v3")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect("wss://ws-api.binance.com/ws-api/v3")
    assert refused.value.status == 503
    async with session.ws_connect("wss://stream.binance.com/ws"):
        await control.request("DELETE", f"faults/{fault_id}")
    async with session.ws_connect("wss://ws-api.binance.com/ws-api/v3"):
        assert await control.faults() == []


async def test_ccxt_sees_a_dropped_stream(exchange: ccxt.pro.binance, control: ControlClient) -> None:
    """A cut user stream raises NetworkError in the watcher, and watching again works."""
    watching = asyncio.create_task(exchange.watch_orders())
    await asyncio.sleep(0.3)
    await control.drop_websockets()
    with pytest.raises(ccxt.NetworkError):
        await asyncio.wait_for(watching, 5)
    watching = asyncio.create_task(exchange.watch_orders())
    await asyncio.sleep(0.3)
    await exchange.create_order("BTC/USDT", "limit", "buy", "0.01", "40000")
    assert (await asyncio.wait_for(watching, 5))[0]["status"] == "open"


async def test_bad_rules_are_refused(control: ControlClient) -> None:
    """A rule with an unknown kind, field or value is refused and says why."""
    for fields in ({"kind": "earthquake"}, {"kind": "hang", "count": 0}, {"kind": "hang", "speed": 1}, {}):
        with pytest.raises(ControlRefused, match="not a fault rule"):
            await control.request("POST", "faults", fields)


def test_probability_is_seeded() -> None:
    """A rule of 30 % fires in about 30 % of the draws, and in the same ones for the same seed."""
    rule = FaultRule(Fault.LOST_REPLY, probability_percent=30)
    runs = []
    for seed in (1, 1, 2):
        faults = Faults(seed, (rule,))
        runs.append([faults.draw(Stage.AFTER, PLACE) is not None for _ in range(1000)])
    assert runs[0] == runs[1] != runs[2]
    assert 250 < sum(runs[0]) < 350


def test_every_fault_has_a_stage() -> None:
    """No fault can be switched on that never strikes."""
    assert STAGE.keys() == set(Fault)


async def test_faults_of_the_configuration(config: SimulatorConfig) -> None:
    """Rules of the configuration are on from the start."""
    [exchange] = config.exchanges
    exchange = attrs.evolve(exchange, faults=(FaultRule("hang", count=2),))
    simulator = Simulator(attrs.evolve(config, exchanges=(exchange,)))
    assert [active.rule.kind for active in simulator.exchanges["binance"].faults.active.values()] == [
        Fault.HANG
    ]
