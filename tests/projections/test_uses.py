"""What is used of limits of margin: leverage, the margin ratio, the distance to a liquidation price, by scope and by what is nearest."""

from decimal import Decimal

from oms.aggregates.money import exactly
from oms.messages.controls import Level
from oms.projections import uses
from oms.projections.uses import Use
from tests.unit.futures_desk import FuturesDesk

D = Decimal
PLACE = "bybit.main.futures.BTCUSDT"


def use(desk: FuturesDesk, scope: str, control: str) -> Use | None:
    """What the row of a control shows at a scope."""
    with exactly():
        found = [each for each in uses.rows(desk.state, desk.now) if each.scope == scope]
    (row,) = [each for each in found if each.control == control]
    return row.use


def limited(**said: str) -> FuturesDesk:
    """Limits in the global scope; 10,000 USDT, and the mark is 100."""
    desk = FuturesDesk()
    about = {"command_id": desk.next_id(), "scope": "global", "by": "ann", "limits": said}
    assert desk.reply("set_limits._._._._", about)["ok"]
    return desk


def test_nothing_held_uses_nothing() -> None:
    """No leverage and no margin is used; where nothing can be liquidated there is no distance."""
    desk = limited(max_leverage="5", max_margin_ratio="0.5", min_liquidation_distance="0.1")
    assert use(desk, "global", "max_leverage") == Use(D(0), D(5))
    assert use(desk, "global", "max_margin_ratio") == Use(D(0), D("0.5"))
    assert use(desk, "global", "min_liquidation_distance") is None


def test_margin_of_a_position() -> None:
    """10 at 100 with a leverage of 4, liquidated at 88: a distance of 0.12, of at least 0.1. Leverage is told of to nobody."""
    desk = limited(max_leverage="4", max_margin_ratio="0.5", min_liquidation_distance="0.1")
    desk.trade("buy", "10", "100")
    held = {"symbol": "BTCUSDT", "quantity": "10", "entry_price": "100", "leverage": "4"}
    desk.positions({**held, "liquidation_price": "88", "margin_mode": "cross"})
    assert use(desk, "global", "max_leverage") == Use(D(4), D(0), Level.CLEAR, PLACE)
    distance = Use(D("0.12"), D("0.02"), Level.NEAR, PLACE)
    assert use(desk, "global", "min_liquidation_distance") == distance


def test_margin_of_what_works() -> None:
    """What an order holds as margin is used of the ratio, before anything is held: it is what the next order is held against."""
    desk = limited(max_margin_ratio="0.5")
    assert desk.order("buy", "40", "100")["ok"]
    found = use(desk, "global", "max_margin_ratio")
    assert found is not None
    assert D("0.4") <= found.used < D("0.41")
    assert (found.level, found.nearest) == (Level.NEAR, "main")
    assert desk.order("buy", "11", "99")["error"]["code"] == "MARGIN_RATIO"
