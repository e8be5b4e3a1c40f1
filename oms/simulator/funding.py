"""Funding of perpetual futures: what longs pay shorts at fixed times, or shorts longs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal

from .ledger import Account, FundingPayment
from .markets import Market
from .settlement import COMMISSION_UNIT
from .till import Till

NS_PER_S = 1_000_000_000


def next_funding(now: int, interval_s: int) -> int:
    """Return the first time of funding after `now`: they are multiples of the interval."""
    interval_ns = interval_s * NS_PER_S
    return (now // interval_ns + 1) * interval_ns


class Funding:
    """Settles; `next_id` numbers the payments. The house pays or receives what the others together do not."""

    def __init__(
        self,
        interval_s: int,
        wallet: str,
        clock: Callable[[], int],
        till: Till,
        house: Account,
        next_id: Callable[[], int],
    ) -> None:
        self._interval_s = interval_s
        self._wallet = wallet
        self._clock = clock
        self._till = till
        self._house = house
        self._next_id = next_id

    def settle(self, market: Market, rate: Decimal) -> list[FundingPayment]:
        """Let every holder pay or receive, in the order in which the positions were opened."""
        wallet, asset, now = self._wallet, market.config.settle, self._clock()
        payments = []
        for account in list(market.holders.values()):
            position = account.positions[market.symbol]
            amount = (-position.notional(market.mark_price) * rate).quantize(COMMISSION_UNIT, ROUND_HALF_EVEN)
            payment = FundingPayment(
                self._next_id(),
                market.symbol,
                asset,
                amount,
                rate,
                market.mark_price,
                position.quantity,
                now,
            )
            account.funding_payments.append(payment)
            payments.append(payment)
            self._till.add(account, wallet, asset, amount)
            self._till.add(self._house, wallet, asset, -amount)
            if position.mode == "isolated":
                position.isolated_margin += amount
                self._till.moved(account, wallet, position)
            self._till.tell("FUNDING", account, payment)
        market.next_funding_ns = next_funding(now, self._interval_s)
        return payments
