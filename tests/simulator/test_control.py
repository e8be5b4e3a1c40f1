"""Several exchanges in one simulator: routed by host, and each controlled by itself, futures included."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import ccxt.pro
import pytest

from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ControlClient, ControlRefused, ccxt_session

from .conftest import FUNDS, KEY, SECRET

PING = {
    "https://api.binance.com/api/v3/time": "serverTime",
    "https://fapi.binance.com/fapi/v1/time": "serverTime",
    "https://api.bybit.com/v5/market/time": "timeSecond",
    "https://www.okx.com/api/v5/public/time": '"ts"',
    "https://api.upbit.com/v1/orderbook?markets=KRW-BTC": "orderbook_units",
}


@pytest.fixture
def config(tmp_path: Path) -> SimulatorConfig:
    """All exchanges with all their markets, each with the account `main`."""
    funds = {**FUNDS, "KRW": Decimal(100_000_000)}
    exchanges = tuple(
        ExchangeConfig(
            name,
            tuple(
                symbol for venue, symbols in PRESETS.items() if venue.startswith(name) for symbol in symbols
            ),
            (AccountConfig("main", KEY, SECRET, funds, "phrase"),),
        )
        for name in ("binance", "bybit", "okx", "upbit")
    )
    return SimulatorConfig(exchanges, ca_path=tmp_path / "ca.pem")


@pytest.fixture
async def bybit(simulator: Simulator) -> AsyncIterator[ControlClient]:
    """The control API of Bybit."""
    async with ControlClient(simulator.ca_path, simulator.port, "bybit") as client:
        yield client


async def test_hosts_lead_to_their_exchange(simulator: Simulator, session: aiohttp.ClientSession) -> None:
    """Every exchange answers under its own names; under localhost the path says which; nothing else is guessed."""
    for url, words in PING.items():
        async with session.get(url) as answer:
            assert (answer.status, words in await answer.text()) == (200, True), url
        path = url.split("/", 3)[3]
        async with session.get(f"https://localhost:{simulator.port}/{path}") as answer:
            assert (answer.status, words in await answer.text()) == (200, True), path
    async with session.get(f"https://localhost:{simulator.port}/nothing") as answer:
        assert answer.status == 404
    async with ccxt_session(simulator.ca_path, simulator.port) as other:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await other.get("https://api.kraken.com/0/public/Time")


async def test_exchanges_are_controlled_one_by_one(control: ControlClient, bybit: ControlClient) -> None:
    """Prices, faults and orders of one exchange are not those of another."""
    await bybit.set_price("BTCUSDT", "40000")
    await bybit.add_fault("hang")
    await bybit.place("main", symbol="BTCUSDT", side="BUY", quantity="0.1", price="39000")
    assert (await control.state())["prices"]["spot"]["BTCUSDT"] == "50000.00"
    assert (await bybit.state())["prices"]["spot"]["BTCUSDT"] == "40000.0"
    assert await control.faults() == await control.orders() == []
    assert len(await bybit.orders(account="main")) == 1
    with pytest.raises(ControlRefused, match="exchange must be one of"):
        await control.request("GET", "../kraken/state")


async def test_a_position_from_the_exchanges_app(bybit: ControlClient) -> None:
    """Orders, amends, positions, marks, funding, ADL and liquidation can all be brought about by hand."""
    order = await bybit.place("main", market="futures", symbol="BTCUSDT", side="BUY", quantity="0.5")
    assert (order["status"], order["executed"], order["origin"]) == ("FILLED", "0.5", "client")
    position = (await bybit.positions())["main"]["BTCUSDT"]
    assert (position["quantity"], position["leverage"], position["mode"]) == ("0.5", 10, "cross")
    assert (position["liquidation_price"], Decimal(position["entry_price"]) > 50_000) == ("0", True)
    await bybit.set_mark("BTCUSDT", "50500")
    assert (await bybit.positions())["main"]["BTCUSDT"]["mark_price"] == "50500"
    await bybit.settle_funding("BTCUSDT", rate="0.001")
    [payment] = await bybit.funding_payments(account="main")
    assert Decimal(payment["amount"]) == Decimal("-25.25")
    resting = await bybit.place(
        "main", market="futures", symbol="BTCUSDT", side="SELL", quantity="0.3", price="55000"
    )
    amended = await bybit.amend("main", resting["order_id"], quantity="0.2", price="56000")
    assert (amended["quantity"], amended["price"]) == ("0.2", "56000")
    assert (await bybit.deleverage("main", "BTCUSDT", "0.1"))["origin"] == "adl"
    [closing] = await bybit.liquidate("main", "BTCUSDT")
    assert (closing["origin"], closing["quantity"], closing["status"]) == ("liquidation", "0.4", "FILLED")
    [canceled] = [row for row in await bybit.orders(account="main") if row["status"] == "CANCELED"]
    assert (canceled["order_id"], canceled["reason"]) == (resting["order_id"], "LIQUIDATION")
    assert Decimal((await bybit.positions())["main"]["BTCUSDT"]["quantity"]) == 0
    origins = [row["origin"] for row in await bybit.trades(account="main", market="futures")]
    assert origins[0] == "client"
    assert set(origins[1:]) == {"adl", "liquidation"}


async def test_transfers_deposits_and_halts(bybit: ControlClient) -> None:
    """Money moves between wallets and from outside; a halted symbol refuses orders until it is resumed."""
    transfer = {
        "account": "main",
        "asset": "USDT",
        "amount": "100",
        "source": "unified",
        "target": "funding",
    }
    await bybit.request("POST", "transfers", transfer)
    await bybit.deposit("main", "USDT", "5", wallet="funding")
    wallets = (await bybit.balances())["main"]
    assert (wallets["unified"]["USDT"]["free"], wallets["funding"]["USDT"]["free"]) == ("99900", "100105")
    await bybit.set_status("BTCUSDT", "HALTED")
    with pytest.raises(ControlRefused, match="halted") as refused:
        await bybit.place("main", symbol="BTCUSDT", side="BUY", quantity="0.1")
    assert refused.value.body["reason"] == "NOT_TRADING"
    with pytest.raises(ControlRefused, match="resume it first"):
        await bybit.set_price("BTCUSDT", "40000")
    await bybit.step(3)
    assert (await bybit.state())["prices"]["spot"]["BTCUSDT"] == "50000.0"
    await bybit.set_status("BTCUSDT", "TRADING")
    await bybit.place("main", symbol="BTCUSDT", side="BUY", quantity="0.1")


@pytest.mark.parametrize(
    "exchange, question, params, refused",
    [
        ("binance", "privateGetAccount", {}, "-2015"),
        ("bybit", "privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"}, "10003"),
        ("okx", "privateGetAccountBalance", {}, "50111"),
        ("upbit", "privateGetAccounts", {}, "invalid_access_key"),
    ],
)
async def test_a_revoked_key_is_refused(
    simulator: Simulator, exchange: str, question: str, params: dict[str, str], refused: str
) -> None:
    """Once its key is taken away an account is refused as a stranger is, and its orders stay where they are."""
    symbol = {"okx": "BTC-USDT", "upbit": "KRW-BTC"}.get(exchange, "BTCUSDT")
    price = "69000000" if exchange == "upbit" else "40000"
    async with (
        ccxt_session(simulator.ca_path, simulator.port) as session,
        ControlClient(simulator.ca_path, simulator.port, exchange) as control,
    ):
        keys = {"apiKey": KEY, "secret": SECRET, "password": "phrase"}
        client = getattr(ccxt.pro, exchange)({**keys, "session": session, "enableRateLimit": False})
        await getattr(client, question)(params)
        await control.place("main", symbol=symbol, side="BUY", quantity="0.1", price=price)
        await control.revoke_key("main")
        # ccxt takes Binance's word for a ban, once a key was good.
        with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match=refused):
            await getattr(client, question)(params)
        await client.close()
        assert [row["status"] for row in await control.orders(account="main")] == ["NEW"]
        with pytest.raises(ControlRefused, match="account must be one of"):
            await control.revoke_key("nobody")


async def test_refusals(bybit: ControlClient) -> None:
    """Requests about what is not there are refused with what is."""
    for method, name, body, words in (
        ("POST", "status", {"symbol": "BTCUSDT", "status": "OFF"}, "status must be TRADING or HALTED"),
        ("POST", "mark", {"symbol": "BTCUSDT", "market": "spot", "price": "1"}, "a mark price is"),
        ("POST", "funding", {"symbol": "BTCUSDT", "market": "spot"}, "funding is of futures"),
        ("POST", "funding", {"symbol": "NOPE"}, "there is no 'NOPE' on futures"),
        ("POST", "liquidate", {"account": "main", "symbol": "NOPE"}, "there is no 'NOPE'"),
        ("POST", "adl", {"account": "main", "symbol": "BTCUSDT", "quantity": "1"}, "holds 0 BTCUSDT"),
        ("PATCH", "orders", {"account": "main", "order_id": "x"}, "order_id must be a whole number"),
        ("PATCH", "orders", {"account": "main", "order_id": 77}, "there is no order 77"),
        ("POST", "orders", {"account": "main", "symbol": "BTCUSDT", "size": 1}, "not an order"),
        (
            "POST",
            "balances",
            {"account": "main", "wallet": "x", "asset": "BTC", "amount": "1"},
            "wallet must",
        ),
    ):
        with pytest.raises(ControlRefused, match=words):
            await bybit.request(method, name, body)
