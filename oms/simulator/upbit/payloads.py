"""What Upbit says of markets, orders and balances. REST writes amounts as text, the streams as doubles."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import zip_longest

from oms.simulator.ledger import Account, Balance
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, SELL, ZERO, Fill, Order, OrderUpdate

KST = timezone(timedelta(hours=9))
UNITS = 30
STATES = {
    "NEW": "wait",
    "PARTIALLY_FILLED": "wait",
    "FILLED": "done",
    "CANCELED": "cancel",
    "EXPIRED": "cancel",
}
_ORDER_PREFIX = "cdd92199-2897-4e14-9448-"


def amount(value: Decimal) -> str:
    """An amount as REST writes it: whole ones with a `.0`."""
    text = format(value.normalize(), "f")
    return text if "." in text else f"{text}.0"


def number(value: Decimal) -> float:
    """An amount as the streams and quotations write it: a double, whatever that makes of it."""
    return float(value)


def ms(time_ns: int) -> int:
    return time_ns // 1_000_000


def moment(time_ns: int) -> str:
    """A time as REST writes it: Korean time, to the second."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, KST).isoformat()


def milliseconds(text: str) -> int:
    """Undo :func:`moment`, for any offset. Raises `ValueError`."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time needs its offset, was {text}")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


# Identifiers: the exchange counts, Upbit has UUIDs.


def order_uuid(order_id: int) -> str:
    return f"{_ORDER_PREFIX}{order_id:012x}"


def order_id(uuid: str) -> int:
    """The order that a UUID names; 0, which is no order's, for a UUID that is not of an order here."""
    tail = uuid.removeprefix(_ORDER_PREFIX)
    try:
        return int(tail, 16) if len(tail) == 12 else 0
    except ValueError:
        return 0


def trade_uuid(symbol: str, trade_id: int) -> str:
    return f"{zlib.crc32(symbol.encode()):08x}-fba4-4175-ade3-{trade_id:012x}"


def sequential_id(trade: PublicTrade) -> int:
    """The number of a public trade: its millisecond, and its place among the trades."""
    return ms(trade.time_ns) * 10_000 + trade.trade_id % 10_000


# Orders


def side(order_side: str) -> str:
    return "bid" if order_side == BUY else "ask"


def order_type(order: Order) -> str:
    if order.is_limit:
        return "limit"
    return "price" if order.side == BUY else "market"


def _fees(market: Market, order: Order) -> tuple[Decimal, Decimal]:
    """What is set aside for fees: for all of a buy, and for what is left of it."""
    if order.side != BUY or not order.price:
        return ZERO, ZERO
    rate = max(market.config.maker_fee, market.config.taker_fee)
    left = order.leaves if order.is_open else ZERO
    return order.price * order.quantity * rate, order.price * left * rate


def _paid(order: Order) -> Decimal:
    return sum((fill.commission for fill in order.fills), ZERO)


def _force(order: Order) -> str | None:
    if order.post_only:
        return "post_only"
    return order.time_in_force.lower() if order.is_limit and order.time_in_force != "GTC" else None


def order(market: Market, found: Order) -> dict[str, object]:
    """An order as REST shows it in lists and answers."""
    reserved, remaining = _fees(market, found)
    price = found.price if found.is_limit else found.quote_quantity
    by_cost = bool(found.quote_quantity)
    shown: dict[str, object] = {
        "uuid": order_uuid(found.order_id),
        "side": side(found.side),
        "ord_type": order_type(found),
        "price": amount(price) if price else None,
        "state": STATES[found.status],
        "market": found.symbol,
        "created_at": moment(found.created_ns),
        "volume": None if by_cost else amount(found.quantity),
        "remaining_volume": None if by_cost else amount(found.leaves),
        "prevented_volume": "0",
        "reserved_fee": amount(reserved),
        "remaining_fee": amount(remaining),
        "paid_fee": amount(_paid(found)),
        "locked": amount(found.locked),
        "prevented_locked": "0",
        "executed_volume": amount(found.executed),
        "executed_funds": amount(found.executed_quote),
        "trades_count": len(found.fills),
    }
    force = _force(found)
    if force is not None:
        shown["time_in_force"] = force
    if found.client_order_id:
        shown["identifier"] = found.client_order_id
    return shown


