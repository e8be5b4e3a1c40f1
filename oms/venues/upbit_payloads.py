"""Upbit's payloads, read exactly.

Fees are in won on both sides, and neither way tells one that could be taken as it is: the stream writes doubles, REST only
the sum of an order. The venue takes a share of the won traded, unrounded; so a fee is price × quantity × rate, and only the
rate, which has few digits, is read from the venue's figure. Both ways come to the same last digit. Should no rate explain
what an order paid, not even those of the account, the sum is shared out by what was traded, loudly: it is right as a whole.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import msgspec

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.venues.adapter import OrderChanged, State, Traded, VenueOrder, VenueTrade
from oms.venues.notation import at_ms, named, nameless, text

log = logging.getLogger(__name__)

QUOTE: Final = "KRW"
FEE: Final = Decimal("0.0005")
"""Of won markets, both sides, maker and taker; what an order paid is read from the order."""
STEP: Final = Decimal("0.00000001")
MIN_NOTIONAL: Final = Decimal(5_000)
MAX_NOTIONAL: Final = Decimal(1_000_000_000)
MAX_QUANTITY: Final = Decimal(10**17)
"""The venue bounds the total alone: this is what that buys at the lowest price."""


# docs.upbit.com/kr/docs/krw-market-info, as of 31 July 2025: (lowest price, tick). What the venue lists for the price that
# a market stands at takes the place of a row.
# fmt: off
TICKS: Final = tuple((Decimal(lowest), Decimal(tick)) for lowest, tick in (
    ("0", "0.00000001"), ("0.00001", "0.0000001"), ("0.0001", "0.000001"), ("0.001", "0.00001"), ("0.01", "0.0001"),
    ("0.1", "0.001"), ("1", "0.01"), ("10", "0.1"), ("100", "1"), ("1000", "1"), ("5000", "5"), ("10000", "10"),
    ("50000", "50"), ("100000", "100"), ("500000", "500"), ("1000000", "1000"), ("2000000", "1000"),
))

STATES: Final = {
    "wait": State.WORKING, "trade": State.WORKING, "done": State.FILLED, "cancel": State.CANCELED,
}

TYPES: Final = {
    # A best order takes the best price there is, a price order is a buy for so many won.
    "limit": OrderType.LIMIT, "price": OrderType.MARKET, "market": OrderType.MARKET, "best": OrderType.MARKET,
}
# fmt: on

SIDES: Final = {"bid": Side.BUY, "ask": Side.SELL}
_TO_SIDE: Final = {Side.BUY: "bid", Side.SELL: "ask"}
_FORCES: Final = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
_CLIENT_ID_MAX: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
_FINEST: Final = Decimal("1e-18")
_RATE_UNIT: Final = Decimal("1e-8")
_WON_UNIT: Final = Decimal("1e-8")
_DOUBLE_DIGITS: Final = 15
"""A number of so few digits comes out of a double as it went in."""
_DOUBLE_STEPS_MAX: Final = Decimal(2**26)
"""Below this, doubles lie closer together than half a step: rounded to steps they are the number that was meant."""


def at(moment: str) -> int:
    """UTC ns of a time as REST writes it, with its offset."""
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1) * 1_000


def is_ours(symbol: str) -> bool:
    """Whether it is one of the won markets."""
    return symbol.startswith(f"{QUOTE}-")


def amount(value: str | int | None) -> Decimal:
    """A number of either way; nothing is zero."""
    return Decimal(value or 0)


def client_id_of(raw: Mapping[str, Any]) -> str:
    """What we call an order: by its identifier, or by the venue's own id where it has none that we could use."""
    identifier = raw.get("identifier") or ""
    usable = len(identifier) <= _CLIENT_ID_MAX and nameless(identifier) is None
    return named(identifier if usable else None, raw["uuid"])


def finest(value: Decimal) -> Decimal:
    """With the places that an amount may have, and no idle zeros. Only fees at prices below 0.001 won have more."""
    rounded = _EXACT.quantize(value, _FINEST).normalize(_EXACT)
    return rounded if rounded % 1 else _EXACT.quantize(rounded, Decimal(1))


def fee_of(price: Decimal, quantity: Decimal, rate: Decimal) -> Decimal:
    """What one trade costs: the venue takes this share of the won that were traded, and does not round it."""
    return finest(_EXACT.multiply(_EXACT.multiply(price, quantity), rate))


def rate_of(fee: Decimal, funds: Decimal) -> Decimal:
    """The rate that a fee was taken at, of figures that may have been through doubles."""
    return _EXACT.quantize(_EXACT.divide(fee, funds), _RATE_UNIT) if funds else Decimal(0)


