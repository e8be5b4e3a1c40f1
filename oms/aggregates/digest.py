"""Digest: one number that stands for the whole state, kept up as the state changes.

It is the sum, modulo 2^256, of the SHA-256 of every entity's line. A line is a JSON array that names the entity's kind and
key, so that no order between entities is needed and what was not touched is not looked at again. Whoever changes the state
notes the entity in :class:`Changes`; the next :meth:`Digest.fold` hashes what was noted.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from oms.aggregates.account import Account, AccountKey, Balance, Wallet, WalletKey
from oms.aggregates.books import BookKey
from oms.aggregates.guard import Guard, GuardKey
from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.order import Order, PendingAmend
from oms.aggregates.position import Position, PositionKey
from oms.aggregates.registered import Registered
from oms.aggregates.risk.assignments import Assignment
from oms.aggregates.risk.latches import Latch
from oms.aggregates.risk.limits import Override
from oms.aggregates.risk.totals import Totals
from oms.aggregates.risk.valuation import Valuation
from oms.aggregates.transfer import Transfer
from oms.aggregates.venue import Venue, VenueKey
from oms.aggregates.window import Remembered

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

MAX_NOTED: Final = 20_000
"""Changes that wait to be folded; beyond it the state folds them by itself, so that they never grow without end."""
_AT_ONCE: Final = 10_000
_MODULUS: Final = 1 << 256

Line = tuple[Any, ...]
"""An entity as it is hashed: kind, key, content."""
Noted = tuple[tuple[Any, ...], ...]
"""What was touched: keys by kind, then whole lines."""

_order_values = attrgetter(*attrs.fields_dict(Order))
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


@attrs.define(slots=True, eq=False)
class Changes:
    """What was touched since the last fold, in the order it was touched first.

    Orders, ledgers, wallets, positions, venues, instruments, accounts, guards and transfers change in place and are noted by
    key. What never changes (answers to commands, trade ids, retired orders) is noted whole when it comes (``added``) and when it goes
    (``removed``).
    """

    orders: dict[str, None] = attrs.field(factory=dict)
    ledgers: dict[AccountKey, None] = attrs.field(factory=dict)
    wallets: dict[WalletKey, None] = attrs.field(factory=dict)
    positions: dict[PositionKey, None] = attrs.field(factory=dict)
    venues: dict[VenueKey, None] = attrs.field(factory=dict)
    instruments: dict[InstrumentKey, None] = attrs.field(factory=dict)
    accounts: dict[str, None] = attrs.field(factory=dict)
    guards: dict[GuardKey, None] = attrs.field(factory=dict)
    transfers: dict[str, None] = attrs.field(factory=dict)
    books: dict[BookKey, None] = attrs.field(factory=dict)
    totals: dict[str, None] = attrs.field(factory=dict)
    limits: dict[str, None] = attrs.field(factory=dict)
    latches: dict[str, None] = attrs.field(factory=dict)
    valuations: dict[str, None] = attrs.field(factory=dict)
    strategies: dict[str, None] = attrs.field(factory=dict)
    risk: dict[str, None] = attrs.field(factory=dict)
    added: list[Line] = attrs.field(factory=list)
    removed: list[Line] = attrs.field(factory=list)

    @property
    def many(self) -> bool:
        """Whether so much waits that it should be folded now."""
        return len(self.orders) + len(self.added) > MAX_NOTED

    def noted(self) -> Noted:
        """What waits to be folded, by kind, and what was added."""
        return (*map(tuple, self.kinds()), tuple(self.added))

    def clear(self) -> None:
        """Begin anew."""
        for noted in self.kinds():
            noted.clear()
        self.added.clear()
        self.removed.clear()

    def kinds(self) -> tuple[dict[Any, None], ...]:
        """What was noted by key, in the order of :data:`_LINES`."""
        return (
            self.orders,
            self.ledgers,
            self.wallets,
            self.positions,
            self.venues,
            self.instruments,
            self.accounts,
            self.guards,
            self.transfers,
            self.books,
            self.totals,
            self.limits,
            self.latches,
            self.valuations,
            self.strategies,
            self.risk,
        )


@attrs.define(slots=True, eq=False)
class Digest:
    """The running sum. The partition's own few fields change with every commit and are added only when the value is asked for."""

    _total: int = 0
    _known: tuple[dict[Any, int], ...] = attrs.field(factory=lambda: tuple({} for _ in _LINES))

    def fold(self, state: "Partition") -> list[bytes]:
        """Take in what changed; return the SHA-256 of the new lines, in the order of :func:`touched`."""
        changes = state.changes
        lines: list[Line] = []
        places: list[tuple[dict[Any, int], Any]] = []
        total = self._total
        # One pass, and one call of the encoder for all kinds: most commits touch one entity of each.
        for number, noted in enumerate(changes.kinds()):
            if noted:
                known, line_of = self._known[number], _LINES[number]
                for key in noted:
                    if key in known:
                        total -= known.pop(key)
                    line = line_of(state, key)
                    if line is not None:
                        lines.append(line)
                        places.append((known, key))
                noted.clear()
        if changes.added:
            lines += changes.added
            changes.added.clear()
        if not lines and not changes.removed:
            self._total = total
            return []
        hashes = _hashes(lines)
        values = list(map(int.from_bytes, hashes))
        for (known, key), value in zip(places, values, strict=False):
            known[key] = value
        total += sum(values)
        if changes.removed:
            total -= sum(map(int.from_bytes, _hashes(changes.removed)))
            changes.removed.clear()
        self._total = total
        return hashes

    def value(self, state: "Partition") -> str:
        """The digest of the state as it is now, 64 hex digits."""
        self.fold(state)
        own = int.from_bytes(sha256(_encode(own_line(state))).digest())
        return f"{(self._total + own) % _MODULUS:064x}"

    def adopt(self, state: "Partition", digest: str) -> None:
        """Start over from a state that is known to have this digest. What never changes need not be hashed for that."""
        state.changes.clear()
        self._known = tuple(
            dict(zip(keys, map(int.from_bytes, _hashes(lines)), strict=True))
            for keys, lines in _in_place(state)
        )
        self._total = (int(digest, 16) - int.from_bytes(sha256(_encode(own_line(state))).digest())) % _MODULUS


