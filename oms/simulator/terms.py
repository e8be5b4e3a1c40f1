"""The terms of a position: its leverage, its margin mode, and the margin set aside for it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from .execution import Execution
from .ledger import Account
from .markets import Market
from .orders import ZERO
from .positions import MarginMode, Position
from .reasons import Reason, Refusal
from .settlement import position_of
from .till import Till


class PositionTerms:
    """Changes terms where the position allows it, and tells that they changed."""

    def __init__(self, wallet: str, clock: Callable[[], int], till: Till, execution: Execution) -> None:
        self._wallet = wallet
        self._clock = clock
        self._till = till
        self._execution = execution

    def set_leverage(self, account: Account, market: Market, leverage: int) -> bool:
        """Set the leverage; return whether that changed it. See `Exchange.set_leverage` for what refuses."""
        position = position_of(account, market)
        if not 1 <= leverage <= market.config.max_leverage:
            raise Refusal(
                Reason.LEVERAGE, f"leverage must be 1 to {market.config.max_leverage}, was {leverage}"
            )
        if leverage == position.leverage:
            return False
        before, position.leverage = position.leverage, leverage
        if leverage < before:
            reason = None
            if position.mode == "isolated" and position.quantity:
                reason = Reason.POSITION_OPEN
            elif self._execution.available(account, market.config.settle) < 0:
                reason = Reason.INSUFFICIENT_MARGIN
            if reason is not None:
                position.leverage = before
                raise Refusal(reason, f"leverage of {market.symbol} cannot fall to {leverage}: {reason}")
        self._tell(account, position, "LEVERAGE")
        return True

    def set_margin_mode(self, account: Account, market: Market, mode: MarginMode) -> bool:
        """Set the margin mode; return whether that changed it. See `Exchange.set_margin_mode`."""
        position = position_of(account, market)
        if mode not in ("cross", "isolated"):
            raise Refusal(Reason.MARGIN_MODE, f"margin mode must be cross or isolated, was {mode!r}")
        if mode == position.mode:
            return False
        if position.quantity:
            raise Refusal(Reason.POSITION_OPEN, f"the position in {market.symbol} is open")
        if account.open_count[market.key]:
            raise Refusal(Reason.ORDERS_OPEN, f"orders of {market.symbol} are open")
        position.mode = mode
        self._tell(account, position, "MARGIN_MODE")
        return True

    def adjust_margin(self, account: Account, market: Market, amount: Decimal) -> None:
        """Add to an isolated position's margin, or take from it. See `Exchange.adjust_margin`."""
        position = position_of(account, market)
        if position.mode != "isolated" or not position.quantity:
            raise Refusal(Reason.MARGIN_MODE, f"{market.symbol} has no isolated position")
        spare = self._execution.available(account, market.config.settle)
        if amount < 0:
            needed = abs(position.notional(market.mark_price)) / position.leverage
            spare = position.isolated_margin + min(ZERO, position.unrealised(market.mark_price)) - needed
        if abs(amount) > spare:
            raise Refusal(Reason.INSUFFICIENT_MARGIN, f"{spare} can be moved, not {abs(amount)}")
        position.isolated_margin += amount
        self._tell(account, position, "MARGIN")

    def _tell(
        self, account: Account, position: Position, reason: Literal["LEVERAGE", "MARGIN_MODE", "MARGIN"]
    ) -> None:
        position.updated_ns = self._clock()
        self._till.moved(account, self._wallet, position)
        self._till.tell(reason)
