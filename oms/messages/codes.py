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
    ACCOUNT_LIMIT = (
        "ACCOUNT_LIMIT",
        "There is one MAIN account and at most 200 SUB and STRATEGY accounts, and 1,000 in all with those that were closed.",
    )
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED", "The account is closed for good; only cancels are taken."
    ACCOUNT_NAME_TAKEN = "ACCOUNT_NAME_TAKEN", "Another account is called so."
    ACCOUNT_NOT_EMPTY = (
        "ACCOUNT_NOT_EMPTY",
        "The account has live orders, open positions, funds, or transfers under way, and cannot be closed.",
    )
    STRATEGY_UNKNOWN = "STRATEGY_UNKNOWN", "The strategy is assigned to no account."
    PERSON_REQUIRED = "PERSON_REQUIRED", "Somebody has to answer for this: `by` must name a person."
    SCOPE_INVALID = "SCOPE_INVALID", "The scope is not written as one; see the page of controls."
    SCOPE_UNKNOWN = (
        "SCOPE_UNKNOWN",
        "The scope names an exchange, account or instrument that there is not.",
    )
    LIMIT_UNKNOWN = "LIMIT_UNKNOWN", "No control has this name."
    LIMIT_INVALID = (
        "LIMIT_INVALID",
        "The value of a limit is negative, out of bounds, or not what the control takes.",
    )
    LIMIT_SCOPE = "LIMIT_SCOPE", "The control cannot be set for such a scope."
    LIMIT_CONTRADICTION = (
        "LIMIT_CONTRADICTION",
        "Two limits of one scope contradict each other: one order may be worth no more than a position, and so on.",
    )
    LIMIT_REQUIRED = (
        "LIMIT_REQUIRED",
        "Every control says something in the global scope: set it to another value, or to off, in words.",
    )
    OVERRIDE_END = "OVERRIDE_END", "An override ends in the future, at most 7 days from now."
    OVERRIDE_UNKNOWN = "OVERRIDE_UNKNOWN", "No such override is in force."
    STRATEGY_LIMIT = (
        "STRATEGY_LIMIT",
        "Orders were placed for, accounts assigned to, or limits and kill switches said of, as many strategies as may be.",
    )
    GUARD_LIMIT = "GUARD_LIMIT", "The account has as many clients guarded against disconnection as it may."
    GUARD_UNKNOWN = (
        "GUARD_UNKNOWN",
        "The client is not guarded against disconnection, so there is nothing to disarm.",
    )
    NOT_KILLED = "NOT_KILLED", "The scope's own kill switch is not engaged."
    CANCELS_LEFT = (
        "CANCELS_LEFT",
        "Orders of the killed scope are not asked to cancel yet: release it again in a second.",
    )
    TRANSFER_ROUTE = (
        "TRANSFER_ROUTE",
        "Funds are moved between the MAIN account and another, on an exchange that can do it.",
    )
    TRANSFER_UNKNOWN = "TRANSFER_UNKNOWN", "No such transfer is under way."
    VALUATION_INVALID = (
        "VALUATION_INVALID",
        "An asset is valued by a positive rate, or by an instrument that prices it in an asset with a fixed rate.",
    )
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
    # Our own controls. What is denied by one of these is recorded: OrderDenied, OrderAmendDenied, TransferDenied.
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
    # Risk controls. What is denied by one of these is recorded likewise.
    KILL_SWITCH = (
        "KILL_SWITCH",
        "A kill switch that covers the order is engaged, until a named person releases it.",
    )
    REDUCE_ONLY_MODE = (
        "REDUCE_ONLY_MODE",
        "Only orders that bring a position nearer to zero are let through in this scope.",
    )
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED", "The account is disabled."
    LIMIT_MISSING = (
        "LIMIT_MISSING",
        "No scope says anything about a control: nothing is let through without it.",
    )
    RESTRICTED = "RESTRICTED", "The instrument, exchange, account or strategy is restricted."
    STRATEGY_ACCOUNT = (
        "STRATEGY_ACCOUNT",
        "The strategy is assigned to another account, or the account takes only strategies assigned to it.",
    )
    STRATEGY_UNASSIGNED = "STRATEGY_UNASSIGNED", "The strategy is assigned to no account, and has to be."
    MAX_ORDER_QUANTITY = "MAX_ORDER_QUANTITY", "The order's quantity is above the limit."
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE", "The order's value is above the limit."
    PRICE_COLLAR = "PRICE_COLLAR", "The price is further from the mark than the collar allows."
    PERIOD_COLLAR = (
        "PERIOD_COLLAR",
        "The price is further from the mark at the beginning of the period than the collar allows.",
    )
    STALE_PRICE = "STALE_PRICE", "The mark of the instrument is too old to check anything by."
    NO_VALUATION = (
        "NO_VALUATION",
        "What an asset is worth in USD is not known: set a valuation (`oms value`).",
    )
    DUPLICATE_ORDER = "DUPLICATE_ORDER", "The same order was placed a moment ago."
    MAX_MESSAGES = "MAX_MESSAGES", "More orders and amends a second than the limit allows."
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS", "As many orders are open as the limit allows."
    MAX_POSITION = "MAX_POSITION", "The position, with all that works, would be worth more than the limit."
    MAX_INVENTORY = (
        "MAX_INVENTORY",
        "The position, with all that works, would be more of the base asset than the limit.",
    )
    MAX_EXPOSURE = (
        "MAX_EXPOSURE",
        "Positions and working orders of the scope would be worth more than the limit.",
    )
    CAPITAL = "CAPITAL", "Positions and working orders of the strategy would be worth more than its capital."
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS", "The scope has lost as much today as the limit allows, or more."
    MAX_DRAWDOWN = "MAX_DRAWDOWN", "The scope is as far below its best as the limit allows, or further."
    MAX_EXECUTIONS = (
        "MAX_EXECUTIONS",
        "Orders were executed more often within a minute than the limit for repeated automated execution allows.",
    )
    MAX_REJECTS = "MAX_REJECTS", "The venue rejected more orders within a minute than the limit allows."
    MAX_DIFFERENCES = (
        "MAX_DIFFERENCES",
        "The last reconciliation found more differences than the limit allows.",
    )
    MAX_LEVERAGE = "MAX_LEVERAGE", "The symbol's leverage at the venue is above the limit."
    MARGIN_RATIO = "MARGIN_RATIO", "Margin would take up more of the wallet's equity than the limit allows."
    LIQUIDATION_DISTANCE = (
        "LIQUIDATION_DISTANCE",
        "The mark is nearer to the liquidation price than the limit allows.",
    )
    SELF_TRADE = "SELF_TRADE", "The order would trade with one of ours."
    MAIN_FLOOR = "MAIN_FLOOR", "The transfer would leave the MAIN account with less than it has to keep."
    SUB_CAP = "SUB_CAP", "The transfer would give a sub-account more than it may hold."
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
    CLOCK_BEHIND = (
        "CLOCK_BEHIND",
        "The host's clock was set back by more than 10 s: nothing new is sent; nothing was done with this one.",
    )
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
