"""Registered: an account of the desk: its kind, what people call it, whether it may trade.

The id stands in subjects and events and never changes; the name is for people. A closed account stays known, so that its id
is never used again. What an account holds and trades is elsewhere: :mod:`oms.aggregates.account`.

Events: ``AccountRegistered``, ``AccountRenamed``, ``AccountDisabled``, ``AccountEnabled``, ``AccountClosed``.
"""

from typing import TYPE_CHECKING, Any, Final

import attrs

from oms.messages.codes import Code, Refused
from oms.messages.desk import AccountClosed, AccountDisabled, AccountEnabled, AccountRenamed
from oms.messages.enums import AccountKind, AccountStatus
from oms.messages.events import AccountRegistered

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

MAX_MAIN: Final = 1
MAX_SUB_ACCOUNTS: Final = 200
"""Accounts beside the MAIN account, of kind SUB and STRATEGY together; closed ones do not count."""
MAX_REGISTERED: Final = 1_000
"""Accounts that may ever be registered: a closed one is known for good."""


@attrs.frozen(slots=True)
class Registered:
    """One account.

    Args:
        name: what people call it; its id until it is renamed.
    """

    kind: AccountKind
    name: str
    status: AccountStatus = AccountStatus.ACTIVE

    @property
    def closed(self) -> bool:
        """Whether it is closed, for good."""
        return self.status is AccountStatus.CLOSED


# -- decide


def check_room(accounts: dict[str, Registered], kind: AccountKind) -> None:
    """Hold one account more against the bounds.

    Raises:
        Refused: ACCOUNT_LIMIT.
    """
    if len(accounts) >= MAX_REGISTERED:
        raise Refused(
            Code.ACCOUNT_LIMIT,
            f"{MAX_REGISTERED:,} accounts were registered already, and closed ones are known for good:"
            " rename one that is not used any more",
        )
    open_kinds = [each.kind for each in accounts.values() if not each.closed]
    mains = open_kinds.count(AccountKind.MAIN)
    if kind is AccountKind.MAIN:
        if mains >= MAX_MAIN:
            raise Refused(Code.ACCOUNT_LIMIT, f"there is a {kind} account already")
    elif len(open_kinds) - mains >= MAX_SUB_ACCOUNTS:
        raise Refused(Code.ACCOUNT_LIMIT, f"there are {MAX_SUB_ACCOUNTS} SUB and STRATEGY accounts already")


def check_name(accounts: dict[str, Registered], account: str, name: str) -> None:
    """Hold a name for an account against what the others are called, by name or by id, in whatever letters.

    Raises:
        Refused: INVALID_COMMAND for one that nobody could read, ACCOUNT_NAME_TAKEN.
    """
    if not name.isprintable() or name != name.strip():
        raise Refused(
            Code.INVALID_COMMAND, f"a name is printable, with no blanks around it, was {name[:64]!r}"
        )
    wanted = name.casefold()
    for other, known in accounts.items():
        if other == account:
            continue
        if other.casefold() == wanted or (not known.closed and known.name.casefold() == wanted):
            raise Refused(Code.ACCOUNT_NAME_TAKEN, f"account {other} is called {known.name!r}")


# -- evolve


def account_registered(state: "Partition", event: AccountRegistered, at: int) -> None:
    """Take an account in. One that is known stays as it is."""
    if event.account not in state.accounts:
        state.accounts[event.account] = Registered(event.kind, event.account)
        state.changes.accounts[event.account] = None


def account_renamed(state: "Partition", event: AccountRenamed, at: int) -> None:
    """People call it so from now on."""
    _change(state, event.account, name=event.name)


def account_disabled(state: "Partition", event: AccountDisabled, at: int) -> None:
    """It places and amends nothing."""
    _change(state, event.account, status=AccountStatus.DISABLED)


def account_enabled(state: "Partition", event: AccountEnabled, at: int) -> None:
    """It trades again."""
    _change(state, event.account, status=AccountStatus.ACTIVE)


def account_closed(state: "Partition", event: AccountClosed, at: int) -> None:
    """It is closed for good."""
    _change(state, event.account, status=AccountStatus.CLOSED)


def _change(state: "Partition", account: str, **fields: Any) -> None:
    state.accounts[account] = attrs.evolve(state.accounts[account], **fields)
    state.changes.accounts[account] = None
