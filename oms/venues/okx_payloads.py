"""From OKX's payloads, of REST and of the private channels, to what adapters speak of. Exact: from the venue's own strings."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from oms.messages.commands import InstrumentSpec
from oms.messages.desk import TransferState
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues.adapter import (
    State,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.notation import at_ms, named, optional, plain

Raw = Mapping[str, Any]

SPOT: Final = "SPOT"
MARGIN: Final = "MARGIN"
SWAP: Final = "SWAP"

# fmt: off
STATES: Final = {
    "live": State.WORKING, "partially_filled": State.WORKING, "filled": State.FILLED,
    "canceled": State.CANCELED, "mmp_canceled": State.CANCELED,
}

TRANSFER_STATES: Final = {
    "success": TransferState.DONE, "pending": TransferState.PENDING, "failed": TransferState.REJECTED,
}

TYPES: Final = {
    "limit": (OrderType.LIMIT, TimeInForce.GTC), "post_only": (OrderType.LIMIT, TimeInForce.GTC),
    "ioc": (OrderType.LIMIT, TimeInForce.IOC), "fok": (OrderType.LIMIT, TimeInForce.FOK),
    "market": (OrderType.MARKET, TimeInForce.IOC), "optimal_limit_ioc": (OrderType.MARKET, TimeInForce.IOC),
}
"""``ordType`` → type and time in force. Other kinds, from the exchange's app, are told by whether they have a price."""

CANCEL_SOURCES: Final = {
    "0": "by the system", "1": "by the user", "2": "reduce-only: not enough margin", "3": "liquidation is near",
    "4": "borrowing cap", "6": "auto-deleveraging", "7": "delivery", "9": "not enough balance after funding",
    "10": "option expiry", "13": "not filled whole", "14": "what is left of an IOC", "15": "price beyond the limit",
    "17": "the position is closed", "20": "cancel all after", "21": "the position is closed",
    "22": "reduce-only: a better price", "23": "reduce-only: a better price", "27": "price limit between counterparties",
    "31": "post-only would match", "32": "self-trade prevention", "33": "too many matches",
    "36": "its stop was triggered", "37": "its stop was canceled", "42": "chased too far", "43": "index price",
    "44": "auto conversion", "45": "price verification", "46": "delta reduction",
}
EXPIRIES: Final = frozenset({"13", "14", "32", "33"})
"""Cancel sources by which an order ends as its time in force, or self-trade prevention, says."""

ORIGINS: Final = {"full_liquidation": "liquidation", "partial_liquidation": "liquidation", "adl": "adl"}
"""``category`` → who made an order that its owner did not want."""

FEES: Final = {SPOT: (Decimal("0.0008"), Decimal("0.001")), SWAP: (Decimal("0.0002"), Decimal("0.0005"))}
"""Maker and taker, of the lowest tier. What an account pays is told with each of its trades."""
# fmt: on

_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_MODES: Final = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}


def read_order(raw: Raw) -> VenueOrder:
    """An order from REST: a look-up, a pending order, one of the history."""
    kind, good_for = _type(raw)
    filled = Decimal(raw["accFillSz"] or 0)
    # Bought by value: how much that is will be known when it is filled.
    by_value = kind is OrderType.MARKET and raw["instType"] != SWAP and _unit(raw) == "quote_ccy"
    return VenueOrder(
        client_id=named(raw.get("clOrdId"), raw["ordId"]),
        venue_order_id=raw["ordId"],
        symbol=raw["instId"],
        side=_SIDES[raw["side"]],
        type=kind,
        time_in_force=good_for,
        quantity=filled if by_value else Decimal(raw["sz"]),
        price=optional(raw["px"]) if kind is OrderType.LIMIT else None,
        trigger_price=None,
        state=_state(raw),
        cumulative=filled,
        time=at_ms(raw["uTime"]),
        reason=_reason(raw),
        origin=ORIGINS.get(raw.get("category", ""), ""),
    )


def _type(raw: Raw) -> tuple[OrderType, TimeInForce]:
    kind = OrderType.LIMIT if raw["px"] else OrderType.MARKET
    return TYPES.get(raw["ordType"], (kind, TimeInForce.GTC))


def _unit(raw: Raw) -> str:
    return raw.get("tgtCcy") or ("quote_ccy" if raw["side"] == "buy" else "base_ccy")


def _state(raw: Raw) -> State:
    if raw["state"] == "canceled" and raw.get("cancelSource") in EXPIRIES:
        return State.EXPIRED
    return STATES[raw["state"]]


def _reason(raw: Raw) -> str:
    source = raw.get("cancelSource") or ""
    words: str = raw.get("cancelSourceReason") or CANCEL_SOURCES.get(source, f"cancel source {source}")
    return words[:256] if source else ""


def read_change(raw: Raw) -> tuple[VenueOrder, VenueTrade | None]:
    """An order from the private channel, and the trade that changed it if one did.

    A trade without an id of its own, such as a liquidation's, is left to be read where it has one.
    """
    order = read_order(raw)
    if raw["tradeId"] in ("", "0") or not Decimal(raw["fillSz"] or 0):
        return order, None
    return order, VenueTrade(
        venue_order_id=order.venue_order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        trade_id=raw["tradeId"],
        quantity=Decimal(raw["fillSz"]),
        price=Decimal(raw["fillPx"]),
        **_fee_of_change(raw, order),
        maker=raw["execType"] == "M",
        time=at_ms(raw["fillTime"]),
    )


