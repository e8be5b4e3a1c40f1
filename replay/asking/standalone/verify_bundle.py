#!/usr/bin/env python3
"""Verify a bundle that ``oms replay bundle`` made. Offline; one file; Python 3.9 or later and its standard library alone.

    python3 verify_bundle.py BUNDLE.zip [--public-key HEX]

It checks the SHA-256 of every member, the hash chain from the first frame to the last, that no frame is missing or
doubled and that time never goes back, the chain and signatures of the receipts, that every receipt states a frame and a
seal that are here, and that trades.csv and seals.jsonl say what the frames say. Exit code 0: all holds; 1: something does
not, and the first wrong frame or line is named; 2: wrong usage. README.txt in the bundle says what that proves.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import sys
import time
import zipfile
import zlib
from typing import Any

FORMAT = 2
MEMBERS = ["README.txt", "frames.bin", "manifest.json", "manifest.sha256", "receipts.jsonl", "seals.jsonl"]
MEMBERS += ["trades.csv", "verify_bundle.py"]
GENESIS = "0" * 64
RECORD_MAX = 64 * 1024 * 1024
LINE_MAX = 64 * 1024
PLACE = ["sequence", "commit", "index", "at", "time"]
FILL = ["order_id", "exchange", "account", "market", "symbol", "side", "trade_id", "quantity", "price", "fee"]
FILL += ["fee_asset", "venue_time", "maker", "strategy"]
DEFAULTS = {"maker": False, "strategy": ""}
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


class Wrong(Exception):
    """What does not hold, in one line that says where."""


# -- Ed25519 (RFC 8032, section 5.1), verification alone

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1
Point = Any  # (X, Y, Z, T): x = X/Z, y = Y/Z and xy = T/Z


def add(a: Point, b: Point) -> Point:
    """The sum of two points."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """A multiple of a point."""
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = add(found, point)
        point, number = add(point, point), number >> 1
    return found


def point_of(encoded: bytes) -> Point:
    """The point that 32 bytes stand for."""
    number = int.from_bytes(encoded, "little")
    y, odd = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if y >= P or x * x % P != square or (x == 0 and odd):
        raise ValueError("no point of the curve")
    return (P - x if x & 1 != odd else x), y, 1, (P - x if x & 1 != odd else x) * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verified(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the message."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    try:
        x, y, z, t = point_of(public_key)
    except ValueError:
        return False
    hashed = hashlib.sha512(signature[:32] + public_key + message).digest()
    factor = int.from_bytes(hashed, "little") % L
    x, y, z, _ = add(times(scalar, BASE), times(factor, (P - x, y, z, P - t)))
    inverse = pow(z, P - 2, P)
    encoded = y * inverse % P | (x * inverse % P & 1) << 255
    return scalar < L and encoded.to_bytes(32, "little") == signature[:32]


# -- members


class Member:
    """A member that is read from its start to its end, hashed on the way."""

    def __init__(self, bundle: zipfile.ZipFile, name: str) -> None:
        self.name, self.hash, self.size = name, hashlib.sha256(), 0
        try:
            self.file = bundle.open(name)
        except DAMAGE as error:
            raise Wrong(f"{name}: damaged ({error})") from None

    def read(self, size: int, line: bool = False) -> bytes:
        """So many bytes, or a line of at most so many, less at the end."""
        try:
            data = self.file.readline(size) if line else self.file.read(size)
        except DAMAGE as error:
            raise Wrong(f"{self.name}: damaged near byte {self.size:,} ({error})") from None
        self.hash.update(data)
        self.size += len(data)
        return data

    def finish(self, manifest: dict[str, Any]) -> None:
        """Read what is left, and hold all of it against the manifest."""
        while self.read(1 << 20):
            pass
        found = {"bytes": self.size, "sha256": self.hash.hexdigest()}
        if manifest["members"].get(self.name) != found:
            raise Wrong(f"{self.name}: is {found}, the manifest says {manifest['members'].get(self.name)}")


def read_manifest(bundle: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest, held against its own digest."""
    if sorted(bundle.namelist()) != MEMBERS:
        raise Wrong(f"the members must be {', '.join(MEMBERS)}, were {', '.join(sorted(bundle.namelist()))}")
    raw = Member(bundle, "manifest.json").read(1 << 20)
    if Member(bundle, "manifest.sha256").read(1 << 10) != manifest_line(raw):
        raise Wrong("manifest.sha256: is not the SHA-256 of manifest.json")
    manifest: dict[str, Any] = json.loads(raw)
    if manifest["format"] != FORMAT:
        raise Wrong(
            f"manifest.json: format must be {FORMAT}, was {manifest['format']}: use the verifier that is in the bundle"
        )
    return manifest


