"""What OKX writes: every amount is text, what there is none of is empty text, times are milliseconds as text."""

from __future__ import annotations

import zlib
from decimal import Decimal
from itertools import islice, zip_longest

from oms.simulator.config import SymbolConfig
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, CLIENT, FUTURES, SELL, SPOT, ZERO, Fill, Order
from oms.simulator.positions import Position
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
_CHECKSUM_LEVELS = 25


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


# Instruments


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


# Funds


def balance(exchange: Exchange, account: Account, assets: list[str] | None = None) -> dict[str, object]:
    """The trading account. `assets` are those to show; otherwise all that are not nought."""
    wallet = account.wallets["unified"]
    shown = [asset for asset, each in wallet.items() if each.total] if assets is None else assets
    now = ms(exchange.clock())
    details = [_asset(exchange, account, asset) for asset in shown]
    return {
        "adjEq": "",
        "availEq": "",
        "borrowFroz": "",
        "details": details,
        "imr": "",
        "isoEq": "0",
        "mgnRatio": "",
        "mmr": "",
        "notionalUsd": "",
        "ordFroz": "",
        "totalEq": "",
        "uTime": now,
        "upl": "",
    }


def _asset(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    held = account.balance("unified", asset)
    margin = exchange.margin(account, asset) if account.positions else None
    isolated = isolated_profit = profit = ZERO
    for position in account.positions.values():
        market = exchange.market(FUTURES, position.symbol)
        if market.config.settle == asset and position.quantity:
            unrealised = position.unrealised(market.mark_price)
            profit += unrealised
            if position.mode == "isolated":
                isolated += position.isolated_margin
                isolated_profit += unrealised
    available = max(ZERO, held.free if margin is None else min(held.free, margin.available))
    cash = held.total - isolated
    return {
        "accAvgPx": "",
        "availBal": num(available),
        "availEq": num(available),
        "borrowFroz": "0",
        "cashBal": num(cash),
        "ccy": asset,
        "crossLiab": "0",
        "disEq": "0",
        "eq": num(held.total + profit),
        "eqUsd": "",
        "fixedBal": "0",
        "frozenBal": num(held.total - available),
        "imr": "0" if margin is None else num(margin.position_margin + margin.order_margin),
        "interest": "0",
        "isoEq": num(isolated + isolated_profit),
        "isoLiab": "0",
        "isoUpl": num(isolated_profit),
        "liab": "0",
        "maxLoan": "",
        "mgnRatio": "",
        "mmr": "0" if margin is None else num(margin.maintenance),
        "notionalLever": "0",
        "ordFrozen": num(held.locked),
        "rewardBal": "0",
        "spotBal": "",
        "spotIsoBal": "0",
        "stgyEq": "0",
        "twap": "0",
        "uTime": ms(account.updated_ns),
        "upl": num(profit),
        "uplLiab": "0",
    }


def position(exchange: Exchange, account: Account, held: Position) -> dict[str, object]:
    market = exchange.market(FUTURES, held.symbol)
    isolated, mark = held.mode == "isolated", market.mark_price
    price = exchange.liquidation_price(account, held.symbol) if held.quantity else ZERO
    margin = exchange.initial_margin(account, held.symbol)
    entry = num(round(held.entry_price, 15)) if held.quantity else ""
    return {
        "adl": "1" if held.quantity else "",
        "availPos": num(held.quantity),
        "avgPx": entry,
        "baseBal": "",
        "bePx": entry,
        "cTime": ms(held.opened_ns),
        "ccy": market.config.settle,
        "closeOrderAlgo": [],
        "fee": "0",
        "fundingFee": "0",
        "idxPx": num(market.index_price),
        "imr": "" if isolated else num(round(margin, 15)),
        "instId": held.symbol,
        "instType": "SWAP",
        "interest": "",
        "last": num(market.last_price),
        "lever": str(held.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPx": num(price) if price else "",
        "margin": num(held.isolated_margin) if isolated else "",
        "markPx": num(mark),
        "mgnMode": held.mode,
        "mgnRatio": "",
        "mmr": num(round(abs(held.notional(mark)) * market.config.maintenance_rate, 15)),
        "notionalUsd": num(abs(held.notional(mark))),
        "optVal": "",
        "pnl": num(held.realised),
        "pos": num(held.quantity),
        "posCcy": "",
        "posId": position_id(account, held),
        "posSide": "net",
        "quoteBal": "",
        "realizedPnl": num(held.realised),
        "tradeId": "",
        "uTime": ms(held.updated_ns),
        "upl": num(held.unrealised(mark)) if held.quantity else "0",
        "uplRatio": "",
        "usdPx": "",
    }


def position_id(account: Account, held: Position) -> str:
    return str(ID_BASE + account.uid * 100_000 + zlib.crc32(f"{held.symbol} {held.mode}".encode()) % 100_000)


# Markets


def ticker(market: Market, now_ns: int) -> dict[str, object]:
    bid, ask = market.book.best(BUY), market.book.best(SELL)
    worth = num(market.quote_volume)
    return {
        "askPx": "" if ask is None else num(ask.price),
        "askSz": "" if ask is None else num(ask.quantity),
        "bidPx": "" if bid is None else num(bid.price),
        "bidSz": "" if bid is None else num(bid.quantity),
        "high24h": num(market.high),
        "instId": market.symbol,
        "instType": INST_TYPES[market.name],
        "last": num(market.last_price),
        "lastSz": num(market.trades[-1].quantity) if market.trades else "0",
        "low24h": num(market.low),
        "open24h": num(market.open_price),
        "sodUtc0": num(market.open_price),
        "sodUtc8": num(market.open_price),
        "ts": ms(now_ns),
        "vol24h": num(market.volume),
        "volCcy24h": worth,
    }


def levels(market: Market, side: str, most: int) -> list[list[str]]:
    return [
        [num(level.price), num(level.quantity), "0", str(len(level.orders))]
        for level in islice(market.book.levels(side), most)
    ]


def checksum(market: Market) -> int:
    """CRC32 over the best levels, bids and asks in turn, as a signed number."""
    parts: list[str] = []
    sides = (islice(market.book.levels(side), _CHECKSUM_LEVELS) for side in (BUY, SELL))
    for pair in zip_longest(*sides):
        parts += [f"{num(level.price)}:{num(level.quantity)}" for level in pair if level is not None]
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def public_trade(market: Market, trade: PublicTrade) -> dict[str, object]:
    return {
        "count": "1",
        "instId": market.symbol,
        "px": num(trade.price),
        "side": "sell" if trade.is_buyer_maker else "buy",
        "source": "0",
        "sz": num(trade.quantity),
        "tradeId": str(trade.trade_id),
        "ts": ms(trade.time_ns),
    }


def mark_price(market: Market, now_ns: int) -> dict[str, object]:
    return {
        "instId": market.symbol,
        "instType": INST_TYPES[market.name],
        "markPx": num(market.mark_price),
        "ts": ms(now_ns),
    }


def funding_rate(market: Market, now_ns: int) -> dict[str, object]:
    return {
        "formulaType": "withRate",
        "fundingRate": num(market.funding_rate),
        "fundingTime": ms(market.next_funding_ns),
        "impactValue": "",
        "instId": market.symbol,
        "instType": "SWAP",
        "interestRate": "",
        "maxFundingRate": "0.0075",
        "method": "current_period",
        "minFundingRate": "-0.0075",
        "nextFundingRate": "",
        "nextFundingTime": ms(market.next_funding_ns),
        "premium": "",
        "settFundingRate": num(market.funding_rate),
        "settState": "settled",
        "ts": ms(now_ns),
    }
