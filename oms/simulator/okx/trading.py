"""New orders, cancels and amends: from what OKX takes to the exchange, one order at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import attrs

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market
from oms.simulator.orders import FUTURES, SPOT, ZERO, Order, OrderRequest
from oms.simulator.reasons import Reason, Refusal

from . import payloads
from .errors import AMENDED_TO_MATCH, AMENDING, CANCELING, NO_INSTRUMENT, RowError, placing
from .state import MIXED_LEVELS, MODES, NET_MODE, SPOT_LEVEL, State, Told

Fields = Mapping[str, object]
Row = dict[str, object]

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}").fullmatch
_DIGITS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?").fullmatch
# ordType → type, time in force, post-only.
_ORDER_TYPES = {
    "limit": ("LIMIT", "GTC", False),
    "post_only": ("LIMIT", "GTC", True),
    "ioc": ("LIMIT", "IOC", False),
    "fok": ("LIMIT", "FOK", False),
    "market": ("MARKET", "GTC", False),
    "optimal_limit_ioc": ("MARKET", "GTC", False),
}


@attrs.define
class Amending:
    """The amend under way, if one is: what the private channel says of it."""

    req_id: str = ""
    active: bool = False


class Trading:
    """Orders of all accounts. Methods return OKX's row for one order, or raise `RowError`."""

    def __init__(self, exchange: Exchange, state: State) -> None:
        self._exchange = exchange
        self._state = state
        self._pending: Told | None = None
        self._by_code = {payloads.instrument_code(market): market for market in exchange.markets.values()}
        self.amending = Amending()

    def opened(self, order: Order) -> None:
        """The exchange tells of a new order before it returns it: keep what came with the one that is being placed."""
        if self._pending is not None and self._state.told(order) is None:
            self._state.tell(order, self._pending)

    def place(self, account: Account, fields: Fields) -> Row:
        """Place an order."""
        request, told = self._request(account, fields)
        self._take_mode(account, request, told)
        self._pending = told
        try:
            order = self._exchange.place(account, request)
        except Refusal as refusal:
            market = self._exchange.markets.get((request.market, request.symbol))
            raise placing(refusal, request, None if market is None else market.config) from None
        finally:
            self._pending = None
        return self._row(order, fields)

    def cancel(self, account: Account, fields: Fields) -> Row:
        """Cancel an order."""
        order = self._find(account, fields, CANCELING)
        try:
            self._exchange.cancel(account, order)
        except Refusal:
            raise RowError(*CANCELING) from None
        return self._row(order, fields)

    def amend(self, account: Account, fields: Fields) -> Row:
        """Amend an order in place."""
        order = self._find(account, fields, AMENDING)
        quantity, price = _amount(fields, "newSz"), _amount(fields, "newPx")
        if quantity is None and price is None:
            raise RowError(51500, "You must enter a price, quantity, or TP/SL")
        try:
            self._amend(account, order, quantity, price, str(fields.get("reqId") or ""))
        except RowError:
            if _flag(fields, "cxlOnFail") and order.is_open:
                self._exchange.cancel(account, order)
            raise
        return {**self._row(order, fields), "reqId": str(fields.get("reqId") or "")}

    def _amend(
        self, account: Account, order: Order, quantity: Decimal | None, price: Decimal | None, req_id: str
    ) -> None:
        market = self._exchange.market(order.market, order.symbol)
        if price is not None and order.post_only and market.book.crosses(order.side, price):
            raise RowError(*AMENDED_TO_MATCH)
        self.amending = Amending(req_id, active=True)
        try:
            self._exchange.amend(account, order, quantity=quantity, price=price)
        except Refusal as refusal:
            if refusal.reason is Reason.ORDER_CLOSED:
                raise RowError(*AMENDING) from None
            if refusal.reason is Reason.NOT_MODIFIED:
                return
            if refusal.reason is Reason.AMEND_QUANTITY:
                raise RowError(51000, "Parameter newSz error") from None
            request = OrderRequest(
                order.market,
                order.symbol,
                order.side,
                order.type,
                quantity or order.quantity,
                price=price or ZERO,
            )
            raise placing(refusal, request, market.config) from None
        finally:
            self.amending = Amending()

    def _find(self, account: Account, fields: Fields, absent: tuple[int, str]) -> Order:
        market = self._market_of(fields)
        order_id, client_id = fields.get("ordId"), fields.get("clOrdId")
        if not order_id and not client_id:
            raise RowError(51003, "Either client order ID or order ID is required.")
        number = payloads.parse_id(str(order_id)) if order_id else None
        if order_id and number is None:
            raise RowError(51000, "Parameter ordId error")
        try:
            # OKX goes by its own id when it has both.
            return self._exchange.find(account, *market.key, number, None if order_id else str(client_id))
        except Refusal:
            raise RowError(*absent) from None

    def _market_of(self, fields: Fields) -> Market:
        """Return the market of an instrument, which has a name and a number."""
        code = fields.get("instIdCode")
        if not fields.get("instId") and isinstance(code, int) and code in self._by_code:
            return self._by_code[code]
        symbol = _text(fields, "instId")
        for kind in (SPOT, FUTURES):
            if (kind, symbol) in self._exchange.markets:
                return self._exchange.markets[kind, symbol]
        raise RowError(*NO_INSTRUMENT)

    def _request(self, account: Account, fields: Fields) -> tuple[OrderRequest, Told]:
        market = self._market_of(fields)
        kind, symbol = market.key
        side, ord_type = _text(fields, "side"), _text(fields, "ordType")
        if side not in ("buy", "sell"):
            raise RowError(51000, "Parameter side error")
        if ord_type not in _ORDER_TYPES or (ord_type == "optimal_limit_ioc" and kind == SPOT):
            raise RowError(51000, "Parameter ordType error")
        order_type, good_for, post_only = _ORDER_TYPES[ord_type]
        client_id = str(fields.get("clOrdId") or "")
        if client_id and not _CLIENT_ID(client_id):
            raise RowError(51000, "Parameter clOrdId error")
        price = _amount(fields, "px")
        if order_type == "LIMIT" and price is None:
            raise RowError(51204, "The price for the limit order cannot be empty.")
        size = _amount(fields, "sz")
        if size is None:
            raise RowError(51000, "Parameter sz error")
        by_value = kind == SPOT and order_type == "MARKET" and _by_value(fields, side)
        request = OrderRequest(
            kind,
            symbol,
            side.upper(),
            order_type,
            ZERO if by_value else size,
            client_order_id=client_id or None,
            price=ZERO if order_type == "MARKET" or price is None else price,
            time_in_force=good_for,
            post_only=post_only,
            reduce_only=_flag(fields, "reduceOnly") and kind == FUTURES,
            quote_quantity=size if by_value else ZERO,
        )
        return request, Told(self._mode(account, kind, fields), ord_type, str(fields.get("tag") or ""))

    def _mode(self, account: Account, kind: str, fields: Fields) -> str:
        settings, mode = self._state.settings(account), _text(fields, "tdMode")
        if kind == SPOT:
            fitting = ("cross",) if settings.acct_lv in MIXED_LEVELS else ("cash",)
            if mode not in fitting:
                raise RowError(51000, "Parameter tdMode error")
            return mode
        if settings.acct_lv == SPOT_LEVEL:
            raise RowError(51010, "Request unsupported under current account mode")
        if mode not in MODES:
            raise RowError(51000, "Parameter tdMode error")
        if settings.pos_mode != NET_MODE or fields.get("posSide") not in (None, "", "net"):
            raise RowError(51000, "Parameter posSide error")
        return mode

    def _take_mode(self, account: Account, request: OrderRequest, told: Told) -> None:
        """Have the symbol's margin mode be the order's: here a position has one mode, not one for each."""
        if request.market == SPOT:
            return
        position = self._exchange.position(account, request.symbol)
        if position.mode == told.td_mode:
            return
        mode = "isolated" if told.td_mode == "isolated" else "cross"
        try:
            self._exchange.check(account, request)
            self._exchange.set_margin_mode(
                account, request.symbol, "isolated" if mode == "isolated" else "cross"
            )
        except Refusal as refusal:
            if refusal.reason in (Reason.POSITION_OPEN, Reason.ORDERS_OPEN):
                why = f"Parameter tdMode error (this simulator has no second position of {request.symbol})"
                raise RowError(51000, why) from None
            market = self._exchange.markets[request.market, request.symbol]
            raise placing(refusal, request, market.config) from None
        leverage = self._state.settings(account).leverages.get((request.symbol, mode))
        if leverage is not None:
            self._exchange.set_leverage(account, request.symbol, leverage)

    def _row(self, order: Order, fields: Fields) -> Row:
        return {
            "clOrdId": order.client_order_id or str(fields.get("clOrdId") or ""),
            "ordId": payloads.order_id(order),
            "sCode": "0",
            "sMsg": "",
            "tag": str(fields.get("tag") or ""),
            "ts": payloads.ms(self._exchange.clock()),
        }


