"""pyupbit, a client written by others, trades at the simulated Upbit unmodified: only names lead elsewhere."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.upbit import BTC, KEY, SECRET, Upbit, running

pyupbit = pytest.importorskip("pyupbit")


@pytest.fixture
async def upbit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upbit]:
    """The simulator, to which api.upbit.com leads for this process."""
    async with running(tmp_path) as upbit:
        port, found = upbit.simulator.port, socket.getaddrinfo

        def here(host: Any, to: Any, *args: Any, **kwargs: Any) -> Any:
            return (
                found("127.0.0.1", port, *args, **kwargs)
                if host == "api.upbit.com"
                else found(host, to, *args, **kwargs)
            )

        monkeypatch.setattr(socket, "getaddrinfo", here)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield upbit


async def call(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one of pyupbit's blocking calls beside the simulator."""
    return await asyncio.wait_for(asyncio.to_thread(work, *args, **kwargs), 10)


async def ended(client: Any, uuid: str) -> Any:
    """The order once it is over."""
    for _ in range(100):
        order = await call(client.get_order, uuid)
        if order["state"] != "wait":
            return order
        await asyncio.sleep(0.02)
    raise AssertionError(f"{uuid} is still open")


async def test_quotations(upbit: Upbit) -> None:
    """Markets, prices and books are read, with what is left of the limits."""
    assert BTC in await call(pyupbit.get_tickers, fiat="KRW")
    tickers, left = await call(pyupbit.get_tickers, limit_info=True)
    assert tickers
    assert left["group"] == "market"
    assert left["sec"] < 10
    assert await call(pyupbit.get_current_price, BTC) == 70_000_000
    book = await call(pyupbit.get_orderbook, BTC)
    best = book["orderbook_units"][0]
    assert best["bid_price"] < 70_000_000 < best["ask_price"]


async def test_limit_order_from_taken_to_canceled(upbit: Upbit) -> None:
    """A limit order is made, found by its id and in the list, and canceled."""
    client = pyupbit.Upbit(KEY, SECRET)
    made = await call(client.buy_limit_order, BTC, 69_000_000, 0.01)
    assert (made["state"], made["volume"], made["price"]) == ("wait", "0.01", "69000000.0")
    assert (await call(client.get_individual_order, made["uuid"]))["trades"] == []
    assert [order["uuid"] for order in await call(client.get_order, BTC)] == [made["uuid"]]
    assert await call(client.get_balance_t, "KRW") == 1_000_000_000
    assert await call(client.get_balance, "KRW") == 1_000_000_000 - 690_345
    canceled = await call(client.cancel_order, made["uuid"])
    assert (canceled["uuid"], canceled["state"]) == (made["uuid"], "wait")
    assert (await ended(client, made["uuid"]))["state"] == "cancel"
    assert await call(client.get_balance, "KRW") == 1_000_000_000


async def test_fills_have_their_trades(upbit: Upbit) -> None:
    """Limit and market orders of both sides fill; their trades add up to what they executed and paid."""
    client = pyupbit.Upbit(KEY, SECRET)
    for made in (
        await call(client.buy_limit_order, BTC, 71_000_000, 0.01),
        await call(client.sell_limit_order, BTC, 69_000_000, 0.02),
        await call(client.buy_market_order, BTC, 500_000),
        await call(client.sell_market_order, BTC, 0.01),
    ):
        order = await ended(client, made["uuid"])
        funds = sum(float(trade["funds"]) for trade in order["trades"])
        assert order["trades_count"] == len(order["trades"]) >= 1
        assert float(order["executed_volume"]) == pytest.approx(
            sum(float(t["volume"]) for t in order["trades"])
        )
        assert float(order["paid_fee"]) == pytest.approx(funds * 0.0005)
    chance = await call(client.get_chance, BTC)
    assert chance["bid_fee"] == chance["maker_bid_fee"] == "0.0005"


async def test_refusals_reach_the_caller(upbit: Upbit, capsys: pytest.CaptureFixture[str]) -> None:
    """pyupbit knows what is refused by Upbit's own names."""
    client = pyupbit.Upbit(KEY, SECRET)
    assert await call(client.sell_limit_order, BTC, 70_000_000, 6) is None
    assert await call(client.buy_limit_order, BTC, 69_000_000, 0.00001) is None
    assert await call(pyupbit.Upbit(KEY, "w" * 40).get_chance, BTC) is None
    assert capsys.readouterr().out.split() == ["InsufficientFundsAsk", "UnderMinTotalBid", "JwtVerification"]


async def test_public_stream(upbit: Upbit) -> None:
    """Its WebSocket process reads tickers as they change."""
    manager = pyupbit.WebSocketManager("ticker", [BTC])
    try:
        getting = asyncio.create_task(asyncio.to_thread(manager.get))
        start = time.monotonic()
        while not getting.done():
            assert time.monotonic() - start < 10, "no ticker came"
            upbit.wire.driver.step()
            await asyncio.sleep(0.1)
        ticker = await getting
        assert (ticker["type"], ticker["code"], ticker["stream_type"]) == ("ticker", BTC, "REALTIME")
    finally:
        manager.terminate()
        await call(manager.join, 5)
