"""What OKX keeps and the neutral exchange does not: settings, bills, and what was said with each order."""

from __future__ import annotations

from collections import OrderedDict, deque

import attrs

from oms.simulator.events import FundsChange
from oms.simulator.ledger import Account, FundingPayment
from oms.simulator.orders import FUTURES, Fill, Order, OrderUpdate

NET_MODE = "net_mode"
LONG_SHORT_MODE = "long_short_mode"
MODES = ("cross", "isolated")
# Account modes: spot, futures, multi-currency margin, portfolio margin. The last two trade spot on margin, too.
SPOT_LEVEL = "1"
PORTFOLIO_LEVEL = "4"
MIXED_LEVELS = ("3", PORTFOLIO_LEVEL)


@attrs.define
class Settings:
    """One account's. `leverages` is by symbol and margin mode, as each mode has its own."""

    pos_mode: str = NET_MODE
    acct_lv: str = "2"
    leverages: dict[tuple[str, str], int] = attrs.Factory(dict)


@attrs.frozen
class Told:
    """What came with an order and is only told back."""

    td_mode: str
    ord_type: str
    tag: str = ""


@attrs.frozen
class Bill:
    """One entry of an account's bills. `balance` is the change of the account's, `margin` of a position's."""

    bill_id: int
    time_ns: int
    kind: str
    sub_kind: str
    asset: str
    balance: str
    order: Order | None = None
    fill: Fill | None = None
    payment: FundingPayment | None = None
    mode: str = ""


class State:
    """Everything of one simulated OKX; bounded by the exchange's history limit."""

    def __init__(self, history_limit: int) -> None:
        self._history_limit = history_limit
        self._settings: dict[str, Settings] = {}
        self._told: OrderedDict[int, Told] = OrderedDict()
        self._bills: dict[str, deque[Bill]] = {}
        self._next_bill_id = 1

    def settings(self, account: Account) -> Settings:
        return self._settings.setdefault(account.name, Settings())

    def tell(self, order: Order, told: Told) -> None:
        """Keep what came with an order."""
        self._told[order.order_id] = told
        if len(self._told) > self._history_limit:
            self._told.popitem(last=False)

    def told(self, order: Order) -> Told | None:
        return self._told.get(order.order_id)

    def bills(self, account: Account) -> list[Bill]:
        """The bills kept, newest first."""
        return list(reversed(self._bills.get(account.name, ())))

    def traded(self, update: OrderUpdate) -> None:
        """Book a trade."""
        order, fill = update.order, update.fill
        assert fill is not None, "only trades are booked"
        kind = {"liquidation": "5", "adl": "9"}.get(fill.origin, "2")
        received = fill.quantity if fill.is_buyer else fill.quote
        change = (fill.realised if order.market == FUTURES else received) - fill.commission
        self._book(
            order.account,
            time_ns=fill.time_ns,
            kind=kind,
            sub_kind="1" if fill.is_buyer else "2",
            asset=fill.commission_asset,
            balance=format(change, "f"),
            order=order,
            fill=fill,
        )

    def moved(self, change: FundsChange) -> None:
        """Book a funding payment, a deposit or a transfer."""
        if change.payment is not None:
            payment = change.payment
            self._book(
                change.account.name,
                time_ns=payment.time_ns,
                kind="8",
                sub_kind="174" if payment.amount >= 0 else "173",
                asset=payment.asset,
                balance=format(payment.amount, "f"),
                payment=payment,
                mode=change.account.positions[payment.symbol].mode,
            )
        elif change.reason in ("DEPOSIT", "WITHDRAW", "TRANSFER"):
            for asset, amount in change.assets.items():
                self._book(
                    change.account.name,
                    time_ns=change.time_ns,
                    kind="1",
                    sub_kind="11" if amount > 0 else "12",
                    asset=asset,
                    balance=format(amount, "f"),
                )

    def _book(
        self,
        account: str,
        *,
        time_ns: int,
        kind: str,
        sub_kind: str,
        asset: str,
        balance: str,
        order: Order | None = None,
        fill: Fill | None = None,
        payment: FundingPayment | None = None,
        mode: str = "",
    ) -> None:
        bill = Bill(self._next_bill_id, time_ns, kind, sub_kind, asset, balance, order, fill, payment, mode)
        self._next_bill_id += 1
        self._bills.setdefault(account, deque(maxlen=self._history_limit)).append(bill)