def manifest_line(raw: bytes) -> bytes:
    """What manifest.sha256 holds, in the form of sha256sum."""
    return f"{hashlib.sha256(raw).hexdigest()}  manifest.json\n".encode()


def iso(at: int) -> str:
    """UTC nanoseconds as ISO 8601."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at // 10**9))}.{at % 10**9:09d}Z"


# -- frames, and beside them what was made of them


class Verification:
    """One pass over frames, receipts, seals and trades together."""

    def __init__(self, bundle: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        self.frames, self.receipts, self.seals, self.trades = (
            Member(bundle, name) for name in ("frames.bin", "receipts.jsonl", "seals.jsonl", "trades.csv")
        )
        self.counts = dict.fromkeys(("frames", "commits", "events", "seals", "trades", "receipts"), 0)
        self.at_first: int | None = None
        self.at = -1
        self.prev: str = manifest["prev"]
        self.line_prev: str | None = None
        self.receipt: dict[str, Any] | None = None  # the next one, not yet held against its frame
        self.stated = 0  # the last frame that a receipt states
        self.signed: dict[
            str, tuple[bytes, str]
        ] = {}  # key id → the last line that it signed, and where that is

    def run(self) -> None:
        """Check everything but the signatures."""
        manifest, sequence = self.manifest, self.manifest["first"]
        if sequence == 1 and self.prev != GENESIS:
            raise Wrong("manifest.json: frame 1 has nothing before it, so prev must be zeros")
        self.expect(self.trades, csv_line(PLACE + FILL + ["busted"]), "the header")
        self.next_receipt()
        while head := self.frames.read(36):
            self.frame(sequence, head)
            sequence += 1
        if self.receipt is not None:
            raise Wrong(f"receipts.jsonl: states frame {self.receipt['sequence']:,}, which is not here")
        for member in (self.seals, self.trades):
            if member.read(1):
                raise Wrong(f"{member.name}: goes on where the frames end")
        found = {"last": sequence - 1, "head": self.prev, "at_first": self.at_first, "at_last": self.at}
        for name, value in {**found, **self.counts}.items():
            if manifest[name] != value:
                raise Wrong(f"manifest.json: {name} is {manifest[name]}, the frames say {value}")
        for member in (self.frames, self.receipts, self.seals, self.trades):
            member.finish(manifest)

    def frame(self, sequence: int, head: bytes) -> None:
        """One record: its length in 4 bytes, the SHA-256 of the payload, the payload."""
        size = int.from_bytes(head[:4], "big")
        payload = self.frames.read(size) if size <= RECORD_MAX else b""
        digest = hashlib.sha256(payload).hexdigest()
        if len(payload) != size or digest != head[4:].hex():
            raise Wrong(f"frame {sequence:,}: its bytes are not those whose SHA-256 stands beside them")
        try:
            frame = json.loads(payload)
            if frame["sequence"] != sequence:
                raise Wrong(f"frame {sequence:,}: in its place stands frame {frame['sequence']:,}")
            if frame["prev"] != self.prev:
                before = f"frame {sequence - 1:,}" if self.counts["frames"] else "manifest.json: prev"
                raise Wrong(
                    f"{before}: is {self.prev}, but frame {sequence:,} follows {frame['prev']}: one was changed"
                )
            seals = [
                seal for n, commit in enumerate(frame["commits"]) for seal in self.commit(sequence, n, commit)
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Wrong(f"frame {sequence:,}: is no frame ({error!r})") from None
        self.counts["frames"] += 1
        self.prev = digest
        while self.receipt is not None and self.receipt["sequence"] <= sequence:
            receipt = self.receipt
            stated = (receipt["sequence"], receipt["head"])
            if stated != (sequence, digest) or (receipt["commit"], receipt["digest"]) not in seals:
                since = self.stated + 1 if self.stated else self.manifest["first"]
                raise Wrong(
                    f"frame {sequence:,}: is not what its receipt states: it or one from {since:,} on was changed"
                )
            self.stated = sequence
            self.next_receipt()

    def commit(self, sequence: int, number: int, commit: dict[str, Any]) -> list[Any]:
        """One commit; returns its seals as receipts name them."""
        at, found = commit["at"], []
        if at < self.at:
            raise Wrong(
                f"frame {sequence:,}: commit {number} is at {at}, before the one ahead of it, at {self.at}"
            )
        self.at, self.at_first = at, at if self.at_first is None else self.at_first
        self.counts["commits"] += 1
        for index, event in enumerate(commit["events"]):
            self.counts["events"] += 1
            kind, _, version = event["event"].partition(".")
            if kind in ("OrderFilled", "TradeBusted", "Sealed") and version != "1":
                raise Wrong(f"frame {sequence:,}: {event['event']} is newer than this verifier")
            if kind in ("OrderFilled", "TradeBusted"):
                self.counts["trades"] += 1
                cells = [event[name] if name in event else DEFAULTS[name] for name in FILL]
                row = [sequence, number, index, at, iso(at), *cells, kind == "TradeBusted"]
                self.expect(
                    self.trades, csv_line(row), f"trade {self.counts['trades']:,}, of frame {sequence:,},"
                )
            elif kind == "Sealed":
                self.counts["seals"] += 1
                seal = {"sequence": sequence, "commit": number, "at": at}
                seal.update(digest=event["digest"], shape=event["shape"])
                line = json.dumps(seal, separators=(",", ":")).encode() + b"\n"
                self.expect(self.seals, line, f"seal {self.counts['seals']:,}, of frame {sequence:,},")
                found.append((number, event["digest"]))
        return found

    def expect(self, member: Member, wanted: bytes, what: str) -> None:
        """The next bytes of a member that was made from the frames."""
        if member.read(len(wanted)) != wanted:
            raise Wrong(f"{member.name}: {what} is not as the frames say")

    def next_receipt(self) -> None:
        """Read the next line of the receipts; its signature is not looked at yet."""
        line = self.receipts.read(LINE_MAX, line=True)
        self.receipt = None
        if not line:
            return
        self.counts["receipts"] += 1
        where = f"receipts.jsonl: line {self.counts['receipts']:,}"
        try:
            receipt = json.loads(line)
            _ = receipt["head"], receipt["digest"], receipt["commit"], receipt["signature"]
            wrong_link = self.line_prev is not None and receipt["prev"] != self.line_prev
            self.signed[receipt["key_id"]] = line[:-1], f"{where}, for frame {receipt['sequence']:,},"
            if wrong_link or not line.endswith(b"\n") or receipt["sequence"] < self.manifest["first"]:
                raise Wrong(f"{where}: does not follow the line before it, or is of another span")
        except (ValueError, KeyError, TypeError) as error:
            raise Wrong(f"{where}: is no receipt ({error!r})") from None
        self.receipt, self.line_prev = receipt, hashlib.sha256(line[:-1]).hexdigest()


def csv_line(row: list[Any]) -> bytes:
    """A line of trades.csv."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow(
        [str(v).lower() if isinstance(v, bool) else v for v in row]
    )
    return made.getvalue().encode()


