"""The own book finds exactly the orders of ours that one would trade with, whatever came and went, and as fast among many."""

import time
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from oms.aggregates.money import ONE, ZERO, exactly
from oms.aggregates.order import Order, PendingAmend
from oms.aggregates.risk import own_book
from oms.aggregates.risk.own_book import OwnBook, Sorted
from oms.messages.enums import OrderStatus, OrderType, Side, TimeInForce

BTC = ("binance", "spot", "BTCUSDT")
PERP = ("binance", "perp", "BTCUSDT")
NEW, CANCELED = OrderStatus.NEW, OrderStatus.CANCELED


def order(number: int, side: Side, price: str | Decimal | None, **fields: object) -> Order:
    """A resting limit order of 1."""
    terms: dict[str, object] = {"exchange": "binance", "market": "spot", "type": OrderType.LIMIT, "base": NEW}
    return Order(
        order_id=f"abcdef{number:010x}",
        account="main",
        symbol="BTCUSDT",
        side=side,
        quantity=ONE,
        price=None if price is None else Decimal(price),
        trigger_price=None,
        time_in_force=TimeInForce.GTC,
        expires_at=None,
        post_only=False,
        reduce_only=False,
        strategy="",
        client_order_id="",
        placed_at=0,
        reserve_asset="USDT",
        reserve_price=ONE,
        **terms | fields,  # type: ignore[arg-type]
    )


def test_orders_that_rest_are_found_from_the_best_price_on() -> None:
    """A buy takes sells at its price and below, a sell buys at its price and above, a market order all; the oldest is first."""
    book = OwnBook()
    for number, side, price in (
        (1, Side.SELL, "102"),
        (2, Side.SELL, "101"),
        (3, Side.SELL, "101.0"),
        (4, Side.BUY, "99"),
        (5, Side.BUY, "100"),
    ):
        book.changed(order(number, side, price))

    def found(side: Side, price: str | None, most: int = 9) -> list[int]:
        return [
            int(i[6:], 16) for i in book.crossed(BTC, side, None if price is None else Decimal(price), most)
        ]

    assert found(Side.BUY, "100.99") == []
    assert found(Side.BUY, "101") == [2, 3]
    assert found(Side.BUY, "1000") == found(Side.BUY, None) == [1, 2, 3]
    assert found(Side.SELL, "100.01") == []
    assert found(Side.SELL, "100") == [5]
    assert found(Side.SELL, "0.1") == [4, 5]
    assert found(Side.BUY, None, most=2) == [2, 3]
    assert (book.best(BTC, Side.SELL), book.best(BTC, Side.BUY)) == (101, 100)
    assert book.crossed(PERP, Side.BUY, None, 9) == []


def test_only_what_can_rest_is_in_the_book() -> None:
    """Stop orders, market orders and orders that have ended are not; an amend under way counts at both prices."""
    book = OwnBook()
    book.changed(order(1, Side.SELL, "100", type=OrderType.STOP_LIMIT))
    book.changed(order(2, Side.SELL, None, type=OrderType.MARKET))
    book.changed(order(3, Side.SELL, "100", base=CANCELED))
    assert book.best(BTC, Side.SELL) is None
    resting = order(4, Side.SELL, "110")
    book.changed(resting)
    resting.amend = PendingAmend(ONE, Decimal(105), 1)
    book.changed(resting)
    assert book.crossed(BTC, Side.BUY, Decimal(105), 9) == [resting.order_id]
    assert book.crossed(BTC, Side.BUY, None, 9) == [resting.order_id]
    resting.amend, resting.price = None, Decimal(105)
    book.changed(resting)
    assert book.best(BTC, Side.SELL) == 105
    resting.base = CANCELED
    resting.amend = PendingAmend(ONE, Decimal(90), 2)
    book.changed(resting)
    assert book.best(BTC, Side.SELL) == 90, "the amend may have made a new order at the venue"
    resting.amend = None
    book.changed(resting)
    assert book.best(BTC, Side.SELL) is None


PRICES = st.integers(1, 40).map(lambda cents: Decimal(cents) / 4) | st.just(Decimal("0.000000000000000001"))


