"""What is done to snapshots. Each function does one thing and says where it must be found."""

import json
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from oms.aggregates import image
from replay.snapshot import Snapshots
from tests.replay.tamper.desk import SNAPSHOT, Desk, Place, Tamper, flip


def _same(part: Any) -> Any:
    return part


def _rewrite(
    path: Path,
    state: Callable[[bytes], bytes] = _same,
    header: Callable[[dict[str, Any]], None] = _same,
    models: Callable[[bytes], bytes] = _same,
) -> int:
    """Change a snapshot and make its checksums and its digest anew; return its sequence."""
    document = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    changed, projections = state(bytes(document["state"])), models(bytes(document["projections"]))
    found: dict[str, Any] = json.loads(bytes(document["header"]))
    found["state_sha256"] = sha256(changed).hexdigest()
    found["projections_sha256"] = sha256(projections).hexdigest()
    found["digest"] = image.load(changed).digest()
    sequence = int(found["sequence"])
    header(found)
    encoded = msgspec.json.encode(found)
    path.write_bytes(
        b'{"header":%b,"header_sha256":"%b","state":%b,"projections":%b}\n'
        % (encoded, sha256(encoded).hexdigest().encode(), changed, projections)
    )
    return sequence


def _richer(state: bytes) -> bytes:
    changed = re.sub(rb'"total":"\d+', lambda found: found[0] + b"9", state, count=1)
    assert changed != state
    return changed


def snapshot_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    flip(path, 3_000)
    return [Place(SNAPSHOT, desk.maker.sequence // 2, what=str(path))]


def snapshot_header_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    flip(path, 30)
    return [Place(SNAPSHOT, 0, what=str(path))]


def read_models_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    content = path.read_bytes()
    place = content.index(b'"price":"', content.index(b'"projections":')) + 9
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    return [Place(SNAPSHOT, desk.maker.sequence // 2, what=str(path))]


def models_edited(change: Callable[[dict[str, Any]], None]) -> Tamper:
    """Change the read models of the first snapshot, whose state stays as it is."""

    def tamper(desk: Desk) -> Iterable[Place]:
        def changed(models: bytes) -> bytes:
            found = json.loads(models)
            change(found)
            assert found != json.loads(models)
            return msgspec.json.encode(found)

        path = Snapshots(desk.data_dir).paths()[-1]
        return [Place(SNAPSHOT, _rewrite(path, models=changed), what=str(path))]

    return tamper


def dropped_order(models: dict[str, Any]) -> None:
    gone = models["orders"].pop(1)["order_id"]
    del models["finished"][gone]


def snapshot_edited(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    return [Place(SNAPSHOT, _rewrite(path, _richer), what=str(path))]


def snapshot_edited_as_of_another_shape(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    sequence = _rewrite(path, _richer, lambda header: header.update(shape="0" * 16))
    return [Place(SNAPSHOT, sequence, what=str(path))]


def _header_of(desk: Desk, **fields: Any) -> tuple[int, str]:
    path = Snapshots(desk.data_dir).paths()[-1]
    return _rewrite(path, header=lambda header: header.update(fields)), str(path)


def snapshot_head_edited(desk: Desk) -> Iterable[Place]:
    sequence, path = _header_of(desk, head="b" * 64)
    return [Place(SNAPSHOT, sequence, what=path)]


def snapshot_time_edited(desk: Desk) -> Iterable[Place]:
    # An answer as of a time would start from a later state.
    sequence, path = _header_of(desk, at=1)
    return [Place(SNAPSHOT, sequence, what=path)]


def snapshot_order_number_edited(desk: Desk) -> Iterable[Place]:
    # An order would be looked for behind the wrong snapshot.
    sequence, path = _header_of(desk, next_order=3)
    return [Place(SNAPSHOT, sequence, what=path)]


def snapshot_of_a_later_frame(desk: Desk) -> Iterable[Place]:
    _, path = _header_of(desk, sequence=10_000)
    return [Place(SNAPSHOT, 10_000, what=path)]


def snapshot_of_another_frame(desk: Desk) -> Iterable[Place]:
    _, path = _header_of(desk, sequence=7)
    return [Place(SNAPSHOT, 7, what=path)]
