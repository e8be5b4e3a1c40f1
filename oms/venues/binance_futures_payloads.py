"""What Binance USD-M futures writes, read into the adapter's words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues.adapter import (
    PublicTrade,
    Quote,
    State,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)
from oms.venues.notation import at_ms, optional, plain

MAKER_FEE: Final = Decimal("0.0002")
TAKER_FEE: Final = Decimal("0.0005")
"""The venue's standard ones."""

# fmt: off
STATES: Final = {
    "NEW": State.WORKING, "PARTIALLY_FILLED": State.WORKING, "NEW_INSURANCE": State.WORKING, "NEW_ADL": State.WORKING,
    "FILLED": State.FILLED, "CANCELED": State.CANCELED, "EXPIRED": State.EXPIRED, "EXPIRED_IN_MATCH": State.EXPIRED,
    "REJECTED": State.REJECTED,
}

TYPES: Final = {
    "LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET, "LIQUIDATION": OrderType.LIMIT,
    "STOP": OrderType.STOP_LIMIT, "TAKE_PROFIT": OrderType.STOP_LIMIT, "STOP_MARKET": OrderType.STOP_MARKET,
    "TAKE_PROFIT_MARKET": OrderType.STOP_MARKET, "TRAILING_STOP_MARKET": OrderType.STOP_MARKET,
}

EXPIRED_BECAUSE: Final = {
    "1": "self-trade prevention", "2": "IOC remainder", "3": "IOC remainder, self-trade prevention",
    "4": "another reduce-only order came first", "5": "the account was liquidated", "6": "its condition ceased",
    "7": "the symbol is delisted", "8": "good-till date",
}
"""The venue's ``er``."""
# fmt: on

_ADL: Final = "adl_autoclose"
_LIQUIDATION: Final = "autoclose-"
_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
_PRICED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_MODES: Final = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}


def client_id_of(client_id: str, venue_order_id: str) -> str:
    """The client order id, made unique where the venue gives all of its own orders the same one."""
    return f"{_ADL}-{venue_order_id}" if client_id == _ADL else client_id


def venue_id_in(client_id: str) -> str:
    """The venue's order id that :func:`client_id_of` put into a client order id; empty when there is none."""
    return client_id.removeprefix(f"{_ADL}-") if client_id.startswith(f"{_ADL}-") else ""


def _origin(client_id: str) -> str:
    if client_id.startswith(_ADL):
        return "adl"
    return "liquidation" if client_id.startswith(_LIQUIDATION) else ""


def _time_in_force(value: str) -> TimeInForce:
    # GTX is post-only; GTE_GTC and GTD end by rules of the venue's own.
    return TimeInForce(value) if value in ("GTC", "IOC", "FOK") else TimeInForce.GTC


def read_order(raw: Mapping[str, Any]) -> VenueOrder:
    """An order from REST: a query, or the answer to a new order, an amend or a cancel. None of them tells trades."""
    venue_order_id, kind = str(raw["orderId"]), TYPES[raw["type"]]
    client_id = client_id_of(raw["clientOrderId"], venue_order_id)
    state = STATES[raw["status"]]
    return VenueOrder(
        client_id=client_id,
        venue_order_id=venue_order_id,
        symbol=raw["symbol"],
        side=_SIDES[raw["side"]],
        type=kind,
        time_in_force=_time_in_force(raw["timeInForce"]),
        quantity=Decimal(raw["origQty"]),
        price=optional(raw["price"]) if kind in _PRICED else None,
        trigger_price=optional(raw.get("stopPrice")),
        state=state,
        cumulative=Decimal(raw["executedQty"]),
        time=at_ms(raw.get("updateTime") or raw["time"]),
        reason="" if state is State.WORKING else raw["status"].lower(),
        origin=_origin(client_id),
    )