def refused(error: RowError, fields: Fields, now_ns: int) -> Row:
    """OKX's row for an order that it refuses."""
    return {
        "clOrdId": str(fields.get("clOrdId") or ""),
        "ordId": str(fields.get("ordId") or ""),
        "sCode": error.code,
        "sMsg": error.message,
        "tag": str(fields.get("tag") or ""),
        "ts": payloads.ms(now_ns),
    }


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not value or not isinstance(value, str):
        raise RowError(51000, f"Parameter {name} error")
    return value


def _amount(fields: Fields, name: str) -> Decimal | None:
    """A positive amount as text (a number will do), None where there is none."""
    value = fields.get(name)
    if value in (None, ""):
        return None
    text = str(value)
    try:
        amount = Decimal(text) if _DIGITS(text) else ZERO
    except InvalidOperation:
        amount = ZERO
    if amount <= 0:
        raise RowError(51000, f"Parameter {name} error")
    return amount


def _flag(fields: Fields, name: str) -> bool:
    return fields.get(name) in (True, "true")


def _by_value(fields: Fields, side: str) -> bool:
    unit = fields.get("tgtCcy") or ("quote_ccy" if side == "buy" else "base_ccy")
    if unit not in ("base_ccy", "quote_ccy"):
        raise RowError(51000, "Parameter tgtCcy error")
    if unit == "quote_ccy" and side == "sell":
        raise RowError(51000, "Parameter tgtCcy error (this simulator sells no spot by value)")
    return unit == "quote_ccy"
