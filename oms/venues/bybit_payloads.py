"""What Bybit writes, read exactly: the same rows come by REST and on the private stream."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from oms.messages.commands import InstrumentSpec
from oms.messages.desk import TransferState
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues.adapter import (
    PublicTrade,
    State,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.notation import at_ms, named, optional, plain

SETTLE: Final = "USDT"
"""What every perpetual listed here settles in."""
SPOT_FEE: Final = Decimal("0.001")
MAKER_FEE: Final = Decimal("0.0002")
TAKER_FEE: Final = Decimal("0.00055")

STATES: Final = {
    "Created": State.WORKING,
    "New": State.WORKING,
    "PartiallyFilled": State.WORKING,
    "Untriggered": State.WORKING,
    "Triggered": State.WORKING,
    "PendingCancel": State.WORKING,
    "Filled": State.FILLED,
    "Cancelled": State.CANCELED,
    "PartiallyFilledCanceled": State.CANCELED,
    "Deactivated": State.CANCELED,
    "Rejected": State.REJECTED,
}

TRADES: Final = frozenset({"Trade", "AdlTrade", "BustTrade", "BlockTrade", "MovePosition", "FutureSpread"})
"""Kinds of executions that change what the account holds by a trade."""
CASH: Final = frozenset({"Funding", "Settle", "Delivery", "SessionSettlePnL"})
"""Kinds of executions that are no trades."""

TRANSFER_STATES: Final = {
    "SUCCESS": TransferState.DONE,
    "PENDING": TransferState.PENDING,
    "STATUS_UNKNOWN": TransferState.PENDING,
    "FAILED": TransferState.REJECTED,
}

SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}

_TIMES_IN_FORCE: Final = {"IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_TYPES: Final = {
    ("Limit", False): OrderType.LIMIT,
    ("Market", False): OrderType.MARKET,
    ("Limit", True): OrderType.STOP_LIMIT,
    ("Market", True): OrderType.STOP_MARKET,
}
_ORIGINS: Final = {
    "CreateByLiq": "liquidation",
    "CreateByTakeOver_PassThrough": "liquidation",
    "CreateByAdl_PassThrough": "adl",
}
_NO_REASON: Final = frozenset({"", "EC_NoError", "EC_PerCancelRequest"})
_TIME_IS_UP: Final = frozenset(
    {
        "EC_NoEnoughQtyToFill",
        "EC_NoImmediateQtyToFill",
        "EC_CancelForNoFullFill",
        "EC_PostOnlyWillTakeLiquidity",
        "EC_BySelfMatch",
        "CancelBySmp",
    }
)
"""Why the venue ends an order by its time in force, or because it would trade with another of the account's."""
_MARGIN_MODES: Final = {
    "ISOLATED_MARGIN": MarginMode.ISOLATED,
    "REGULAR_MARGIN": MarginMode.CROSS,
    "PORTFOLIO_MARGIN": MarginMode.CROSS,
}


def is_listed(category: str, symbol: str) -> bool:
    """Whether a symbol is of those we list: perpetuals that settle in USDT alone, though others share the category."""
    return category == "spot" or symbol.endswith(SETTLE)


def read_order(category: str, raw: Mapping[str, Any]) -> VenueOrder:
    """An order, from REST or from the topic ``order``."""
    trigger = optional(raw.get("triggerPrice"))
    kind = _TYPES[raw["orderType"], trigger is not None]
    quantity, cumulative = Decimal(raw["qty"]), Decimal(raw["cumExecQty"] or 0)
    if category == "spot" and raw["orderType"] == "Market" and raw["side"] == "Buy":
        # Somebody else's, by amount to spend: its quantity is known once it is filled.
        quantity = quantity if raw.get("marketUnit") == "baseCoin" else cumulative
    state, why = STATES[raw["orderStatus"]], raw.get("rejectReason") or ""
    if why in _NO_REASON:
        why = raw.get("cancelType") or ""
        why = "" if why == "UNKNOWN" else why
    if state is State.CANCELED and why in _TIME_IS_UP:
        state = State.EXPIRED
    return VenueOrder(
        client_id=named(raw.get("orderLinkId"), raw["orderId"]),
        venue_order_id=raw["orderId"],
        symbol=raw["symbol"],
        side=SIDES[raw["side"]],
        type=kind,
        time_in_force=_TIMES_IN_FORCE.get(raw["timeInForce"], TimeInForce.GTC),
        quantity=quantity,
        price=optional(raw["price"]) if raw["orderType"] == "Limit" else None,
        trigger_price=trigger,
        state=state,
        cumulative=cumulative,
        time=at_ms(raw["updatedTime"]),
        reason=why or raw["orderStatus"],
        origin=_ORIGINS.get(raw.get("createType") or "", ""),
    )