def read_update(raw: Mapping[str, Any]) -> VenueOrder:
    """The ``o`` of an ``ORDER_TRADE_UPDATE``: an order, with its trade if it tells one.

    What the insurance fund takes over may come as CALCULATED without a trade id: that trade is left to ``userTrades``.
    """
    venue_order_id, kind, state = str(raw["i"]), TYPES[raw["o"]], STATES[raw["X"]]
    client_id = client_id_of(raw["c"], venue_order_id)
    side, time = _SIDES[raw["S"]], at_ms(raw["T"])
    trades: tuple[VenueTrade, ...] = ()
    if raw["x"] in ("TRADE", "CALCULATED") and raw["t"]:
        trades = (
            VenueTrade(
                venue_order_id=venue_order_id,
                client_id=client_id,
                symbol=raw["s"],
                side=side,
                trade_id=str(raw["t"]),
                quantity=Decimal(raw["l"]),
                price=Decimal(raw["L"]),
                # Both are left out where there is no commission.
                fee=Decimal(raw.get("n") or 0),
                fee_asset=raw.get("N") or "",
                maker=raw["m"],
                time=time,
            ),
        )
    return VenueOrder(
        client_id=client_id,
        venue_order_id=venue_order_id,
        symbol=raw["s"],
        side=side,
        type=kind,
        time_in_force=_time_in_force(raw["f"]),
        quantity=Decimal(raw["q"]),
        price=optional(raw["p"]) if kind in _PRICED else None,
        trigger_price=optional(raw.get("sp")),
        state=state,
        cumulative=Decimal(raw["z"]),
        time=time,
        reason="" if state is State.WORKING else _ended(raw),
        origin=_origin(client_id),
        trades=trades,
    )


def _ended(raw: Mapping[str, Any]) -> str:
    status: str = raw["X"].lower()
    why = EXPIRED_BECAUSE.get(str(raw.get("er", "0")))
    return status if why is None else f"{status}: {why}"


def read_trade(raw: Mapping[str, Any]) -> VenueTrade:
    """A trade from ``userTrades``, which tells no client id."""
    return VenueTrade(
        venue_order_id=str(raw["orderId"]),
        client_id="",
        symbol=raw["symbol"],
        side=_SIDES[raw["side"]],
        trade_id=str(raw["id"]),
        quantity=Decimal(raw["qty"]),
        price=Decimal(raw["price"]),
        fee=Decimal(raw["commission"]),
        fee_asset=raw["commissionAsset"] or "",
        maker=raw["maker"],
        time=at_ms(raw["time"]),
    )


def read_position(raw: Mapping[str, Any]) -> VenuePosition:
    """A row of ``positionRisk`` version 2, the one that tells leverage and margin mode. Cross positions have no margin apart."""
    mode = _MODES[raw["marginType"]]
    return VenuePosition(
        symbol=raw["symbol"],
        quantity=Decimal(raw["positionAmt"]),
        entry_price=optional(raw["entryPrice"]),
        liquidation_price=optional(raw["liquidationPrice"]),
        margin=optional(raw["isolatedWallet"]) if mode is MarginMode.ISOLATED else None,
        leverage=Decimal(raw["leverage"]),
        margin_mode=mode,
    )


def read_funding(raw: Mapping[str, Any]) -> VenueFunding:
    """A row of ``income`` of type FUNDING_FEE."""
    return VenueFunding(
        symbol=raw["symbol"],
        funding_id=str(raw["tranId"]),
        amount=Decimal(raw["income"]),
        asset=raw["asset"],
        time=at_ms(raw["time"]),
    )


def read_instrument(raw: Mapping[str, Any]) -> InstrumentSpec:
    """A symbol of ``exchangeInfo``. One contract is one unit of the base asset."""
    filters = {each["filterType"]: each for each in raw["filters"]}
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    return InstrumentSpec(
        symbol=raw["symbol"],
        base=raw["baseAsset"],
        quote=raw["quoteAsset"],
        settle=raw["marginAsset"],
        tick=plain(price["tickSize"]),
        step=plain(lot["stepSize"]),
        min_quantity=plain(lot["minQty"]),
        max_quantity=plain(lot["maxQty"]),
        min_notional=plain(filters.get("MIN_NOTIONAL", {}).get("notional", "0")),
        maker_fee=MAKER_FEE,
        taker_fee=TAKER_FEE,
        trading=raw["status"] == "TRADING",
    )


def read_quote(raw: Mapping[str, Any]) -> Quote:
    """A ``bookTicker`` of the stream."""
    return Quote(raw["s"], Decimal(raw["b"]), Decimal(raw["B"]), Decimal(raw["a"]), Decimal(raw["A"]))


def read_public_trade(raw: Mapping[str, Any]) -> PublicTrade:
    """A ``trade`` of the stream."""
    side = Side.SELL if raw["m"] else Side.BUY
    return PublicTrade(raw["s"], str(raw["t"]), side, Decimal(raw["p"]), Decimal(raw["q"]), at_ms(raw["T"]))
