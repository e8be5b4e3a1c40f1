"""Binance's own client, `binance-sdk-spot`, trades against the simulator by configuration only."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import attrs
import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oms.simulator import AccountConfig, Simulator, SimulatorConfig
from oms.simulator.client import ControlClient

from .conftest import FUNDS, KEY, SECRET

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE_PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC_PEM = (
    PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    account = AccountConfig("ed", "key-ed", PUBLIC_PEM, FUNDS)
    [exchange] = config.exchanges
    exchange = attrs.evolve(exchange, accounts=(*exchange.accounts, account))
    return attrs.evolve(config, exchanges=(exchange,))


def spot(simulator: Simulator, trust: ssl.SSLContext, key: str = KEY, **secret: str) -> Spot:
    base = f"localhost:{simulator.port}"
    credentials = {"api_key": key, **(secret or {"api_secret": SECRET})}
    return Spot(
        ConfigurationRestAPI(
            **credentials, base_path=f"https://{base}", https_agent=trust, retries=0, timeout=5000
        ),
        ConfigurationWebSocketAPI(**credentials, stream_url=f"wss://{base}/ws-api/v3", https_agent=trust),
        ConfigurationWebSocketStreams(stream_url=f"wss://{base}", https_agent=trust),
    )


@pytest.fixture
def client(simulator: Simulator, trust: ssl.SSLContext) -> Spot:
    return spot(simulator, trust)


async def test_rest(client: Spot, control: ControlClient) -> None:
    """The official REST client places, queries and cancels, and parses every answer into its strict models."""
    rest = client.rest_api
    info = (await asyncio.to_thread(rest.exchange_info, symbol="BTCUSDT")).data()
    assert info.symbols[0].base_asset == "BTC"
    placed = (
        await asyncio.to_thread(
            rest.new_order,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=0.01,
            price=49000.5,
            new_client_order_id="sdk1",
        )
    ).data()
    assert (placed.status, placed.orig_qty, placed.client_order_id) == ("NEW", "0.01000000", "sdk1")
    found = (await asyncio.to_thread(rest.get_order, symbol="BTCUSDT", order_id=placed.order_id)).data()
    assert found.status == "NEW"
    assert found.is_working is True
    assert len((await asyncio.to_thread(rest.get_open_orders)).data()) == 1
    canceled = (
        await asyncio.to_thread(rest.delete_order, symbol="BTCUSDT", orig_client_order_id="sdk1")
    ).data()
    assert (canceled.status, canceled.orig_client_order_id) == ("CANCELED", "sdk1")
    market = (
        await asyncio.to_thread(rest.new_order, symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.1)
    ).data()
    assert market.status == "FILLED"
    assert market.fills[0].commission_asset == "USDT"
    trades = (await asyncio.to_thread(rest.my_trades, symbol="BTCUSDT")).data()
    assert sum(float(trade.qty) for trade in trades) == pytest.approx(0.1)
    account = (await asyncio.to_thread(rest.get_account, omit_zero_balances=True)).data()
    assert {b.asset: b.free for b in account.balances}["BTC"] == "1.90000000"
    assert len((await asyncio.to_thread(rest.all_orders, symbol="BTCUSDT")).data()) == 2
    assert (await asyncio.to_thread(rest.depth, symbol="BTCUSDT", limit=5)).data().bids
    assert (await asyncio.to_thread(rest.ticker24hr, symbol="BTCUSDT")).data()
    with pytest.raises(BadRequestError) as refused:
        await asyncio.to_thread(rest.get_order, symbol="BTCUSDT", order_id=999999)
    assert refused.value.status_code == -2013


@pytest.fixture
async def connection(client: Spot) -> AsyncIterator[object]:
    connection = await client.websocket_api.create_connection()
    yield connection
    await connection.close_connection(close_session=True)


async def next_event(events: asyncio.Queue, kind: str) -> object:
    while type(event := (await asyncio.wait_for(events.get(), 5)).actual_instance).__name__ != kind:
        pass
    return event


async def test_ws_api(connection: object, control: ControlClient) -> None:
    """The official ws-api client subscribes by signature, trades, and gets typed reports and balances."""
    subscribed = await connection.user_data_stream_subscribe_signature()
    events: asyncio.Queue = asyncio.Queue()
    subscribed.stream.on("message", events.put_nowait)
    placed = await connection.order_place(
        symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=49000.0
    )
    order = placed.data().result
    assert order.status == "NEW"
    assert (await next_event(events, "ExecutionReport")).x == "NEW"
    assert (await next_event(events, "OutboundAccountPosition")).B[0].l == "490.00000000"
    assert (await connection.order_status("BTCUSDT", order_id=order.order_id)).data().result.status == "NEW"
    await control.set_price("BTCUSDT", "48990")
    report = await next_event(events, "ExecutionReport")
    assert (report.x, report.X, report.i, report.m) == ("TRADE", "FILLED", order.order_id, True)
    assert len((await connection.my_trades("BTCUSDT")).data().result) == 1
    resting = (
        (
            await connection.order_place(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000.0
            )
        )
        .data()
        .result
    )
    assert (
        await connection.order_cancel("BTCUSDT", order_id=resting.order_id)
    ).data().result.status == "CANCELED"
    assert (await connection.account_status()).data().result.account_type == "SPOT"


async def test_session_logon_with_ed25519(simulator: Simulator, trust: ssl.SSLContext) -> None:
    """A session is logged on with an Ed25519 key, then orders and the user data stream need no signature."""
    client = spot(simulator, trust, "key-ed", private_key=PRIVATE_PEM)
    rest = await asyncio.to_thread(client.rest_api.get_account)
    assert rest.data().uid == 3
    connection = await client.websocket_api.create_connection()
    try:
        logon = (await connection.session_logon()).data().result
        assert logon.api_key == "key-ed"
        assert logon.authorized_since
        subscribed = await connection.user_data_stream_subscribe()
        events: asyncio.Queue = asyncio.Queue()
        subscribed.stream.on("message", events.put_nowait)
        await connection.order_place(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.01)
        assert (await next_event(events, "ExecutionReport")).x == "NEW"
        assert (await next_event(events, "ExecutionReport")).X == "FILLED"
        status = (await connection.session_status()).data().result
        assert status.user_data_stream is True
    finally:
        await connection.close_connection(close_session=True)


async def test_market_streams(client: Spot, control: ControlClient) -> None:
    """The official stream client gets best prices, depth and trades as its own models."""
    streams = await client.websocket_streams.create_connection()
    try:
        queues = {}
        for name in ("book_ticker", "trade", "diff_book_depth"):
            queues[name] = asyncio.Queue()
            (await getattr(streams, name)(symbol="btcusdt")).on("message", queues[name].put_nowait)
        await asyncio.sleep(0.3)
        await control.set_price("BTCUSDT", "51000")
        assert (await asyncio.wait_for(queues["book_ticker"].get(), 5)).s == "BTCUSDT"
        assert (await asyncio.wait_for(queues["trade"].get(), 5)).p == "51000.00000000"
        assert (await asyncio.wait_for(queues["diff_book_depth"].get(), 5)).b
    finally:
        await streams.close_connection(close_session=True)
