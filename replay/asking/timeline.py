"""Timeline: everything that concerned an account, in order, a line each. Pure: a visitor of a span that hands lines on.

A line is a client's command or an event. What belongs to no account is told where it concerns all: engines that start,
losses that were accepted, days that roll, valuations. Limits and kill switches are told to the accounts that their scope
covers: of a strategy to the one that it is assigned to, of an unassigned one to all. A transfer is told to both of its
accounts. The rest (seals, keys, instruments, marks, what connectors and the engine asked) only with ``all``.
"""

from collections.abc import Callable
from typing import Any, Final

import attrs
import msgspec

from oms.journal.reader import StoredFrame
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages.frames import Commit
from oms.messages.scopes import Scope, ScopeKind, parse_scope
from oms.messages.subjects import ANY
from replay.asking import wording
from replay.asking.filters import Filters
from replay.asking.steps import CLIENT, by_whom
from replay.history import EventId, History

_OF_ALL: Final = (e.JournalCreated, e.EngineStarted, e.LossAccepted, k.DayRolled, k.ValuationSet)
_ASIDE: Final = (e.Sealed, e.SigningKeyDeclared, e.InstrumentListed, e.MarksRecorded)
_PLACE: Final = ("account", "exchange", "market", "symbol", "strategy")

Cursor = tuple[int, int, int]
"""(sequence, index of the commit, line of the commit): 0 is the command itself, the events count from 1."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line.

    Args:
        place: the cursor, such as ``12.3.1``.
        at: UTC ns.
        by: CLIENT, CONNECTOR or ENGINE asked for it.
        name: the verb of a command, the type of an event.
        command: the very text of a command; ``event``: an event. One of the two is there.
    """

    place: str
    at: int
    by: str
    name: str
    text: str
    account: str = ANY
    exchange: str = ANY
    market: str = ANY
    symbol: str = ANY
    strategy: str = ""
    order_id: str = ""
    command_id: str = ""
    command: str | None = None
    event: e.Event | None = None


class Enough(Exception):
    """As many lines as were asked for were handed on, and there are more."""