def untouched(found: Order) -> dict[str, object]:
    """An order as it was when it was taken: what the answer to a new one shows, whatever became of it at once."""
    return {
        "state": "wait",
        "remaining_volume": None if found.quote_quantity else amount(found.quantity),
        "paid_fee": "0.0",
        "executed_volume": "0.0",
        "executed_funds": "0.0",
        "trades_count": 0,
    }


def order_with_trades(market: Market, found: Order) -> dict[str, object]:
    """An order as REST shows it when it is asked for by itself."""
    return {**order(market, found), "trades": [_trade(fill) for fill in reversed(found.fills)]}


def _trade(fill: Fill) -> dict[str, object]:
    return {
        "market": fill.symbol,
        "uuid": trade_uuid(fill.symbol, fill.trade_id),
        "price": amount(fill.price),
        "volume": amount(fill.quantity),
        "funds": amount(fill.quote),
        "trend": "up" if fill.is_buyer is not fill.is_maker else "down",
        "created_at": moment(fill.time_ns),
        "side": side(BUY if fill.is_buyer else SELL),
    }


def my_order(market: Market, update: OrderUpdate, state: str, fill: Fill | None) -> dict[str, object]:
    """A `myOrder` event. In state `trade` price and volume are the trade's."""
    found = update.order
    reserved, remaining = _fees(market, found)
    price = found.price if found.is_limit else found.quote_quantity
    average = found.executed_quote / found.executed if found.executed else ZERO
    return {
        "type": "myOrder",
        "code": found.symbol,
        "uuid": order_uuid(found.order_id),
        "ask_bid": side(found.side).upper(),
        "order_type": order_type(found),
        "state": state,
        "trade_uuid": None if fill is None else trade_uuid(fill.symbol, fill.trade_id),
        "price": number(price if fill is None else fill.price),
        "avg_price": number(average),
        "volume": number(found.quantity if fill is None else fill.quantity),
        "remaining_volume": number(ZERO if found.quote_quantity else found.leaves),
        "executed_volume": number(found.executed),
        "trades_count": len(found.fills),
        "reserved_fee": number(reserved),
        "remaining_fee": number(remaining),
        "paid_fee": number(_paid(found)),
        "locked": number(found.locked),
        "executed_funds": number(found.executed_quote),
        "time_in_force": _force(found),
        "trade_fee": None if fill is None else number(fill.commission),
        "is_maker": None if fill is None else fill.is_maker,
        "identifier": found.client_order_id or None,
        "smp_type": None,
        "prevented_volume": 0.0,
        "prevented_locked": 0.0,
        "trade_timestamp": None if fill is None else ms(fill.time_ns),
        "order_timestamp": ms(found.created_ns),
        "timestamp": ms(update.time_ns),
        "stream_type": "REALTIME",
    }


# Funds


def account_row(asset: str, balance: Balance) -> dict[str, object]:
    return {
        "currency": asset,
        "balance": amount(balance.free),
        "locked": amount(balance.locked),
        "avg_buy_price": "0",
        "avg_buy_price_modified": True,
        "unit_currency": "KRW",
    }


def my_asset(account: Account, assets: Mapping[str, Balance], time_ns: int, count: int) -> dict[str, object]:
    """A `myAsset` event."""
    return {
        "type": "myAsset",
        "asset_uuid": f"e635f223-1609-4969-{account.uid:04x}-{count:012x}",
        "assets": [
            {"currency": asset, "balance": number(balance.free), "locked": number(balance.locked)}
            for asset, balance in assets.items()
        ],
        "asset_timestamp": ms(time_ns),
        "timestamp": ms(time_ns),
        "stream_type": "REALTIME",
    }


def chance(market: Market, account: Account, wallet: str) -> dict[str, object]:
    """What an account may order in a market, and what that costs."""
    config = market.config
    least = amount(config.min_notional)

    def holds(asset: str) -> dict[str, object]:
        return account_row(asset, account.wallets[wallet].get(asset, Balance()))

    return {
        "bid_fee": str(config.taker_fee),
        "ask_fee": str(config.taker_fee),
        "maker_bid_fee": str(config.maker_fee),
        "maker_ask_fee": str(config.maker_fee),
        "market": {
            "id": market.symbol,
            "name": f"{config.base}/{config.quote}",
            "order_types": ["limit"],
            "order_sides": ["ask", "bid"],
            "bid_types": ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "price"],
            "ask_types": ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "market"],
            "bid": {"currency": config.quote, "min_total": least},
            "ask": {"currency": config.base, "min_total": least},
            "max_total": "1000000000",
            "state": "active" if market.status == "TRADING" else "suspended",
        },
        "bid_account": holds(config.quote),
        "ask_account": holds(config.base),
    }


