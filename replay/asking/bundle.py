"""Bundle: a span of the journal in one zip file, which a third party verifies offline.

It holds whole frames byte for byte, the receipts that state them, what people want to read (seals, trades), the verifier
(:mod:`replay.asking.standalone.verify_bundle`) and how to use it. The same span makes the same file, byte for byte.
"""

import csv
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

import attrs
import msgspec

from oms import __version__
from oms.code import code_digest
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame
from oms.journal.receipts import LINE_BYTES_MAX, Chain, Receipt, receipt_files
from oms.journal.signing import key_id_of, known_keys
from oms.messages import events as e
from replay.asking.moment import iso
from replay.history import EventId, History

FORMAT: Final = 2
DATED: Final = (1980, 1, 1, 0, 0, 0)
"""What the zip says of every member: when it was made is no part of the bundle."""
FILL: Final = e.OrderFilled.__struct_fields__
"""Columns of trades.csv between those of the place and ``busted``; the verifier names them itself, which the tests hold
against these."""

_encode = msgspec.json.Encoder().encode


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself.

    Args:
        first, last: sequences of its frames. ``prev``, ``head``: chain heads before the first and after the last.
        at_first, at_last: times of the first and the last commit, UTC ns.
        public_keys: of the receipts in it, 64 hex digits each.
        members: name → SHA-256 and size of every other member but manifest.sha256.
    """

    format: int = FORMAT
    journal_id: str
    first: int
    last: int
    prev: str
    head: str
    at_first: int
    at_last: int
    frames: int
    commits: int
    events: int
    seals: int
    trades: int
    receipts: int
    public_keys: list[str]
    made_by: dict[str, str]
    members: dict[str, dict[str, int | str]]


class NothingToBundle(ValueError):
    """The span holds no frame."""


def receipts_from(data_dir: Path, first: int, keys: dict[str, str]) -> Iterator[Receipt]:
    """Receipts for frame ``first`` and later, each held against its chain and the keys, oldest first.

    Args:
        keys: key id → public key; looked at when a receipt comes, so it may grow meanwhile.

    Raises:
        ReceiptDamaged: at the first that is not what it must be.
    """
    paths = receipt_files(data_dir)
    chain = Chain(None)
    for index, path in enumerate(paths):
        after = _first_receipt(paths[index + 1]) if index + 1 < len(paths) else None
        if after is not None and after.sequence <= first:
            continue
        for number, raw in enumerate(_lines(path, chain), 1):
            receipt = chain.next(path, number, raw)
            if receipt.sequence >= first:
                chain.check_signature(path, number, receipt, raw, keys)
                yield receipt


def _lines(path: Path, chain: Chain) -> Iterator[bytes]:
    """Lines without their line feeds. A last one without it was torn by a crash, or is being written now."""
    with path.open("rb") as file:
        number = 0
        while (raw := file.readline(LINE_BYTES_MAX)).endswith(b"\n"):
            number += 1
            yield raw[:-1]
        if raw and file.read(1):
            raise chain.damaged(path, number + 1, f"longer than {LINE_BYTES_MAX:,} bytes")


def _first_receipt(path: Path) -> Receipt | None:
    with path.open("rb") as file:
        raw = file.readline(LINE_BYTES_MAX)
    return Chain(None).next(path, 1, raw[:-1]) if raw.endswith(b"\n") else None


@attrs.define
class _Member:
    """A member in the making: hashed on the way, and put into the zip when it is whole."""

    file: IO[bytes]
    hash: Any = attrs.field(factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self.file.write(data)


class Bundle:
    """Writes a bundle while a span is walked through; a visitor as :class:`replay.asking.span.Visitor` says.

    Frames are bundled whole, also where the span by time takes only a part of one. Memory does not grow with the span: what
    is beside the frames waits in temporary files next to the output.

    Args:
        file: where the zip goes.
        directory: for temporary files.
        history: the state before the span.
        data_dir: where receipts and public keys are.
    """

    def __init__(self, file: IO[bytes], directory: Path, history: History, data_dir: Path) -> None:
        self._history = history
        self._data_dir = data_dir
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=6)
        self._directory = directory
        self._frames = _Member(self._zip.open(_info("frames.bin"), "w", force_zip64=True))
        self._open = ExitStack()
        self._open.callback(self._zip.close)
        self._open.callback(self._frames.file.close)
        self._seals, self._trades, self._receipts = (
            _Member(self._open.enter_context(tempfile.TemporaryFile(dir=directory)))  # noqa: SIM115 - it is
            for _ in range(3)
        )
        self._trades.write(_csv_line(("sequence", "commit", "index", "at", "time", *FILL, "busted")))
        self._keys = known_keys(data_dir)
        self._know(history.partition.signing_key)
        self._signed_by: dict[str, None] = {}
        self._waiting: Iterator[Receipt] | None = None
        self._receipt: Receipt | None = None
        self._counts = dict.fromkeys(("frames", "commits", "events", "seals", "trades", "receipts"), 0)
        self._first: StoredFrame | None = None
        self._last: StoredFrame | None = None

    def close(self) -> None:
        """Let the temporary files go. What stands in the output is not a bundle unless :meth:`finish` was called."""
        self._open.close()

    def begin(self, stored: StoredFrame) -> None:
        """Take a frame."""
        sequence, payload = stored.sequence, stored.payload
        if self._first is None:
            self._first = stored
            self._waiting = receipts_from(self._data_dir, sequence, self._keys)
            self._receipt = next(self._waiting, None)
        self._last = stored
        self._frames.write(len(payload).to_bytes(4, "big") + bytes.fromhex(stored.digest) + payload)
        self._counts["frames"] += 1
        seals: list[tuple[int, str]] = []
        for number, commit in enumerate(stored.frame.commits):
            self._counts["commits"] += 1
            for index, event in enumerate(commit.events):
                self._counts["events"] += 1
                if isinstance(event, e.OrderFilled | e.TradeBusted):
                    self._trade((sequence, number, index, commit.at, iso(commit.at)), event)
                elif type(event) is e.Sealed:
                    self._seal(sequence, number, commit.at, event)
                    seals.append((number, event.digest))
                elif type(event) is e.SigningKeyDeclared:
                    self._know(event.public_key)
        self._take_receipts(stored, seals)

    def event(self, event: Any, at: int, place: EventId) -> None:
        """See :class:`replay.asking.span.Visitor`; the frame as a whole was taken when it began."""

    def end(self) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def _know(self, public_key: str) -> None:
        if public_key:
            self._keys[key_id_of(public_key)] = public_key

    def _trade(self, place: tuple[int | str, ...], fill: e.OrderFilled | e.TradeBusted) -> None:
        self._counts["trades"] += 1
        # As the journal has them, which is how decimals and enums turn into text.
        cells = [*(getattr(fill, name) for name in FILL), isinstance(fill, e.TradeBusted)]
        self._trades.write(
            _csv_line(
                (*place, *(str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in cells))
            )
        )

    def _seal(self, sequence: int, number: int, at: int, seal: e.Sealed) -> None:
        self._counts["seals"] += 1
        self._seals.write(
            _encode(
                {"sequence": sequence, "commit": number, "at": at, "digest": seal.digest, "shape": seal.shape}
            )
            + b"\n"
        )

    def _take_receipts(self, stored: StoredFrame, seals: list[tuple[int, str]]) -> None:
        receipt = self._receipt
        if receipt is None or receipt.sequence != stored.sequence:
            return
        if receipt.head != stored.digest or (receipt.commit, receipt.digest) not in seals:
            raise JournalBroken(
                JournalFault.RECEIPT,
                stored.sequence,
                f"its receipt states head {receipt.head} and digest {receipt.digest} in commit {receipt.commit}, the frame"
                f" has head {stored.digest} and seals {seals}: the history was changed after it was signed",
            )
        self._receipts.write(_encode(receipt) + b"\n")
        self._counts["receipts"] += 1
        self._signed_by[self._keys[receipt.key_id]] = None
        assert self._waiting is not None, "receipts are opened with the first frame"
        self._receipt = next(self._waiting, None)

    def finish(self) -> Manifest:
        """Write what is beside the frames, and end the file.

        Raises:
            NothingToBundle: there was no frame.
        """
        if self._first is None or self._last is None:
            raise NothingToBundle("the span holds no frame")
        self._frames.file.close()
        members = {"frames.bin": self._frames}
        for name, member in (
            ("receipts.jsonl", self._receipts),
            ("seals.jsonl", self._seals),
            ("trades.csv", self._trades),
        ):
            members[name] = member
            self._copy(name, member.file)
        package = files("replay.asking.standalone")
        for name, content in (
            ("README.txt", README.encode()),
            ("verify_bundle.py", package.joinpath("verify_bundle.py").read_bytes()),
        ):
            members[name] = self._whole(name, content)
        manifest = Manifest(
            journal_id=self._history.partition.journal_id,
            first=self._first.sequence,
            last=self._last.sequence,
            prev=self._first.frame.prev,
            head=self._last.digest,
            at_first=self._first.frame.commits[0].at,
            at_last=self._last.frame.commits[-1].at,
            **self._counts,
            public_keys=list(self._signed_by),
            made_by={"mexoms": __version__, "code": code_digest()},
            members={
                name: {"sha256": member.hash.hexdigest(), "bytes": member.size}
                for name, member in sorted(members.items())
            },
        )
        text = manifest_text(manifest)
        self._whole("manifest.json", text)
        self._whole("manifest.sha256", f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode())
        self._zip.close()
        return manifest

    def _copy(self, name: str, file: IO[bytes]) -> None:
        file.seek(0)
        with self._zip.open(_info(name), "w", force_zip64=True) as target:
            while block := file.read(1 << 20):
                target.write(block)

    def _whole(self, name: str, content: bytes) -> _Member:
        with self._zip.open(_info(name), "w") as target:
            member = _Member(target)
            member.write(content)
        return member


def manifest_text(manifest: Manifest) -> bytes:
    """manifest.json. Its SHA-256 names the bundle and all that is in it."""
    return json.dumps(msgspec.to_builtins(manifest), indent=2).encode() + b"\n"


def _info(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, DATED)
    found.compress_type = zipfile.ZIP_DEFLATED
    found.external_attr = 0o100644 << 16
    return found


def _csv_line(cells: tuple[Any, ...]) -> bytes:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow(cells)
    return made.getvalue().encode()


README: Final = """\
A part of the journal of a mExOms trading system, to be verified by whoever receives it.

