"""Image: a partition's state as bytes and back, and its digest.

Every entity is written by itself. The digest is the sum, modulo 2^256, of the SHA-256 of every entity with its name, so
that it does not hang on an order between entities and can be kept up entity by entity.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import attrs
import msgspec

from oms.aggregates.account import Account
from oms.aggregates.instrument import Instrument
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.aggregates.window import Remembered, Window
from oms.messages.enums import AccountKind

_encode = msgspec.json.Encoder().encode
_MODULUS = 1 << 256


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    journal_id: str
    partition: str
    engine: str
    at: int
    next_order: int
    accounts: dict[str, AccountKind]
    instruments: list[Instrument]
    ledgers: list[Account]
    positions: list[Position]
    orders: list[Order]
    windows: dict[str, dict[str, Remembered]]
    unanswered: dict[str, int]
    doubtful: dict[str, int]
    finished: dict[str, int]
    retired: dict[str, str]


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
            at=state.at,
            next_order=state.next_order,
            accounts=state.accounts,
            instruments=list(state.instruments.values()),
            ledgers=list(state.ledgers.values()),
            positions=list(state.positions.values()),
            orders=list(state.orders.values()),
            windows={account: window.entries for account, window in state.windows.items()},
            unanswered=state.unanswered,
            doubtful=state.doubtful,
            finished=state.finished,
            retired=state.retired,
        )
    )


def load(image: bytes) -> Partition:
    """Undo :func:`dump`.

    Raises:
        msgspec.DecodeError: the bytes are not an image.
    """
    read = _decode(image)
    state = Partition(
        journal_id=read.journal_id,
        partition=read.partition,
        engine=read.engine,
        at=read.at,
        next_order=read.next_order,
        accounts=read.accounts,
        unanswered=read.unanswered,
        doubtful=read.doubtful,
        finished=OrderedDict(read.finished),
        retired=OrderedDict(read.retired),
    )
    state.instruments = {instrument.key: instrument for instrument in read.instruments}
    state.ledgers = {account.key: account for account in read.ledgers}
    state.positions = {(p.exchange, p.account, p.market, p.symbol): p for p in read.positions}
    state.windows = {account: Window(entries) for account, entries in read.windows.items()}
    for order in read.orders:
        state.orders[order.order_id] = order
        key = (order.exchange, order.account, order.market)
        if order.live:
            state.live.setdefault(key, {})[order.order_id] = order
            if order.expires_at is not None:
                state.expiring[order.order_id] = order.expires_at
        if order.strategy == ADOPTED:
            state.venue_ids[key, order.client_order_id] = order.order_id
    return state


def entities(state: Partition) -> Iterator[tuple[str, Any]]:
    """Every entity with its name. Two states are equal when these are."""
    yield "partition", [state.journal_id, state.partition, state.engine, state.at, state.next_order]
    for account, kind in state.accounts.items():
        yield f"account {account}", kind
    for instrument in state.instruments.values():
        yield f"instrument {'.'.join(instrument.key)}", instrument
    for ledger in state.ledgers.values():
        yield f"ledger {'.'.join(ledger.key)}", ledger
    for position in state.positions.values():
        yield f"position {position.exchange}.{position.account}.{position.market}.{position.symbol}", position
    for order in state.orders.values():
        yield f"order {order.order_id}", order
    for account, window in state.windows.items():
        for command_id, remembered in window.entries.items():
            yield f"command {account} {command_id}", remembered
    yield "unanswered", list(state.unanswered.items())
    yield "doubtful", list(state.doubtful.items())
    yield "finished", list(state.finished.items())
    yield "retired", list(state.retired.items())


def digest(state: Partition) -> str:
    """The state's digest, 64 hex digits."""
    total = 0
    for name, entity in entities(state):
        hashed = hashlib.sha256(name.encode() + b"\n" + _encode(entity)).digest()
        total += int.from_bytes(hashed, "big")
    return f"{total % _MODULUS:064x}"


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
    if not attrs.has(type(left)):
        return [f"{name}: {left!r} != {right!r}"[:500]]
    return [
        f"{name}.{field}: {getattr(left, field)!r} != {getattr(right, field)!r}"[:500]
        for field in attrs.fields_dict(type(left))
        if _encode(getattr(left, field)) != _encode(getattr(right, field))
    ]
