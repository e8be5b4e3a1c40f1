"""The blotter: what it keeps, in which order, and what it lets go."""

from oms.config import CacheConfig
from oms.messages.enums import OrderStatus
from oms.projections.orders import Orders
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import Maker, busy

HOUR_NS = 3_600 * 10**9


def history(maker: Maker, cache: CacheConfig | None = None) -> History:
    """Everything the maker's frames say, within a cache's bounds."""
    maker.cut()
    made = new_history(cache or CacheConfig())
    for stored in maker.stored:
        made.apply(stored)
    return made


def blotter(made: History) -> Orders:
    """The orders of a history."""
    assert made.projections is not None
    return made.projections.orders


def test_holds_every_order_as_the_partition_does() -> None:
    """An order that the partition holds is the same object here, so that the two cannot differ."""
    made = history(busy(1, 200))
    orders = blotter(made)
    for order_id, order in made.partition.orders.items():
        assert orders.by_id[order_id] is order
    assert len(orders.by_id) == 200


def test_denied_order_is_in_the_history_with_its_reason() -> None:
    """An order that our controls denied never enters the partition, and is shown with the code."""
    maker = Maker()
    maker.begin()
    outcome = maker.command(
        "place.binance.main.spot.BTCUSDT", side="buy", type="limit", quantity="20000", price="1"
    )
    (order,) = blotter(history(maker)).newest_first()
    assert order.order_id == outcome.reply.order_id  # type: ignore[union-attr]
    assert order.status is OrderStatus.DENIED
    assert order.reason.startswith("QUANTITY_TOO_LARGE: ")


def test_adopted_order_is_in_the_blotter() -> None:
    """An order found at the venue is shown as open."""
    maker = Maker()
    maker.begin()
    maker.report(
        {"report": "found", "order_id": "theirs", "venue_order_id": "v", "symbol": "BTCUSDT", "side": "buy"}
        | {"type": "limit", "quantity": "1", "price": "9"}
    )
    (order,) = blotter(history(maker)).open_newest_first("_", "main", "_")
    assert (order.client_order_id, order.strategy) == ("theirs", "external")


def test_newest_first_and_pages_on() -> None:
    """Orders come newest first, and ``before`` goes on behind any of them."""
    orders = blotter(history(busy(2, 100)))
    ids = [order.order_id for order in orders.newest_first()]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 100
    for place in (0, 1, 50, 99):
        assert [order.order_id for order in orders.newest_first(ids[place])] == ids[place + 1 :]


def test_finished_orders_leave_by_number() -> None:
    """No more finished orders than ``max_size`` stay, and the one that finished first leaves first; live ones stay."""
    made = history(busy(3, 400), CacheConfig(max_size=20))
    orders = blotter(made)
    assert len(orders.finished) == 20
    assert all(order_id in orders.by_id for live in made.partition.live.values() for order_id in live)
    finished_at = list(orders.finished.values())
    assert finished_at == sorted(finished_at)
    assert {order.order_id for order in orders.newest_first()} == set(orders.by_id)


def test_finished_orders_leave_by_event_time() -> None:
    """A finished order leaves once it is older than ``default_ttl`` by event time; a live one never does."""
    maker = Maker()
    maker.begin()
    ended, live = maker.place(), maker.place()
    maker.accept(ended)
    maker.accept(live)
    maker.fill(ended, "1", "100")
    maker.clock += 2 * HOUR_NS
    maker.place()
    cache = CacheConfig(default_ttl=3 * HOUR_NS)
    assert ended in blotter(history(maker, cache)).by_id
    maker.clock += HOUR_NS
    maker.place()
    assert ended not in blotter(history(maker, cache)).by_id
    assert live in blotter(history(maker, cache)).by_id


def test_late_trade_reaches_an_order_that_the_partition_let_go() -> None:
    """A trade of an order canceled hours ago, which only the blotter still holds, is shown on it."""
    maker = Maker()
    maker.begin()
    order_id = maker.place()
    maker.accept(order_id)
    maker.command("cancel.binance.main.spot.BTCUSDT", order_id=order_id)
    maker.report({"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 1})
    maker.clock += 2 * HOUR_NS
    maker.place()
    assert order_id not in maker.state.orders
    maker.report(
        {"report": "filled", "order_id": order_id, "symbol": "BTCUSDT", "side": "buy", "trade_id": "late"}
        | {"quantity": "0.4", "price": "100", "fee": "0", "fee_asset": "USDT", "maker": True, "venue_time": 2}
    )
    order = blotter(history(maker)).by_id[order_id]
    assert str(order.cumulative) == "0.4"
    assert order.status is OrderStatus.CANCELED


def test_order_that_lives_again_is_open_again() -> None:
    """An order believed rejected that the venue shows working leaves the finished ones, dropped from here or not."""
    for cache in (CacheConfig(), CacheConfig(max_size=1)):
        maker = Maker()
        maker.begin()
        first, second = maker.place(), maker.place()
        for order_id in (first, second):
            maker.report({"report": "rejected", "order_id": order_id, "reason": "no", "venue_time": 1})
        maker.cut()
        maker.accept(first)
        orders = blotter(history(maker, cache))
        assert first not in orders.finished
        assert [order.order_id for order in orders.open_newest_first("_", "_", "_")] == [first]
        assert [order.order_id for order in orders.newest_first()] == [second, first]
