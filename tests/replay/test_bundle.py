"""``oms replay bundle`` and its verifier: a good bundle passes, and whatever is changed in it is found and located."""

import ast
import asyncio
import contextlib
import csv
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oms.config import CacheConfig
from oms.journal.errors import JournalBroken
from oms.journal.receipts import Receipts, Sealing, receipt_files
from oms.journal.signing import SigningKey, key_id_of
from oms.messages import events as e
from oms.messages.frames import encode_commit, encode_frame
from oms.nats_server import EmbeddedNats
from replay.asking.bundle import Bundle
from replay.asking.span import Span, advance
from replay.asking.standalone import verify_bundle as v
from replay.cli.bundle import bundle
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import Maker, busy, write

VERIFIER = Path(v.__file__)


def sealed_journal(
    data_dir: Path, seed: int = 5, rounds: int = 6, rest_ns: int = 0, digest: str = ""
) -> Maker:
    """A journal whose key is declared and that is sealed after every few frames, with its receipts in a directory.

    ``rest_ns`` passes between seals; receipts state ``digest`` where one is given.
    """
    key = SigningKey.of(data_dir)
    receipts = Receipts(data_dir, key, "0.1.0", "c0de")
    (data_dir / "receipts").mkdir()
    receipts.open()
    maker = Maker()
    maker.begin()
    maker.ask("declare_key._._._._", key_id=key.key_id, public_key=key.public_key)
    for number in range(rounds):
        busy(seed + number, 12, frame=5, maker=maker)
        if number == rounds - 1:
            order_id = maker.place()
            maker.cut()
            filled = maker.fill(order_id, "1", "100", fee="0.1")
            maker.cut()
            maker.bust(order_id, filled)
            maker.cut()
        maker.place(strategy='odd, "quoted"\nname')
        outcome = maker.ask("seal._._._._")
        assert outcome.commit is not None
        event: Any = outcome.commit.events[0]
        maker.cut()
        receipts.append(
            [
                Sealing(
                    sequence=maker.sequence,
                    head=maker.head,
                    digest=digest or event.digest,
                    commit=1,
                    at=maker.clock,
                )
            ]
        )
        maker.clock += rest_ns
    busy(seed, 6, maker=maker)
    receipts.close()
    return maker


def bundled(maker: Maker, data_dir: Path, path: Path, span: Span | None = None) -> Path:
    """Write a bundle of a journal's span."""
    span = span or Span()
    history = new_history(CacheConfig(), projections=False)
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("wb"))
        made = None
        for stored in maker.stored:
            if stored.sequence < span.first:
                history.apply(stored)
                continue
            if made is None:
                made = opened.enter_context(contextlib.closing(Bundle(file, path.parent, history, data_dir)))
            if not advance(history, stored, span, made) or stored.sequence == span.last:
                break
        assert made is not None
        made.finish()
    return path


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with keys and receipts."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def maker(data_dir: Path) -> Maker:
    """The journal that they are of."""
    return sealed_journal(data_dir)


@pytest.fixture(scope="module")
def key(data_dir: Path, maker: Maker) -> str:
    """The public key that it is signed with."""
    return SigningKey.of(data_dir).public_key


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, maker: Maker, data_dir: Path) -> Path:
    """A bundle of the whole journal."""
    return bundled(maker, data_dir, tmp_path_factory.mktemp("bundle") / "good.zip")


