"""Why an exchange refuses, in words of no exchange: each wire has a table from these to its own codes."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """The cause of a refusal, or of an order's end that its owner did not ask for."""

    NO_SYMBOL = "NO_SYMBOL"
    NOT_TRADING = "NOT_TRADING"  # the symbol is halted
    PRICE_TICK = "PRICE_TICK"  # no multiple of the tick
    PRICE_RANGE = "PRICE_RANGE"  # below the lowest or above the highest price
    LOT_SIZE = "LOT_SIZE"  # quantity is no multiple of the step, too small or too large
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MAX_ORDERS = "MAX_ORDERS"  # open orders of the symbol
    MAX_STOP_ORDERS = "MAX_STOP_ORDERS"  # untriggered stop orders of the symbol
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"  # spot, transfers, withdrawals
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"  # futures
    WOULD_MATCH = "WOULD_MATCH"  # post-only
    WOULD_TRIGGER = "WOULD_TRIGGER"  # stop price is past already
    DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENT_ID"
    NO_ORDER = "NO_ORDER"
    ORDER_CLOSED = "ORDER_CLOSED"  # cancel or amend of an order that is filled, canceled or expired
    REDUCE_ONLY = "REDUCE_ONLY"  # nothing to reduce, or not for spot
    NOT_MODIFIED = "NOT_MODIFIED"  # an amend that changes nothing
    AMEND_QUANTITY = "AMEND_QUANTITY"  # an amend to a quantity that is executed already
    LEVERAGE = "LEVERAGE"  # outside 1 … the symbol's maximum, or not for spot
    MARGIN_MODE = "MARGIN_MODE"  # neither cross nor isolated, or not for spot
    POSITION_OPEN = "POSITION_OPEN"  # not possible while the position is open
    ORDERS_OPEN = "ORDERS_OPEN"  # not possible while orders of the symbol are open
    NO_WALLET = "NO_WALLET"
    NO_ASSET = "NO_ASSET"
    BAD_AMOUNT = "BAD_AMOUNT"
    # Ends of orders; no request is refused with these.
    NO_LIQUIDITY = "NO_LIQUIDITY"  # what is left of an IOC or market order, or a FOK that could not fill
    LIQUIDATION = "LIQUIDATION"  # canceled because the account is being liquidated


class Refusal(Exception):
    """A request is refused and nothing has changed. `reason` is for tables, `message` for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
