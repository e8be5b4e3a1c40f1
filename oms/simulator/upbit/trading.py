"""Orders: what their parameters mean, and the requests about them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market
from oms.simulator.orders import BUY, SELL, SPOT, ZERO, Order, OrderRequest
from oms.simulator.reasons import Refusal

from . import payloads
from .errors import ApiError, invalid, refused
from .params import Params

MAX_TOTAL = Decimal(1_000_000_000)
CLOSED_SPAN_MS = 7 * 86_400_000
OPEN_LIMIT = 100
CLOSED_LIMIT = 1_000
IDS_LIMIT = 100
CANCELS_LIMIT = 20
_SIDES = {"bid": BUY, "ask": SELL}
_FORCES = ("ioc", "fok", "post_only")


def read_request(params: Params, exchange: Exchange) -> OrderRequest:
    """The order that parameters ask for. Raises `ApiError`."""
    side = params.need("side")
    if side not in _SIDES:
        raise invalid("side is missing, side does not have a valid value")
    kind, force = params.need("ord_type"), params.get("time_in_force")
    price, volume = params.amount("price"), params.amount("volume")
    wrong = ApiError(400, f"create_{side}_error", "주문 요청 정보가 올바르지 않습니다.")
    # What each type has and does not have: price, volume.
    has = {
        ("limit", "bid"): (1, 1),
        ("limit", "ask"): (1, 1),
        ("price", "bid"): (1, 0),
        ("market", "ask"): (0, 1),
    }
    has |= {("best", "bid"): (1, 0), ("best", "ask"): (0, 1)}
    if (bool(price), bool(volume)) != has.get((kind, side)):
        raise wrong
    if force is not None and (force not in _FORCES or kind not in ("limit", "best")):
        raise wrong
    if kind == "best" and force not in ("ioc", "fok"):
        raise wrong
    if force == "post_only" and (kind != "limit" or params.get("smp_type") is not None):
        raise wrong
    if kind == "limit":
        total = price * volume
    else:
        total = price or volume * exchange.market(SPOT, params.need("market")).last_price
    if total > MAX_TOTAL:
        raise ApiError(400, f"over_max_total_{side}", "최대주문금액 이하로 주문해주세요.")
    by_cost = kind != "limit" and side == "bid"
    return OrderRequest(
        market=SPOT,
        symbol=params.need("market"),
        side=_SIDES[side],
        type="LIMIT" if kind == "limit" else "MARKET",
        quantity=volume,
        client_order_id=params.get("identifier"),
        price=price if kind == "limit" else ZERO,
        time_in_force=(force or "").upper() if force in ("ioc", "fok") and kind == "limit" else "GTC",
        post_only=force == "post_only",
        quote_quantity=price if by_cost else ZERO,
    )


class Trading:
    """The requests about orders. `cancel` ends an order, now or a little later."""

    def __init__(self, exchange: Exchange, cancel: Callable[[Account, Order], None]) -> None:
        self._exchange = exchange
        self._cancel = cancel

    def _show(self, order: Order) -> dict[str, object]:
        return payloads.order(self._exchange.market(SPOT, order.symbol), order)

    def place(self, account: Account, params: Params) -> tuple[int, object]:
        try:
            order = self._exchange.place(account, read_request(params, self._exchange))
        except Refusal as refusal:
            raise refused(refusal, params.get("side") or "bid") from None
        # The answer says that it was taken; what became of it is told by the stream and by asking.
        shown = self._show(order)
        if order.status != "NEW":
            shown |= payloads.untouched(order)
        return 201, shown

    def check(self, account: Account, params: Params) -> tuple[int, object]:
        """`orders/test`: an order that is only looked at."""
        try:
            request = read_request(params, self._exchange)
            self._exchange.check(account, request)
        except Refusal as refusal:
            raise refused(refusal, params.get("side") or "bid") from None
        return 201, {"market": request.symbol, "state": "wait", "identifier": request.client_order_id}

    def cancel_one(self, account: Account, params: Params) -> tuple[int, object]:
        order = self._find(account, params.get("uuid"), params.get("identifier"))
        if not order.is_open:
            raise not_found()
        self._cancel(account, order)
        return 200, self._show(order)

    def cancel_and_new(self, account: Account, params: Params) -> tuple[int, object]:
        order = self._find(account, params.get("prev_order_uuid"), params.get("prev_order_identifier"))
        if not order.is_open:
            raise not_found()
        wanted = {name.removeprefix("new_"): params.get(name) for name in _NEW_NAMES}
        if wanted["volume"] == "remain_only":
            wanted["volume"] = str(order.leaves)
        wanted |= {"market": order.symbol, "side": payloads.side(order.side)}
        new = Params([(name, value) for name, value in wanted.items() if value is not None], ())
        request = read_request(new, self._exchange)
        shown = self._show(order)
        try:
            self._exchange.check(account, request)
            self._exchange.cancel(account, order)
            made = self._exchange.place(account, request)
        except Refusal as refusal:
            raise refused(refusal, payloads.side(order.side)) from None
        more = {
            "new_order_uuid": payloads.order_uuid(made.order_id),
            "new_order_identifier": made.client_order_id,
        }
        return 201, {**shown, **more}

    def cancel_many(self, account: Account, params: Params) -> tuple[int, object]:
        """By ids: what can be canceled is, and which."""
        done: list[object] = []
        failed: list[object] = []
        names = [(uuid, None) for uuid in params.all("uuids")]
        for uuid, identifier in (names + [(None, each) for each in params.all("identifiers")])[
            :CANCELS_LIMIT
        ]:
            try:
                order = self._find(account, uuid, identifier)
            except ApiError:
                continue
            (done if order.is_open else failed).append({"uuid": uuid, "market": order.symbol})
            if order.is_open:
                self._cancel(account, order)
        return 200, _both(done, failed)

    def cancel_open(self, account: Account, params: Params) -> tuple[int, object]:
        """Every open order, of a side and of some pairs."""
        side, pairs = params.get("cancel_side") or "all", params.all("pairs")
        done: list[object] = []
        for order in list(account.open.values()):
            if side not in ("all", payloads.side(order.side)) or (pairs and order.symbol not in pairs):
                continue
            done.append({"uuid": payloads.order_uuid(order.order_id), "market": order.symbol})
            self._cancel(account, order)
        return 200, _both(done, [])

    # Looking

    def show(self, account: Account, params: Params) -> tuple[int, object]:
        order = self._find(account, params.get("uuid"), params.get("identifier"))
        return 200, payloads.order_with_trades(self._exchange.market(SPOT, order.symbol), order)

    def _find(self, account: Account, uuid: str | None, identifier: str | None) -> Order:
        if uuid is None and identifier is None:
            raise invalid("uuid or identifier is missing")
        try:
            if uuid is not None:
                return self._exchange.find(account, None, None, payloads.order_id(uuid))
            return self._exchange.find(account, None, None, client_order_id=identifier)
        except Refusal as refusal:
            raise refused(refusal) from None

    def by_ids(self, account: Account, params: Params) -> tuple[int, object]:
        found: list[object] = []
        names = [(uuid, None) for uuid in params.all("uuids")]
        for uuid, identifier in (names + [(None, each) for each in params.all("identifiers")])[:IDS_LIMIT]:
            try:
                found.append(self._show(self._find(account, uuid, identifier)))
            except ApiError:
                continue
        return 200, found

    def open(self, account: Account, params: Params) -> tuple[int, object]:
        states = params.all("states") or [params.get("state") or "wait"]
        # Nothing is reserved here: no order is ever in state watch.
        orders = [order for order in account.open.values() if "wait" in states]
        return 200, self._page(orders, params, OPEN_LIMIT, OPEN_LIMIT)

    def closed(self, account: Account, params: Params) -> tuple[int, object]:
        """By when they were made, of a week at most."""
        states = params.all("states") or [params.get("state") or ""]
        start, end = _time(params, "start_time"), _time(params, "end_time")
        now = payloads.ms(self._exchange.clock())
        if end is None:
            end = now if start is None else start + CLOSED_SPAN_MS
        if start is None:
            start = end - CLOSED_SPAN_MS
        if end - start > CLOSED_SPAN_MS:
            raise invalid("the time range is at most 7 days")
        orders = [
            order
            for order in account.all_orders()
            if not order.is_open
            and start <= payloads.ms(order.created_ns) <= end
            and (states == [""] or payloads.STATES[order.status] in states)
        ]
        return 200, self._page(orders, params, OPEN_LIMIT, CLOSED_LIMIT)

    def listed(self, account: Account, params: Params) -> tuple[int, object]:
        """The older list of both kinds."""
        states = params.all("states") or [params.get("state") or "wait"]
        orders = [order for order in account.all_orders() if payloads.STATES[order.status] in states]
        return 200, self._page(orders, params, OPEN_LIMIT, OPEN_LIMIT)

    def _page(self, orders: list[Order], params: Params, default: int, most: int) -> list[dict[str, object]]:
        market, limit = params.get("market"), params.integer("limit", default, most)
        found = [order for order in orders if market in (None, order.symbol)]
        found.sort(key=lambda order: order.order_id, reverse=params.get("order_by") != "asc")
        first = (params.integer("page", 1, 10**6) - 1) * limit
        return [self._show(order) for order in found[first : first + limit]]

    def chance(self, account: Account, params: Params) -> tuple[int, object]:
        market = self._market(params.need("market"))
        return 200, payloads.chance(market, account, self._exchange.rules.wallets[SPOT])

    def _market(self, symbol: str) -> Market:
        try:
            return self._exchange.market(SPOT, symbol)
        except Refusal as refusal:
            raise refused(refusal) from None


_NEW_NAMES = ("new_ord_type", "new_price", "new_volume", "new_identifier", "new_time_in_force")


def not_found() -> ApiError:
    return ApiError(404, "order_not_found", "주문을 찾지 못했습니다.")


def _both(done: list[object], failed: list[object]) -> dict[str, object]:
    return {
        "success": {"count": len(done), "orders": done},
        "failed": {"count": len(failed), "orders": failed},
    }


def _time(params: Params, name: str) -> int | None:
    """A time in milliseconds, or as ISO 8601 with its offset; in milliseconds."""
    text = params.get(name)
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        return payloads.milliseconds(text)
    except ValueError:
        raise invalid(f"{name} does not have a valid value") from None
