"""Image: a partition's state as bytes and back, and what differs between two."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import attrs
import msgspec

from oms.aggregates.account import Account, Wallet
from oms.aggregates.digest import OWN_FIELDS, from_scratch, lines_of, name_of, own_line
from oms.aggregates.guard import Guard
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import exactly
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.aggregates.registered import Registered
from oms.aggregates.risk.image import RiskImage, restore_risk, risk_image
from oms.aggregates.transfer import Transfer, hold_transfer
from oms.aggregates.venue import Venue
from oms.aggregates.window import Remembered, Window

_encode = msgspec.json.Encoder().encode


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    # What an earlier release did not keep cannot be made up: such an image is refused, and the frames are read instead.
    journal_id: str
    partition: str
    engine: str
    version: str
    signing_key: str
    at: int
    next_order: int
    next_transfer: int
    transfers_done: int
    accounts: dict[str, Registered]
    venues: list[Venue]
    instruments: list[Instrument]
    ledgers: list[Account]
    wallets: list[Wallet]
    positions: list[Position]
    orders: list[Order]
    windows: dict[str, dict[str, Remembered]]
    unanswered: dict[str, int]
    doubtful: dict[str, int]
    finished: dict[str, int]
    retired: dict[str, str]
    guards: list[Guard]
    transfers: list[Transfer]
    books: list[tuple[str, Position]]
    risk: RiskImage


def _ordered(kind: type, value: Any) -> Any:
    """Give the one type that msgspec leaves to us, ``OrderedDict``, its order back."""
    return OrderedDict(value)


_decode = msgspec.json.Decoder(_Image, dec_hook=_ordered).decode


def dump(state: Partition) -> bytes:
    """The whole state as one JSON object. Dicts keep their order: it decides what is forgotten first."""
    return _encode(
        _Image(
            journal_id=state.journal_id,
            partition=state.partition,
            engine=state.engine,
            version=state.version,
            signing_key=state.signing_key,
            at=state.at,
            next_order=state.next_order,
            next_transfer=state.next_transfer,
            transfers_done=state.transfers_done,
            accounts=dict(state.accounts),
            venues=list(state.venues.values()),
            instruments=list(state.instruments.values()),
            ledgers=list(state.ledgers.values()),
            wallets=list(state.wallets.values()),
            positions=list(state.positions.values()),
            orders=list(state.orders.values()),
            windows={account: window.entries for account, window in state.windows.items()},
            unanswered=state.unanswered,
            doubtful=state.doubtful,
            finished=state.finished,
            retired=state.retired,
            guards=list(state.guards.values()),
            transfers=list(state.transfers.values()),
            books=[(key[4], book) for key, book in state.books.by_key.items()],
            risk=risk_image(state.risk),
        )
    )


def load(image: bytes, digest: str | None = None) -> Partition:
    """Undo :func:`dump`.

    Args:
        digest: of that state, where it is known; otherwise it is computed.

    Raises:
        msgspec.DecodeError: the bytes are not an image, or one of an earlier release, which did not keep all that counts now.
    """
    read = _decode(image)
    state = Partition(
        journal_id=read.journal_id,
        partition=read.partition,
        engine=read.engine,
        version=read.version,
        signing_key=read.signing_key,
        at=read.at,
        next_order=read.next_order,
        next_transfer=read.next_transfer,
        transfers_done=read.transfers_done,
        accounts=read.accounts,
        unanswered=read.unanswered,
        doubtful=read.doubtful,
        finished=OrderedDict(read.finished),
        retired=OrderedDict(read.retired),
    )
    state.venues = {venue.key: venue for venue in read.venues}
    state.instruments = {instrument.key: instrument for instrument in read.instruments}
    state.ledgers = {account.key: account for account in read.ledgers}
    state.wallets = {wallet.key: wallet for wallet in read.wallets}
    for position in read.positions:
        state.hold_position((position.exchange, position.account, position.market, position.symbol), position)
    for transfer in read.transfers:
        hold_transfer(state, transfer)
    state.guards = {guard.key: guard for guard in read.guards}
    state.windows = {account: Window(entries) for account, entries in read.windows.items()}
    for order in read.orders:
        state.orders[order.order_id] = order
        key = (order.exchange, order.account, order.market)
        if order.live:
            state.live.setdefault(key, {})[order.order_id] = order
            if order.expires_at is not None:
                state.expiring[order.order_id] = order.expires_at
        state.own_book.changed(order)
        if order.strategy == ADOPTED:
            state.venue_ids[key, order.client_order_id] = order.order_id
    for order in read.orders:
        if order.awaits:
            state.holds.hold(order, state.orders)
    for strategy, book in read.books:
        state.books.hold((book.exchange, book.account, book.market, book.symbol, strategy), book)
    restore_risk(state.risk, read.risk)
    with exactly():
        state.risk.rebuild(state)
    state.adopt_digest(digest or from_scratch(state))
    return state


def entities(state: Partition) -> Iterator[tuple[str, Any]]:
    """Every entity with its name. Two states are equal when these are."""
    yield f"partition {state.partition}", dict(zip(OWN_FIELDS, own_line(state)[1:], strict=True))
    for line in lines_of(state):
        kind = line[0]
        content = line[3:] if kind in ("command", "trade") else line[2:]
        if kind == "order":
            content = (state.orders[line[1]], *content[1:])
        yield name_of(line), dict(zip(_FIELDS[kind], content, strict=True)) if kind in _FIELDS else content[0]


_FIELDS = {
    "limits": ("said", "overrides"),
    "risk": ("day", "remembered", "last"),
    "order": ("order", "finished", "doubtful", "unanswered"),
    "ledger": (
        "session",
        "ready",
        "forgotten_before",
        "filled_until",
        "reconciled_at",
        "reconciled_as",
        "differences",
    ),
    "wallet": ("balances", "transit", "moved"),
}


def digest(state: Partition) -> str:
    """The state's digest, computed over everything; :meth:`Partition.digest` is the same, kept up."""
    return from_scratch(state)


def differences(ours: Partition, theirs: Partition, most: int = 20) -> list[str]:
    """What differs, a line an entity and field, at most ``most`` lines: for people, when two digests differ."""
    left, right = dict(entities(ours)), dict(entities(theirs))
    lines: list[str] = []
    for name in {**left, **right}:
        if len(lines) >= most:
            break
        if name not in left or name not in right:
            lines.append(f"{name}: only in {'theirs' if name not in left else 'ours'}")
        elif _encode(left[name]) != _encode(right[name]):
            lines.extend(_fields(name, left[name], right[name]))
    return lines[:most]


def _fields(name: str, left: Any, right: Any) -> list[str]:
    ours, theirs = fields_of(left), fields_of(right)
    return [
        f"{name}{place}: {ours.get(place)!r} != {theirs.get(place)!r}"[:500]
        for place in {**ours, **theirs}
        if _encode(ours.get(place)) != _encode(theirs.get(place))
    ]


def fields_of(entity: Any, place: str = "") -> dict[str, Any]:
    """An entity's fields by their path, such as ``.balances.USDT.locked``."""
    if attrs.has(type(entity)):
        entity = {name: getattr(entity, name) for name in attrs.fields_dict(type(entity))}
    if not isinstance(entity, dict):
        return {place: entity}
    found: dict[str, Any] = {}
    for name, value in entity.items():
        # The order is the entity; its own fields need no name before theirs.
        found.update(fields_of(value, place if name == "order" else f"{place}.{name}"))
    return found
