"""Diff: what changed between two moments, by entity and field.

The history is rebuilt at the earlier moment and walked to the later one. Of what there is little of (accounts, connectors,
instruments, positions, balances, P&L) everything is compared; of orders those that an event in between was about, so that
one that came and went in between is told too. An entity's fields are those of its row in the answers.
"""

import copy
import decimal
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.money import EXACT
from oms.aggregates.order import Order
from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from oms.messages.subjects import ANY
from oms.projections.orders import order_fields
from replay.asking import rows
from replay.asking.asof import (
    MAX_HELD,
    Head,
    ReadModels,
    Unanswerable,
    as_of,
    check_history,
    check_sequence,
    head_of,
    is_beyond,
)
from replay.asking.filters import Filters
from replay.asking.moment import LAST_TIME, Moment
from replay.asking.span import Span, walk
from replay.history import EventId, History
from replay.rebuild import Progress
from replay.snapshot import Snapshots
from replay.source import Source

MAX_CHANGED: Final = MAX_HELD // 2
"""Orders that may have changed between the moments."""
_BEFORE: Final = ReadModels(CacheConfig(), frozenset({"trades"}))
"""Finished orders held at the earlier moment: only a late trade changes one, and of an older one it is told as such."""
_ALL: Final = Filters()
_IDENTITY: Final = frozenset(
    {"exchange", "account", "market", "symbol", "strategy", "day", "asset", "wallet"}
)


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field; None also where the entity was not there."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entity.

    Args:
        entity: its kind, see :func:`entities`, or ``order``. ``key``: what names it among them.
        change: ``new`` (it was not there before), ``changed`` or ``gone``.
        fields: those that differ; of what is new or gone those with a value.
    """

    entity: str
    key: str
    change: str
    fields: list[FieldChange]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What lies between two moments.

    Args:
        commits, events: how many; events by their tag. Filters do not narrow these.
        forgotten: orders that a late trade changed and that had finished too long before to be held.
        changes: by kind and key; orders last, oldest first.
    """

    before: Head
    after: Head
    commits: int
    events: dict[str, int]
    forgotten: int
    changes: list[Change]


@attrs.frozen
class Entity:
    """One thing at one moment: whom it belongs to (``_`` where that does not apply), and its fields."""

    place: tuple[str, str, str, str]
    strategy: str | None
    fields: dict[str, Any]

    def meant(self, filters: Filters) -> bool:
        """Whether filters mean it; what has no symbol, say, is not meant by a filter for one."""
        asked = filters.subject[1:]
        return all(a in (ANY, has) for a, has in zip(asked, self.place, strict=True)) and (
            filters.strategy in (None, self.strategy)
        )


async def diff(
    source: Source,
    snapshots: Snapshots | None,
    one: Moment,
    other: Moment | None,
    filters: Filters = _ALL,
    *,
    ends_now: bool = True,
    progress: Progress | None = None,
) -> Diff:
    """Compare two moments, in either order; ``other`` None is the end of the history.

    Raises:
        Unanswerable: a moment is not in the history, or more than :data:`MAX_CHANGED` orders changed in between.
        UnknownName: a filter names what was unknown at the later moment.
        JournalBroken, SnapshotRefused, TimeoutError: as :func:`replay.rebuild.rebuild`.
    """
    first, second = (one, other) if other is None else await _in_order(source, one, other)
    if second is not None:
        check_sequence(second.sequence, check_history(await source.bounds())[1])
    found = await as_of(source, snapshots, first, read_models=_BEFORE, ends_now=ends_now, progress=progress)
    history = found.history
    models = history.projections
    assert models is not None, "asked for with read models"
    # From here on no order is let go: what finishes in between is part of the answer.
    models.orders.kept, models.orders.kept_ns = MAX_HELD, LAST_TIME
    before = dict(entities(history))
    orders = {order_id: copy.copy(order) for order_id, order in models.orders.by_id.items()}
    seen = _Seen()
    span = Span() if second is None else Span(last=second.sequence, until=second.time)
    await walk(source, history, span, seen, progress)
    filters.check(history.partition)
    touched, held = sorted(seen.orders), models.orders.by_id
    with decimal.localcontext(EXACT):
        after = dict(entities(history))
        changes = [
            *_changes(before, after, filters),
            *_changes(
                {("order", i): _order(orders[i]) for i in seen.orders if i in orders},
                {
                    ("order", i): _order(models.orders.by_id[i])
                    for i in seen.orders
                    if i in models.orders.by_id
                },
                filters,
            ),
        ]
    beyond = await is_beyond(source, history, None if second is None else second.time, ends_now)
    return Diff(
        before=found.head,
        after=head_of(history, beyond),
        commits=seen.commits,
        events=dict(sorted(seen.events.items())),
        forgotten=sum(order_id not in held for order_id in touched),
        changes=changes,
    )