def check_signature(line: bytes, where: str, keys: dict[str, str]) -> None:
    """Hold a receipt's signature, over its line without that last member, against the keys by their ids."""
    receipt = json.loads(line)
    signed = line[: line.rindex(b',"signature"')] + b"}"
    key = keys.get(receipt["key_id"])
    if key is None:
        raise Wrong(
            f"{where} is signed with key {receipt['key_id']}, not with {' or '.join(keys) or 'any known'}"
        )
    if not verified(bytes.fromhex(key), signed, bytes.fromhex(receipt["signature"])):
        raise Wrong(f"{where} has a forged signature: it is not that of key {receipt['key_id']}")


def check_signatures(bundle: zipfile.ZipFile, signed: dict[str, Any], keys: dict[str, str]) -> None:
    """Each line holds the digest of the one before, so the last signature covers all; all are checked when it fails."""
    try:
        for line, where in signed.values():
            check_signature(line, where, keys)
    except (Wrong, ValueError):
        with bundle.open("receipts.jsonl") as lines:
            for number, line in enumerate(lines, 1):
                where = f"receipts.jsonl: line {number:,}, for frame {json.loads(line)['sequence']:,},"
                try:
                    check_signature(line[:-1], where, keys)
                except ValueError as error:
                    raise Wrong(f"{where} has no signature ({error})") from None
        raise


