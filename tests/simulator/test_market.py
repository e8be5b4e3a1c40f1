"""The market that the house makes: deterministic, always deep, and moved by hand, walk or file."""

import asyncio
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from oms.simulator import BTCUSDT, PRESETS, AccountConfig, Simulator, SimulatorConfig, SymbolConfig, serve
from oms.simulator.binance.payloads import depth
from oms.simulator.client import ControlClient, ControlRefused
from oms.simulator.driver import MarketDriver
from oms.simulator.exchange import Exchange
from oms.simulator.prices import read_prices

from .conftest import RawClient, binance


def driver_of(*symbols: SymbolConfig) -> MarketDriver:
    return MarketDriver(Exchange(binance(symbols=symbols), lambda: 10**18), 1)


def run(seed: int, steps: int = 50) -> tuple[list[object], Exchange]:
    exchange = Exchange(binance(), lambda: 10**18)
    driver = MarketDriver(exchange, seed)
    seen: list[object] = []
    for _ in range(steps):
        driver.step()
        seen += [
            (depth(market, 5000), [(t.trade_id, t.price, t.quantity) for t in market.trades])
            for market in exchange.markets.values()
        ]
    return seen, exchange


def test_same_seed_same_market() -> None:
    """The same seed and steps give the same books and trades, another seed gives others."""
    first, exchange = run(7)
    assert first == run(7)[0]
    assert first != run(8)[0]
    for market in exchange.markets.values():
        bid, ask = market.book.best("BUY"), market.book.best("SELL")
        assert bid is not None
        assert ask is not None
        assert bid.price < ask.price
        assert len(list(market.book.levels("BUY"))) == 10


async def test_price_crosses_a_resting_order(raw: RawClient, control: ControlClient) -> None:
    """An order rests until the price reaches it, and is then filled at its own price as maker."""
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.5",
        "price": "51000",
    }
    _, placed = await raw.signed("POST", "order", **order)
    await control.set_price("BTCUSDT", "50990")
    [resting] = await control.orders(account="main", open="true")
    assert resting["executed"] == "0"
    await control.set_price("BTCUSDT", "51100")
    trades = await control.trades(account="main")
    assert sum(Decimal(trade["quantity"]) for trade in trades) == Decimal("0.5")
    assert {(t["order_id"], t["price"], t["is_maker"]) for t in trades} == {
        (placed["orderId"], "51000", True)
    }
    assert await control.orders(account="main", open="true") == []


async def test_walk_fills_resting_orders(
    control: ControlClient, raw: RawClient, simulator: Simulator
) -> None:
    """Steps of the walk reach orders near the price, and totals of every asset stay what they were."""
    for distance in range(5):
        for side, price in (("BUY", 49_990 - distance), ("SELL", 50_010 + distance)):
            order = {
                "symbol": "BTCUSDT",
                "side": side,
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.05",
            }
            assert (await raw.signed("POST", "order", **order, price=price))[0] == 200
    await control.step(300)
    statuses = {order["status"] for order in await control.orders(account="main")}
    assert "FILLED" in statuses
    totals = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for wallets in (await control.balances()).values():
        balances = wallets["spot"]
        for asset in totals:
            row = balances.get(asset, {"free": "0", "locked": "0"})
            totals[asset] += Decimal(row["free"]) + Decimal(row["locked"])
    assert totals == {"BTC": 4, "USDT": 200_000}


async def test_external_orders(control: ControlClient, raw: RawClient) -> None:
    """Orders can be placed and canceled as from the exchange's own app, and the API sees them."""
    placed = await control.place(
        "main",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity="0.01",
        price="40000",
    )
    _, [seen] = await raw.signed("GET", "openOrders", symbol="BTCUSDT")
    assert seen["orderId"] == placed["order_id"]
    assert (await control.cancel("main", placed["order_id"]))["status"] == "CANCELED"
    assert await raw.signed("GET", "openOrders", symbol="BTCUSDT") == (200, [])


async def test_control_refusals(control: ControlClient) -> None:
    """Requests that make no sense are refused and say what would."""
    for method, name, body, words in (
        ("POST", "price", {"symbol": "BTCUSDT", "price": "-1"}, "price must be from"),
        ("POST", "price", {"symbol": "NOPE", "price": "1"}, "symbol must be one of"),
        ("POST", "price", {"symbol": "BTCUSDT", "price": 1.5}, "decimal as text"),
        ("POST", "step", {"steps": 0}, "steps must be"),
        ("POST", "balances", {"account": "main", "asset": "BTC", "amount": "-3"}, "can spend 2 BTC, not 3"),
        ("POST", "balances", {"account": "who", "asset": "BTC", "amount": "3"}, "account must be one of"),
        ("POST", "websockets/drop", {"which": "some"}, "which must be"),
        ("GET", "nothing", None, "no such control"),
        ("DELETE", "faults/9", None, "no fault rule"),
        ("POST", "orders", {"account": "main"}, "not an order: .* 'symbol'"),
    ):
        with pytest.raises(ControlRefused, match=words):
            await control.request(method, name, body)
    assert (await control.state())["prices"] == {
        "spot": {"BTCUSDT": "50000.00", "ETHUSDT": "3000.00"},
        "futures": {},
    }


