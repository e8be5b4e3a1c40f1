"""Properties of the book and of the settlement, over any sequence of orders."""

from collections import defaultdict
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.simulator import BTCUSDT, AccountConfig, ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Balance
from oms.simulator.matching import Book
from oms.simulator.orders import BUY, SELL, Order, OrderRequest, OrderUpdate
from oms.simulator.reasons import Reason, Refusal

REFUSALS = (None, Reason.INSUFFICIENT_FUNDS, Reason.WOULD_MATCH, Reason.WOULD_TRIGGER, Reason.MAX_STOP_ORDERS)
NAMES = ("a", "b", "c")
FUNDS = {"USDT": Decimal(50_000), "BTC": Decimal(1)}

requests = st.builds(
    OrderRequest,
    market=st.just("spot"),
    symbol=st.just("BTCUSDT"),
    side=st.sampled_from((BUY, SELL)),
    type=st.sampled_from(
        ("LIMIT", "LIMIT", "LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT")
    ),
    quantity=st.integers(1, 40).map(lambda n: n * Decimal("0.00501")),
    price=st.integers(-20, 20).map(lambda n: 50_000 + n * Decimal("10.01")),
    stop_price=st.integers(-20, 20).map(lambda n: 50_000 + n * Decimal("10.01")),
    time_in_force=st.sampled_from(("GTC", "GTC", "IOC", "FOK")),
    post_only=st.booleans(),
)
moves = st.one_of(
    st.tuples(st.just("place"), st.sampled_from(NAMES), requests),
    st.tuples(st.just("cancel"), st.sampled_from(NAMES), st.integers(0, 20)),
)


class Watcher:
    """Keeps what the exchange tells."""

    def __init__(self) -> None:
        self.executions: list[str] = []
        self.trades = 0

    def order(self, update: OrderUpdate) -> None:
        self.executions.append(update.execution)

    def funds(self, change: FundsChange) -> None:
        return

    def trade(self, market: object, trade: object) -> None:
        self.trades += 1

    def book(self, market: object) -> None:
        return


def make_exchange() -> tuple[Exchange, Watcher]:
    watcher = Watcher()
    ticks = iter(range(10**15, 10**18, 10**6))
    accounts = tuple(AccountConfig(name, f"key{name}", "secret", FUNDS) for name in NAMES)
    config = ExchangeConfig("binance", (BTCUSDT,), accounts)
    return Exchange(config, lambda: next(ticks), watcher), watcher


def spot(account: Account, asset: str) -> Balance:
    return account.balance("spot", asset)


def clean(request: OrderRequest) -> OrderRequest:
    """Leave out what the type does not have."""
    zero = Decimal(0)
    return attrs.evolve(
        request,
        price=request.price if request.type in ("LIMIT", "STOP_LOSS_LIMIT") else zero,
        stop_price=request.stop_price if request.type.startswith(("STOP", "TAKE")) else zero,
        time_in_force=request.time_in_force if request.type in ("LIMIT", "STOP_LOSS_LIMIT") else "GTC",
        post_only=request.post_only and request.type == "LIMIT" and request.time_in_force == "GTC",
    )


def place_or_refuse(exchange: Exchange, name: str, request: OrderRequest) -> Reason | None:
    """Return the reason of the refusal, None when the order was accepted."""
    try:
        exchange.place(exchange.accounts[name], clean(request))
    except Refusal as refusal:
        return refusal.reason
    return None


def check_state(exchange: Exchange) -> None:
    """What must hold between any two commands."""
    market = exchange.markets["spot", "BTCUSDT"]
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for account in exchange.accounts.values():
        locked: dict[str, Decimal] = defaultdict(Decimal)
        for order in account.open.values():
            assert 0 <= order.executed < order.quantity
            locked["USDT" if order.side == BUY else "BTC"] += order.locked
        for asset, balance in account.wallets["spot"].items():
            totals[asset] += balance.free + balance.locked
            assert balance.locked == locked[asset]
            if not account.unlimited:
                assert balance.free >= 0
    assert dict(totals) == {asset: amount * len(NAMES) for asset, amount in FUNDS.items()}
    bid, ask = market.book.best(BUY), market.book.best(SELL)
    assert bid is None or ask is None or bid.price < ask.price
    for side in (BUY, SELL):
        prices = [level.price for level in market.book.levels(side)]
        assert prices == sorted(prices, reverse=side == BUY)
        for level in market.book.levels(side):
            assert level.quantity == sum(order.leaves for order in level.orders.values()) > 0


