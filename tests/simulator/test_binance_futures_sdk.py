"""Binance's own client of USD-M futures trades against the simulator by configuration only."""

import asyncio
import ssl

import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)

from oms.simulator import Simulator, SimulatorConfig
from oms.simulator.client import ControlClient
from oms.simulator.wire import Wire

from .conftest import KEY, SECRET
from .fapi import with_futures


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    return with_futures(config)


@pytest.fixture
def client(simulator: Simulator, trust: ssl.SSLContext) -> DerivativesTradingUsdsFutures:
    base = f"localhost:{simulator.port}"
    return DerivativesTradingUsdsFutures(
        ConfigurationRestAPI(
            api_key=KEY,
            api_secret=SECRET,
            base_path=f"https://{base}",
            https_agent=trust,
            retries=0,
            timeout=5_000,
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=f"wss://{base}", https_agent=trust),
    )


async def test_rest(client: DerivativesTradingUsdsFutures, wire: Wire) -> None:
    """The official REST client places, amends, queries and cancels, and parses every answer into its strict models."""
    rest = client.rest_api

    async def ask(name: str, **params: object) -> object:
        return (await asyncio.to_thread(getattr(rest, name), **params)).data()

    info = await ask("exchange_information")
    assert info.symbols[0].base_asset == "BTC"
    placed = await ask(
        "new_order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity=0.01,
        price=49000.5,
        new_client_order_id="sdk1",
    )
    assert (placed.status, placed.orig_qty, placed.client_order_id) == ("NEW", "0.010", "sdk1")
    amended = await ask(
        "modify_order",
        symbol="BTCUSDT",
        side="BUY",
        quantity=0.02,
        price=48000.5,
        orig_client_order_id="sdk1",
    )
    assert (amended.order_id, amended.orig_qty, amended.price) == (placed.order_id, "0.020", "48000.5")
    found = await ask("query_order", symbol="BTCUSDT", order_id=placed.order_id)
    assert (found.status, found.reduce_only, found.position_side) == ("NEW", False, "BOTH")
    assert len(await ask("current_all_open_orders")) == 1
    canceled = await ask("cancel_order", symbol="BTCUSDT", orig_client_order_id="sdk1")
    assert canceled.status == "CANCELED"
    assert (await ask("change_initial_leverage", symbol="BTCUSDT", leverage=5)).leverage == 5
    assert (await ask("change_margin_type", symbol="BTCUSDT", margin_type="ISOLATED")).code == 200
    filled = await ask("new_order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.1)
    assert filled.status == "FILLED"
    (trade,) = await ask("account_trade_list", symbol="BTCUSDT")
    assert (trade.qty, trade.commission_asset, trade.maker) == ("0.100", "USDT", False)
    wire.exchange.settle_funding(wire.exchange.market("futures", "BTCUSDT"))
    (paid,) = await ask("get_income_history", income_type="FUNDING_FEE")
    assert float(paid.income) == pytest.approx(0.1 * 50_000 * 0.0001)
    (held,) = await ask("position_information_v3")
    assert (held.position_amt, held.margin_asset) == ("-0.100", "USDT")
    versions = await ask("position_information_v2", symbol="BTCUSDT")
    assert (versions[0].leverage, versions[0].margin_type) == ("5", "isolated")
    account = await ask("account_information_v3")
    assert float(account.total_wallet_balance) == pytest.approx(100_000, rel=1e-3)
    balances = await ask("futures_account_balance_v3")
    assert {each.asset for each in balances} >= {"USDT"}
    assert (await ask("futures_account_configuration")).dual_side_position is False
    assert (await ask("symbol_configuration", symbol="BTCUSDT"))[0].leverage == 5
    assert (await ask("user_commission_rate", symbol="BTCUSDT")).taker_commission_rate == "0.0005"
    assert (await ask("order_book", symbol="BTCUSDT", limit=5)).bids
    assert len(await ask("all_orders", symbol="BTCUSDT")) == 2
    with pytest.raises(BadRequestError) as refused:
        await ask("query_order", symbol="BTCUSDT", order_id=999_999)
    assert refused.value.status_code == -2013


async def test_streams(client: DerivativesTradingUsdsFutures, control: ControlClient, wire: Wire) -> None:
    """The official stream client gets its account's events and the market's as its own models."""
    key = (await asyncio.to_thread(client.rest_api.start_user_data_stream)).data().listen_key
    streams = await client.websocket_streams.create_connection()
    try:
        queues: dict[str, asyncio.Queue] = {}
        names = {
            "individual_symbol_book_ticker_streams": {"symbol": "btcusdt"},
            "aggregate_trade_streams": {"symbol": "btcusdt"},
            "diff_book_depth_streams": {"symbol": "btcusdt"},
            "mark_price_stream": {"symbol": "btcusdt", "update_speed": "1s"},
            "user_data": {"listenKey": key},
        }
        for name, params in names.items():
            queues[name] = asyncio.Queue()
            (await getattr(streams, name)(**params)).on("message", queues[name].put_nowait)
        while wire.connections()["user"] == 0:
            await asyncio.sleep(0.01)

        async def first(name: str) -> object:
            return await asyncio.wait_for(queues[name].get(), 5)

        await asyncio.to_thread(
            client.rest_api.new_order,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=0.01,
            price=49000.0,
        )
        new = (await first("user_data")).actual_instance
        assert (type(new).__name__, new.o.x, new.o.p) == ("OrderTradeUpdate", "NEW", "49000.0")
        await control.set_price("BTCUSDT", "48990", market="futures")
        trade = (await first("user_data")).actual_instance
        assert (trade.o.x, trade.o.X, trade.o.m, trade.o.N) == ("TRADE", "FILLED", True, "USDT")
        moved = (await first("user_data")).actual_instance
        assert (type(moved).__name__, moved.a.m, moved.a.P[0].pa) == ("AccountUpdate", "ORDER", "0.010")
        assert (await first("individual_symbol_book_ticker_streams")).s == "BTCUSDT"
        assert (await first("aggregate_trade_streams")).s == "BTCUSDT"
        assert (await first("diff_book_depth_streams")).b is not None
        assert float((await first("mark_price_stream")).p) > 0
        await asyncio.to_thread(client.rest_api.close_user_data_stream)
        ended = (await first("user_data")).actual_instance
        assert type(ended).__name__ == "ListenKeyExpired"
    finally:
        await streams.close_connection(close_session=True)