def test_recorded_prices(tmp_path: Path) -> None:
    """A CSV of candles, a CSV of prices, bare lines and JSON lines give their prices, again from the start at the end."""
    files = {
        "candles.csv": "timestamp,open,high,low,close,volume\n1,100.00,110.00,90.00,105.00,1\n",
        "prices.csv": "time,price\n1,100.00\n2,110.00\n3,90.00\n4,105.00\n",
        "bare.csv": "100.00\n110.00\n90.00\n105.00\n",
        "lines.jsonl": '{"price": "100.00"}\n{"price": "110.00"}\n{"price": "90.00"}\n\n{"price": "105.00"}\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        symbol = attrs.evolve(BTCUSDT, prices=path)
        driver = driver_of(symbol)
        seen = [driver.middle("BTCUSDT")]
        for _ in range(5):
            driver.step()
            seen.append(driver.middle("BTCUSDT"))
        assert seen == [100, 110, 90, 105, 100, 110], name


def test_bad_recorded_prices(tmp_path: Path) -> None:
    """A line without a price is refused with its place."""
    path = tmp_path / "bad.csv"
    for text in ("1\nx\n", '1\n{"value": 1}\n', "1\n-5\n", "1\nNaN\n", "price\n1\n\n,\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"bad.csv:\d holds no price"):
            list(read_prices(path))


def test_recorded_candles(shared_data: Path) -> None:
    """Recorded candles drive the market, four prices a minute."""
    path = shared_data / "market" / "btc-perp-20211231-20220201_1m.csv"
    driver = driver_of(attrs.evolve(BTCUSDT, prices=path))
    seen = []
    for _ in range(4):
        seen.append(int(driver.middle("BTCUSDT")))
        driver.step()
    assert seen == [46319, 46385, 46319, 46377]


KRW_BTC = PRESETS["upbit.spot"][0]


@pytest.mark.parametrize(
    "make,words",
    [
        (
            lambda: binance(symbols=(attrs.evolve(BTCUSDT, step=Decimal("0.00000001")),)),
            "needs more than 8 decimals",
        ),
        (lambda: attrs.evolve(BTCUSDT, start_price=Decimal("0.005")), "not a multiple of tick"),
        (lambda: attrs.evolve(BTCUSDT, tick=Decimal("NaN")), "tick must be a Decimal above 0"),
        (lambda: binance(symbols=()), "at least one symbol"),
        (
            lambda: binance((AccountConfig("a", "k", "s"), AccountConfig("b", "k", "s"))),
            "api key",
        ),
        (
            lambda: binance((AccountConfig("house", "k", "s"),)),
            "belongs to the exchange",
        ),
        (lambda: AccountConfig("a", "k", "s", {"BTC": Decimal(-1)}), "balance of BTC"),
        (
            lambda: Simulator(SimulatorConfig((binance(limits={"orders_1h": 5}),))),
            "limits must be of .*, were also",
        ),
        (lambda: Simulator(SimulatorConfig((binance(limits={"orders_10s": 0}),))), "limit"),
        (lambda: SimulatorConfig((binance(), binance())), "at least one exchange is needed and each once"),
        (lambda: attrs.evolve(BTCUSDT, contract_size=Decimal(2)), "contract_size of BTCUSDT must be 1"),
        (lambda: attrs.evolve(BTCUSDT, leverage=126), "leverage of BTCUSDT must be at most 125"),
        (lambda: attrs.evolve(KRW_BTC, tick=Decimal(500)), "must be that of its table"),
        (lambda: binance(symbols=(KRW_BTC, KRW_BTC)), "each symbol must be given once"),
    ],
)
def test_bad_configurations(make: object, words: str) -> None:
    """A configuration that could not work is refused with the reason."""
    with pytest.raises(ValueError, match=words):
        make()


async def test_serve_until_cancelled(config: SimulatorConfig) -> None:
    """`serve` runs by the clock until cancelled, then listens no more; it can be started again."""
    started: asyncio.Queue[Simulator] = asyncio.Queue()
    for _ in range(2):
        task = asyncio.create_task(serve(attrs.evolve(config, step_interval_ms=5), started.put_nowait))
        simulator = await asyncio.wait_for(started.get(), 5)
        async with ControlClient(simulator.ca_path, simulator.port) as control:
            while (await control.state())["steps"] < 3:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert simulator.port == 0


async def test_serve_fails_with_its_market(config: SimulatorConfig, tmp_path: Path) -> None:
    """A market that cannot go on ends `serve` with the reason, instead of standing still."""
    path = tmp_path / "prices.csv"
    path.write_text("100\n101\noops\n")
    config = attrs.evolve(
        config, step_interval_ms=1, exchanges=(binance(symbols=(attrs.evolve(BTCUSDT, prices=path),)),)
    )
    with pytest.raises(ValueError, match=r"prices\.csv:3 holds no price"):
        await serve(config, lambda simulator: None)
