"""Target: which exchange, account, market and symbol a command is about, from its subject and payload together."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from oms.aggregates.account import AccountKey
from oms.aggregates.instrument import Instrument
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.messages.codes import Code, Refused
from oms.messages.commands import Placed
from oms.messages.enums import AccountStatus
from oms.messages.subjects import ANY, Subject

# Looking a member up on its class costs more than the comparison, and this is the hot path.
ACTIVE, CLOSED = AccountStatus.ACTIVE, AccountStatus.CLOSED


class Target(NamedTuple):
    """Where a command goes; nothing is ``_``."""

    exchange: str
    account: str
    market: str
    symbol: str

    @property
    def account_key(self) -> AccountKey:
        return (self.exchange, self.account, self.market)

    def instrument(self, state: Partition) -> Instrument:
        """The instrument meant.

        Raises:
            Refused: INSTRUMENT_UNKNOWN.
        """
        found = state.instruments.get((self.exchange, self.market, self.symbol))
        if found is None:
            raise Refused(
                Code.INSTRUMENT_UNKNOWN, f"{self.symbol!r} is not listed on {self.exchange}.{self.market}"
            )
        return found


def check_account(state: Partition, account: str, closed: bool = False) -> None:
    """Hold an account against those registered.

    Args:
        closed: whether one that was closed will do: an order of it may come alive again, and a cancel is never refused for that.

    Raises:
        Refused: SUBJECT_INVALID for ``_``, ACCOUNT_UNKNOWN, ACCOUNT_CLOSED.
    """
    found = state.accounts.get(account)
    if found is None:
        if account == ANY:
            raise Refused(Code.SUBJECT_INVALID, "the subject must name the account, was '_'")
        raise Refused(Code.ACCOUNT_UNKNOWN, f"account {account!r} is not registered")
    if found.status is CLOSED and not closed:
        raise Refused(Code.ACCOUNT_CLOSED, f"account {account} is closed for good")


def check_trading(state: Partition, account: str) -> None:
    """Hold a place or an amend against whether the account, a registered one, may trade.

    Raises:
        Refused: ACCOUNT_DISABLED.
    """
    if state.accounts[account].status is not ACTIVE:
        raise Refused(Code.ACCOUNT_DISABLED, f"account {account} is disabled until a named person enables it")


def full_target(subject: Subject, command: Placed) -> Target:
    """The target of a place: the payload fills in what the subject leaves open, and never contradicts it.

    Raises:
        Refused: SUBJECT_MISMATCH.
    """
    if command.symbol is None and command.market is None and command.exchange is None:
        return _named_by_subject(subject)
    return Target(
        _agree("exchange", subject.exchange, command.exchange),
        subject.account,
        _agree("market", subject.market, command.market),
        _agree("symbol", subject.symbol, command.symbol),
    )


@lru_cache(maxsize=8_192)
def _named_by_subject(subject: Subject) -> Target:
    for name, token in zip(
        ("exchange", "market", "symbol"), (subject[1], subject[3], subject[4]), strict=True
    ):
        _agree(name, token, None)
    return Target._make(subject[1:])


def _agree(name: str, in_subject: str, in_payload: str | None) -> str:
    if in_subject == ANY:
        if in_payload is None or in_payload == ANY:
            raise Refused(
                Code.SUBJECT_MISMATCH, f"the subject leaves {name} open, so the payload must name it"
            )
        return in_payload
    if in_payload is not None and in_payload != in_subject:
        raise Refused(
            Code.SUBJECT_MISMATCH,
            f"{name} is {in_subject!r} in the subject and {in_payload!r} in the payload",
        )
    return in_subject


def covers(subject: Subject, command: Placed, order: Order) -> bool:
    """Whether subject and payload, each ``_`` or missing meaning any, speak of this order's place."""
    return (
        order.account == subject.account
        and _fits(order.exchange, subject.exchange, command.exchange)
        and _fits(order.market, subject.market, command.market)
        and _fits(order.symbol, subject.symbol, command.symbol)
    )


def _fits(value: str, in_subject: str, in_payload: str | None) -> bool:
    return in_subject in (ANY, value) and in_payload in (None, ANY, value)


def check_listed(state: Partition, subject: Subject, command: Placed) -> None:
    """Hold what subject and payload name, each ``_`` or missing meaning any, against what is listed.

    Raises:
        Refused: INSTRUMENT_UNKNOWN.
    """
    places: Iterable[tuple[str, str, str]] = state.instruments
    if subject.symbol == ANY and command.symbol in (None, ANY):
        # A market is known by its session, too: nothing may be listed there yet.
        places = chain(places, ((exchange, market, ANY) for exchange, _, market in state.ledgers))
    listed = any(
        _fits(symbol, subject.symbol, command.symbol)
        and _fits(exchange, subject.exchange, command.exchange)
        and _fits(market, subject.market, command.market)
        for exchange, market, symbol in places
    )
    if not listed:
        asked = ((subject[1], command.exchange), (subject[3], command.market), (subject[4], command.symbol))
        where = ".".join((said or ANY) if token == ANY else token for token, said in asked)
        raise Refused(Code.INSTRUMENT_UNKNOWN, f"nothing is listed as {where} (exchange.market.symbol)")


def find_order(state: Partition, subject: Subject, command: Placed, order_id: str) -> Order:
    """The order that a cancel or amend means.

    Raises:
        Refused: ORDER_UNKNOWN, ORDER_FINISHED for one that left the hot state, SUBJECT_MISMATCH for another's place.
    """
    order = state.orders.get(order_id)
    if order is None:
        if order_id in state.retired:
            raise Refused(Code.ORDER_FINISHED, f"order {order_id} finished a while ago")
        raise Refused(Code.ORDER_UNKNOWN, f"no order {order_id!r}")
    if order.account != subject.account:
        # Another account's order does not exist for this one.
        raise Refused(Code.ORDER_UNKNOWN, f"no order {order_id!r}")
    if not covers(subject, command, order):
        raise Refused(
            Code.SUBJECT_MISMATCH,
            f"order {order_id} is at {order.exchange}.{order.market}.{order.symbol}, not where the command says",
        )
    return order