class BookMachine(RuleBasedStateMachine):
    """The book beside a look at all orders. Parts are tiny, so that they divide and go all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.part, own_book.PART = own_book.PART, 2  # type: ignore[misc]
        self.book = OwnBook()
        self.orders: list[Order] = []

    def teardown(self) -> None:
        own_book.PART = self.part  # type: ignore[misc]

    def changed(self, found: Order) -> None:
        with exactly():
            self.book.changed(found)

    @rule(side=st.sampled_from(Side), price=PRICES, market=st.sampled_from(["spot", "spot", "perp"]))
    def add(self, side: Side, price: Decimal, market: str) -> None:
        self.orders.append(order(len(self.orders), side, price, market=market))
        self.changed(self.orders[-1])

    @rule(pick=st.integers(0, 99), base=st.sampled_from([NEW, CANCELED]))
    def turn(self, pick: int, base: OrderStatus) -> None:
        if self.orders:
            found = self.orders[pick % len(self.orders)]
            found.base = base
            self.changed(found)

    @rule(pick=st.integers(0, 99), price=st.none() | PRICES, take=st.booleans())
    def amend(self, pick: int, price: Decimal | None, take: bool) -> None:
        if self.orders:
            found = self.orders[pick % len(self.orders)]
            if found.amend is not None and take:
                found.price = found.amend.price
            found.amend = None if price is None else PendingAmend(ONE, price, 1)
            self.changed(found)

    @rule(
        key=st.sampled_from([BTC, PERP]),
        side=st.sampled_from(Side),
        price=st.none() | PRICES,
        most=st.integers(1, 5) | st.just(99),
    )
    def cross(self, key: tuple[str, str, str], side: Side, price: Decimal | None, most: int) -> None:
        prices = {
            o.order_id: [o.price] * o.may_trade + ([] if o.amend is None else [o.amend.price])
            for o in self.orders
            if (o.exchange, o.market, o.symbol) == key and o.side is not side
        }
        meant = [
            order_id
            for order_id, at in prices.items()
            if any(price is None or (each <= price if side is Side.BUY else each >= price) for each in at)  # type: ignore[operator]
        ]
        found = self.book.crossed(key, side, price, most)
        assert found == sorted(found)
        assert len(found) == min(len(meant), most)
        assert set(found) <= set(meant)

    @invariant()
    def best_agrees(self) -> None:
        for key in (BTC, PERP):
            for side in Side:
                at = [
                    price
                    for o in self.orders
                    if (o.exchange, o.market, o.symbol) == key and o.side is side and o.may_trade
                    for price in (o.price, None if o.amend is None else o.amend.price)
                    if price is not None
                ]
                best = None if not at else (max(at) if side is Side.BUY else min(at))
                assert self.book.best(key, side) == best


TestBook = BookMachine.TestCase


@given(st.lists(st.integers(-20, 20), unique=True), st.data())
def test_sorted_is_in_order(values: list[int], data: st.DataObject) -> None:
    """Numbers added in any order come out in order, and those removed do not come out."""
    part, own_book.PART = own_book.PART, 2  # type: ignore[misc]
    try:
        kept = Sorted()
        for value in values:
            kept.add(value)
        gone = data.draw(st.sets(st.sampled_from(values)) if values else st.just(set()))
        for value in gone:
            kept.remove(value)
        found = list(kept)
        assert found == sorted(set(values) - gone)
        assert not found or kept.first == found[0]
    finally:
        own_book.PART = part  # type: ignore[misc]


def test_a_look_costs_the_same_among_100_000_orders() -> None:
    """Whether an order crosses, and adding one, does not take longer the more orders rest: no more than caches make it."""

    def spent(many: int) -> tuple[float, float]:
        book = OwnBook()
        with exactly():
            for number in range(many):
                book.changed(order(number, Side.SELL, Decimal(100_000 + number) / 100))
            new = [order(10**6 + n, Side.SELL, Decimal(100_000 + n % many) / 100) for n in range(2_000)]
            below, looks, adds = Decimal(1), [], []
            for each in new:
                began = time.perf_counter_ns()
                book.crossed(BTC, Side.BUY, below, 65)
                middle = time.perf_counter_ns()
                book.changed(each)
                ended = time.perf_counter_ns()
                looks.append(middle - began)
                adds.append(ended - middle)
        return sorted(looks)[1_000], sorted(adds)[1_000]

    few, many = spent(10), spent(100_000)
    assert many[0] < 5 * few[0] + 2_000, (few, many)
    assert many[1] < 5 * few[1] + 5_000, (few, many)


def test_prices_of_18_places_differ() -> None:
    """Two prices that differ in the last place are two, in any context of arithmetic."""
    book = OwnBook()
    low = Decimal("99999999999999999999.000000000000000001")
    high = Decimal("99999999999999999999.000000000000000002")
    for number, price in enumerate((low, high)):
        book.changed(order(number, Side.SELL, price))
    assert [len(book.crossed(BTC, Side.BUY, price, 9)) for price in (low, high)] == [1, 2]
    assert all(one < other for one, other in pairwise((ZERO, low, high)))