@given(st.lists(moves, max_size=40))
def test_nothing_is_made_or_lost(sequence: list[tuple[str, str, object]]) -> None:
    """Totals of every asset stay constant, locks fit the open orders, the book never crosses, nothing overfills."""
    exchange, watcher = make_exchange()
    for kind, name, what in sequence:
        account = exchange.accounts[name]
        if kind == "place":
            refused = place_or_refuse(exchange, name, what)
            assert refused in REFUSALS
        elif account.open:
            orders = list(account.open.values())
            exchange.cancel(account, orders[what % len(orders)])
        check_state(exchange)
    for account in exchange.accounts.values():
        for order in account.all_orders():
            assert order.executed == sum(fill.quantity for fill in order.fills) <= order.quantity
            assert order.executed_quote == sum(fill.quote for fill in order.fills)
            assert (order.status == "FILLED") == (order.executed == order.quantity)
            assert order.is_open or order.locked == 0
    assert watcher.executions.count("TRADE") == 2 * watcher.trades


@given(st.lists(st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 9), st.integers(1, 9)), max_size=60))
def test_price_time_priority(rows: list[tuple[str, int, int]]) -> None:
    """Every match is with the best price, and among equals with the order that has waited longest."""
    book = Book()
    resting: list[Order] = []
    for number, (side, price, quantity) in enumerate(rows):
        order = Order(
            account="a",
            market="spot",
            symbol="X",
            order_id=number,
            client_order_id=str(number),
            side=side,
            type="LIMIT",
            time_in_force="GTC",
            quantity=Decimal(quantity),
            price=Decimal(price),
            stop_price=Decimal(0),
            created_ns=0,
            updated_ns=0,
        )
        sign = 1 if side == BUY else -1
        obtainable, cost = book.obtainable(side, order.quantity, order.price)
        before = {r.order_id: r.leaves for r in resting}
        matches = list(book.take(order, order.price))
        assert obtainable == order.executed
        assert cost == order.executed_quote
        queue = sorted(
            (
                r
                for r in resting
                if r.side != side and sign * (order.price - r.price) >= 0 and before[r.order_id] > 0
            ),
            key=lambda r: (sign * r.price, r.order_id),
        )
        left = order.quantity
        expected = []
        for maker in queue:
            part = min(left, before[maker.order_id])
            if part > 0:
                expected.append((maker.order_id, maker.price, part))
            left -= part
        assert [(m.maker.order_id, m.price, m.quantity) for m in matches] == expected
        assert order.leaves == left
        if order.leaves:
            book.rest(order)
            resting.append(order)


@given(st.lists(st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 9), st.booleans()), max_size=60))
def test_depth_changes_rebuild_the_book(rows: list[tuple[str, int, bool]]) -> None:
    """A copy of the book kept from the depth changes alone equals the book, and update ids leave no gap."""
    book = Book()
    copy: dict[str, dict[Decimal, Decimal]] = {BUY: {}, SELL: {}}
    last = 0
    for number, (side, price, publish) in enumerate(rows):
        order = Order(
            "a", "spot", "X", number, "c", side, "LIMIT", "GTC", Decimal(3), Decimal(price), Decimal(0), 0, 0
        )
        list(book.take(order, order.price))
        if order.leaves:
            book.rest(order)
        if not publish:
            continue
        if (change := book.drain_changes()) is not None:
            assert change.first_update_id == last + 1 <= change.last_update_id == book.update_id
            last = change.last_update_id
            copy[BUY].update(change.bids)
            copy[SELL].update(change.asks)
        for name in (BUY, SELL):
            assert {p: q for p, q in copy[name].items() if q} == {
                v.price: v.quantity for v in book.levels(name)
            }


