"""The closed vocabularies of orders and accounts, in FIX's words."""

from enum import StrEnum as _StrEnum


class StrEnum(_StrEnum):
    """A StrEnum that hashes as the string it is: enum's own hash is Python code, and these are keys on the hot path."""

    __hash__ = str.__hash__


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order is priced and when it becomes active."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LIMIT = "stop_limit"
    STOP_MARKET = "stop_market"


class TimeInForce(StrEnum):
    """How long an order works. GTD needs ``expires_at``; the engine cancels it then."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class OrderStatus(StrEnum):
    """FIX OrdStatus. ``DENIED`` is ours: refused by our own controls and never sent."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"


FINAL_STATUSES = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.DENIED,
        OrderStatus.EXPIRED,
    }
)


class AccountKind(StrEnum):
    """A desk has one MAIN account and up to 200 others: SUB, or STRATEGY, which only strategies assigned to it trade on."""

    MAIN = "MAIN"
    SUB = "SUB"
    STRATEGY = "STRATEGY"


class AccountStatus(StrEnum):
    """Whether an account may trade. What is closed stays closed."""

    ACTIVE = "active"
    DISABLED = "disabled"
    CLOSED = "closed"


class TransferStatus(StrEnum):
    """How far a transfer between accounts is."""

    REQUESTED = "requested"
    IN_DOUBT = "in_doubt"
    COMPLETED = "completed"
    REJECTED = "rejected"


class CancelReason(StrEnum):
    """Why we asked the venue to cancel an order."""

    CLIENT = "client"
    EXPIRED = "expired"
    KILL = "kill"
    SELF_TRADE = "self_trade"
    DISCONNECT = "disconnect"


class MarginMode(StrEnum):
    """What stands behind a position: the whole wallet, or an amount set aside for it."""

    CROSS = "cross"
    ISOLATED = "isolated"