async def _in_order(source: Source, one: Moment, other: Moment) -> tuple[Moment, Moment]:
    """The earlier moment and the later one."""
    if one.sequence is not None and other.sequence is not None:
        return (one, other) if one.sequence <= other.sequence else (other, one)
    if one.time is not None and other.time is not None:
        return (one, other) if one.time <= other.time else (other, one)
    if one.sequence is None:
        one, other = other, one
    assert one.sequence is not None
    assert other.time is not None
    check_sequence(one.sequence, check_history(await source.bounds())[1])
    frame = await source.frame(one.sequence)
    # A frame that was trimmed and not archived is earlier than any that can still be walked to.
    earlier = frame is None or frame.frame.commits[-1].at <= other.time
    return (one, other) if earlier else (other, one)


class _Seen:
    """What the walk met."""

    def __init__(self) -> None:
        self.commits = 0
        self.events: Counter[str] = Counter()
        self.orders: dict[str, None] = {}
        self._commit: tuple[int, int] = (0, 0)

    def begin(self, stored: StoredFrame) -> None:
        """Nothing is noted of frames."""

    def event(self, event: Any, at: int, place: EventId) -> None:
        if place[:2] != self._commit:
            self._commit = place[:2]
            self.commits += 1
        self.events[event.__struct_config__.tag] += 1
        order_id = getattr(event, "order_id", "")
        if order_id:
            self.orders[order_id] = None
            if len(self.orders) > MAX_CHANGED:
                raise Unanswerable(
                    f"more than {MAX_CHANGED:,} orders changed between these moments: choose two that are closer"
                )

    def end(self) -> None:
        """Nothing is noted of frames."""


def entities(history: History) -> Iterator[tuple[tuple[str, str], Entity]]:
    """Everything but orders, by kind and key, inside :data:`oms.aggregates.money.EXACT`."""
    state = history.partition
    yield (
        ("engine", state.partition),
        Entity((ANY,) * 4, None, {"instance": state.engine, "version": state.version}),
    )
    for name, known in sorted(state.accounts.items()):
        yield ("account", name), Entity((ANY, name, ANY, ANY), None, attrs.asdict(known))
    for transfer_id, transfer in sorted(state.transfers.items()):
        place = (transfer.exchange, transfer.account, transfer.market, ANY)
        yield ("transfer", transfer_id), Entity(place, None, attrs.asdict(transfer))
    for exchange, account, market in sorted(state.ledgers):
        ledger = state.ledgers[exchange, account, market]
        fields = {"session": ledger.session, "ready": ledger.ready}
        yield (
            ("connector", f"{exchange}.{account}.{market}"),
            Entity((exchange, account, market, ANY), None, fields),
        )
    for key in sorted(state.instruments):
        exchange, market, symbol = key
        fields = _without(attrs.asdict(state.instruments[key], recurse=False))
        yield ("instrument", ".".join(key)), Entity((exchange, ANY, market, symbol), None, fields)
    for position in rows.positions(history, _ALL):
        yield _row("position", position, position.symbol)
    for balance in rows.balances(history, _ALL):
        place = (balance.exchange, balance.account, balance.wallet, ANY)
        yield (
            ("balance", ".".join([*place[:3], balance.asset])),
            Entity(place, None, _without(msgspec.structs.asdict(balance))),
        )
    for row in rows.pnl_rows(history, _ALL, ["account", "strategy", "symbol"])[0]:
        yield _row("pnl", row, row.symbol, row.strategy or "(none)", row.strategy)


def _row(
    kind: str, row: Any, symbol: str, name: str | None = None, strategy: str | None = None
) -> tuple[tuple[str, str], Entity]:
    place = (row.exchange, row.account, row.market, symbol)
    key = ".".join([*(token for token in place if token != ANY), *([] if name is None else [name])])
    return (kind, key), Entity(place, strategy, _without(msgspec.structs.asdict(row)))


def _order(order: Order) -> Entity:
    place = (order.exchange, order.account, order.market, order.symbol)
    return Entity(place, order.strategy, order_fields(order))


def _without(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields but those that stand in the key, as they are now: amounts by asset change in place."""
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if name not in _IDENTITY
    }


def _changes(
    before: dict[tuple[str, str], Entity], after: dict[tuple[str, str], Entity], filters: Filters
) -> Iterator[Change]:
    for kind, key in {**before, **after}:
        old, new = before.get((kind, key)), after.get((kind, key))
        entity = new or old
        assert entity is not None, "it is in one of the two"
        if not entity.meant(filters):
            continue
        was, now = old.fields if old else {}, new.fields if new else {}
        fields = [
            FieldChange(field=name, before=was.get(name), after=now.get(name))
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        ]
        if fields:
            change = "changed" if old and new else "new" if new else "gone"
            yield Change(entity=kind, key=key, change=change, fields=fields)
