"""Intake: which command is decided next: in the order in which they came, but for who floods, who delays himself alone.

Everything comes over one connection and is read in turns, some hundred messages each, which are put in their order, whatever
subscription they came by. Of what a party (an account's kills, its
cancels, or all else of it) sends in one turn only the first two milliseconds are worked on at once; the rest waits in a line of the
party's own, and lines are served in rotation, a little at a time, with reading in between. Reading is never behind deciding,
so nothing piles up in nats-server, where one account's messages would stand before everybody's.
"""

from collections import deque
from collections.abc import Container, Iterable
from itertools import count
from typing import Any, Final

import attrs
from nats.aio.msg import Msg
from nats.micro.request import Request

from oms.messages.codes import Code, Refused
from oms.messages.subjects import ANY

AT_ONCE_NS: Final = 2 * 10**6
"""Work on one party's messages within a turn; what is more of them waits."""
SLICE_NS: Final = 2 * 10**6
"""Work on what waits, before messages are read again."""
WAITING_MAX: Final = 4_000
"""Messages of one party that may wait …"""
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024
"""… their bytes …"""
WAITING_ALL_MAX: Final = 50_000
"""… messages of all parties …"""
WAITING_ALL_BYTES_MAX: Final = 128 * 1024 * 1024
"""… and their bytes. Beyond any of these they are refused with OVERLOADED."""
WAITING_RESERVED: Final = 10_000
"""More of them, that are no orders: however many flood, each can still be stopped."""

LINES: Final = {"cancel": "cancels", "kill": "kills", "release": "kills"}
"""Verbs with a line apart from that of the account's orders, so that whoever floods can still be stopped, also by himself. What
waits behind a kill is denied by its latch; a release that it overtook would undo it. ``cancel_all`` overtakes nothing: orders
sent before it would be placed behind it."""
ORDERS: Final = "orders"
"""The line of everything else."""
STATEMENTS: Final = frozenset(
    {
        "declare_venue",
        "list_instruments",
        "open_session",
        "close_session",
        "list_live",
        "report",
        "report_balances",
        "report_positions",
        "report_reconciliation",
        "report_transfer",
        "report_marks",
    }
)
"""Of connectors, which wait for each answer: they come in their order, and never behind a client."""

Party = tuple[str, str]
"""Account, and which of its lines; ``_`` is the account of what names none, and no account that of those not known."""


_numbers = count()


class Numbered(Msg):
    """A message that knows how many were read before it."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.number = next(_numbers)


def in_order(requests: Iterable[Request]) -> deque[Request]:
    """Requests whose messages are :class:`Numbered`, first read first."""
    return deque(sorted(requests, key=_number))


def _number(request: Request) -> int:
    # The message of a request has no public name in nats-py.
    message = request._msg
    assert isinstance(message, Numbered), "of a connection whose messages are numbered"
    return message.number


@attrs.define
class Line:
    """What waits of one party."""

    requests: deque[Request] = attrs.field(factory=deque)
    size: int = 0


def party_of(subject: str, known: Container[str]) -> Party | None:
    """Whose command it is; None for what never waits. Accounts that are not known are one party together."""
    verb, _, account, _ = subject.split(".", 3)
    if verb in STATEMENTS:
        return None
    return account if account == ANY or account in known else "", LINES.get(verb, ORDERS)


class Intake:
    """Lines of those who sent more than their share."""

    def __init__(self) -> None:
        self.waiting = 0
        self._size = 0
        self._lines: dict[Party, Line] = {}
        self._spent_ns: dict[Party, int] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def at_once(self, party: Party) -> bool:
        """Whether a message that came now is decided now."""
        return party not in self._lines and self._spent_ns.get(party, 0) < AT_ONCE_NS

    def spend(self, party: Party, ns: int) -> bool:
        """Note work on a party's message; return whether it is the first of this turn."""
        first = not self._spent_ns
        self._spent_ns[party] = self._spent_ns.get(party, 0) + ns
        return first

    def next_turn(self) -> None:
        """Everybody has the whole share again."""
        self._spent_ns.clear()

    def put(self, party: Party, request: Request) -> None:
        """Have a message wait.

        Raises:
            Refused: OVERLOADED: too much of the party waits already.
        """
        line = self._lines.get(party) or Line()
        if len(line.requests) >= WAITING_MAX or line.size + len(request.data) > WAITING_BYTES_MAX:
            raise Refused(
                Code.OVERLOADED, f"{len(line.requests):,} messages of account {party[0]} wait: send slower"
            )
        most = WAITING_ALL_MAX if party[1] == ORDERS else WAITING_ALL_MAX + WAITING_RESERVED
        if self.waiting >= most or self._size + len(request.data) > WAITING_ALL_BYTES_MAX:
            raise Refused(Code.OVERLOADED, f"{self.waiting:,} messages of all accounts wait: send slower")
        self.waiting += 1
        self._size += len(request.data)
        line = self._lines.setdefault(party, line)
        line.requests.append(request)
        line.size += len(request.data)

    def take(self) -> Request:
        """The next message that is decided: the first of the line that was served least recently. There must be one."""
        party, line = next(iter(self._lines.items()))
        del self._lines[party]
        request = line.requests.popleft()
        self.waiting -= 1
        self._size -= len(request.data)
        if line.requests:
            line.size -= len(request.data)
            self._lines[party] = line
        return request

    def last(self, party: Party) -> Request | None:
        """What came last of what waits of a party."""
        line = self._lines.get(party)
        return None if line is None else line.requests[-1]

    def waits(self, party: Party, request: Request) -> bool:
        """Whether a message of the party still waits."""
        line = self._lines.get(party)
        return line is not None and any(each is request for each in line.requests)

    def clear(self) -> list[Request]:
        """Everything that waits, which waits no longer."""
        found = [request for line in self._lines.values() for request in line.requests]
        self._lines.clear()
        self.waiting = self._size = 0
        return found
