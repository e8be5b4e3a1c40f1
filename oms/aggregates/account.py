"""Account: balances by asset of one account on one market, and the trades already applied there.

Events: ``OrderFilled``, ``BalanceAdjusted``; what orders reserve is moved by the order's own events.

``free = total - locked``. Locked is exactly what live orders reserve. A fill is a fact: it may take free below zero
(a market order that cost more than it reserved), which is shown, never hidden.
"""

from collections import OrderedDict
from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.messages.codes import Code, Refused
from oms.messages.enums import Side
from oms.messages.events import BalanceAdjusted, OrderFilled

AccountKey = tuple[str, str, str]
"""(exchange, account, market)"""

MAX_TRADE_IDS = 100_000
"""Trade ids remembered for each account and market; a fill older than the forgotten ones is refused (FILL_TOO_OLD)."""


def trade_key(event: OrderFilled) -> str:
    """What tells a trade from others of its account and market. An account that trades with itself has both sides of one id."""
    return f"{event.symbol}:{event.trade_id}:{event.side}"


@attrs.define(slots=True)
class Balance:
    """One asset. ``free`` is what a new order may reserve."""

    total: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        return self.total - self.locked


@attrs.define(slots=True)
class Account:
    """Funds of one account on one market.

    Args:
        session: the connector session that serves it; empty while none does.
        ready: the session has reconciled and takes orders.
        trade_ids: ``symbol:trade_id:side`` → venue time of the trades applied, oldest applied first.
        forgotten_before: venue times up to this one may belong to forgotten trade ids.
        filled_until: symbol → latest venue time of a fill: where a reconciliation starts to ask.
    """

    exchange: str
    account: str
    market: str
    session: str = ""
    ready: bool = False
    balances: dict[str, Balance] = attrs.field(factory=dict)
    trade_ids: OrderedDict[str, int] = attrs.field(factory=OrderedDict)
    forgotten_before: int = -1
    filled_until: dict[str, int] = attrs.field(factory=dict)

    @property
    def key(self) -> AccountKey:
        return (self.exchange, self.account, self.market)

    # -- decide

    def check_funds(self, asset: str, amount: Decimal) -> None:
        """Hold an amount against what is free. What releases funds is covered even when free is below zero.

        Raises:
            Refused: INSUFFICIENT_FUNDS.
        """
        balance = self.balances.get(asset)
        free = ZERO if balance is None else balance.total - balance.locked
        if amount > free and amount > 0:
            raise Refused(Code.INSUFFICIENT_FUNDS, f"needs {amount:f} {asset}, free is {free:f}")

    def knows_trade(self, symbol: str, trade_id: str, side: Side, venue_time: int) -> bool:
        """Whether this side of a trade was applied before. An account that trades with itself has both, under one id.

        Raises:
            Refused: FILL_TOO_OLD when that can no longer be told.
        """
        if f"{symbol}:{trade_id}:{side}" in self.trade_ids:
            return True
        if venue_time <= self.forgotten_before:
            raise Refused(
                Code.FILL_TOO_OLD,
                f"trade {trade_id} of {symbol} at {venue_time} is not after {self.forgotten_before}, up to which ids are forgotten",
            )
        return False

    # -- evolve

    def balance(self, asset: str) -> Balance:
        """The asset's balance, made at zero when new."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def reserve(self, asset: str, amount: Decimal) -> None:
        """Lock an amount, or release it when negative."""
        self.balance(asset).locked += amount

    def fill(self, event: OrderFilled, instrument: Instrument, realised: Decimal) -> tuple[str, int] | None:
        """Move the assets of one trade and remember its id. Off spot only the realised profit moves.

        Returns:
            The trade id, with its venue time, that is forgotten for it, if any.
        """
        if not instrument.spot:
            self.balance(instrument.settle).total += realised
        elif event.side is Side.BUY:
            self.balance(instrument.base).total += event.quantity
            self.balance(instrument.quote).total -= event.quantity * event.price
        else:
            self.balance(instrument.base).total -= event.quantity
            self.balance(instrument.quote).total += event.quantity * event.price
        if event.fee:
            self.balance(event.fee_asset).total -= event.fee
        return self._remember(event)

    def _remember(self, event: OrderFilled) -> tuple[str, int] | None:
        ids = self.trade_ids
        ids[trade_key(event)] = event.venue_time
        if event.venue_time > self.filled_until.get(event.symbol, -1):
            self.filled_until[event.symbol] = event.venue_time
        if len(ids) <= MAX_TRADE_IDS:
            return None
        forgotten = ids.popitem(last=False)
        self.forgotten_before = max(self.forgotten_before, forgotten[1])
        return forgotten

    def adjust(self, event: BalanceAdjusted) -> None:
        """Take over the venue's total."""
        self.balance(event.asset).total = event.total