@attrs.define
class Timeline:
    """A visitor as :class:`replay.asking.span.Visitor` says.

    Args:
        history: the state that moves through the span; read models are not needed.
        filters: the account, and what it is narrowed to.
        write: gets each line.
        everything: tell what was left out otherwise.
        after: lines up to this one are left out.
        limit: raise :class:`Enough` when there is a line beyond so many.
        found: whether anything was the account's own.
    """

    history: History
    filters: Filters
    write: Callable[[Line], None]
    everything: bool = False
    after: Cursor = (0, 0, 0)
    limit: int | None = None
    found: bool = False
    count: int = 0
    last: Cursor = (0, 0, 0)
    _frame: StoredFrame | None = None
    _told: tuple[int, int] = (0, 0)

    def begin(self, stored: StoredFrame) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._frame = stored

    def event(self, event: Any, at: int, place: EventId) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        about = self._about(event)
        if not self.filters.during(at) or not self._meant(event, about):
            return
        assert self._frame is not None, "a frame begins before its events"
        self.found = self.found or about.get("account") == self.filters.account
        sequence, index, number = place
        commit = self._frame.frame.commits[index]
        verb = commit.subject.partition(".")[0]
        by = by_whom(verb)
        if self._told != (sequence, index):
            self._told = (sequence, index)
            if by == CLIENT or self.everything:
                self._put((sequence, index, 0), _command(commit, verb, by, about))
        line = Line(
            place="",
            at=at,
            by=by,
            name=type(event).__name__,
            text=wording.event(event),
            command_id=commit.command_id,
            event=event,
            **about,
        )
        self._put((sequence, index, number + 1), line)

    def end(self) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def _put(self, cursor: Cursor, line: Line) -> None:
        if cursor <= self.after:
            return
        if self.count == self.limit:
            raise Enough
        self.count += 1
        self.last = cursor
        self.write(msgspec.structs.replace(line, place=text_of(cursor)))

    def _about(self, event: Any) -> dict[str, Any]:
        """Whom and what an event is about: as it says itself, else as its order does."""
        order_id = getattr(event, "order_id", "")
        order = self.history.partition.orders.get(order_id)
        about: dict[str, Any] = {"order_id": order_id} if order_id else {}
        for name in _PLACE:
            value = getattr(event, name, None) or getattr(order, name, None)
            if value:
                about[name] = value
        about |= self._of_transfer(event)
        scope = _scope(event)
        if scope is not None and scope.name and not scope.is_each:
            if scope.kind is ScopeKind.INSTRUMENT:
                about.update(zip(("exchange", "market", "symbol"), scope.name.split("."), strict=True))
            else:
                about[scope.kind.value] = scope.name
        return about

    def _of_transfer(self, event: Any) -> dict[str, Any]:
        """Where a transfer concerns the account: it leaves one and reaches another, and is told to both."""
        transfers = self.history.partition.transfers
        transfer = (
            event if isinstance(event, d.TransferDenied) else transfers.get(getattr(event, "transfer_id", ""))
        )
        if transfer is None:
            return {}
        if self.filters.account == transfer.to:
            return {"account": transfer.to, "exchange": transfer.exchange, "market": transfer.to_market}
        return {"account": transfer.account, "exchange": transfer.exchange, "market": transfer.market}

    def _meant(self, event: Any, about: dict[str, Any]) -> bool:
        filters = self.filters
        if isinstance(event, _ASIDE) and not self.everything:
            return False
        narrow = filters.symbol != ANY or filters.strategy is not None
        if isinstance(event, _OF_ALL + _ASIDE) and not narrow:
            return True
        scope = _scope(event)
        if scope is not None:
            return self._covered(scope, about)
        # A cancel of all that names no symbol is about each.
        anywhere = ANY if isinstance(event, e.CancelAllRequested) else ""
        return (
            about.get("account") == filters.account
            and all(
                getattr(filters, name) in (ANY, about.get(name)) or about.get(name) == anywhere
                for name in ("exchange", "market", "symbol")
            )
            and filters.strategy in (None, about.get("strategy", ""))
        )

    def _covered(self, scope: Scope, about: dict[str, Any]) -> bool:
        """Whether a scope covers the account, and anything that the filters leave of it."""
        filters = self.filters
        if any(
            getattr(filters, name) not in (ANY, about.get(name, getattr(filters, name)))
            for name in ("account", "exchange", "market", "symbol")
        ):
            return False
        if scope.kind is ScopeKind.INSTRUMENT and not scope.is_each:
            return filters.strategy is None
        if filters.symbol != ANY:
            return False
        if scope.kind is ScopeKind.STRATEGY and not scope.is_each:
            assigned = self.history.partition.risk.strategies.get(scope.name)
            if filters.strategy is None:
                return assigned is None or assigned.account == filters.account
            return filters.strategy == scope.name
        return filters.strategy is None


def _scope(event: Any) -> Scope | None:
    text = getattr(event, "scope", None)
    return None if text is None else parse_scope(text)


def _command(commit: Commit, verb: str, by: str, about: dict[str, Any]) -> Line:
    raw = bytes(commit.command)
    return Line(
        place="",
        at=commit.at,
        by=by,
        name=verb,
        text=wording.command(verb, raw),
        command_id=commit.command_id,
        command=raw.decode(),
        # A command may be about many orders; it stands above the first event that is meant.
        **{name: value for name, value in about.items() if name != "order_id" or by == CLIENT},
    )


def text_of(cursor: Cursor) -> str:
    """A cursor as it is written."""
    return ".".join(map(str, cursor))


def parse_cursor(text: str) -> Cursor:
    """Undo :func:`text_of`.

    Raises:
        ValueError: it is no cursor.
    """
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"must be the place of a line, such as 12.3.1, was {text!r}")
    sequence, commit, line = map(int, parts)
    return sequence, commit, line