How to verify
-------------

    python3 verify_bundle.py BUNDLE.zip --public-key HEX

Python 3.9 or later and nothing else; no network. HEX is the public key that signs the desk's receipts: ask the desk for
it over another way than the one that this file came by, and once for all, long before you need it. Take the verifier
from the project's own release, or read it: the one in here came by the same way as the rest.

Exit code 0: all holds. 1: something does not, and the first wrong frame or line is named.

What is in it
-------------

frames.bin        the journal, byte for byte. A record is 4 bytes of length (big endian), 32 bytes of SHA-256 of the
                  payload, and the payload: JSON with the sequence, the SHA-256 of the frame before, and the commits.
                  A commit has its time (UTC nanoseconds), its subject, the command as it was received and the events.
receipts.jsonl    what the system signed, outside the journal, while it ran: at this frame the chain's head was this and
                  the state had this digest. Each line holds the SHA-256 of the line before it.
seals.jsonl       the digests of the state, which the journal itself holds. For reading.
trades.csv        every fill, and every fill that the venue took back (busted). For reading; the verifier makes it again
                  from the frames and compares.
manifest.json     the range, the chain's heads before and after it, counts, keys, SHA-256 of every member.
manifest.sha256   SHA-256 of the manifest. Said over another way, it names this very bundle.

What a good bundle proves
-------------------------

- Within the range no frame is missing, doubled, moved or changed in a bit, since the receipts were signed: whoever
  changes one has to make all that follow anew, and cannot sign the receipts again without the desk's private key.
- Time never goes back within the range.
- trades.csv has every fill of the range, every one taken back, and nothing else.

What it does not prove
----------------------

- That the desk did not keep a second journal, or made this one anew with its own key. Receipts that you were given
  earlier, or the manifest's SHA-256, rule that out for all that they cover: compare them.
- Frames after the last receipt are chained, but not signed; the report says which they are.
- That the state before the range was right: the chain's head before it stands in the manifest, compare it with the bundle
  of the time before. A bundle from frame 1 on has nothing before it.
- That the venues agree. Ask them for their own statements; trades.csv has their trade ids and times.
- That the recorded decisions follow from the commands: `oms replay verify` decides them again, with the system's code.
"""
