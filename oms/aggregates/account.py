"""Account: what a connector session serves, the trades already applied there, and the wallet that the funds are in.

Events: ``SessionOpened``, ``SessionClosed``, ``OrderFilled``, ``FundingPaid``, ``Reconciled``; of wallets also
``BalanceAdjusted``. What orders reserve is moved by the order's own events, the margin of positions by theirs, and what is
under way between two accounts by the transfer's (:mod:`oms.aggregates.transfer`).

Sessions and trades are of one market. Funds are of a wallet, which markets of an exchange may share: where ``bybit`` holds
spot and futures in one, an order on either reserves from it. ``free = total - locked - margin``. Locked is exactly what live
orders reserve and transfers under way take, margin what open positions hold. A fill is a fact: it may take free below zero (a market order that cost
more than it reserved), which is shown, never hidden.
"""

from collections import OrderedDict
from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO, fewest_places
from oms.messages.codes import Code, Refused
from oms.messages.enums import Side
from oms.messages.events import BalanceAdjusted, FundingPaid, OrderFilled, Reconciled, TradeBusted

AccountKey = tuple[str, str, str]
"""(exchange, account, market)"""

WalletKey = tuple[str, str, str]
"""(exchange, account, wallet)"""

MAX_TRADE_IDS = 100_000
"""Trade ids remembered for each account and market; a fill older than the forgotten ones is refused (FILL_TOO_OLD)."""


def trade_key(event: OrderFilled | TradeBusted) -> str:
    """What tells a trade from others of its account and market. An account that trades with itself has both sides of one id."""
    return f"{event.symbol}:{event.trade_id}:{event.side}"


def funding_key(symbol: str, funding_id: str) -> str:
    """What tells a funding payment from others, and from trades, of its account and market."""
    return f"funding:{symbol}:{funding_id}"


@attrs.define(slots=True)
class Balance:
    """One asset. ``free`` is what a new order may reserve."""

    total: Decimal = ZERO
    locked: Decimal = ZERO
    margin: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        return self.total - self.locked - self.margin


@attrs.define(slots=True)
class Wallet:
    """Funds of one account, of one market of an exchange or of several that share them.

    Args:
        transit: asset → how many transfers of it, out of this wallet or into it, are under way.
        moved: asset → number of the last transfer that moved it here, counted over all that moved anything.
    """

    exchange: str
    account: str
    wallet: str
    balances: dict[str, Balance] = attrs.field(factory=dict)
    transit: dict[str, int] = attrs.field(factory=dict)
    moved: dict[str, int] = attrs.field(factory=dict)

    @property
    def key(self) -> WalletKey:
        return (self.exchange, self.account, self.wallet)

    @property
    def empty(self) -> bool:
        """Whether nothing is in it, nothing held of it, and nothing on its way."""
        return not self.transit and not any(b.total or b.locked or b.margin for b in self.balances.values())

    # -- decide

    def check_funds(self, asset: str, amount: Decimal) -> None:
        """Hold an amount against what is free. What releases funds is covered even when free is below zero.

        Raises:
            Refused: INSUFFICIENT_FUNDS.
        """
        balance = self.balances.get(asset)
        free = ZERO if balance is None else balance.total - balance.locked - balance.margin
        if amount > free and amount > 0:
            raise Refused(Code.INSUFFICIENT_FUNDS, f"needs {amount:f} {asset}, free is {free:f}")

    def comparable(self, asset: str, as_of: int) -> bool:
        """Whether what the venue showed of an asset, ``as_of`` so many transfers, can be held against what is known now.

        While a transfer is under way nobody can tell whether the venue has moved it yet, nor when it was moved since.
        """
        return asset not in self.transit and self.moved.get(asset, 0) <= as_of

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

    def hold(self, asset: str, amount: Decimal) -> None:
        """Hold an amount as margin of a position, or give it back when negative."""
        balance = self.balance(asset)
        balance.margin = fewest_places(balance.margin + amount)

    def fill(self, event: OrderFilled, instrument: Instrument, realised: Decimal) -> None:
        """Move the assets of one trade. Off spot only the realised profit moves."""
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

    def fund(self, event: FundingPaid) -> None:
        """Take in a funding payment, or pay it."""
        self.balance(event.asset).total += event.amount

    def begin_transfer(self, asset: str, locked: Decimal) -> None:
        """A transfer is under way: out of here, for which ``locked`` is set aside, or to here, with nothing locked."""
        self.transit[asset] = self.transit.get(asset, 0) + 1
        if locked:
            self.reserve(asset, locked)

    def end_transfer(self, asset: str, locked: Decimal) -> None:
        """It is under way no longer: what was set aside is free."""
        left = self.transit.pop(asset) - 1
        if left:
            self.transit[asset] = left
        if locked:
            self.reserve(asset, -locked)

    def transferred(self, asset: str, amount: Decimal, number: int) -> None:
        r"""A transfer, the ``number``\ th that moved anything, brought an amount, or took it when negative."""
        self.balance(asset).total += amount
        self.moved[asset] = number

    def adjust(self, event: BalanceAdjusted) -> None:
        """Take over the venue's total."""
        self.balance(event.asset).total = event.total


