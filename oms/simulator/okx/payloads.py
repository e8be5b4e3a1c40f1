"""What OKX writes: every amount is text, what there is none of is empty text, times are milliseconds as text."""

from __future__ import annotations

import zlib
from decimal import Decimal

from oms.simulator.config import SymbolConfig
from oms.simulator.ledger import Account
from oms.simulator.markets import Market
from oms.simulator.orders import BUY, CLIENT, FUTURES, SPOT, ZERO, Fill, Order
from oms.simulator.reasons import Reason

from .state import Bill, State

# Ids of orders and bills are long at OKX: they do not fit a float.
ID_BASE = 2_500_000_000_000_000_000
UID_BASE = 447_058_923_436_190_000

INST_TYPES = {SPOT: "SPOT", FUTURES: "SWAP"}
MARKETS = {"SPOT": SPOT, "SWAP": FUTURES}

_STATES = {
    "NEW": "live",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "canceled",
    "REJECTED": "canceled",
}
_CANCEL_SOURCES = {
    None: ("1", "Order canceled by user"),
    Reason.NO_LIQUIDITY: (
        "14",
        "Order canceled: IOC order was partially canceled due to incompletely filled.",
    ),
    Reason.WOULD_MATCH: ("31", "The post-only order will take liquidity in taker orders"),
    Reason.REDUCE_ONLY: (
        "17",
        "Order canceled: Close order was canceled, due to the position was already closed.",
    ),
    Reason.LIQUIDATION: ("3", "Order canceled: Risk cancellation was triggered."),
}
_FOK_SOURCE = ("13", "Order canceled: FOK order was canceled due to incompletely filled.")
_CATEGORIES = {CLIENT: "normal", "liquidation": "full_liquidation", "adl": "adl"}


