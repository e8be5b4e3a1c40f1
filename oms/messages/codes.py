"""Every code that an answer can carry, each with its meaning. The reference page of codes is made from here."""

from enum import StrEnum


class Code(StrEnum):
    """Why a command was not done; ``meaning`` says it in a sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Code":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # The message itself. Nothing is appended.
    INVALID_JSON = "INVALID_JSON", "The payload is not one JSON object or an array of them, in UTF-8."
    INVALID_COMMAND = (
        "INVALID_COMMAND",
        "A field is missing, unknown, of the wrong type, out of its bounds, or does not go with another.",
    )
    INVALID_DECIMAL = (
        "INVALID_DECIMAL",
        "A decimal is not a JSON string of at most 20 digits before and 18 after the point, without exponent.",
    )
    NOT_POSITIVE = "NOT_POSITIVE", "A quantity or price is zero or negative."
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE", "One command is over 8 KiB, or the message is over 1 MiB."
    BULK_TOO_LARGE = "BULK_TOO_LARGE", "A bulk holds more than 1,000 commands."
    BULK_EMPTY = "BULK_EMPTY", "A bulk holds no command."
    SUBJECT_INVALID = (
        "SUBJECT_INVALID",
        "The subject is not verb.exchange.account.market.symbol, or names no account.",
    )
    SUBJECT_MISMATCH = "SUBJECT_MISMATCH", "Subject and payload name different places, or neither names one."
    COMMAND_ID_REUSED = "COMMAND_ID_REUSED", "The command_id was used before with another payload."
    # What the command speaks of. Nothing is appended.
    ACCOUNT_UNKNOWN = "ACCOUNT_UNKNOWN", "No such account is registered."
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS", "The account is registered already with another kind."
    ACCOUNT_LIMIT = "ACCOUNT_LIMIT", "There is one MAIN account and at most 200 SUB accounts."
    INSTRUMENT_UNKNOWN = "INSTRUMENT_UNKNOWN", "No such instrument is listed on that exchange and market."
    ORDER_UNKNOWN = "ORDER_UNKNOWN", "The account has no such order in the hot state."
    ORDER_FINISHED = "ORDER_FINISHED", "The order is filled, canceled, rejected, denied or expired."
    ORDER_PENDING = (
        "ORDER_PENDING",
        "A cancel or an amend of this order is under way, or the venue has not acknowledged it yet.",
    )
    AMEND_BELOW_FILLED = "AMEND_BELOW_FILLED", "The new quantity is not above what is already filled."
    AMEND_NO_CHANGE = (
        "AMEND_NO_CHANGE",
        "The amend changes neither quantity nor price, or the type has no price.",
    )
    # Our own controls. An order denied by one of these is recorded as OrderDenied.
    INSTRUMENT_HALTED = "INSTRUMENT_HALTED", "The venue does not trade this instrument now."
    TICK_SIZE = "TICK_SIZE", "A price is not a multiple of the instrument's tick."
    STEP_SIZE = "STEP_SIZE", "The quantity is not a multiple of the instrument's step."
    QUANTITY_TOO_SMALL = "QUANTITY_TOO_SMALL", "The quantity is below the instrument's minimum."
    QUANTITY_TOO_LARGE = "QUANTITY_TOO_LARGE", "The quantity is above the instrument's maximum."
    NOTIONAL_TOO_SMALL = "NOTIONAL_TOO_SMALL", "Price times quantity is below the instrument's minimum."
    NOTIONAL_TOO_LARGE = "NOTIONAL_TOO_LARGE", "Price times quantity is above the instrument's maximum."
    NO_REFERENCE_PRICE = (
        "NO_REFERENCE_PRICE",
        "A market order needs a mark price to reserve funds by, and none is known.",
    )
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS", "The free balance does not cover what the order would reserve."
    REDUCE_ONLY = "REDUCE_ONLY", "A reduce-only order would open or turn the position."
    EXPIRES_AT_PAST = "EXPIRES_AT_PAST", "expires_at is not in the future."
    NOT_SUPPORTED = "NOT_SUPPORTED", "The venue cannot do this; see what it declares in the page of venues."
    VENUE_DOWN = "VENUE_DOWN", "No connector session is ready for the account on that exchange and market."
    # Connectors and queries.
    SESSION_STALE = (
        "SESSION_STALE",
        "The report comes from a connector session that another one has replaced.",
    )
    SESSION_CLOSED = (
        "SESSION_CLOSED",
        "The report comes from a connector session that was closed, and no other is open: open a new one.",
    )
    FILL_TOO_OLD = (
        "FILL_TOO_OLD",
        "The fill is older than the trade ids remembered, so that it may be one applied before.",
    )
    WALLET_IN_USE = (
        "WALLET_IN_USE",
        "A market would have its funds in another wallet than before, and there are funds in the one before.",
    )
    TRADE_UNKNOWN = (
        "TRADE_UNKNOWN",
        "The venue took back a trade that was never applied, so that there is nothing to undo.",
    )
    SEQUENCE_TIMEOUT = "SEQUENCE_TIMEOUT", "The follower did not reach at_least in time."
    # The system.
    DEFECT = (
        "DEFECT",
        "A defect of the engine: it could not decide the command and did nothing with it. Its log has the trace.",
    )
    # Ask again with the same command_id.
    NOT_READY = "NOT_READY", "The follower that was asked is stopping."
    OVERLOADED = "OVERLOADED", "Too many commands wait for the journal; nothing was done with this one."
    JOURNAL_UNAVAILABLE = (
        "JOURNAL_UNAVAILABLE",
        "The append could not be confirmed. It may or may not be durable: ask again with the same command_id.",
    )


class Refused(Exception):
    """A command that is answered with an error and appends nothing.

    Args:
        code: one of :class:`Code`.
        message: what was got and what would be right, for a person.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