@attrs.define(slots=True)
class Account:
    """One account on one market.

    Args:
        session: the connector session that serves it; empty while none does.
        ready: the session has reconciled and takes orders.
        trade_ids: of the trades and funding payments applied (:func:`trade_key`, :func:`funding_key`) → venue time, oldest
            applied first.
        forgotten_before: venue times up to this one may belong to forgotten trade ids.
        filled_until: symbol → latest venue time of a fill: where a reconciliation starts to ask.
        reconciled_at: event time of the last reconciliation that was recorded, UTC ns; 0 for none.
        reconciled_as: the request that asked for it; empty for one of the session's own.
        differences: how many it found.
    """

    exchange: str
    account: str
    market: str
    session: str = ""
    ready: bool = False
    trade_ids: OrderedDict[str, int] = attrs.field(factory=OrderedDict)
    forgotten_before: int = -1
    filled_until: dict[str, int] = attrs.field(factory=dict)
    reconciled_at: int = 0
    reconciled_as: str = ""
    differences: int = 0

    @property
    def key(self) -> AccountKey:
        return (self.exchange, self.account, self.market)

    # -- decide

    def knows_trade(self, symbol: str, trade_id: str, side: Side, venue_time: int) -> bool:
        """Whether this side of a trade was applied before. An account that trades with itself has both, under one id.

        Raises:
            Refused: FILL_TOO_OLD when that can no longer be told.
        """
        if f"{symbol}:{trade_id}:{side}" in self.trade_ids:
            return True
        if venue_time <= self.forgotten_before:
            raise self._too_old(f"trade {trade_id} of {symbol}", venue_time)
        return False

    def knows_funding(self, symbol: str, funding_id: str, venue_time: int) -> bool:
        """Whether this funding payment was applied before.

        Raises:
            Refused: FILL_TOO_OLD when that can no longer be told.
        """
        if funding_key(symbol, funding_id) in self.trade_ids:
            return True
        if venue_time <= self.forgotten_before:
            raise self._too_old(f"funding {funding_id} of {symbol}", venue_time)
        return False

    def _too_old(self, name: str, venue_time: int) -> Refused:
        return Refused(
            Code.FILL_TOO_OLD,
            f"{name} at {venue_time} is not after {self.forgotten_before}, up to which ids are forgotten",
        )

    # -- evolve

    def filled(self, event: OrderFilled) -> tuple[str, int] | None:
        """Remember a trade.

        Returns:
            The id, with its venue time, that is forgotten for it, if any.
        """
        if event.venue_time > self.filled_until.get(event.symbol, -1):
            self.filled_until[event.symbol] = event.venue_time
        return self.remember(trade_key(event), event.venue_time)

    def remember(self, key: str, venue_time: int) -> tuple[str, int] | None:
        """Remember the id of what was applied; return the one that is forgotten for it, if any."""
        ids = self.trade_ids
        ids[key] = venue_time
        if len(ids) <= MAX_TRADE_IDS:
            return None
        forgotten = ids.popitem(last=False)
        self.forgotten_before = max(self.forgotten_before, forgotten[1])
        return forgotten

    def reconciled(self, event: Reconciled, at: int) -> None:
        """Note what was found."""
        self.reconciled_at = at
        self.reconciled_as = event.request_id
        self.differences = len(event.differences) + event.more
