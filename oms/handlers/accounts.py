"""Accounts: registering, renaming, disabling, enabling and closing them, and the strategies that trade on them."""

import re
from collections.abc import Iterator
from typing import Final

from oms.aggregates.partition import Partition
from oms.aggregates.registered import check_name, check_room
from oms.handlers import strategies
from oms.handlers.session import check_amount
from oms.messages import commands as c
from oms.messages import desk as d
from oms.messages.codes import Code, Refused
from oms.messages.events import AccountRegistered, Event
from oms.messages.subjects import ANY, Subject

NAMED: Final = 5
"""Of what stands in the way so many are named; a person looks the rest up."""
_is_name = re.compile(r"[A-Za-z0-9_]{1,32}").fullmatch


def check_person(by: str) -> None:
    """Hold a command against whether somebody answers for it.

    Raises:
        Refused: PERSON_REQUIRED.
    """
    if not by.strip():
        raise Refused(Code.PERSON_REQUIRED, f"by must name the person who decides this, was {by!r}")


def is_account_name(value: str) -> bool:
    """Whether a new account may be called so: as the configuration, which gives it keys and connectors, can call it too."""
    return _is_name(value) is not None and value != ANY


def decide_register(state: Partition, subject: Subject, command: c.RegisterAccount, now: int) -> list[Event]:
    """Take an account in; asking again for one that is known changes nothing, whatever its name and status are.

    Raises:
        Refused: SUBJECT_INVALID, ACCOUNT_EXISTS, ACCOUNT_CLOSED, ACCOUNT_LIMIT, ACCOUNT_NAME_TAKEN.
    """
    account = subject.account
    known = state.accounts.get(account)
    if known is None:
        if not is_account_name(account):
            raise Refused(
                Code.SUBJECT_INVALID, f"an account is 1 to 32 letters, digits and '_', was {account!r}"
            )
        check_room(state.accounts, command.kind)
        for other, each in state.accounts.items():
            if each.name.casefold() == account.casefold() and not each.closed:
                raise Refused(Code.ACCOUNT_NAME_TAKEN, f"account {other} is called {account!r}")
    elif known.closed:
        raise Refused(
            Code.ACCOUNT_CLOSED, f"account {account} was closed, and what is closed is never used again"
        )
    elif known.kind is not command.kind:
        raise Refused(Code.ACCOUNT_EXISTS, f"account {account} is registered as {known.kind}")
    return [AccountRegistered(account=account, kind=command.kind)]


def decide_rename(state: Partition, subject: Subject, command: d.RenameAccount, now: int) -> list[Event]:
    """Give the account another name.

    Raises:
        Refused: INVALID_COMMAND, ACCOUNT_NAME_TAKEN.
    """
    check_name(state.accounts, subject.account, command.name)
    return [d.AccountRenamed(account=subject.account, name=command.name, by=command.by)]


def decide_disable(state: Partition, subject: Subject, command: d.DisableAccount, now: int) -> list[Event]:
    """Let the account place and amend nothing; of one that is disabled it is recorded who asked again.

    Raises:
        Refused: PERSON_REQUIRED.
    """
    check_person(command.by)
    return [d.AccountDisabled(account=subject.account, by=command.by, reason=command.reason)]


def decide_enable(state: Partition, subject: Subject, command: d.EnableAccount, now: int) -> list[Event]:
    """Let the account trade again.

    Raises:
        Refused: PERSON_REQUIRED.
    """
    check_person(command.by)
    return [d.AccountEnabled(account=subject.account, by=command.by, reason=command.reason)]


def decide_close(state: Partition, subject: Subject, command: d.CloseAccount, now: int) -> list[Event]:
    """Close the account, where nothing is left in it.

    Raises:
        Refused: PERSON_REQUIRED, ACCOUNT_NOT_EMPTY.
    """
    check_person(command.by)
    check_empty(state, subject.account)
    return [d.AccountClosed(account=subject.account, by=command.by, reason=command.reason)]


def check_empty(state: Partition, account: str) -> None:
    """Hold an account against what is left in it.

    Raises:
        Refused: ACCOUNT_NOT_EMPTY, with what there is.
    """
    found = list(_held(state, account))
    if found:
        more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        raise Refused(
            Code.ACCOUNT_NOT_EMPTY,
            f"account {account} has {', '.join(found[:NAMED])}{more}: clear that first",
        )


def _held(state: Partition, account: str) -> Iterator[str]:
    for key, live in sorted(state.live.items()):
        if key[1] == account and live:
            yield f"{len(live):,} live orders on {key[0]}.{key[2]}"
    for (exchange, owner, market), positions in state.positions_of.items():
        if owner != account:
            continue
        for symbol, position in positions.items():
            # On spot a position is what trades came to; what is held is the balance.
            if position.quantity and not state.instruments[exchange, market, symbol].spot:
                yield f"a position of {position.quantity:f} in {exchange}.{market}.{symbol}"
    for wallet in state.wallets.values():
        if wallet.account == account:
            for asset, balance in wallet.balances.items():
                if balance.total or balance.locked or balance.margin:
                    yield f"{balance.total:f} {asset} in {wallet.exchange}.{wallet.wallet}"
    for transfer in state.transfers_under_way.values():
        if account in (transfer.account, transfer.to):
            yield f"transfer {transfer.transfer_id} under way"


def decide_assign(state: Partition, subject: Subject, command: d.AssignStrategy, now: int) -> list[Event]:
    """Bind a strategy to the account with its capital, change the capital, or take the strategy from the account.

    Raises:
        Refused: PERSON_REQUIRED, INVALID_COMMAND, STRATEGY_LIMIT, STRATEGY_UNKNOWN, STRATEGY_ACCOUNT, NOT_POSITIVE, INVALID_DECIMAL,
            ACCOUNT_NOT_EMPTY when it trades on another account now.
    """
    check_person(command.by)
    account, strategy, capital = subject.account, command.strategy, command.capital
    strategies.check_name(strategy)
    if capital is not None:
        strategies.check_room(strategy, {**state.risk.strategies, **state.risk.unassigned})
    known = state.risk.strategies.get(strategy)
    if capital is None:
        if known is None:
            raise Refused(Code.STRATEGY_UNKNOWN, f"strategy {strategy!r} is assigned to no account")
        if known.account != account:
            raise Refused(
                Code.STRATEGY_ACCOUNT,
                f"strategy {strategy!r} is assigned to {known.account}, not to {account}",
            )
    else:
        check_amount("capital", capital)
        if capital <= 0:
            raise Refused(Code.NOT_POSITIVE, f"capital must be above zero, was {capital:f}")
        if known is None or known.account != account:
            _check_idle(state, strategy, account)
    return [
        d.StrategyAssigned(
            strategy=strategy, account=account, capital=capital, by=command.by, reason=command.reason
        )
    ]


def _check_idle(state: Partition, strategy: str, account: str) -> None:
    """Orders and positions cannot be taken along to another account, assigned there or not."""
    found = sorted(
        f"order {order.order_id} live on {key[1]}"
        for key, live in state.live.items()
        if key[1] != account
        for order in live.values()
        if order.strategy == strategy
    )
    found += sorted(
        f"a position of {book.quantity:f} in {key[0]}.{key[2]}.{key[3]} on {key[1]}"
        for key, book in state.books.by_key.items()
        if key[1] != account and key[4] == strategy and book.quantity
    )
    if found:
        more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        raise Refused(
            Code.ACCOUNT_NOT_EMPTY,
            f"strategy {strategy!r} has {', '.join(found[:NAMED])}{more}: end that first",
        )
