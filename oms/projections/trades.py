"""Trades: every fill, the newest of them, and every fill that the venue took back.

State: trades by number; numbers count up from 1 from the journal's first trade on and are never used again.

Events: ``OrderFilled``, ``TradeBusted``, which is a row of its own: what was told stays told.

Rules: each carries what it realised in its strategy's book (see :mod:`oms.aggregates.books`). The oldest leave when there
are more than ``kept``.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.messages import events as e
from oms.messages.queries import TradeRow
from oms.projections import pnl


@attrs.frozen(slots=True)
class Trade:
    """One fill, or one taken back.

    ``at``: commit time, UTC ns; ``sequence``: of its frame; ``realised``: before fees, settlement asset.
    """

    number: int
    at: int
    sequence: int
    realised: Decimal
    fill: e.OrderFilled | e.TradeBusted


class Trades:
    """The newest trades.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.last = 0
        self.by_number: dict[int, Trade] = {}

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int, realised: Decimal) -> Trade:
        """Take a trade in, with what it realised in its book."""
        return RULES[type(event)](self, event, at, sequence, realised)  # type: ignore[no-any-return]

    def _traded(
        self, event: e.OrderFilled | e.TradeBusted, at: int, sequence: int, realised: Decimal
    ) -> Trade:
        self.last += 1
        trade = self.by_number[self.last] = Trade(self.last, at, sequence, realised, event)
        self.by_number.pop(self.last - self.kept, None)
        return trade

    # -- read

    def newest_first(self, before: int | None = None) -> Iterator[Trade]:
        """Every trade kept, newest first; with ``before`` only those with a lower number."""
        first = self.last - len(self.by_number) + 1
        start = self.last if before is None else min(before - 1, self.last)
        for number in range(start, first - 1, -1):
            yield self.by_number[number]

    # -- image

    def restore(self, last: int, kept: list[Trade]) -> None:
        """Take over from a snapshot the last number and the trades, oldest first."""
        self.last = last
        self.by_number = {trade.number: trade for trade in kept[-self.kept :]}


def trade_row(trade: Trade, settle: str) -> TradeRow:
    """The row of a trade; ``settle`` is its instrument's settlement asset."""
    fill = trade.fill
    return TradeRow(
        number=trade.number,
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        exchange=fill.exchange,
        account=fill.account,
        market=fill.market,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        realised=trade.realised,
        settle=settle,
        maker=fill.maker,
        busted=type(fill) is e.TradeBusted,
        strategy=fill.strategy,
        venue_time=fill.venue_time,
        at=trade.at,
        sequence=trade.sequence,
    )


RULES: Final[dict[type, Any]] = {e.OrderFilled: Trades._traded, e.TradeBusted: Trades._traded}

IGNORED: Final = pnl.IGNORED | {e.FundingPaid, e.PositionAdjusted}
"""Nothing but a fill is a trade."""
