"""Operations that place, amend and cancel orders, and that change leverage, margin type and position mode."""

from __future__ import annotations

from decimal import Decimal

from oms.simulator.binance import errors as common
from oms.simulator.binance.params import Params
from oms.simulator.ledger import Account
from oms.simulator.markets import Market
from oms.simulator.orders import BUY, FUTURES, SELL, ZERO, Order, OrderRequest
from oms.simulator.reasons import Reason, Refusal

from . import errors, payloads
from .desk import Desk

_TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX")
_ALGO_TYPES = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
_STP_MODES = r"^(EXPIRE_TAKER|EXPIRE_BOTH|EXPIRE_MAKER|NONE)$"
_MODES = {"ISOLATED": "isolated", "CROSSED": "cross"}


def place(desk: Desk, account: Account, params: Params) -> object:
    request = _read_order(desk, account, params)
    params.finish()
    config = desk.exchange.market(FUTURES, request.symbol).config
    return payloads.order_answer(_place(desk, account, request), config)


def test(desk: Desk, account: Account, params: Params) -> object:
    """Check parameters and filters, and send nothing to the book."""
    request = _read_order(desk, account, params)
    params.finish()
    _check(desk, account, request)
    return {}


def _check(desk: Desk, account: Account, request: OrderRequest) -> Market:
    market = desk.exchange.market(FUTURES, request.symbol)
    try:
        return desk.exchange.check(account, request)
    except Refusal as refusal:
        raise errors.of_order(refusal, market.config, request.price, request.quantity) from None


def _place(desk: Desk, account: Account, request: OrderRequest) -> Order:
    market = _check(desk, account, request)
    # Neither is recorded as an order: they are refused like any other.
    if request.post_only and market.book.crosses(request.side, request.price):
        raise errors.would_take()
    if request.time_in_force == "FOK":
        limit = request.price or None
        if market.book.obtainable(request.side, request.quantity, limit)[0] < request.quantity:
            raise errors.fok_not_filled()
    return desk.exchange.place(account, request)


def amend(desk: Desk, account: Account, params: Params) -> object:
    """Change quantity and price of a limit order. What is filled already, or a post-only order that would match, ends it."""
    market, order = _find(desk, account, params)
    side = params.need("side")
    quantity, price = params.decimal("quantity"), params.decimal("price")
    params.text("positionSide", r"^(BOTH)$")
    params.text("modifyId")
    reduces = params.boolean("reduceOnly")
    params.finish()
    if quantity is None or price is None:
        raise common.missing("quantity" if quantity is None else "price")
    if side not in (BUY, SELL):
        raise common.bad_side()
    if not order.is_open or side != order.side:
        raise common.no_such_order()
    if order.type != "LIMIT":
        raise errors.only_limit_orders()
    if reduces and not order.reduce_only:
        raise common.ApiError(-5047, "The original order is not a reduce-only order.")
    if market.status != "TRADING":
        raise common.ApiError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
    try:
        desk.exchange.amend(account, order, quantity=quantity, price=price)
    except Refusal as refusal:
        if refusal.reason is not Reason.AMEND_QUANTITY or order.executed == ZERO:
            raise errors.of_order(refusal, market.config, price, quantity) from None
        desk.exchange.cancel(account, order)
    return payloads.order_answer(order, market.config)


def cancel(desk: Desk, account: Account, params: Params) -> object:
    try:
        market, order = _find(desk, account, params)
    except Refusal as refusal:
        if refusal.reason is Reason.NO_ORDER:
            raise common.unknown_order() from None
        raise
    params.finish()
    desk.exchange.cancel(account, order)
    return payloads.order_answer(order, market.config)


def cancel_all(desk: Desk, account: Account, params: Params) -> object:
    """Cancel all open orders of a symbol."""
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    params.finish()
    for order in list(account.open.values()):
        # Canceling one may end another.
        if order.is_open and (order.market, order.symbol) == market.key:
            desk.exchange.cancel(account, order)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def leverage(desk: Desk, account: Account, params: Params) -> object:
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    wanted = params.integer("leverage")
    params.finish()
    if wanted is None:
        raise common.missing("leverage")
    try:
        desk.exchange.set_leverage(account, market.symbol, wanted)
    except Refusal as refusal:
        raise errors.of_leverage(refusal) from None
    return {"leverage": wanted, "maxNotionalValue": "100000000", "symbol": market.symbol}


def margin_type(desk: Desk, account: Account, params: Params) -> object:
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    mode = _MODES[params.need("marginType", r"^(ISOLATED|CROSSED)$")]
    params.finish()
    try:
        changed = desk.exchange.set_margin_mode(
            account, market.symbol, "isolated" if mode == "isolated" else "cross"
        )
    except Refusal as refusal:
        raise errors.of_margin_mode(refusal) from None
    if not changed:
        raise errors.same_margin_mode()
    return {"code": 200, "msg": "success"}