def read_trade(category: str, raw: Mapping[str, Any], assets: Mapping[str, tuple[str, str]]) -> VenueTrade:
    """A trade, from REST or from the topic ``execution``; its kind is one of :data:`TRADES`.

    Args:
        assets: base and quote of spot symbols.
    """
    fee = Decimal(raw["execFee"] or 0)
    maker = raw["isMaker"] in (True, "true")
    return VenueTrade(
        venue_order_id=raw["orderId"],
        client_id=named(raw.get("orderLinkId"), raw["orderId"]),
        symbol=raw["symbol"],
        side=SIDES[raw["side"]],
        trade_id=raw["execId"],
        quantity=Decimal(raw["execQty"]),
        price=Decimal(raw["execPrice"]),
        fee=fee,
        fee_asset=raw.get("feeCurrency") or _fee_asset(category, raw, fee, maker, assets),
        maker=maker,
        time=at_ms(raw["execTime"]),
    )


def _fee_asset(
    category: str, raw: Mapping[str, Any], fee: Decimal, maker: bool, assets: Mapping[str, tuple[str, str]]
) -> str:
    """What a fee is paid in where the row does not say: what was received; a maker's rebate is in what was given."""
    if category != "spot":
        return SETTLE
    base, quote = assets[raw["symbol"]]
    received, given = (base, quote) if raw["side"] == "Buy" else (quote, base)
    return given if fee < 0 and maker else received


def read_position(raw: Mapping[str, Any], mode: MarginMode) -> VenuePosition:
    """A position, from REST. The margin mode is the account's: in a unified account the row's own means nothing."""
    size = Decimal(raw["size"] or 0)
    return VenuePosition(
        symbol=raw["symbol"],
        quantity=-size if raw["side"] == "Sell" else size,
        entry_price=optional(raw["avgPrice"]),
        liquidation_price=optional(raw["liqPrice"]),
        margin=optional(raw.get("positionBalance")) or optional(raw.get("positionIM")),
        leverage=optional(raw["leverage"]),
        margin_mode=mode,
    )


def read_margin_mode(raw: Mapping[str, Any]) -> MarginMode:
    """The account's margin mode, from ``account/info``."""
    return _MARGIN_MODES[raw["marginMode"]]


def read_funding(raw: Mapping[str, Any]) -> VenueFunding:
    """A funding payment, from the transaction log. ``change`` is what it did to the balance, whatever signs its parts have."""
    return VenueFunding(
        symbol=raw["symbol"],
        funding_id=raw["id"],
        amount=Decimal(raw["change"]),
        asset=raw["currency"],
        time=at_ms(raw["transactionTime"]),
    )


def read_balances(result: Mapping[str, Any]) -> dict[str, Decimal]:
    """Wallet balance by coin, zeros included, from ``wallet-balance`` or the topic ``wallet``."""
    return {coin["coin"]: Decimal(coin["walletBalance"] or 0) for coin in result["coin"]}


def read_public_trade(raw: Mapping[str, Any]) -> PublicTrade:
    """A trade of the topic ``publicTrade``."""
    return PublicTrade(
        raw["s"], raw["i"], SIDES[raw["S"]], Decimal(raw["p"]), Decimal(raw["v"]), at_ms(raw["T"])
    )


def read_spot_instrument(raw: Mapping[str, Any]) -> InstrumentSpec:
    """A spot symbol of ``instruments-info``. Fees are the venue's standard ones."""
    lot = raw["lotSizeFilter"]
    # The exchange lists the old limits beside those that took their place, and checks them no more.
    limited = "maxLimitOrderQty" in lot
    return InstrumentSpec(
        symbol=raw["symbol"],
        base=raw["baseCoin"],
        quote=raw["quoteCoin"],
        settle=raw["quoteCoin"],
        tick=plain(raw["priceFilter"]["tickSize"]),
        step=plain(lot["basePrecision"]),
        min_quantity=plain(lot["minOrderQty"]),
        max_quantity=plain(lot["maxLimitOrderQty" if limited else "maxOrderQty"]),
        min_notional=plain(lot["minOrderAmt"]),
        max_notional=None if limited else plain(lot["maxOrderAmt"]),
        maker_fee=SPOT_FEE,
        taker_fee=SPOT_FEE,
        trading=raw["status"] == "Trading",
    )


def read_perpetual(raw: Mapping[str, Any]) -> InstrumentSpec | None:
    """A linear symbol of ``instruments-info``; None for one that is no perpetual or settles in something else."""
    if raw["contractType"] != "LinearPerpetual" or raw["settleCoin"] != SETTLE:
        return None
    lot = raw["lotSizeFilter"]
    return InstrumentSpec(
        symbol=raw["symbol"],
        base=raw["baseCoin"],
        quote=raw["quoteCoin"],
        settle=raw["settleCoin"],
        tick=plain(raw["priceFilter"]["tickSize"]),
        step=plain(lot["qtyStep"]),
        min_quantity=plain(lot["minOrderQty"]),
        max_quantity=plain(lot["maxOrderQty"]),
        min_notional=plain(lot.get("minNotionalValue") or "0"),
        maker_fee=MAKER_FEE,
        taker_fee=TAKER_FEE,
        trading=raw["status"] == "Trading",
    )


def read_transfer(raw: Mapping[str, Any]) -> VenueTransfer:
    """A universal transfer: the answer to a new one, which tells no time, or a row of the list."""
    return VenueTransfer(
        venue_transfer_id=raw["transferId"],
        state=TRANSFER_STATES[raw["status"]],
        time=at_ms(raw.get("timestamp") or 0),
        reason=f"the venue says {raw['status']}",
    )