def _fee_of_change(raw: Raw, order: VenueOrder) -> dict[str, Any]:
    fee = raw.get("fillFee")
    if fee:
        return {"fee": -Decimal(fee), "fee_asset": raw["fillFeeCcy"]}
    # Where only the order's sum is told, that of the first trade is known, and of no other.
    if order.cumulative != Decimal(raw["fillSz"]):
        raise ValueError(f"the fee of trade {raw['tradeId']} is not told")
    return {"fee": -Decimal(raw["fee"]), "fee_asset": raw["feeCcy"]}


def read_trade(raw: Raw) -> VenueTrade:
    """A trade from ``fills`` or ``fills-history``. What was paid is negative there."""
    return VenueTrade(
        venue_order_id=raw["ordId"],
        client_id=named(raw.get("clOrdId"), raw["ordId"]),
        symbol=raw["instId"],
        side=_SIDES[raw["side"]],
        trade_id=raw["tradeId"],
        quantity=Decimal(raw["fillSz"]),
        price=Decimal(raw["fillPx"]),
        fee=-Decimal(raw["fee"] or 0),
        fee_asset=raw["feeCcy"],
        maker=raw["execType"] == "M",
        time=trade_time(raw),
    )


def trade_time(raw: Raw) -> int:
    """UTC ns at which a trade of ``fills`` happened."""
    return at_ms(raw.get("fillTime") or raw["ts"])


def read_instrument(raw: Raw) -> InstrumentSpec | None:
    """An instrument, None for one of another market or a placeholder of one to come. Fees are the standard ones."""
    if not (raw.get("tickSz") and raw.get("lotSz") and raw.get("minSz") and raw.get("maxLmtSz")):
        return None
    contract, kind = raw["instType"] == SWAP, raw["instType"]
    if contract and (raw["ctType"] != "linear" or raw["settleCcy"] != "USDT"):
        return None
    base, quote = raw["uly"].split("-") if contract else (raw["baseCcy"], raw["quoteCcy"])
    maker, taker = FEES[kind]
    return InstrumentSpec(
        symbol=raw["instId"],
        base=base,
        quote=quote,
        settle=raw["settleCcy"] if contract else quote,
        tick=plain(raw["tickSz"]),
        step=plain(raw["lotSz"]),
        min_quantity=plain(raw["minSz"]),
        max_quantity=plain(raw["maxLmtSz"]),
        contract_size=plain(raw["ctVal"]) * plain(raw.get("ctMult") or "1") if contract else Decimal(1),
        maker_fee=maker,
        taker_fee=taker,
        trading=raw["state"] == "live",
    )


def read_totals(raw: Raw) -> dict[str, Decimal]:
    """What the trading account holds of each asset: cash, and what is set aside for isolated positions."""
    totals = {
        each["ccy"]: Decimal(each["cashBal"] or 0)
        + Decimal(each.get("isoEq") or 0)
        - Decimal(each.get("isoUpl") or 0)
        for account in raw["data"]
        for each in account["details"]
    }
    return {asset: total for asset, total in totals.items() if total}


def read_positions(rows: Iterable[Raw]) -> list[VenuePosition]:
    """Positions of symbols. Where one has a cross and an isolated position, what they add up to."""
    found: dict[str, VenuePosition] = {}
    for raw in rows:
        position = _position(raw)
        other = found.get(position.symbol)
        if other is None or not other.quantity:
            found[position.symbol] = position
        elif position.quantity:
            both = other.quantity + position.quantity
            found[position.symbol] = VenuePosition(symbol=position.symbol, quantity=both)
    return list(found.values())


def _position(raw: Raw) -> VenuePosition:
    quantity = Decimal(raw["pos"] or 0)
    mode = _MODES[raw["mgnMode"]]
    return VenuePosition(
        symbol=raw["instId"],
        quantity=-quantity if raw["posSide"] == "short" else quantity,
        entry_price=optional(raw["avgPx"]),
        liquidation_price=optional(raw["liqPx"]),
        margin=optional(raw["margin"] if mode is MarginMode.ISOLATED else raw["imr"]),
        leverage=optional(raw["lever"]),
        margin_mode=mode,
    )


def read_funding(raw: Raw) -> VenueFunding:
    """A funding payment from the bills. It moves the balance, or an isolated position's margin."""
    return VenueFunding(
        symbol=raw["instId"],
        funding_id=raw["billId"],
        amount=Decimal(raw["balChg"] or 0) + Decimal(raw["posBalChg"] or 0),
        asset=raw["ccy"],
        time=at_ms(raw["ts"]),
    )


def read_transfer(raw: Raw) -> VenueTransfer:
    """The state of a transfer. OKX tells no time of it."""
    return VenueTransfer(
        venue_transfer_id=str(raw["transId"]),
        state=TRANSFER_STATES[raw["state"]],
        reason=f"the venue says {raw['state']}",
    )
