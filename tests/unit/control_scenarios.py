"""Scenarios of risk controls, as data: one row a case, money spelled out. They read as the specification of the controls.

Everything happens on main's BTCUSDT on binance spot, at a mark of 50,000 USDT, a USDT being 1 USD. Every other control is off.
"""

from typing import Any, NamedTuple


class Case(NamedTuple):
    """One case.

    Args:
        about: the control, and what the row shows.
        limits: scope → control → value.
        before: orders that were placed before, and what was filled of each: (terms, filled quantity).
        order: what is placed; a limit buy of 1 at 50,000 but for what is said.
        code: what it is denied with; None when it is let through.
    """

    about: str
    limits: dict[str, dict[str, str]]
    order: dict[str, Any]
    code: str | None
    before: tuple[tuple[dict[str, Any], str], ...] = ()


GLOBAL = "global"
ACCOUNT = "account:main"
STRATEGY = "strategy:arb"
INSTRUMENT = "instrument:binance.spot.BTCUSDT"
SELL = {"side": "sell"}
LONG = ({}, "1")
"""One was bought before, at 50,000."""
WORKS: tuple[dict[str, Any], str] = ({}, "0")
"""A buy of 1 works."""

CASES = (
    Case("order quantity: below", {GLOBAL: {"max_order_quantity": "1"}}, {"quantity": "0.999"}, None),
    Case("order quantity: at", {GLOBAL: {"max_order_quantity": "1"}}, {"quantity": "1"}, None),
    Case("order quantity: above", {GLOBAL: {"max_order_quantity": "1"}}, {"quantity": "1.001"}, "MAX_ORDER_QUANTITY"),
    Case("order quantity: the tightest scope wins", {GLOBAL: {"max_order_quantity": "9"}, INSTRUMENT: {"max_order_quantity": "1"}}, {"quantity": "2"}, "MAX_ORDER_QUANTITY"),
    Case("order quantity: zero lets nothing through", {ACCOUNT: {"max_order_quantity": "0"}}, {"quantity": "0.001"}, "MAX_ORDER_QUANTITY"),
    Case("order value: a buy of 1 at 49,999 is 49,999 USD", {GLOBAL: {"max_order_value": "50000"}}, {"price": "49999"}, None),
    Case("order value: at 50,000 USD", {GLOBAL: {"max_order_value": "50000"}}, {}, None),
    Case("order value: a cent above", {GLOBAL: {"max_order_value": "50000"}}, {"price": "50000.01"}, "MAX_ORDER_VALUE"),
    Case("order value: a sell trades at its price or better, so at the mark here", {GLOBAL: {"max_order_value": "49999"}}, {**SELL, "price": "40000"}, "MAX_ORDER_VALUE"),
    Case("order value: a market order is worth the mark", {GLOBAL: {"max_order_value": "49999"}}, {"type": "market", "price": None}, "MAX_ORDER_VALUE"),
    Case("order value: of the account", {ACCOUNT: {"max_order_value": "10"}}, {}, "MAX_ORDER_VALUE"),
    Case("price collar: 5 % below the mark", {GLOBAL: {"price_collar": "0.05"}}, {"price": "47500"}, None),
    Case("price collar: further below", {GLOBAL: {"price_collar": "0.05"}}, {"price": "47499.99"}, "PRICE_COLLAR"),
    Case("price collar: 5 % above", {GLOBAL: {"price_collar": "0.05"}}, {"price": "52500"}, None),
    Case("price collar: further above", {GLOBAL: {"price_collar": "0.05"}}, {"price": "52500.01"}, "PRICE_COLLAR"),
    Case("price collar: a market order has no price", {GLOBAL: {"price_collar": "0.05"}}, {"type": "market", "price": None}, None),
    Case("period collar: as the price collar, by the mark as the period began", {GLOBAL: {"period_collar": "0.1"}}, {"price": "55000.01"}, "PERIOD_COLLAR"),
    Case("period collar: at", {GLOBAL: {"period_collar": "0.1"}}, {"price": "55000"}, None),
    Case("duplicate: the same order again", {GLOBAL: {"duplicate_window": "1s"}}, {}, "DUPLICATE_ORDER", (WORKS,)),
    Case("duplicate: another price", {GLOBAL: {"duplicate_window": "1s"}}, {"price": "50000.01"}, None, (WORKS,)),
    Case("duplicate: another side", {GLOBAL: {"duplicate_window": "1s"}}, SELL, None, (WORKS,)),
    Case("duplicate: 500 ns ago, window of 1 ms, commands are 1 us apart", {GLOBAL: {"duplicate_window": "1ms"}}, {}, "DUPLICATE_ORDER", (WORKS,)),
    Case("restricted instrument", {INSTRUMENT: {"restricted": "on"}}, {}, "RESTRICTED"),
    Case("restricted: another instrument is not", {"instrument:binance.spot.ETHUSDT": {"restricted": "on"}}, {}, None),
    Case("reduce only: what opens", {ACCOUNT: {"reduce_only": "on"}}, {}, "REDUCE_ONLY_MODE"),
    Case("reduce only: a sell of what is held", {ACCOUNT: {"reduce_only": "on"}}, SELL, None, (LONG,)),
    Case("reduce only: a sell of more than is held", {ACCOUNT: {"reduce_only": "on"}}, {**SELL, "quantity": "1.001"}, "REDUCE_ONLY_MODE", (LONG,)),
    Case("reduce only: what works on that side already counts", {ACCOUNT: {"reduce_only": "on"}}, {**SELL, "quantity": "0.6"}, "REDUCE_ONLY_MODE", (LONG, ({**SELL, "quantity": "0.5"}, "0"))),
    Case("position: 1 held and 1 more is 100,000 USD", {GLOBAL: {"max_position": "100000"}}, {}, None, (LONG,)),
    Case("position: a satoshi above", {GLOBAL: {"max_position": "100000"}}, {"quantity": "1.001"}, "MAX_POSITION", (LONG,)),
    Case("position: working orders count", {ACCOUNT: {"max_position": "99999"}}, {}, "MAX_POSITION", (WORKS,)),
    Case("position: the other side of what works does not add up", {ACCOUNT: {"max_position": "50000"}}, SELL, None, (WORKS,)),
    Case("position: what brings it nearer to zero is never refused", {ACCOUNT: {"max_position": "1"}}, SELL, None, (LONG,)),
    Case("position: short counts as long", {ACCOUNT: {"max_position": "49999"}}, SELL, "MAX_POSITION"),
    Case("position: of the strategy, by its own trades", {STRATEGY: {"max_position": "50000"}}, {"strategy": "arb"}, None, (({"strategy": ""}, "1"),)),
    Case("position: of the strategy, above", {STRATEGY: {"max_position": "49999"}}, {"strategy": "arb"}, "MAX_POSITION", (LONG,)),
    Case("position: of each strategy", {"strategy:*": {"max_position": "49999"}}, {"strategy": "arb"}, "MAX_POSITION"),
    Case("position: orders without a strategy are one", {"strategy:*": {"max_position": "49999"}}, {}, "MAX_POSITION"),
    Case("inventory: at 1 BTC", {STRATEGY: {"max_inventory": "BTC=1"}}, {"strategy": "arb"}, None),
    Case("inventory: above 1 BTC", {STRATEGY: {"max_inventory": "BTC=1"}}, {"strategy": "arb", "quantity": "1.001"}, "MAX_INVENTORY"),
    Case("inventory: of another asset", {ACCOUNT: {"max_inventory": "ETH=0"}}, {}, None),
    Case("exposure: 50,000 held and 50,000 working", {GLOBAL: {"max_exposure": "150000"}}, {}, None, (LONG, WORKS)),
    Case("exposure: above", {GLOBAL: {"max_exposure": "149999.99"}}, {}, "MAX_EXPOSURE", (LONG, WORKS)),
    Case("exposure: of the exchange", {"exchange:binance": {"max_exposure": "1"}}, {}, "MAX_EXPOSURE"),
    Case("exposure: of the account", {ACCOUNT: {"max_exposure": "1"}}, {}, "MAX_EXPOSURE"),
    Case("exposure: of the strategy", {STRATEGY: {"max_exposure": "1"}}, {"strategy": "arb"}, "MAX_EXPOSURE"),
    Case("exposure: of the instrument", {INSTRUMENT: {"max_exposure": "1"}}, {}, "MAX_EXPOSURE"),
    Case("open orders: one of one", {ACCOUNT: {"max_open_orders": "1"}}, {}, None),
    Case("open orders: two of one", {ACCOUNT: {"max_open_orders": "1"}}, {}, "MAX_OPEN_ORDERS", (WORKS,)),
    Case("open orders: what is filled is not open", {ACCOUNT: {"max_open_orders": "1"}}, {}, None, (LONG,)),
    Case("messages: the second of two within a second", {ACCOUNT: {"max_messages": "2"}}, {}, None, (WORKS,)),
    Case("messages: the third of two", {ACCOUNT: {"max_messages": "2"}}, {}, "MAX_MESSAGES", (WORKS, WORKS)),
    Case("executions: the second of one a minute", {STRATEGY: {"max_executions": "1"}}, {"strategy": "arb"}, "MAX_EXECUTIONS", (({"strategy": "arb"}, "1"),)),
    Case("executions: an order that trades twice is one", {ACCOUNT: {"max_executions": "2"}}, {}, None, (LONG,)),
    Case("kill switch engaged by nobody's limits: off stays off", {GLOBAL: {"kill_on": "off"}}, {}, None),
    Case("unassigned strategy", {GLOBAL: {"unassigned_strategies": "deny"}}, {"strategy": "mm"}, "STRATEGY_UNASSIGNED"),
    Case("unassigned: an order of no strategy is by hand", {GLOBAL: {"unassigned_strategies": "deny"}}, {}, None),
)  # fmt: skip