def verify(path: str, pinned: list[str]) -> list[str]:
    """Verify a bundle; return what to say of it.

    Raises:
        Wrong: at the first thing that does not hold.
    """
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(open(path, "rb"))  # noqa: PTH123
            bundle = opened.enter_context(zipfile.ZipFile(file))
        except DAMAGE as error:
            raise Wrong(f"{path}: is no bundle ({error})") from None
        try:
            manifest = read_manifest(bundle)
            verification = Verification(bundle, manifest)
            keys = {
                hashlib.sha256(bytes.fromhex(k)).hexdigest()[:16]: k
                for k in pinned or manifest["public_keys"]
            }
            verification.run()
            check_signatures(bundle, verification.signed, keys)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Wrong(f"the manifest or a receipt is not written as a bundle's are ({error!r})") from None
        for name in ("README.txt", "verify_bundle.py"):
            Member(bundle, name).finish(manifest)
    if pinned and not verification.counts["receipts"]:
        raise Wrong("receipts.jsonl: holds none, so nothing here is signed with the key that was given")
    return describe(manifest, verification, bool(pinned))


def describe(manifest: dict[str, Any], verification: Verification, pinned: bool) -> list[str]:
    """What a good bundle holds and what of it is proved, for people."""
    last, end = verification.stated, manifest["last"]
    said = [
        f"journal   {manifest['journal_id']}, frames {manifest['first']:,} to {end:,}",
        f"time      {iso(manifest['at_first'])} to {iso(manifest['at_last'])}",
        f"chain     {manifest['prev']} before, {manifest['head']} after",
        f"holds     {', '.join(f'{number:,} {name}' for name, number in verification.counts.items())}",
    ]
    if not verification.counts["receipts"]:
        said.append("unsigned  no receipt is here: whoever made the bundle could have made it otherwise")
        return [*said, "OK        the chain holds; nothing is signed"]
    whose = (
        "which you gave"
        if pinned
        else "which came with the bundle: compare it with the one the desk gave you"
    )
    said.append(f"signed    up to frame {last:,} by key {', '.join(verification.signed)}, {whose}")
    if last == end:
        return [*said, "OK        everything holds"]
    said.append(f"unsigned  frames {last + 1:,} to {end:,}: no receipt covers them")
    return [*said, f"OK        everything holds; signed is what is up to frame {last:,}"]


def main() -> int:
    """Verify and report."""
    parser = argparse.ArgumentParser(description="Verify a bundle of a mExOms journal, offline.")
    parser.add_argument("bundle", help="the file")
    parser.add_argument(
        "--public-key",
        action="append",
        default=[],
        metavar="HEX",
        help="only receipts of this key count, 64 hex digits",
    )
    given = parser.parse_args()
    for key in given.public_key:
        if len(key) != 64 or not all(c in "0123456789abcdef" for c in key):
            parser.error(f"a public key is 64 hex digits in lower case, was {key}")
    try:
        print("\n".join(verify(given.bundle, given.public_key)))
    except Wrong as wrong:
        print(f"WRONG     {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