def verify(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier as a third party does, out of reach of this project."""
    return subprocess.run(
        [sys.executable, "-I", str(VERIFIER), str(path), *options],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=path.parent,
    )


def wrong(path: Path, *pinned: str) -> str:
    """What the verifier finds wrong."""
    with pytest.raises(v.Wrong) as found:
        v.verify(str(path), list(pinned))
    return str(found.value)


def members_of(path: Path) -> dict[str, bytes]:
    """Name → content."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rezip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of these members; its own checksums are right."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def forged(path: Path, members: dict[str, bytes], **manifest: Any) -> Path:
    """As a forger writes it: the manifest fits the members again, and says of them what it must."""
    found = json.loads(members["manifest.json"]) | manifest
    for name in found["members"]:
        content = members[name]
        found["members"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    text = json.dumps(found).encode()
    digest = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode()
    return rezip(path, members | {"manifest.json": text, "manifest.sha256": digest})


def records(payloads: list[bytes]) -> bytes:
    """frames.bin of these payloads."""
    return b"".join(len(p).to_bytes(4, "big") + hashlib.sha256(p).digest() + p for p in payloads)


# -- a good bundle


def test_a_good_bundle_passes(good: Path, maker: Maker, key: str) -> None:
    """A good bundle passes with the standard library alone, with and without the key, and the report says what it holds."""
    for options in ((), ("--public-key", key)):
        found = verify(good, *options)
        assert found.returncode == 0, found.stdout + found.stderr
        assert f"frames 1 to {maker.sequence}" in found.stdout
        assert f"{maker.head} after" in found.stdout
        assert "6 receipts" in found.stdout
        assert f"unsigned  frames {maker.sequence:,} to {maker.sequence:,}" in found.stdout
        signed = maker.sequence - 1
        assert found.stdout.endswith(
            f"OK        everything holds; signed is what is up to frame {signed:,}\n"
        )
    assert "which came with the bundle" in verify(good).stdout
    assert "which you gave" in found.stdout


@pytest.mark.parametrize("first, last", [(1, 1), (4, 9), (8, 8), (9, 30)])
def test_any_span_passes(
    first: int, last: int, maker: Maker, data_dir: Path, tmp_path: Path, key: str
) -> None:
    """Every span makes a bundle that passes, and the chain heads join it to its neighbours."""
    path = bundled(maker, data_dir, tmp_path / "span.zip", Span(first=first, last=min(last, maker.sequence)))
    said = "\n".join(v.verify(str(path), [key] if b"sequence" in members_of(path)["receipts.jsonl"] else []))
    assert f"frames {first:,} to {min(last, maker.sequence):,}" in said
    assert f"{maker.stored[first - 1].frame.prev} before" in said


def test_the_same_span_makes_the_same_bytes(maker: Maker, data_dir: Path, good: Path, tmp_path: Path) -> None:
    """Two bundles of one span are one, byte for byte, so that their digests can be compared."""
    assert bundled(maker, data_dir, tmp_path / "again.zip").read_bytes() == good.read_bytes()


def test_trades_are_every_fill(good: Path, maker: Maker) -> None:
    """trades.csv has every fill of the journal, to the digit."""
    rows = list(csv.DictReader(io.StringIO(members_of(good)["trades.csv"].decode(), newline="")))
    fills = [
        event
        for stored in maker.stored
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, e.OrderFilled | e.TradeBusted)
    ]
    assert {row["busted"] for row in rows} == {"true", "false"}
    assert len(rows) == len(fills) > 20
    for row, fill in zip(rows, fills, strict=True):
        assert row["busted"] == str(isinstance(fill, e.TradeBusted)).lower()
        assert (row["order_id"], row["quantity"], row["price"], row["fee"], row["maker"]) == (
            fill.order_id,
            str(fill.quantity),
            str(fill.price),
            str(fill.fee),
            str(fill.maker).lower(),
        )
    assert tuple(v.FILL) == e.OrderFilled.__struct_fields__


def test_a_bundle_without_receipts_says_so(maker: Maker, tmp_path: Path, key: str) -> None:
    """Without receipts the chain is proved and no more, which the report says; with a key given that is not enough."""
    path = bundled(maker, tmp_path, tmp_path / "bare.zip")
    assert "unsigned  no receipt is here" in "\n".join(v.verify(str(path), []))
    assert v.verify(str(path), [])[-1] == "OK        the chain holds; nothing is signed"
    assert "holds none" in wrong(path, key)


def test_it_is_written_for_old_pythons_and_needs_nothing() -> None:
    """The verifier is Python 3.9 and imports the standard library alone."""
    tree = ast.parse(VERIFIER.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            )
            assert {str(name).split(".")[0] for name in names} <= sys.stdlib_module_names
    assert members_of_package() == VERIFIER.read_bytes()


def members_of_package() -> bytes:
    """The verifier as the installed package has it."""
    from importlib.resources import files

    return files("replay.asking.standalone").joinpath("verify_bundle.py").read_bytes()


# -- what was changed


@pytest.mark.parametrize("name", v.MEMBERS)
def test_a_flipped_byte_in_any_member_is_found(name: str, good: Path, tmp_path: Path, key: str) -> None:
    """One flipped bit anywhere in a member fails the bundle and names the member, or the frame or line in it."""
    members = members_of(good)
    content = members[name]
    chance = random.Random(name)
    for place in {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(12))}:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        path = rezip(tmp_path / "flipped.zip", members | {name: bytes(changed)})
        said = wrong(path, key)
        expected = "frame " if name == "frames.bin" else "manifest" if name.startswith("manifest") else name
        assert expected in said or (name == "receipts.jsonl" and "its receipt" in said), (place, said)


