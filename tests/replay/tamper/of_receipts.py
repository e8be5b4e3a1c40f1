"""What is done to receipts, mark and keys. Each function does one thing and says where it must be found."""

import re
import shutil
from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oms.journal.mark import SLOT_BYTES
from oms.journal.receipts import line_digest, signed_bytes
from oms.journal.signing import SigningKey
from oms.messages.frames import GENESIS
from tests.replay.record import (
    sealings_of,
    write_mark,
    write_receipts,
)
from tests.replay.tamper.desk import LOST, RECEIPT, Desk, Place, flip


def _lines(desk: Desk) -> list[bytes]:
    return desk.receipts.read_bytes().splitlines(keepends=True)


def receipt_forged(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    place = lines[2].index(b'"signature":"') + 20
    lines[2] = lines[2][:place] + bytes([lines[2][place] ^ 1]) + lines[2][place + 1 :]
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipt_edited(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    lines[2] = re.sub(rb'"commit":\d+', b'"commit":77', lines[2])
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipts_of_an_unknown_key(desk: Desk) -> Iterable[Place]:
    _signed_by_another(desk)
    return [Place(RECEIPT, 1, what=f"{desk.receipts.name}:1")]


def receipts_of_a_key_put_there(desk: Desk) -> Iterable[Place]:
    # Its public half lies beside the right ones, but the journal does not declare it.
    key = _signed_by_another(desk)
    (desk.data_dir / "keys" / f"receipts-{key.key_id}.pub").write_text(key.public_key + "\n")
    return [Place(RECEIPT, at) for at in desk.receipted]


def _signed_by_another(desk: Desk) -> SigningKey:
    key = SigningKey(Ed25519PrivateKey.generate())
    prev, lines = GENESIS, []
    for line in _lines(desk):
        changed = re.sub(rb'"key_id":"\w+"', f'"key_id":"{key.key_id}"'.encode(), line[:-1])
        changed = re.sub(rb'"prev":"\w+"', f'"prev":"{prev}"'.encode(), changed)
        signature = key.sign(signed_bytes(changed)).encode()
        changed = re.sub(rb'"signature":"\w+"', b'"signature":"' + signature + b'"', changed)
        lines.append(changed + b"\n")
        prev = line_digest(changed)
    desk.receipts.write_bytes(b"".join(lines))
    return key


def public_key_swapped(desk: Desk) -> Iterable[Place]:
    path = desk.path("keys/*.pub")
    path.write_text(SigningKey(Ed25519PrivateKey.generate()).public_key + "\n")
    return [Place(RECEIPT, 0, what="keys")]


def receipt_removed(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    del lines[2]
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipts_cut(desk: Desk) -> Iterable[Place]:
    desk.receipts.write_bytes(b"".join(_lines(desk)[:-2]))
    return [Place(RECEIPT, desk.receipted[-3] + 1, desk.receipted[-1], what="receipts")]


def receipts_removed(desk: Desk) -> Iterable[Place]:
    desk.receipts.unlink()
    return [
        Place(RECEIPT, 1, desk.receipted[-1], what="receipts"),
    ]


def receipts_and_mark_removed(desk: Desk) -> Iterable[Place]:
    shutil.rmtree(desk.data_dir / "receipts")
    return [Place(RECEIPT, desk.receipted[0], desk.maker.sequence, what="receipts")]


def receipts_for_another_seal(desk: Desk) -> Iterable[Place]:
    # Signed with the right key, for a seal that was never there.
    sealings = sealings_of(desk.maker.stored)
    desk.receipts.unlink()
    sealings[2] = msgspec.structs.replace(sealings[2], digest="f" * 64)
    write_receipts(desk.data_dir, desk.record.key, sealings)
    return [Place(RECEIPT, sealings[2].sequence)]


def mark_set_back(desk: Desk) -> Iterable[Place]:
    write_mark(desk.data_dir, 5, desk.maker.stored[4].digest, desk.receipted[0])
    return [Place(RECEIPT, 5, what="mark")]


def mark_set_ahead(desk: Desk) -> Iterable[Place]:
    end = desk.maker.sequence
    write_mark(desk.data_dir, end + 7, "a" * 64, desk.receipted[-1])
    return [Place(LOST, end + 1, end + 7)]


def mark_forged(desk: Desk) -> Iterable[Place]:
    at, before = desk.receipted[-2] - 1, desk.receipted[-3]
    write_mark(desk.data_dir, at, "a" * 64, before)
    return [Place(RECEIPT, before + 1, at, what="mark")]


def mark_flipped(desk: Desk) -> Iterable[Place]:
    flip(desk.mark, 30)
    flip(desk.mark, SLOT_BYTES + 30)
    return [Place(RECEIPT, 0, what="mark")]


def one_slot_of_the_mark_flipped(desk: Desk) -> Iterable[Place]:
    flip(desk.mark, 30)
    return [Place(RECEIPT, 0, what="mark")]


def mark_removed(desk: Desk) -> Iterable[Place]:
    desk.mark.unlink()
    return [Place(RECEIPT, 0, what="mark")]