def touched(state: "Partition", noted: Noted) -> list[str]:
    """Names of the entities that a fold hashed, in its order, from what :meth:`Changes.noted` was before it."""
    lines = [
        line
        for keys, line_of in zip(noted, _LINES, strict=False)
        for key in keys
        if (line := line_of(state, key)) is not None
    ]
    return [name_of(line) for line in [*lines, *noted[-1]]]


def from_scratch(state: "Partition") -> str:
    """The digest computed over every entity, whatever was noted."""
    total = int.from_bytes(sha256(_encode(own_line(state))).digest())
    some: list[Line] = []
    for line in lines_of(state):
        some.append(line)
        if len(some) == _AT_ONCE:
            total += sum(map(int.from_bytes, _hashes(some)))
            some.clear()
    total += sum(map(int.from_bytes, _hashes(some)))
    return f"{total % _MODULUS:064x}"


def lines_of(state: "Partition") -> Iterator[Line]:
    """Every entity's line but the partition's own."""
    for _, lines in _in_place(state):
        yield from lines
    for account, window in state.windows.items():
        for command_id, remembered in window.entries.items():
            yield command_line(account, command_id, remembered)
    for ledger in state.ledgers.values():
        for trade, venue_time in ledger.trade_ids.items():
            yield trade_line(ledger, trade, venue_time)
    for order_id, strategy in state.retired.items():
        yield retired_line(order_id, strategy)


_KEPT: Final = ("limits that were cleared", "strategies that were unassigned")
"""What stands in a line that has no field of its own."""


def _fields(kind: type) -> str:
    return f"{kind.__name__}({','.join(attrs.fields_dict(kind))})"


def _shape() -> str:
    """What is hashed, by its fields: two digests can be compared only when they are of the same."""
    fields = [
        _fields(kind)
        for kind in (
            Order,
            PendingAmend,
            Account,
            Wallet,
            Balance,
            Position,
            Venue,
            Instrument,
            Remembered,
            Guard,
            Registered,
            Transfer,
            Totals,
            Override,
            Latch,
            Valuation,
            Assignment,
        )
    ]
    return sha256(";".join([*OWN_FIELDS, *_KEPT, *fields]).encode()).hexdigest()[:16]


def name_of(line: Line) -> str:
    """An entity's name for people: its kind and key."""
    kind, key = line[0], line[1]
    if kind == "command":
        return f"command {key} {line[2]}"
    if kind == "trade":
        return f"trade {'.'.join(key)} {line[2]}"
    return f"{kind} {key if isinstance(key, str) else '.'.join(key)}"


def _hashes(lines: Iterable[Line]) -> list[bytes]:
    encoded = _encode_lines(lines)
    # JSON escapes newlines inside strings, so each one ends a line.
    return [sha256(line).digest() for line in encoded.split(b"\n")[:-1]]


# -- the lines


OWN_FIELDS: Final = (
    "partition",
    "journal_id",
    "engine",
    "version",
    "signing_key",
    "at",
    "next_order",
    "next_transfer",
    "transfers_done",
)


def own_line(state: "Partition") -> Line:
    """The partition's own fields."""
    return (
        "partition",
        state.partition,
        state.journal_id,
        state.engine,
        state.version,
        state.signing_key,
        state.at,
        state.next_order,
        state.next_transfer,
        state.transfers_done,
    )


def _order_line(state: "Partition", order_id: str) -> Line | None:
    order = state.orders.get(order_id)
    if order is None:
        return None
    # The fields' values alone: SHAPE names them, and names would make the line twice as long.
    return (
        "order",
        order_id,
        _order_values(order),
        state.finished.get(order_id),
        state.doubtful.get(order_id),
        state.unanswered.get(order_id),
    )


def _ledger_line(state: "Partition", key: AccountKey) -> Line:
    ledger = state.ledgers[key]
    # Without trade ids, which are entities of their own.
    return (
        "ledger",
        key,
        ledger.session,
        ledger.ready,
        ledger.forgotten_before,
        ledger.filled_until,
        ledger.reconciled_at,
        ledger.reconciled_as,
        ledger.differences,
    )


def _wallet_line(state: "Partition", key: WalletKey) -> Line:
    wallet = state.wallets[key]
    return ("wallet", wallet.key, wallet.balances, wallet.transit, wallet.moved)


def _position_line(state: "Partition", key: PositionKey) -> Line:
    return ("position", key, state.positions[key])


def _venue_line(state: "Partition", key: VenueKey) -> Line:
    return ("venue", key, state.venues[key])


def _instrument_line(state: "Partition", key: InstrumentKey) -> Line:
    return ("instrument", key, state.instruments[key])


def _account_line(state: "Partition", account: str) -> Line:
    return ("account", account, state.accounts[account])


def _guard_line(state: "Partition", key: GuardKey) -> Line | None:
    guard = state.guards.get(key)
    return None if guard is None else ("guard", key, guard)


def _transfer_line(state: "Partition", transfer_id: str) -> Line | None:
    transfer = state.transfers.get(transfer_id)
    return None if transfer is None else ("transfer", transfer_id, transfer)


def _book_line(state: "Partition", key: BookKey) -> Line:
    return ("book", key, state.books.by_key[key])


def _totals_line(state: "Partition", scope: str) -> Line | None:
    totals = state.risk.totals.get(scope)
    return None if totals is None or not totals.remembers else ("totals", scope, totals.line())


def _limits_line(state: "Partition", scope: str) -> Line | None:
    said = state.risk.limits.said.get(scope)
    overrides = state.risk.limits.overrides.get(scope)
    return None if said is None and overrides is None else ("limits", scope, said, overrides)


def _latch_line(state: "Partition", scope: str) -> Line | None:
    latch = state.risk.latches.get(scope)
    return None if latch is None else ("latch", scope, latch)


def _valuation_line(state: "Partition", asset: str) -> Line:
    return ("valuation", asset, state.risk.rates.valuations[asset])


def _strategy_line(state: "Partition", strategy: str) -> Line | None:
    assignment = state.risk.strategies.get(strategy)
    spoken_of = assignment is not None or strategy in state.risk.unassigned
    return ("strategy", strategy, assignment) if spoken_of else None


def _risk_line(state: "Partition", key: str) -> Line | None:
    # Of what is remembered for telling duplicates how many and the last: it is short-lived, and would be long.
    count, last = state.risk.last_recent()
    return ("risk", key, state.risk.day, count, last) if state.risk.day or count else None


_LINES: Final[tuple[Callable[["Partition", Any], Line | None], ...]] = (
    _order_line,
    _ledger_line,
    _wallet_line,
    _position_line,
    _venue_line,
    _instrument_line,
    _account_line,
    _guard_line,
    _transfer_line,
    _book_line,
    _totals_line,
    _limits_line,
    _latch_line,
    _valuation_line,
    _strategy_line,
    _risk_line,
)


def _in_place(state: "Partition") -> Iterator[tuple[Iterable[Any], list[Any]]]:
    """Of everything that changes in place: the keys, and the lines."""
    everything: tuple[Iterable[Any], ...] = (
        state.orders,
        state.ledgers,
        state.wallets,
        state.positions,
        state.venues,
        state.instruments,
        state.accounts,
        state.guards,
        state.transfers,
        state.books.by_key,
        state.risk.totals,
        dict.fromkeys((*state.risk.limits.said, *state.risk.limits.overrides)),
        state.risk.latches,
        state.risk.rates.valuations,
        (*state.risk.strategies, *state.risk.unassigned),
        ("",),
    )
    for held, line_of in zip(everything, _LINES, strict=True):
        found = [(key, line) for key in held if (line := line_of(state, key)) is not None]
        yield [key for key, _ in found], [line for _, line in found]


def command_line(account: str, command_id: str, remembered: Any) -> Line:
    """A remembered answer."""
    return ("command", account, command_id, remembered)


def trade_line(ledger: Account, trade: str, venue_time: int) -> Line:
    """An applied trade's id."""
    return ("trade", ledger.key, trade, venue_time)


def retired_line(order_id: str, strategy: str) -> Line:
    """What is kept of an order that left."""
    return ("retired", order_id, strategy)


SHAPE: Final = _shape()
"""Names what this code hashes. A release that gives an entity another field has another one, and does not compare older digests."""