def _funds(trades: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    return sum((_EXACT.multiply(price, quantity) for price, quantity in trades), Decimal(0))


def fees_of(
    trades: list[tuple[Decimal, Decimal]], paid: Decimal, rates: list[Decimal] | None = None
) -> list[Decimal] | None:
    """The fee of each (price, quantity) of an order that paid so much for all of them; None when that is not told by it.

    Args:
        rates: of each trade; without, one that fits them all.
    """
    if rates is None:
        rates = [rate_of(paid, _funds(trades))] * len(trades)
    fees = [fee_of(price, quantity, rate) for (price, quantity), rate in zip(trades, rates, strict=True)]
    return fees if abs(sum(fees, Decimal(0)) - paid) <= _WON_UNIT * max(len(fees), 1) else None


def read_order(raw: Mapping[str, Any], rates: "Rates | None" = None) -> VenueOrder:
    """An order from REST. One that was asked for by itself has its trades; those in lists and answers have none.

    Args:
        rates: what the account pays, in case the order paid at different ones.

    Raises:
        FeesUnclear: without ``rates``, what it paid is not to be told apart.
        TradesMissing: it does not list all of its trades yet.
    """
    client_id, side = client_id_of(raw), SIDES[raw["side"]]
    executed = amount(raw["executed_volume"])
    rows = sorted(raw.get("trades") or (), key=lambda row: at(row["created_at"]))
    terms = [(Decimal(row["price"]), Decimal(row["volume"])) for row in rows]
    # The trend is the taker's side.
    makers = [(row.get("trend") == "up") is (side is Side.SELL) for row in rows]
    fees: list[Decimal] = []
    if "trades" in raw:
        if sum((quantity for _, quantity in terms), Decimal(0)) != executed:
            raise TradesMissing(f"order {raw['uuid']} executed {executed} and lists {len(rows)} trades of it")
        fees = _fees(raw, terms, None if rates is None else [rates.of(side, maker) for maker in makers])
    trades = tuple(
        VenueTrade(
            venue_order_id=raw["uuid"],
            client_id=client_id,
            symbol=raw["market"],
            side=side,
            trade_id=row["uuid"],
            quantity=quantity,
            price=price,
            fee=fee,
            fee_asset=QUOTE,
            maker=maker,
            time=at(row["created_at"]),
        )
        for row, (price, quantity), fee, maker in zip(rows, terms, fees, makers, strict=False)
    )
    made = at(raw["created_at"])
    force = raw.get("time_in_force")
    return VenueOrder(
        client_id=client_id,
        venue_order_id=raw["uuid"],
        symbol=raw["market"],
        side=side,
        type=TYPES[raw["ord_type"]],
        time_in_force=_FORCES.get(force or "", TimeInForce.GTC),
        # A buy for so many won has no quantity of its own.
        quantity=amount(raw["volume"]) or executed + amount(raw.get("remaining_volume")),
        price=amount(raw["price"]) or None if raw["ord_type"] == "limit" else None,
        trigger_price=None,
        state=_state(raw["state"], force),
        cumulative=executed,
        time=max([made, *(trade.time for trade in trades)]),
        reason=raw["state"],
        trades=trades,
    )


class FeesUnclear(Exception):
    """An order paid at more rates than one: those of the account are needed."""


class TradesMissing(Exception):
    """An order does not list all that it executed yet."""


def _fees(
    raw: Mapping[str, Any], trades: list[tuple[Decimal, Decimal]], rates: list[Decimal] | None
) -> list[Decimal]:
    paid = amount(raw["paid_fee"])
    fees = fees_of(trades, paid)
    if fees is None and rates is None:
        raise FeesUnclear(f"order {raw['uuid']} paid {paid} for {len(trades)} trades")
    fees = fees or fees_of(trades, paid, rates)
    if fees is None:
        log.error("no rate explains that order %s paid %s: shared out among its trades", raw["uuid"], paid)
        whole = _funds(trades)
        fees = [finest(_EXACT.divide(_EXACT.multiply(paid, _funds([trade])), whole)) for trade in trades[:-1]]
        fees.append(paid - sum(fees, Decimal(0)))
    return fees


def _state(state: str, force: str | None) -> State:
    """Nobody cancels what is over at once: its time in force did."""
    found = STATES[state]
    return State.EXPIRED if found is State.CANCELED and force in _FORCES else found


def read_change(raw: Mapping[str, Any]) -> OrderChanged | Traded | None:
    """A ``myOrder`` event; None when its figures went through doubles that cannot tell them: REST has to be asked."""
    side = SIDES[raw["ask_bid"].lower()]
    quantity = exactly(raw["volume"])
    cumulative = exactly(raw["executed_volume"])
    if quantity is None or cumulative is None or raw["state"] == "prevented":
        return None
    client_id = client_id_of(raw)
    if raw["state"] == "trade":
        price, told = Decimal(raw["price"]), amount(raw["trade_fee"])
        fees = fees_of([(price, quantity)], told) or ([told] if _digits(told) <= _DOUBLE_DIGITS else None)
        if fees is None:
            return None
        return Traded(
            VenueTrade(
                venue_order_id=raw["uuid"],
                client_id=client_id,
                symbol=raw["code"],
                side=side,
                trade_id=raw["trade_uuid"],
                quantity=quantity,
                price=price,
                fee=fees[0],
                fee_asset=QUOTE,
                maker=raw["is_maker"],
                time=at_ms(raw["trade_timestamp"]),
            )
        )
    force = raw.get("time_in_force")
    return OrderChanged(
        VenueOrder(
            client_id=client_id,
            venue_order_id=raw["uuid"],
            symbol=raw["code"],
            side=side,
            type=TYPES[raw["order_type"]],
            time_in_force=_FORCES.get(force or "", TimeInForce.GTC),
            quantity=quantity,
            price=amount(raw["price"]) or None if raw["order_type"] == "limit" else None,
            trigger_price=None,
            state=_state(raw["state"], force),
            cumulative=cumulative,
            time=at_ms(raw["timestamp"]),
            reason=raw["state"],
        )
    )


def _digits(value: Decimal) -> int:
    return len(value.normalize(_EXACT).as_tuple().digits)


def moves(trade: VenueTrade) -> dict[str, Decimal]:
    """What a trade changes of each asset."""
    sign = 1 if trade.side is Side.BUY else -1
    funds = _EXACT.multiply(trade.price, trade.quantity)
    return {trade.symbol.partition("-")[2]: sign * trade.quantity, QUOTE: -sign * funds - trade.fee}


def exactly(written: str | int | None) -> Decimal | None:
    """A quantity of the stream, which writes doubles; None when it may have been another one."""
    value = amount(written)
    if _digits(value) <= _DOUBLE_DIGITS:
        return value
    return _EXACT.quantize(value, STEP) if abs(value) < _DOUBLE_STEPS_MAX else None


def ticks_at(price: Decimal | None, tick: Decimal | None) -> tuple[tuple[Decimal, Decimal], ...]:
    """The table of a market whose tick at that price is listed."""
    if price is None or tick is None:
        return TICKS
    row = max(lowest for lowest, _ in TICKS if price >= lowest)
    return tuple((lowest, tick if lowest == row else usual) for lowest, usual in TICKS)


def read_instrument(raw: Mapping[str, Any], ticks: tuple[tuple[Decimal, Decimal], ...]) -> InstrumentSpec:
    """A market of ``market/all``."""
    quote, base = raw["market"].split("-")
    return InstrumentSpec(
        symbol=raw["market"],
        base=base,
        quote=quote,
        settle=quote,
        tick=min(tick for _, tick in ticks),
        step=STEP,
        min_quantity=STEP,
        max_quantity=MAX_QUANTITY,
        min_notional=MIN_NOTIONAL,
        max_notional=MAX_NOTIONAL,
        maker_fee=FEE,
        taker_fee=FEE,
        ticks=ticks,
    )


class Rates(msgspec.Struct, frozen=True):
    """What an account pays in one market, as ``orders/chance`` tells it."""

    bid_fee: Decimal
    ask_fee: Decimal
    maker_bid_fee: Decimal
    maker_ask_fee: Decimal

    def of(self, side: Side, maker: bool) -> Decimal:
        """The rate of a trade."""
        if side is Side.BUY:
            return self.maker_bid_fee if maker else self.bid_fee
        return self.maker_ask_fee if maker else self.ask_fee


def new_order(order: Submit | Amend, client_id: str, quantity: Decimal) -> dict[str, str]:
    assert order.type is OrderType.LIMIT, f"{client_id} is no limit order, which is all that is declared"
    assert order.price is not None, f"{client_id} is a limit order without a price"
    params = {
        "market": order.symbol,
        "side": _TO_SIDE[order.side],
        "volume": text(quantity),
        "price": text(order.price),
        "ord_type": "limit",
        "identifier": client_id,
    }
    if order.post_only:
        params["time_in_force"] = "post_only"
    # The engine itself ends a GTD order: the venue has no such time in force.
    elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        params["time_in_force"] = order.time_in_force.lower()
    return params
