"""What an account may ask about itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from oms.simulator.config import SymbolConfig
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import FUTURES, Fill, Order
from oms.simulator.positions import MarginMode

from . import payloads
from .errors import ApiError, bad_param
from .pages import Place, page, window
from .params import CATEGORIES, Params

RECENT_CLOSED = 500
WALLETS = {"UNIFIED": "unified", "FUND": "funding"}
MODES: dict[MarginMode, str] = {"cross": "REGULAR_MARGIN", "isolated": "ISOLATED_MARGIN"}

T = TypeVar("T")


def realtime(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/order/realtime`: open orders, or the recently closed ones; by id either."""
    category = params.category()
    orders = _of(exchange, account, category, params)
    if not _by_id(params):
        if category == "linear" and not any(name in params for name in ("symbol", "baseCoin", "settleCoin")):
            raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
        if params.integer("openOnly", 0):
            orders = [order for order in orders if not order.is_open][-RECENT_CLOSED:]
        else:
            orders = [order for order in orders if order.is_open]
    return _orders(category, orders, params)


def history(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/order/history`: closed orders by when they were made; by id whenever that was."""
    category = params.category()
    orders = [order for order in _of(exchange, account, category, params) if not order.is_open]
    if not _by_id(params):
        start, end = window(params, exchange.clock())
        orders = [order for order in orders if start <= order.created_ns <= end]
    return _orders(category, orders, params)


def executions(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/execution/list`: trades and, of perpetuals, funding; the newest first."""
    category, by_id = params.category(), _by_id(params)
    market = CATEGORIES[category]
    if by_id:
        # Ids count before everything else, and everything else is ignored.
        orders = _of(exchange, account, category, params)
        found: list[tuple[Order | None, Fill]] = [(order, fill) for order in orders for fill in order.fills]
        start, end = 0, exchange.clock()
    else:
        symbol = params.text("symbol") or None
        fills = exchange.fills(account, market, symbol)
        found = [(account.find(None, fill.order_id), fill) for fill in fills]
        start, end = window(params, exchange.clock())
    rows: list[tuple[Place, dict[str, object]]] = [
        ((fill.time_ns, fill.trade_id * 2 + fill.is_buyer), payloads.execution_row(order, fill))
        for order, fill in found
        if start <= fill.time_ns <= end and _fits(exchange.market(market, fill.symbol).config, params, by_id)
    ]
    if market == FUTURES and not by_id:
        rows += [
            ((payment.time_ns, payment.payment_id), payloads.funding_row(payment))
            for payment in account.funding_payments
            if start <= payment.time_ns <= end
            and params.text("symbol") in ("", payment.symbol)
            and _fits(exchange.market(market, payment.symbol).config, params, by_id)
        ]
    wanted = params.text("execType")
    rows = [each for each in rows if wanted in ("", each[1]["execType"])]
    part, cursor = page(rows, params, most=100, default=50)
    return {"category": category, "list": part, "nextPageCursor": cursor}


def _by_id(params: Params) -> bool:
    return "orderId" in params or "orderLinkId" in params


def _fits(config: SymbolConfig, params: Params, by_id: bool) -> bool:
    if by_id or "symbol" in params:
        return True
    return params.text("baseCoin") in ("", config.base) and params.text("settleCoin") in ("", config.settle)


def _of(exchange: Exchange, account: Account, category: str, params: Params) -> list[Order]:
    """Return the orders that are asked for, oldest first. Ids count before the symbol."""
    market = CATEGORIES[category]
    if _by_id(params):
        text = params.text("orderId")
        number = payloads.parse_order_id(market, text) or 0 if text else None
        order = account.find(None, number, None if text else params.client_id())
        return [order] if order is not None and order.market == market else []
    symbol = params.text("symbol")
    return [
        order
        for order in account.all_orders()
        if order.market == market
        and symbol in ("", order.symbol)
        and _fits(exchange.markets[order.market, order.symbol].config, params, False)
    ]


def _orders(category: str, orders: list[Order], params: Params) -> dict[str, object]:
    rows = [((order.order_id, 0), order) for order in orders]
    part, cursor = page(rows, params, most=50, default=20)
    return {
        "category": category,
        "list": [payloads.order_row(order) for order in part],
        "nextPageCursor": cursor,
    }


def positions(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/position/list`: that of one symbol even when it is flat, or all that are open."""
    if params.category() != "linear":
        raise bad_param("category")
    symbol = params.text("symbol")
    if symbol:
        if (FUTURES, symbol) not in exchange.markets:
            raise bad_param("symbol")
        found = [exchange.position(account, symbol)]
    elif "settleCoin" in params:
        found = [
            position
            for position in account.positions.values()
            if position.quantity
            and exchange.market(FUTURES, position.symbol).config.settle == params.text("settleCoin")
        ]
    else:
        raise ApiError(10001, "params error: symbol or settleCoin is required")
    numbers = {symbol: number for number, (_, symbol) in enumerate(sorted(exchange.markets))}
    rows = [((numbers[position.symbol], 0), position) for position in found]
    part, cursor = page(rows, params, most=200, default=20)
    return {
        "category": "linear",
        "list": [payloads.position_row(exchange, account, position) for position in part],
        "nextPageCursor": cursor,
    }


def wallet_balance(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/account/wallet-balance`"""
    if params.need("accountType") != "UNIFIED":
        raise ApiError(10001, "accountType only support UNIFIED.")
    row = payloads.wallet_row(exchange, account)
    wanted = set(filter(None, params.text("coin").split(",")))
    if wanted:
        row["coin"] = [coin for coin in _coins(row) if coin["coin"] in wanted]
    return {"list": [row]}


def _coins(row: dict[str, object]) -> Iterator[dict[str, object]]:
    coins = row["coin"]
    assert isinstance(coins, list)
    yield from coins


def account_info(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/account/info`"""
    return {
        "unifiedMarginStatus": 5,
        "marginMode": MODES[margin_mode(account)],
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "updatedTime": payloads.ms(account.updated_ns),
    }


def margin_mode(account: Account) -> MarginMode:
    """The account's mode: all its positions have the same."""
    return next((position.mode for position in account.positions.values()), "cross")


def fee_rate(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/account/fee-rate`"""
    market, symbol = CATEGORIES[params.category()], params.text("symbol")
    return {
        "category": params.category(),
        "list": [
            {
                "symbol": found.symbol,
                "takerFeeRate": payloads.amount(found.config.taker_fee),
                "makerFeeRate": payloads.amount(found.config.maker_fee),
            }
            for found in exchange.markets.values()
            if found.name == market and symbol in ("", found.symbol)
        ],
    }


def transaction_log(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/account/transaction-log`: funding alone is simulated."""
    if params.text("accountType", "UNIFIED") != "UNIFIED":
        raise bad_param("accountType")
    if params.need("type") != "SETTLEMENT":
        raise ApiError(10001, "params error: types other than SETTLEMENT are not simulated")
    start, end = window(params, exchange.clock())
    rows = [
        ((payment.time_ns, payment.payment_id), payloads.log_row(payment))
        for payment in account.funding_payments
        if start <= payment.time_ns <= end
        and params.text("category") in ("", "linear")
        and params.text("currency") in ("", payment.asset)
    ]
    part, cursor = page(rows, params, most=50, default=20)
    return {"list": part, "nextPageCursor": cursor}


def coin_balances(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/asset/transfer/query-account-coins-balance`"""
    kind = params.choice("accountType", WALLETS)
    wanted = set(filter(None, params.text("coin").split(",")))
    return {
        "accountType": kind,
        "memberId": account.venue_id,
        "balance": [
            {
                "coin": asset,
                "transferBalance": payloads.amount(exchange.withdrawable(account, WALLETS[kind], asset)),
                "walletBalance": payloads.amount(balance.total),
                "bonus": "",
            }
            for asset, balance in sorted(account.wallets[WALLETS[kind]].items())
            if not wanted or asset in wanted
        ],
    }


def api_key(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`GET /v5/user/query-api`"""
    return {
        "id": account.venue_id,
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer"],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2099-01-01T00:00:00Z",
        "createdAt": "2024-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": int(account.venue_id),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": account.main,
        "parentUid": "0" if account.main else exchange.accounts[exchange.config.main].venue_id,
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }
