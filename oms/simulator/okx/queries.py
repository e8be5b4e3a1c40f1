"""What accounts ask for: orders, trades, bills, funds, positions and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Transfer
from oms.simulator.orders import FUTURES, ZERO, Order
from oms.simulator.reasons import Refusal

from . import payloads
from .errors import ApiError, missing, no_order, parameter, setting_leverage, transferring
from .state import LONG_SHORT_MODE, MODES, NET_MODE, Bill, State
from .trading import Trading

Query = Mapping[str, str]
Rows = list[dict[str, object]]
T = TypeVar("T")

ROWS_MAX = 100
NS_PER_MS = 1_000_000
HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
# How far back each history goes; orders that were canceled without a fill are gone sooner.
WEEK_NS, FILLS_NS, ARCHIVE_NS, UNFILLED_NS = 7 * DAY_NS, 3 * DAY_NS, 90 * DAY_NS, 2 * HOUR_NS

WALLETS = {"6": "funding", "18": "unified"}


class Queries:
    """Answers with the `data` of OKX's answers."""

    def __init__(self, exchange: Exchange, state: State, trading: Trading) -> None:
        self._exchange = exchange
        self._state = state
        self._trading = trading

    # Orders

    def order(self, account: Account, query: Query) -> Rows:
        symbol = _need(query, "instId")
        if not query.get("ordId") and not query.get("clOrdId"):
            raise ApiError(51003, "Either client order ID or order ID is required.")
        number = payloads.parse_id(query["ordId"]) if query.get("ordId") else None
        client_id = None if query.get("ordId") else query["clOrdId"]
        if query.get("ordId") and number is None:
            raise parameter("ordId")
        kinds = [kind for kind, known in self._exchange.markets if known == symbol]
        if not kinds:
            raise ApiError(51001, "Instrument ID, Instrument ID code or Spread ID doesn't exist.")
        try:
            found = self._exchange.find(account, kinds[0], symbol, number, client_id)
        except Refusal:
            raise no_order() from None
        if self._is_gone(found):
            raise no_order()
        return [self.show(found)]

    def pending(self, account: Account, query: Query) -> Rows:
        orders = [order for order in account.open.values() if _fits(order, query)]
        return [self.show(order) for order in _page(reversed(orders), payloads.order_id, query)]

    def history(self, account: Account, query: Query) -> Rows:
        return self._history(account, query, WEEK_NS)

    def archive(self, account: Account, query: Query) -> Rows:
        return self._history(account, query, ARCHIVE_NS)

    def _history(self, account: Account, query: Query, back_ns: int) -> Rows:
        _market(_need(query, "instType"))
        oldest = self._exchange.clock() - back_ns
        orders = [
            order
            for order in account.all_orders()
            if not order.is_open
            and _fits(order, query)
            and order.updated_ns >= oldest
            and not self._is_gone(order)
        ]
        newest = sorted(orders, key=lambda order: -order.order_id)
        return [
            self.show(order)
            for order in _page(
                _between(newest, query, lambda order: order.created_ns), payloads.order_id, query
            )
        ]

    def _is_gone(self, order: Order) -> bool:
        ended = not order.is_open and not order.executed
        return ended and order.updated_ns < self._exchange.clock() - UNFILLED_NS

    def show(self, order: Order) -> dict[str, object]:
        config = self._exchange.market(order.market, order.symbol).config
        return payloads.order(order, self._state, config)

    # Trades and bills

    def fills(self, account: Account, query: Query) -> Rows:
        return self._fills(account, query, FILLS_NS)

    def fills_history(self, account: Account, query: Query) -> Rows:
        _need(query, "instType")
        return self._fills(account, query, ARCHIVE_NS)

    def _fills(self, account: Account, query: Query, back_ns: int) -> Rows:
        bills = [
            bill
            for bill in self._since(account, back_ns)
            if bill.fill is not None and bill.order is not None and _fits(bill.order, query)
        ]
        if query.get("ordId"):
            bills = [bill for bill in bills if bill.fill and payloads.order_id(bill.fill) == query["ordId"]]
        return self._bill_page(bills, query, payloads.fill)

    def bills(self, account: Account, query: Query) -> Rows:
        return self._bills(account, query, WEEK_NS)

    def bills_archive(self, account: Account, query: Query) -> Rows:
        return self._bills(account, query, ARCHIVE_NS)

    def _bills(self, account: Account, query: Query, back_ns: int) -> Rows:
        wanted = {
            "type": "type",
            "subType": "subType",
            "ccy": "ccy",
            "instId": "instId",
            "instType": "instType",
        }
        bills = [
            bill
            for bill in self._since(account, back_ns)
            if all(payloads.bill(bill)[key] == query[name] for name, key in wanted.items() if query.get(name))
        ]
        return self._bill_page(bills, query, payloads.bill)

    def _since(self, account: Account, back_ns: int) -> list[Bill]:
        oldest = self._exchange.clock() - back_ns
        return [bill for bill in self._state.bills(account) if bill.time_ns >= oldest]

    @staticmethod
    def _bill_page(bills: list[Bill], query: Query, show: Callable[[Bill], dict[str, object]]) -> Rows:
        inside = _between(bills, query, lambda bill: bill.time_ns)
        return [show(bill) for bill in _page(inside, payloads.bill_id, query)]

    # Funds

    def balance(self, account: Account, query: Query) -> Rows:
        assets = query["ccy"].split(",") if query.get("ccy") else None
        if assets is not None and not set(assets) <= set(self._exchange.assets):
            raise ApiError(51012, "Token doesn't exist.")
        return [payloads.balance(self._exchange, account, assets)]

    def funding_balances(self, account: Account, query: Query) -> Rows:
        return [
            {
                "availBal": payloads.num(held.free),
                "bal": payloads.num(held.total),
                "ccy": asset,
                "frozenBal": "0",
            }
            for asset, held in account.wallets["funding"].items()
            if held.total and query.get("ccy", asset) == asset
        ]

    def currencies(self, account: Account, query: Query) -> Rows:
        return [
            {
                "canDep": True,
                "canInternal": True,
                "canWd": True,
                "ccy": asset,
                "chain": f"{asset}-{asset}",
                "ctAddr": "",
                "depQuotaFixed": "",
                "fee": "0.1",
                "mainNet": True,
                "maxFee": "0.1",
                "maxWd": "1000000",
                "minDep": "0.0001",
                "minFee": "0.1",
                "minWd": "1",
                "name": asset,
                "needTag": False,
                "wdTickSz": "8",
            }
            for asset in self._exchange.assets
        ]

    def transfer(self, account: Account, fields: Mapping[str, object]) -> Rows:
        asset, source, target = (str(fields.get(name) or "") for name in ("ccy", "from", "to"))
        try:
            amount = Decimal(str(fields.get("amt") or "0"))
        except ArithmeticError:
            raise parameter("amt") from None
        if source == target:
            raise ApiError(58123, "The From parameter cannot be the same as the To parameter.")
        try:
            made = self._exchange.transfer(
                account, asset, amount, WALLETS.get(source, source), WALLETS.get(target, target)
            )
        except Refusal as refusal:
            raise transferring(refusal) from None
        return [_transfer(made, str(fields.get("clientId") or ""))]

    def transfer_state(self, account: Account, query: Query) -> Rows:
        for made in account.transfers:
            if str(payloads.ID_BASE + made.transfer_id) == query.get("transId"):
                return [{**_transfer(made, ""), "state": "success", "type": "0", "subAcct": "", "instId": ""}]
        raise parameter("transId")

    # Positions and settings

    def positions(self, account: Account, query: Query) -> Rows:
        if query.get("instType") not in (None, "", "SWAP"):
            return []
        wanted = query["instId"].split(",") if query.get("instId") else None
        return [
            payloads.position(self._exchange, account, held)
            for held in account.positions.values()
            if held.quantity and (wanted is None or held.symbol in wanted)
        ]

    def config(self, account: Account, query: Query) -> Rows:
        settings = self._state.settings(account)
        return [
            {
                "acctLv": settings.acct_lv,
                "acctStpMode": "cancel_maker",
                "autoLoan": False,
                "ctIsoMode": "automatic",
                "enableSpotBorrow": False,
                "feeType": "0",
                "greeksType": "PA",
                "ip": "",
                "kycLv": "3",
                "label": account.name,
                "level": "Lv1",
                "levelTmp": "",
                "mainUid": payloads.uid(account),
                "mgnIsoMode": "automatic",
                "opAuth": "0",
                "perm": "read_only,trade",
                "posMode": settings.pos_mode,
                "roleType": "0",
                "spotOffsetType": "",
                "type": "0",
                "uid": payloads.uid(account),
            }
        ]

    def set_position_mode(self, account: Account, fields: Mapping[str, object]) -> Rows:
        mode = str(fields.get("posMode") or "")
        if mode not in (NET_MODE, LONG_SHORT_MODE):
            raise parameter("posMode")
        if any(held.quantity for held in account.positions.values()) or account.open:
            raise ApiError(
                59000, "Settings failed. Close any open positions or orders before modifying settings."
            )
        self._state.settings(account).pos_mode = mode
        return [{"posMode": mode}]

    def set_account_level(self, account: Account, fields: Mapping[str, object]) -> Rows:
        level = str(fields.get("acctLv") or "")
        if level not in ("1", "2", "3", "4"):
            raise parameter("acctLv")
        if any(held.quantity for held in account.positions.values()) or account.open:
            raise ApiError(
                59000, "Settings failed. Close any open positions or orders before modifying settings."
            )
        self._state.settings(account).acct_lv = level
        return [{"acctLv": level}]

    def leverage(self, account: Account, query: Query) -> Rows:
        mode = _mode(query.get("mgnMode"))
        return [
            _leverage(symbol, mode, self._leverage(account, symbol, mode))
            for symbol in _need(query, "instId").split(",")
        ]

    def set_leverage(self, account: Account, fields: Mapping[str, object]) -> Rows:
        mode = _mode(fields.get("mgnMode"))
        symbol, text = str(fields.get("instId") or ""), str(fields.get("lever") or "")
        if not text:
            raise missing("lever")
        try:
            wanted = Decimal(text)
        except ArithmeticError:
            raise parameter("lever") from None
        if wanted != wanted.to_integral_value():
            raise parameter("lever")
        leverage = int(wanted)
        try:
            market = self._exchange.market(FUTURES, symbol)
            if not 1 <= leverage <= market.config.max_leverage:
                raise ApiError(59102, "Leverage exceeds the maximum limit. Please lower the leverage.")
            if self._exchange.position(account, symbol).mode == mode:
                self._exchange.set_leverage(account, symbol, leverage)
        except Refusal as refusal:
            raise setting_leverage(refusal) from None
        self._state.settings(account).leverages[symbol, mode] = leverage
        return [_leverage(symbol, mode, leverage)]

    def _leverage(self, account: Account, symbol: str, mode: str) -> int:
        try:
            market = self._exchange.market(FUTURES, symbol)
        except Refusal as refusal:
            raise setting_leverage(refusal) from None
        position = self._exchange.position(account, symbol)
        if position.mode == mode:
            return position.leverage
        return self._state.settings(account).leverages.get((symbol, mode), market.config.leverage)

    def adjust_margin(self, account: Account, fields: Mapping[str, object]) -> Rows:
        symbol, kind = str(fields.get("instId") or ""), str(fields.get("type") or "")
        try:
            amount = Decimal(str(fields.get("amt") or "0"))
        except ArithmeticError:
            raise parameter("amt") from None
        if kind not in ("add", "reduce"):
            raise parameter("type")
        try:
            self._exchange.adjust_margin(account, symbol, amount if kind == "add" else -amount)
        except Refusal as refusal:
            raise ApiError(59301, f"Margin adjustment failed ({refusal.message}).") from None
        return [{"amt": payloads.num(amount), "ccy": "", "instId": symbol, "posSide": "net", "type": kind}]

    def fees(self, account: Account, query: Query) -> Rows:
        kind = _market(_need(query, "instType"))
        config = next((each for each in self._exchange.config.symbols if each.market == kind), None)
        maker = ZERO if config is None else -config.maker_fee
        taker = ZERO if config is None else -config.taker_fee
        return [
            {
                "category": "1",
                "instType": query["instType"],
                "level": "Lv1",
                "maker": payloads.num(maker),
                "makerU": payloads.num(maker),
                "taker": payloads.num(taker),
                "takerU": payloads.num(taker),
                "ts": payloads.ms(self._exchange.clock()),
            }
        ]

    def close_position(self, account: Account, fields: Mapping[str, object]) -> Rows:
        symbol, mode = str(fields.get("instId") or ""), _mode(fields.get("mgnMode"))
        held = account.positions.get(symbol)
        if held is None or not held.quantity or held.mode != mode:
            raise ApiError(51023, "Position doesn't exist.")
        order = {
            "instId": symbol,
            "tdMode": mode,
            "side": "sell" if held.quantity > 0 else "buy",
            "ordType": "market",
            "sz": payloads.num(abs(held.quantity)),
            "reduceOnly": "true",
            "clOrdId": fields.get("clOrdId") or "",
        }
        self._trading.place(account, order)
        return [{"clOrdId": order["clOrdId"], "instId": symbol, "posSide": "net", "tag": ""}]


