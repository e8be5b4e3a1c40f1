"""The adapter of Binance spot over unmodified ccxt, against the simulator's wire: what the desks of other tests do not reach."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Submit
from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.wire import Wire
from oms.venues import binance_spot
from oms.venues.admission import Pool
from oms.venues.binance_spot import BinanceSpot, BinanceSpotAccount
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import VenueError
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS

SYMBOL = "BTCUSDT"
FUNDS = {"USDT": D(100_000), "BTC": D(10)}
NS_PER_MS = 10**6
CREDENTIALS = FixedCredentials({("binance", "main"): Key("main-key", "main-secret")})


@attrs.define
class Rig:
    """A simulated Binance and one account's adapter on it."""

    wire: Wire
    market: BinanceSpot
    account: BinanceSpotAccount
    _number: int = 0

    @property
    def exchange(self) -> Exchange:
        return self.wire.exchange

    @property
    def there(self) -> Account:
        """The account at the exchange."""
        return self.exchange.accounts["main"]

    async def place(self, side: Side, price: str) -> None:
        self._number += 1
        client_id = f"tester{self._number:010x}"
        order = Submit(
            order_id=client_id,
            client_id=client_id,
            symbol=SYMBOL,
            side=side,
            type=OrderType.LIMIT,
            quantity=D("0.01"),
            price=D(price),
            time_in_force=TimeInForce.GTC,
            deadline=time.time_ns() + 10 * 10**9,
        )
        await self.account.submit(order)

    async def trade_with_oneself(self) -> None:
        """Sell to oneself, inside the spread."""
        market = self.exchange.market("spot", SYMBOL)
        price = str(market.last_price)
        await self.place(Side.SELL, price)
        await self.place(Side.BUY, price)

    def at_one_moment(self) -> int:
        """Have every trade of the account happen in one millisecond, and return it as UTC ns."""
        now = time.time_ns() // NS_PER_MS * NS_PER_MS
        fills = self.there.fills["spot", SYMBOL]
        fills[:] = [attrs.evolve(fill, time_ns=now) for fill in fills]
        return now


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    exchange = ExchangeConfig(
        "binance", PRESETS["binance.spot"], (AccountConfig("main", "main-key", "main-secret", FUNDS),)
    )
    simulator = Simulator(SimulatorConfig((exchange,), ca_path=tmp_path / "ca.pem"))
    await simulator.start()
    assert simulator.ca_path is not None
    async with ccxt_session(simulator.ca_path, simulator.port) as session:
        budgets = Budgets(Pool(POOLS["binance.spot"]), 6_000, 1_000, 100_000)
        market = BinanceSpot(CREDENTIALS, budgets, Reach(session=session, timeout_s=2.0))
        await market.open()
        rig = Rig(simulator.exchanges["binance"], market, market.account("main"))
        yield rig
        await rig.account.close()
        await market.close()
    await simulator.stop()


@pytest.mark.parametrize("rows", [3, 4, 5, 1_000])
async def test_both_sides_of_trades_with_oneself_on_any_page(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A trade with oneself has two sides by one id: both are told, once, wherever a page ends."""
    monkeypatch.setattr(binance_spot, "ROWS", rows)
    since = time.time_ns()
    for _ in range(4):
        await rig.trade_with_oneself()
    there = [(str(fill.trade_id), fill.is_buyer) for fill in rig.there.fills["spot", SYMBOL]]
    assert len(there) == 8
    told = await rig.account.trades_since(SYMBOL, since)
    assert [(trade.trade_id, trade.side is Side.BUY) for trade in told] == there
    assert await rig.account.trades_since(SYMBOL, rig.at_one_moment()) == [
        attrs.evolve(trade, time=rig.there.fills["spot", SYMBOL][0].time_ns) for trade in told
    ]


async def test_orders_on_pages(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders are complete however many pages they take, each once, oldest first."""
    monkeypatch.setattr(binance_spot, "ROWS", 3)
    since = time.time_ns()
    for _ in range(8):
        await rig.place(Side.BUY, "20000")
    told = await rig.account.orders_since(SYMBOL, since)
    assert [order.venue_order_id for order in told] == [str(each.order_id) for each in rig.there.all_orders()]


async def test_what_a_private_stream_weighs(rig: Rig) -> None:
    """The connection and its subscription weigh with the venue, and are reserved like anything else."""
    before = rig.market.limits_left("main")["own weight 1m"]["used"]
    await rig.account.open(lambda event: None)
    by_rest = binance_spot.WEIGHTS["publicGetTime"] + binance_spot.WEIGHTS["privateGetAccount"]
    assert rig.market.limits_left("main")["own weight 1m"]["used"] - before == by_rest + 4


async def test_an_instrument_that_cannot_be_read_hinders_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a new kind of symbol lacks keeps it alone from being traded, loudly; when nothing can be read it is an error."""
    load = rig.market.public.load_markets
    spoilt: list[str] = []

    async def loaded(reload: bool) -> Any:
        markets = await load(reload)
        for market in markets.values():
            if not spoilt or market["id"] in spoilt:
                market["info"]["filters"] = []
        return markets

    monkeypatch.setattr(rig.market.public, "load_markets", loaded)
    spoilt.append("ETHUSDT")
    assert [each.symbol for each in await rig.market.open()] == [SYMBOL]
    assert "ETHUSDT cannot be read: KeyError: 'PRICE_FILTER': it is not traded" in caplog.text
    spoilt.clear()
    with pytest.raises(VenueError, match="cannot be read"):
        await rig.market.open()


async def test_who_is_banned_asks_for_nothing(rig: Rig) -> None:
    """What is asked without a key waits for the end of a ban as all else does, and counts by address."""
    used = rig.market.limits_left("main")["address weight 1m"]["used"]
    rig.market.budgets.pool.hold(0.3)
    before = time.monotonic()
    await rig.market.open()
    assert time.monotonic() - before >= 0.3
    assert rig.market.limits_left("main")["address weight 1m"]["used"] - used == 40
    before = time.monotonic()
    rig.market.budgets.pool.hold(0.3)
    marks = await rig.market.marks_now([SYMBOL])
    assert time.monotonic() - before >= 0.3
    assert marks.keys() == {SYMBOL}


def test_how_long_a_ban_is() -> None:
    """As long as the venue says, else as long as its shortest."""
    assert binance_spot.retry_after(418, {"retry-after": "7"}) == 7
    assert binance_spot.retry_after(418, {}) == 120
    assert binance_spot.retry_after(429, {}) == 30