def test_stop_orders_trigger_on_their_side() -> None:
    """A stop loss waits outside the book with its funds locked, and matches once a trade reaches its price."""
    exchange, _ = make_exchange()
    a, b = exchange.accounts["a"], exchange.accounts["b"]
    stop = exchange.place(
        a, OrderRequest("spot", "BTCUSDT", SELL, "STOP_LOSS", Decimal("0.5"), stop_price=Decimal(49_000))
    )
    assert stop.is_waiting
    assert spot(a, "BTC").locked == Decimal("0.5")
    exchange.place(b, OrderRequest("spot", "BTCUSDT", BUY, "LIMIT", Decimal("0.7"), price=Decimal(49_000)))
    assert stop.executed == 0
    exchange.place(exchange.accounts["c"], OrderRequest("spot", "BTCUSDT", SELL, "MARKET", Decimal("0.1")))
    assert stop.status == "FILLED"
    assert stop.fills[0].price == Decimal(49_000)
    check_state(exchange)


def test_client_ids_are_unique_among_open_orders_only() -> None:
    """A client id is refused while its order is open and may be used again after, as on Binance."""
    exchange, _ = make_exchange()
    account = exchange.accounts["a"]
    request = OrderRequest(
        "spot", "BTCUSDT", BUY, "LIMIT", Decimal("0.1"), client_order_id="x", price=Decimal(40_000)
    )
    first = exchange.place(account, request)
    with pytest.raises(Refusal, match="DUPLICATE_CLIENT_ID"):
        exchange.place(account, request)
    exchange.cancel(account, first)
    second = exchange.place(account, request)
    assert account.find(("spot", "BTCUSDT"), None, "x") is second is not first


def test_commission_is_taken_from_what_is_received() -> None:
    """The buyer pays 0.1 % in the base asset, the seller in the quote asset, and the house gets both."""
    exchange, _ = make_exchange()
    a, b = exchange.accounts["a"], exchange.accounts["b"]
    exchange.place(a, OrderRequest("spot", "BTCUSDT", BUY, "LIMIT", Decimal("0.5"), price=Decimal(50_000)))
    exchange.place(b, OrderRequest("spot", "BTCUSDT", SELL, "MARKET", Decimal("0.5")))
    assert spot(a, "BTC").free == Decimal("1.4995")
    assert spot(a, "USDT").free == 25_000
    assert spot(b, "USDT").free == Decimal("74975")
    assert spot(b, "BTC").free == Decimal("0.5")
    assert spot(exchange.house, "BTC").free == Decimal("0.0005")
    assert spot(exchange.house, "USDT").free == Decimal(25)


def test_history_is_bounded() -> None:
    """Finished orders beyond the limit are forgotten, oldest first, and open ones never."""
    watcher = Watcher()
    config = ExchangeConfig("binance", (BTCUSDT,), (AccountConfig("a", "k", "s", FUNDS),), history_limit=4)
    exchange = Exchange(config, lambda: 10**15, watcher)
    account = exchange.accounts["a"]
    kept = exchange.place(
        account, OrderRequest("spot", "BTCUSDT", BUY, "LIMIT", Decimal("0.1"), price=Decimal(40_000))
    )
    for _ in range(10):
        order = exchange.place(
            account, OrderRequest("spot", "BTCUSDT", BUY, "LIMIT", Decimal("0.1"), price=Decimal(40_000))
        )
        exchange.cancel(account, order)
    left = [kept.order_id, 8, 9, 10, 11]
    assert (
        list(account.orders["spot", "BTCUSDT"]) == [order.order_id for order in account.all_orders()] == left
    )
    assert account.forgotten_orders == 6
    assert account.find(("spot", "BTCUSDT"), 7) is None