def _leverage(symbol: str, mode: str, leverage: int) -> dict[str, object]:
    return {"ccy": "", "instId": symbol, "lever": str(leverage), "mgnMode": mode, "posSide": "net"}


def _transfer(made: Transfer, client_id: str) -> dict[str, object]:
    codes = {name: code for code, name in WALLETS.items()}
    return {
        "amt": payloads.num(made.amount),
        "ccy": made.asset,
        "clientId": client_id,
        "from": codes[made.source],
        "to": codes[made.target],
        "transId": str(payloads.ID_BASE + made.transfer_id),
    }


def _need(query: Query, name: str) -> str:
    value = query.get(name)
    if not value:
        raise missing(name)
    return value


def _mode(value: object) -> str:
    if value not in MODES:
        raise parameter("mgnMode")
    return str(value)


def _market(inst_type: str) -> str:
    if inst_type not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
        raise parameter("instType")
    return payloads.MARKETS.get(inst_type, "")


def _fits(order: Order, query: Query) -> bool:
    kind = query.get("instType")
    if kind and _market(kind) != order.market:
        return False
    return query.get("instId") in (None, "", order.symbol)


def _between(rows: Iterable[T], query: Query, time_of: Callable[[T], int]) -> list[T]:
    """Rows whose time in milliseconds is from `begin` to `end`."""
    begin, end = (_number(query, name) for name in ("begin", "end"))
    return [
        row
        for row in rows
        if (begin is None or time_of(row) // NS_PER_MS >= begin)
        and (end is None or time_of(row) // NS_PER_MS <= end)
    ]


def _page(rows: Iterable[T], id_of: Callable[[T], str], query: Query) -> list[T]:
    """Of rows newest first: those older than `after`, newer than `before`, at most `limit`."""
    after, before = (_number(query, name) for name in ("after", "before"))
    limit = _number(query, "limit")
    if limit is not None and not 1 <= limit <= ROWS_MAX:
        raise parameter("limit")
    found = [
        row
        for row in rows
        if (after is None or int(id_of(row)) < after) and (before is None or int(id_of(row)) > before)
    ]
    # Towards the newer ones the nearest are told, still newest first.
    most = limit or ROWS_MAX
    return found[-most:] if before is not None and after is None else found[:most]


def _number(query: Query, name: str) -> int | None:
    value = query.get(name)
    if not value:
        return None
    if not value.isdecimal():
        raise parameter(name)
    return int(value)
