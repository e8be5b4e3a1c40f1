"""Leverage and margin mode."""

from __future__ import annotations

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import FUTURES
from oms.simulator.reasons import Refusal

from .errors import ApiError, bad_param, of
from .params import Params
from .queries import MODES, margin_mode


def set_leverage(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/position/set-leverage`: whole numbers alone are simulated."""
    if params.category() != "linear":
        raise bad_param("category")
    buy, sell = params.amount("buyLeverage"), params.amount("sellLeverage")
    if buy != sell or buy < 1 or buy % 1:
        raise ApiError(10001, "buy leverage invalid")
    try:
        changed = exchange.set_leverage(account, params.need("symbol"), int(buy))
    except Refusal as refusal:
        raise of(refusal, "linear") from None
    if not changed:
        raise ApiError(110043, "Set leverage not modified")
    return {}


def set_margin_mode(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/account/set-margin-mode`: for the whole account, while it has no positions and no orders."""
    names = {name: mode for mode, name in MODES.items()}
    name = params.need("setMarginMode")
    if name not in names:
        raise bad_param("setMarginMode")
    mode = names[name]
    if margin_mode(account) == mode:
        return {"reasons": []}
    busy = any(position.quantity for position in account.positions.values())
    busy = busy or any(order.market == FUTURES for order in account.open.values())
    if busy:
        reason = {
            "reasonCode": "3400101",
            "reasonMsg": "Please ensure that there are no positions and orders.",
        }
        raise ApiError(3400045, "Set margin mode failed", result={"reasons": [reason]})
    for market, symbol in exchange.markets:
        if market == FUTURES:
            exchange.set_margin_mode(account, symbol, mode)
    return {"reasons": []}