def test_a_flipped_byte_in_a_frame_names_that_frame(good: Path, maker: Maker, tmp_path: Path) -> None:
    """A flipped bit in a frame is located to that very frame."""
    members = members_of(good)
    for sequence in (1, 7, maker.sequence):
        start = sum(36 + len(payload) for payload in maker.payloads[: sequence - 1])
        for place in (start + 5, start + 36, start + 36 + len(maker.payloads[sequence - 1]) // 2):
            changed = bytearray(members["frames.bin"])
            changed[place] ^= 4
            path = rezip(tmp_path / "flipped.zip", members | {"frames.bin": bytes(changed)})
            assert wrong(path).startswith(f"frame {sequence}: ")


def test_any_flipped_byte_of_the_file_is_found_or_harmless(good: Path, tmp_path: Path) -> None:
    """A flipped bit of the zip itself ends in exit code 1, or changed no member (its date, say); never in a crash."""
    whole, members = good.read_bytes(), members_of(good)
    chance = random.Random(1)
    path = tmp_path / "flipped.zip"
    found = 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            v.verify(str(path), [])
        except v.Wrong:
            found += 1
        else:
            assert members_of(path) == members
    assert found > 250


def test_a_cut_file_is_found(good: Path, tmp_path: Path) -> None:
    """A file that ends too early is no bundle, at any length."""
    whole = good.read_bytes()
    path = tmp_path / "cut.zip"
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        wrong(path)
    found = verify(path)
    assert found.returncode == 1
    assert found.stdout.startswith("WRONG     ")
    assert verify(tmp_path / "none.zip").returncode == 1


def _without(payloads: list[bytes]) -> list[bytes]:
    return payloads[:6] + payloads[7:]


def _doubled(payloads: list[bytes]) -> list[bytes]:
    return payloads[:6] + payloads[5:]


def _swapped(payloads: list[bytes]) -> list[bytes]:
    return [*payloads[:6], payloads[7], payloads[6], *payloads[8:]]


def _inserted(payloads: list[bytes]) -> list[bytes]:
    frame = json.loads(payloads[5]) | {"sequence": 7, "prev": hashlib.sha256(payloads[5]).hexdigest()}
    return [*payloads[:6], json.dumps(frame).encode(), *payloads[6:]]


def _edited(payloads: list[bytes]) -> list[bytes]:
    return [*payloads[:6], payloads[6].replace(b'"quantity":"', b'"quantity":"1', 1), *payloads[7:]]


def _chained(payloads: list[bytes], start: int, **changed: Any) -> list[bytes]:
    """The frames from the one at this index on with these members changed in it, and all chained anew."""
    found, prev = payloads[:start], ""
    for payload in payloads[start:]:
        frame = json.loads(payload) | (changed if len(found) == start else {"prev": prev})
        found.append(json.dumps(frame).encode())
        prev = hashlib.sha256(found[-1]).hexdigest()
    return found


def _back_in_time(payloads: list[bytes]) -> list[bytes]:
    commits = json.loads(payloads[6])["commits"]
    commits[0]["at"] -= 10**9
    return _chained(payloads, 6, commits=commits)


def _renumbered(payloads: list[bytes]) -> list[bytes]:
    return _chained(payloads, 6, sequence=70)


def _beginning_elsewhere(payloads: list[bytes]) -> list[bytes]:
    return _chained(payloads, 0, prev="ab" * 32)


def _unreadable(payloads: list[bytes]) -> list[bytes]:
    return [*payloads[:6], b"[" * 100_000, *payloads[7:]]


@pytest.mark.parametrize(
    "change, frame",
    [
        (_without, 7),
        (_doubled, 7),
        (_swapped, 7),
        (_inserted, 7),
        (_edited, 7),
        (_back_in_time, 7),
        (_renumbered, 7),
        (_beginning_elsewhere, 1),
        (_unreadable, 7),
    ],
)
def test_changed_frames_are_found_and_located(
    change: Callable[[list[bytes]], list[bytes]], frame: int, good: Path, maker: Maker, tmp_path: Path
) -> None:
    """A frame that is removed, doubled, swapped, inserted or edited is located, though the manifest was made to fit."""
    payloads = change(maker.payloads)
    assert payloads != maker.payloads
    path = forged(tmp_path / "forged.zip", members_of(good) | {"frames.bin": records(payloads)})
    said = wrong(path)
    assert said.startswith((f"frame {frame}: ", "trades.csv: trade ", "manifest.json: prev")), said
    if said.startswith("trades.csv"):
        assert "of frame 7," in said


def rehashed(maker: Maker, at: int) -> list[bytes]:
    """The journal with one commit dropped from frame ``at`` and every frame from there on chained anew."""
    payloads, prev = list(maker.payloads[: at - 1]), maker.stored[at - 1].frame.prev
    for stored in maker.stored[at - 1 :]:
        commits = [encode_commit(commit) for commit in stored.frame.commits]
        if stored.sequence == at:
            commits = commits[:1] + commits[2:]
        payloads.append(encode_frame(stored.sequence, prev, commits))
        prev = hashlib.sha256(payloads[-1]).hexdigest()
    return payloads


def forge(
    good: Path, maker: Maker, at: int, path: Path, receipts: Callable[[list[bytes], bytes], bytes]
) -> Path:
    """A bundle whose frames from ``at`` on are made anew, with all that is made from them, and these receipts."""
    payloads = rehashed(maker, at)
    members = members_of(good) | {"frames.bin": records(payloads)}
    trades, counts = [v.csv_line([*v.PLACE, *v.FILL, "busted"])], {"commits": 0, "events": 0, "trades": 0}
    seals = []
    for sequence, payload in enumerate(payloads, 1):
        for number, commit in enumerate(json.loads(payload)["commits"]):
            counts["commits"] += 1
            for index, event in enumerate(commit["events"]):
                counts["events"] += 1
                if event["event"] in ("OrderFilled.1", "TradeBusted.1"):
                    counts["trades"] += 1
                    cells = [event.get(name, v.DEFAULTS.get(name)) for name in v.FILL]
                    cells.append(event["event"] == "TradeBusted.1")
                    trades.append(
                        v.csv_line([sequence, number, index, commit["at"], v.iso(commit["at"]), *cells])
                    )
                if event["event"] == "Sealed.1":
                    seal = {"sequence": sequence, "commit": number, "at": commit["at"]}
                    seal |= {"digest": event["digest"], "shape": event["shape"]}
                    seals.append(json.dumps(seal, separators=(",", ":")).encode() + b"\n")
    members |= {"trades.csv": b"".join(trades), "seals.jsonl": b"".join(seals)}
    members["receipts.jsonl"] = receipts(payloads, members["receipts.jsonl"])
    head = hashlib.sha256(payloads[-1]).hexdigest()
    lines = members["receipts.jsonl"].count(b"\n")
    return forged(path, members, head=head, receipts=lines, **counts)


def resigned(key: SigningKey | None) -> Callable[[list[bytes], bytes], bytes]:
    """Receipts with the heads of the new frames, chained anew, and signed with a key; with None signatures as they were."""

    def make(payloads: list[bytes], lines: bytes) -> bytes:
        found, prev = [], ""
        for line in lines.splitlines():
            receipt = json.loads(line)
            signature = receipt.pop("signature")
            receipt["head"] = hashlib.sha256(payloads[receipt["sequence"] - 1]).hexdigest()
            if found:
                receipt["prev"] = prev
            if key is not None:
                receipt["key_id"] = key.key_id
            statement = json.dumps(receipt, separators=(",", ":")).encode()
            if key is not None:
                signature = key.sign(statement)
            made = statement[:-1] + f',"signature":"{signature}"}}'.encode()
            prev = hashlib.sha256(made).hexdigest()
            found.append(made + b"\n")
        return b"".join(found)

    return make


def test_a_rehashed_suffix_is_found_by_the_receipts(
    good: Path, maker: Maker, tmp_path: Path, key: str
) -> None:
    """Frames made anew from one on, all chained and listed as they must be, are not what the receipts state."""
    at = 8
    receipts = [json.loads(line)["sequence"] for line in members_of(good)["receipts.jsonl"].splitlines()]
    before, after = max(s for s in receipts if s < at), min(s for s in receipts if s >= at)
    path = forge(good, maker, at, tmp_path / "forged.zip", lambda payloads, lines: lines)
    for pinned in ((), (key,)):
        said = wrong(path, *pinned)
        assert said == (
            f"frame {after}: is not what its receipt states: it or one from {before + 1} on was changed"
        )


def test_forged_receipts_are_found_by_their_signatures(
    good: Path, maker: Maker, tmp_path: Path, key: str
) -> None:
    """With receipts made to fit, the first whose signature cannot be right is named, and with it its frame."""
    at = 8
    receipts = [json.loads(line)["sequence"] for line in members_of(good)["receipts.jsonl"].splitlines()]
    line = next(number for number, sequence in enumerate(receipts, 1) if sequence >= at)
    path = forge(good, maker, at, tmp_path / "forged.zip", resigned(None))
    said = wrong(path, key)
    assert said.startswith(
        f"receipts.jsonl: line {line}, for frame {receipts[line - 1]}, has a forged signature"
    )


def test_receipts_of_another_key_are_found_by_the_key(
    good: Path, maker: Maker, tmp_path: Path, key: str
) -> None:
    """A forger with a key of his own comes through only where no key is given, and the report says what that means."""
    other = SigningKey(Ed25519PrivateKey.generate())
    made = forge(good, maker, 8, tmp_path / "forged.zip", resigned(other))
    path = forged(tmp_path / "own.zip", members_of(made), public_keys=[other.public_key])
    assert "which came with the bundle" in "\n".join(v.verify(str(path), []))
    assert f"is signed with key {other.key_id}, not with {key_id_of(key)}" in wrong(path, key)


def test_receipts_that_are_left_out_are_seen(good: Path, tmp_path: Path, key: str) -> None:
    """A receipt taken from the middle breaks their chain; from the end, the report says from where on nothing is signed."""
    members = members_of(good)
    lines = members["receipts.jsonl"].splitlines(keepends=True)
    middle = forged(
        tmp_path / "middle.zip", members | {"receipts.jsonl": b"".join(lines[:2] + lines[3:])}, receipts=5
    )
    assert wrong(middle, key).startswith("receipts.jsonl: line 3: does not follow")
    end = forged(tmp_path / "end.zip", members | {"receipts.jsonl": b"".join(lines[:-1])}, receipts=5)
    signed = json.loads(lines[-2])["sequence"]
    assert f"unsigned  frames {signed + 1:,} to" in "\n".join(v.verify(str(end), [key]))


def test_a_bundle_that_is_signed_to_its_end_says_so(
    maker: Maker, data_dir: Path, tmp_path: Path, key: str
) -> None:
    """Where the last frame is one that a receipt states, everything is signed."""
    path = bundled(maker, data_dir, tmp_path / "signed.zip", Span(first=3, last=maker.sequence - 1))
    assert v.verify(str(path), [key])[-1] == "OK        everything holds"


def test_trades_that_differ_are_located(good: Path, tmp_path: Path) -> None:
    """A trade changed, left out or added in trades.csv is named, though the manifest was made to fit."""
    members = members_of(good)
    lines = members["trades.csv"].splitlines(keepends=True)
    for changed in (
        [*lines[:5], lines[5].replace(b"USDT", b"USDX", 1), *lines[6:]],
        lines[:5] + lines[6:],
        [*lines[:5], lines[5], *lines[5:]],
    ):
        path = forged(tmp_path / "forged.zip", members | {"trades.csv": b"".join(changed)})
        assert wrong(path).startswith("trades.csv: trade ")
    path = forged(tmp_path / "forged.zip", members | {"trades.csv": members["trades.csv"] + lines[-1]})
    assert wrong(path).startswith("trades.csv: ")


def test_a_manifest_that_says_otherwise_is_found(good: Path, tmp_path: Path) -> None:
    """Every figure of the manifest is held against the frames, though its own digest was made to fit."""
    members = members_of(good)
    was = json.loads(members["manifest.json"])
    for name, value in was.items():
        if name in ("members", "made_by", "public_keys", "journal_id"):
            continue
        other = value + 1 if isinstance(value, int) else "ab" * 32
        said = wrong(forged(tmp_path / "forged.zip", members, **{name: other}))
        assert name in said or "frame 1" in said or (name == "first" and "frame 2" in said), (name, said)
    other = forged(tmp_path / "forged.zip", members, format=v.FORMAT + 1)
    assert "the verifier that is in the bundle" in wrong(other)


def test_a_journal_that_begins_elsewhere_is_found(good: Path, maker: Maker, tmp_path: Path) -> None:
    """Frame 1 has nothing before it, whatever the manifest says."""
    payloads = _beginning_elsewhere(maker.payloads)
    members = members_of(good) | {"frames.bin": records(payloads)}
    head = hashlib.sha256(payloads[-1]).hexdigest()
    said = wrong(forged(tmp_path / "forged.zip", members, prev="ab" * 32, head=head))
    assert "nothing before it" in said


def test_receipts_of_another_span_or_state_are_found(
    good: Path, maker: Maker, data_dir: Path, tmp_path: Path, key: str
) -> None:
    """Receipts of the right key, but for a frame that is not here or for another state, are found."""
    members = members_of(good)
    lines = [json.loads(line) for line in members["receipts.jsonl"].splitlines()]
    signing = SigningKey.of(data_dir)
    for change, expected in (
        ({"sequence": 999}, "states frame 999, which is not here"),
        ({"digest": "ab" * 32}, f"frame {lines[-1]['sequence']}: is not what its receipt states"),
        ({"sequence": lines[-1]["sequence"] + 1}, "is not what its receipt states"),
    ):
        receipt = lines[-1] | change
        del receipt["signature"]
        statement = json.dumps(receipt, separators=(",", ":")).encode()
        line = statement[:-1] + f',"signature":"{signing.sign(statement)}"}}\n'.encode()
        rest = b"".join(members["receipts.jsonl"].splitlines(keepends=True)[:-1])
        path = forged(tmp_path / "forged.zip", members | {"receipts.jsonl": rest + line})
        assert expected in wrong(path, key)


def test_receipts_are_found_across_their_files(tmp_path: Path) -> None:
    """Receipts of many months, each in its own file, are in the bundle from the span's first to its last."""
    maker = sealed_journal(tmp_path, rest_ns=20 * 86_400 * 10**9)
    assert len(receipt_files(tmp_path)) > 3
    key = SigningKey.of(tmp_path).public_key
    for first in (1, 6, 10, 14, 20, maker.sequence - 1):
        path = bundled(maker, tmp_path, tmp_path / "span.zip", Span(first=first))
        v.verify(str(path), [key] if first < maker.sequence - 1 else [])
        seals = [json.loads(line)["sequence"] for line in members_of(path)["seals.jsonl"].splitlines()]
        receipts = [json.loads(line)["sequence"] for line in members_of(path)["receipts.jsonl"].splitlines()]
        assert receipts == seals
        assert all(sequence >= first for sequence in receipts)


def test_a_history_with_receipts_for_other_states_is_not_bundled(tmp_path: Path) -> None:
    """Receipts that state another digest than the seal has stop the bundle at that frame."""
    maker = sealed_journal(tmp_path, digest="ab" * 32)
    with pytest.raises(JournalBroken, match="its receipt states"):
        bundled(maker, tmp_path, tmp_path / "span.zip")


def test_members_that_do_not_belong_are_found(good: Path, tmp_path: Path) -> None:
    """A member more, fewer, or twice is refused."""
    members = members_of(good)
    wrong(rezip(tmp_path / "more.zip", members | {"notes.txt": b"trust me"}))
    wrong(rezip(tmp_path / "fewer.zip", {name: c for name, c in members.items() if name != "seals.jsonl"}))
    twice = rezip(tmp_path / "twice.zip", members)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as file:
        file.writestr("trades.csv", b"other")
    assert wrong(twice).startswith("the members must be")


# -- Ed25519


@pytest.mark.parametrize(
    "public_key, message, signature",
    [
        # RFC 8032, section 7.1: TEST 1, TEST 2, TEST 3.
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
)
def test_signatures_of_the_standard_hold(public_key: str, message: str, signature: str) -> None:
    """The test vectors of RFC 8032 verify, and do not once anything is changed."""
    key, said, signed = (bytes.fromhex(text) for text in (public_key, message, signature))
    assert v.verified(key, said, signed)
    assert not v.verified(key, said + b"!", signed)
    assert not v.verified(bytes(32), said, signed)


def test_signatures_agree_with_a_library() -> None:
    """Signatures of ``cryptography`` verify, each with one bit flipped does not, and no S beyond the group's order passes."""
    chance = random.Random(2)
    for number in range(12):
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), chance.randbytes(number * 7)
        signature = private.sign(message)
        assert v.verified(key, message, signature)
        flipped = bytearray(signature)
        flipped[chance.randrange(64)] ^= 1 << chance.randrange(8)
        assert not v.verified(key, message, bytes(flipped))
        scalar = int.from_bytes(signature[32:], "little") + v.L
        assert not v.verified(key, message, signature[:32] + scalar.to_bytes(32, "little"))
    assert not v.verified(key[:-1], message, signature)


# -- the command


@pytest.fixture(scope="module")
def url(nats_server_shared: EmbeddedNats, maker: Maker) -> str:
    """A server that holds the journal."""

    async def fill() -> None:
        nc = await nats.connect(nats_server_shared.url)
        await write(nc, maker.payloads)
        await nc.close()

    asyncio.run(fill())
    return nats_server_shared.url


def run(url: str, data_dir: Path, *options: str) -> Result:
    """Call the command."""
    return CliRunner().invoke(bundle, ["--nats", url, "--data-dir", str(data_dir), *options])


def test_the_command_writes_a_bundle(
    url: str, data_dir: Path, maker: Maker, good: Path, tmp_path: Path, key: str
) -> None:
    """The command writes the same bundle from the journal, tells its keys and the manifest's digest, by sequence and time."""
    path = tmp_path / "day.zip"
    result = run(url, data_dir, "-o", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes() == good.read_bytes()
    assert key in result.stdout
    assert hashlib.sha256(members_of(path)["manifest.json"]).hexdigest() in result.stdout
    since, until = maker.stored[5].frame.commits[2].at, maker.stored[8].frame.commits[0].at
    part = run(url, data_dir, "-o", str(path), "--json", "--from", str(since), "--to", str(until))
    manifest = json.loads(part.stdout)["manifest"]
    assert (manifest["first"], manifest["last"]) == (6, 9)
    v.verify(str(path), [key])
    assert [one.name for one in tmp_path.iterdir()] == ["day.zip"]


def test_the_command_leaves_nothing_half_done(url: str, data_dir: Path, maker: Maker, tmp_path: Path) -> None:
    """A span without a frame, a receipt that is damaged, or one that states another frame: no file, and the exit code says why."""
    path = tmp_path / "day.zip"
    late = str(maker.clock + 10**9)
    assert run(url, data_dir, "-o", str(path), "--from", late).exit_code == 1
    assert run(url, data_dir, "-o", str(path), "--from", "999999").exit_code == 1
    damaged = tmp_path / "damaged"
    for name in ("keys", "receipts"):
        (damaged / name).mkdir(parents=True)
        for file in (data_dir / name).iterdir():
            (damaged / name / file.name).write_bytes(file.read_bytes())
    [receipts] = receipt_files(damaged)
    content = receipts.read_bytes()
    receipts.write_bytes(content.replace(b'"commit":1', b'"commit":2', 1))
    result = run(url, damaged, "-o", str(path))
    assert result.exit_code == 6
    assert "RECEIPT" in result.stderr
    assert not path.exists()
    assert {one.name for one in tmp_path.iterdir()} == {"damaged"}


def test_a_history_that_its_receipts_contradict_is_not_bundled(
    maker: Maker, data_dir: Path, tmp_path: Path
) -> None:
    """A journal made anew behind its receipts is refused with the frame; nobody is handed such a bundle as good."""
    other = Maker()
    other.payloads = rehashed(maker, 9)
    history = new_history(CacheConfig(), projections=False)
    with (
        (tmp_path / "x").open("wb") as file,
        contextlib.closing(Bundle(file, tmp_path, history, data_dir)) as made,
        pytest.raises(JournalBroken),
    ):
        _through(other, history, made)


def _through(maker: Maker, history: History, made: Bundle) -> None:
    for stored in maker.stored:
        advance(history, stored, Span(), made)