def position_margin(desk: Desk, account: Account, params: Params) -> object:
    """Add to (type 1) or take from (type 2) an isolated position's margin."""
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    amount, kind = params.decimal("amount"), params.need("type", r"^[12]$")
    params.text("positionSide", r"^(BOTH)$")
    params.finish()
    if not amount:
        raise common.ApiError(-4055, "Amount must be positive.")
    try:
        desk.exchange.adjust_margin(account, market.symbol, amount if kind == "1" else -amount)
    except Refusal as refusal:
        raise errors.of_margin(refusal) from None
    return {
        "amount": payloads.money(amount),
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": int(kind),
    }


def position_mode(desk: Desk, account: Account, params: Params) -> object:
    """Switch between one-way and hedge mode; in the latter this simulator refuses orders."""
    hedge = params.need("dualSidePosition", r"^(true|false|TRUE|FALSE)$").lower() == "true"
    params.finish()
    if hedge == (account.name in desk.hedged):
        raise errors.same_position_mode()
    if any(order.market == FUTURES for order in account.open.values()):
        raise errors.position_mode_with_orders()
    if any(position.quantity for position in account.positions.values()):
        raise errors.position_mode_with_position()
    if hedge:
        desk.hedged.add(account.name)
    else:
        desk.hedged.discard(account.name)
    return {"code": 200, "msg": "success"}


def _find(desk: Desk, account: Account, params: Params) -> tuple[Market, Order]:
    symbol = params.need("symbol", common.SYMBOL_PATTERN)
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    return find(desk, account, symbol, order_id, client_id)


def find(
    desk: Desk, account: Account, symbol: str, order_id: int | None, client_id: str | None
) -> tuple[Market, Order]:
    """Return an order and its market; the order id prevails. Raises `ApiError` -1102 or `Refusal` NO_SYMBOL, NO_ORDER."""
    if order_id is None and client_id is None:
        raise common.missing_order_id()
    if order_id is not None:
        client_id = None
    elif client_id is not None:
        order_id = payloads.liquidation_id(client_id)
        client_id = None if order_id is not None else client_id
    market = desk.exchange.market(FUTURES, symbol)
    return market, desk.exchange.find(account, FUTURES, symbol, order_id, client_id)


def _read_order(desk: Desk, account: Account, params: Params) -> OrderRequest:
    symbol = params.need("symbol", common.SYMBOL_PATTERN)
    side = params.need("side")
    if side not in (BUY, SELL):
        raise common.bad_side()
    kind = params.need("type")
    if kind in _ALGO_TYPES:
        raise errors.use_algo_service()
    if kind not in ("LIMIT", "MARKET"):
        raise common.bad_order_type()
    position_side = params.text("positionSide", r"^(BOTH|LONG|SHORT)$") or "BOTH"
    if position_side != "BOTH" or account.name in desk.hedged:
        raise errors.wrong_position_side()
    time_in_force = _read_time_in_force(params, kind)
    quantity = params.decimal("quantity")
    if quantity is None:
        raise common.missing("quantity")
    price = _read_price(params, kind)
    client_id = params.text("newClientOrderId", errors.CLIENT_ID_PATTERN)
    params.text("newOrderRespType", r"^(ACK|RESULT)$")
    params.text("selfTradePreventionMode", _STP_MODES)
    params.text("workingType")
    params.text("priceProtect")
    return OrderRequest(
        FUTURES,
        symbol,
        side,
        kind,
        quantity,
        client_order_id=client_id,
        price=price,
        time_in_force="GTC" if time_in_force == "GTX" else time_in_force,
        post_only=time_in_force == "GTX",
        reduce_only=params.boolean("reduceOnly"),
    )


def _read_time_in_force(params: Params, kind: str) -> str:
    time_in_force = params.text("timeInForce")
    if kind == "MARKET":
        if time_in_force is not None:
            raise common.not_required("timeInForce")
        return "GTC"
    if time_in_force is None:
        raise common.missing("timeInForce")
    if time_in_force not in _TIMES_IN_FORCE:
        raise common.bad_time_in_force()
    return time_in_force


def _read_price(params: Params, kind: str) -> Decimal:
    price = params.decimal("price")
    if kind == "MARKET":
        if price is not None:
            raise common.not_required("price")
        return ZERO
    if price is None:
        raise common.missing("price")
    if price == ZERO:
        raise common.ApiError(-4001, "Price less than or equal to zero.")
    return price