def num(value: Decimal) -> str:
    """Digits alone, and no more of them than needed."""
    text = format(value or ZERO, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def ms(time_ns: int) -> str:
    return str(time_ns // 1_000_000)


def order_id(order: Order | Fill) -> str:
    return str(ID_BASE + order.order_id)


def parse_id(text: str) -> int | None:
    """Return the number of an order or bill, None when it is none of OKX's."""
    return int(text) - ID_BASE if text.isdecimal() else None


def bill_id(bill: Bill) -> str:
    return str(ID_BASE + bill.bill_id)


def uid(account: Account) -> str:
    return str(UID_BASE + account.uid)


def trade_id(fill: Fill) -> str:
    """A liquidation's trades have negative ids."""
    return str(fill.trade_id if fill.origin == CLIENT else -fill.trade_id)


def instrument_code(market: Market) -> int:
    """The number that stands for an instrument's name in orders over WebSockets."""
    return zlib.crc32(market.symbol.encode()) % 100_000


def instrument(market: Market) -> dict[str, object]:
    config = market.config
    swap = config.market == FUTURES
    family = f"{config.base}-{config.quote}"
    most = num(config.max_quantity)
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "" if swap else config.base,
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "1" if swap else "",
        "ctType": ("linear" if config.settle == config.quote else "inverse") if swap else "",
        "ctVal": num(config.contract_size) if swap else "",
        "ctValCcy": config.base if swap else "",
        "expTime": "",
        "futureSettlement": False,
        "instFamily": family if swap else "",
        "instId": config.symbol,
        "instIdCode": instrument_code(market),
        "instType": INST_TYPES[config.market],
        "lever": str(config.max_leverage) if swap else "10",
        "listTime": "1548133413000",
        "lotSz": num(config.step),
        "maxIcebergSz": most,
        "maxLmtAmt": "20000000",
        "maxLmtSz": most,
        "maxMktAmt": "" if swap else "1000000",
        "maxMktSz": most if swap else "1000000",
        "maxStopSz": most if swap else "1000000",
        "maxTriggerSz": most,
        "maxTwapSz": most,
        "minSz": num(config.min_quantity),
        "openType": "",
        "optType": "",
        "quoteCcy": "" if swap else config.quote,
        "ruleType": "normal",
        "settleCcy": config.settle if swap else "",
        "state": "live" if market.status == "TRADING" else "suspend",
        "stk": "",
        "tickSz": num(config.tick),
        "tradeQuoteCcyList": [] if swap else [config.quote],
        "uly": family if swap else "",
    }


# Orders and trades


def order(order: Order, state: State, config: SymbolConfig) -> dict[str, object]:
    """An order as REST tells it."""
    told = state.told(order)
    swap = order.market == FUTURES
    last = order.fills[-1] if order.fills else None
    source, reason = _cancel_source(order)
    fee_asset = config.settle if swap else config.base if order.side == BUY else config.quote
    paid = sum((fill.commission for fill in order.fills), ZERO)
    return {
        "accFillSz": num(order.executed),
        "algoClOrdId": "",
        "algoId": "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "avgPx": _average(order, config),
        "cTime": ms(order.created_ns),
        "cancelSource": source,
        "cancelSourceReason": reason,
        "category": _CATEGORIES[order.origin],
        "ccy": "",
        "clOrdId": order.client_order_id if order.origin == CLIENT else "",
        "fee": num(-paid),
        "feeCcy": fee_asset,
        "fillPx": "" if last is None else num(last.price),
        "fillSz": "0" if last is None else num(last.quantity),
        "fillTime": "" if last is None else ms(last.time_ns),
        "instId": order.symbol,
        "instType": INST_TYPES[order.market],
        "isTpLimit": "false",
        "lever": "",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order_id(order),
        "ordType": _order_type(order) if told is None else told.ord_type,
        "pnl": num(sum((fill.realised for fill in order.fills), ZERO)),
        "posSide": "net",
        "px": num(order.price) if order.is_limit else "",
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": config.quote if fee_asset == config.base else config.base,
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.lower(),
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "",
        "state": _STATES[order.status],
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": num(order.quote_quantity or order.quantity),
        "tag": "" if told is None else told.tag,
        "tdMode": ("cross" if swap else "cash") if told is None else told.td_mode,
        "tgtCcy": _target(order),
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": "" if last is None else trade_id(last),
        "tradeQuoteCcy": "" if swap else config.quote,
        "uTime": ms(order.updated_ns),
    }


def order_change(
    row: dict[str, object], fill: Fill | None, *, req_id: str = "", amended_by: str = ""
) -> dict[str, object]:
    """An order as the private channel tells it; `row` is what REST tells. A liquidation's fill has no trade id there.

    `amended_by` is OKX's source of an amend, if this tells of one.
    """
    shown = (
        {}
        if fill is None
        else {
            "execType": "M" if fill.is_maker else "T",
            "fillFee": num(-fill.commission),
            "fillFeeCcy": fill.commission_asset,
            "fillPnl": num(fill.realised),
            "fillPx": num(fill.price),
            "fillSz": num(fill.quantity),
            "fillTime": ms(fill.time_ns),
            "tradeId": trade_id(fill) if fill.origin == CLIENT else "0",
        }
    )
    return {
        **row,
        "amendResult": "0" if amended_by == "1" else "",
        "amendSource": amended_by,
        "code": "0",
        "execType": "",
        "fillFee": "0",
        "fillFeeCcy": "",
        "fillNotionalUsd": "",
        "fillPnl": "0",
        "fillPx": "",
        "fillSz": "0",
        "fillTime": "",
        "lastPx": "",
        "msg": "",
        "notionalUsd": "",
        "reqId": req_id,
        "tradeId": "",
        **shown,
    }


def _order_type(order: Order) -> str:
    if order.type == "MARKET":
        return "market"
    if order.post_only:
        return "post_only"
    return {"IOC": "ioc", "FOK": "fok"}.get(order.time_in_force, "limit")


def _target(order: Order) -> str:
    if order.market == FUTURES or order.type != "MARKET":
        return ""
    return "quote_ccy" if order.quote_quantity else "base_ccy"


def _cancel_source(order: Order) -> tuple[str, str]:
    if order.status not in ("CANCELED", "EXPIRED"):
        return "", ""
    if order.reason is Reason.NO_LIQUIDITY and order.time_in_force == "FOK":
        return _FOK_SOURCE
    return _CANCEL_SOURCES.get(order.reason, ("0", "Order canceled by system"))


def _average(order: Order, config: SymbolConfig) -> str:
    if not order.executed:
        return ""
    return num(round(order.executed_quote / (order.executed * config.contract_size), 15))


def fill(bill: Bill) -> dict[str, object]:
    """A trade as `fills` tells it."""
    made, order = bill.fill, bill.order
    assert made is not None, "a bill of a trade"
    assert order is not None, "a bill of a trade"
    return {
        "billId": bill_id(bill),
        "clOrdId": order.client_order_id if order.origin == CLIENT else "",
        "execType": "M" if made.is_maker else "T",
        "fee": num(-made.commission),
        "feeCcy": made.commission_asset,
        "feeRate": "",
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": num(made.realised),
        "fillPx": num(made.price),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": num(made.quantity),
        "fillTime": ms(made.time_ns),
        "instId": made.symbol,
        "instType": INST_TYPES[made.market],
        "ordId": order_id(made),
        "posSide": "net",
        "side": "buy" if made.is_buyer else "sell",
        "subType": bill.sub_kind,
        "tag": "",
        "tradeId": trade_id(made),
        "tradeQuoteCcy": "",
        "ts": ms(made.time_ns),
    }


def bill(bill: Bill) -> dict[str, object]:
    """An entry of the bills. Funding of an isolated position moves its margin."""
    made, payment = bill.fill, bill.payment
    isolated = bill.mode == "isolated"
    about = made or payment
    return {
        "bal": "",
        "balChg": "0" if isolated else num(Decimal(bill.balance)),
        "billId": bill_id(bill),
        "ccy": bill.asset,
        "clOrdId": "" if bill.order is None else bill.order.client_order_id,
        "execType": "" if made is None else "M" if made.is_maker else "T",
        "fee": "0" if made is None else num(-made.commission),
        "fillTime": "" if made is None else ms(made.time_ns),
        "from": "",
        "instId": "" if about is None else about.symbol,
        "instType": "" if about is None else "SWAP" if made is None else INST_TYPES[made.market],
        "interest": "0",
        "mgnMode": bill.mode,
        "notes": "",
        "ordId": "" if made is None else order_id(made),
        "pnl": num(made.realised)
        if made is not None
        else num(payment.amount)
        if payment is not None
        else "0",
        "posBal": "0",
        "posBalChg": num(Decimal(bill.balance)) if isolated else "0",
        "px": num(made.price) if made is not None else num(payment.mark_price) if payment is not None else "",
        "subType": bill.sub_kind,
        "sz": num(made.quantity)
        if made is not None
        else num(abs(payment.quantity))
        if payment is not None
        else "0",
        "tag": "",
        "to": "",
        "tradeId": "" if made is None else trade_id(made),
        "ts": ms(bill.time_ns),
        "type": bill.kind,
    }