# Markets


def market_row(market: Market, details: bool) -> dict[str, object]:
    config = market.config
    row: dict[str, object] = {
        "market": config.symbol,
        "korean_name": config.base,
        "english_name": config.base,
    }
    if details:
        cautions = ("PRICE_FLUCTUATIONS", "TRADING_VOLUME_SOARING", "DEPOSIT_AMOUNT_SOARING")
        row["market_event"] = {"warning": False, "caution": dict.fromkeys(cautions, False)}
    return row


def instrument(market: Market) -> dict[str, object]:
    config = market.config
    return {
        "market": config.symbol,
        "quote_currency": config.quote,
        "tick_size": format(config.tick_at(market.last_price), "f"),
        "supported_levels": ["0"],
    }


def orderbook(market: Market, now_ns: int, units: int = UNITS) -> dict[str, object]:
    """The book without what calls it: levels of both sides in pairs, the shorter one filled with zeros."""
    nothing = (ZERO, ZERO)
    sides = [
        [
            (level.price, level.quantity)
            for level, _ in zip(market.book.levels(each), range(units), strict=False)
        ]
        for each in (SELL, BUY)
    ]
    pairs = list(zip_longest(*sides, fillvalue=nothing))
    return {
        "timestamp": ms(now_ns),
        "total_ask_size": number(sum((quantity for _, quantity in sides[0]), ZERO)),
        "total_bid_size": number(sum((quantity for _, quantity in sides[1]), ZERO)),
        "orderbook_units": [
            {
                "ask_price": number(ask[0]),
                "bid_price": number(bid[0]),
                "ask_size": number(ask[1]),
                "bid_size": number(bid[1]),
            }
            for ask, bid in pairs
        ],
        "level": 0,
    }


def trade(market: Market, found: PublicTrade) -> dict[str, object]:
    """A public trade without what calls it."""
    at = datetime.fromtimestamp(found.time_ns // 1_000_000_000, UTC)
    change = found.price - market.open_price
    return {
        "trade_price": number(found.price),
        "trade_volume": number(found.quantity),
        "ask_bid": "ASK" if found.is_buyer_maker else "BID",
        "prev_closing_price": number(market.open_price),
        "change": "RISE" if change > 0 else "FALL" if change < 0 else "EVEN",
        "change_price": number(abs(change)),
        "sequential_id": sequential_id(found),
        "timestamp": ms(found.time_ns),
        "_date": at.date().isoformat(),
        "_time": at.time().isoformat(),
    }


def ticker(market: Market, now_ns: int) -> dict[str, object]:
    """The last day of a market, which here runs since the start, without what calls it."""
    change = market.last_price - market.open_price
    rate = change / market.open_price
    last = market.trades[-1] if market.trades else None
    traded_ns = now_ns if last is None else last.time_ns
    at = datetime.fromtimestamp(traded_ns // 1_000_000_000, UTC)
    return {
        "trade_date": at.strftime("%Y%m%d"),
        "trade_time": at.strftime("%H%M%S"),
        "trade_timestamp": ms(traded_ns),
        "opening_price": number(market.open_price),
        "high_price": number(market.high),
        "low_price": number(market.low),
        "trade_price": number(market.last_price),
        "prev_closing_price": number(market.open_price),
        "change": "RISE" if change > 0 else "FALL" if change < 0 else "EVEN",
        "change_price": number(abs(change)),
        "change_rate": number(abs(rate)),
        "signed_change_price": number(change),
        "signed_change_rate": number(rate),
        "trade_volume": number(ZERO if last is None else last.quantity),
        "acc_trade_price": number(market.quote_volume),
        "acc_trade_price_24h": number(market.quote_volume),
        "acc_trade_volume": number(market.volume),
        "acc_trade_volume_24h": number(market.volume),
        "highest_52_week_price": number(market.high),
        "highest_52_week_date": at.date().isoformat(),
        "lowest_52_week_price": number(market.low),
        "lowest_52_week_date": at.date().isoformat(),
        "timestamp": ms(now_ns),
    }
