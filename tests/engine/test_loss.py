"""Losses: whatever the journal is no longer that it was known to be, the engine refuses to start and names the range.

And it starts whenever nothing is lost: after every kill, and with every journal that was never attested.
"""

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import nats
import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from oms.cli import cli
from oms.engine import engine as engine_module
from oms.engine.engine import Engine, EngineRunning, EngineSettings
from oms.journal.acceptance import TEXT_BYTES_MAX, TEXT_MAX
from oms.journal.errors import Fenced, JournalBroken
from oms.journal.evidence import Evidence
from oms.journal.loss import JournalLost, LossKind
from oms.journal.mark import SLOT_BYTES, MarkFile, read_mark
from oms.journal.reader import read_frames
from oms.journal.receipts import (
    Receipt,
    Receipts,
    ReceiptsFailed,
    Sealing,
    check_receipts,
    receipt_files,
)
from oms.journal.signing import SigningKey
from oms.journal.stream import STREAM, SUBJECT
from oms.messages.events import Event, LossAccepted, Sealed, SigningKeyDeclared
from oms.messages.frames import GENESIS
from oms.nats_server import EmbeddedNats
from replay.rebuild import rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.engine.desk import SETTINGS, Trader, Venue, engine_on


class House:
    """An engine's data directory and a nats-server whose store can be put back to an earlier copy."""

    def __init__(self, server: EmbeddedNats, root: Path) -> None:
        self.server = server
        self.data = root / "data"
        self.receipts = self.data / "receipts"
        self.settings = attrs.evolve(SETTINGS, data_dir=self.data)
        self._copies = root / "copies"
        self._placed = 0

    async def trade(self, orders: int, settings: EngineSettings | None = None, seal: bool = True) -> int:
        """Run an engine for so many orders, an append each; return the journal's end."""
        nc = await nats.connect(self.server.url)
        venue = Venue(nc)
        async with engine_on(self.server.url, settings or self.settings):
            await venue.open()
            for _ in range(orders):
                self._placed += 1
                assert (await venue.place(f"c{self._placed}", quantity="0.00011"))["ok"]
        await venue.close()
        last = (await nc.jetstream().stream_info(STREAM)).state.last_seq
        await nc.close()
        return last

    async def start(self) -> None:
        """Start an engine and stop it."""
        async with engine_on(self.server.url, self.settings):
            pass

    async def refused(self) -> JournalLost:
        """Start an engine that must refuse to serve, and change nothing."""
        before = self._files()
        with pytest.raises(JournalLost) as refused:
            await self.start()
        assert self._files() == before
        return refused.value

    async def keep(self, name: str) -> None:
        """Copy the server's store."""
        await self.server.stop()
        shutil.copytree(self.server.store_dir / "jetstream", self._copies / name)
        await self.server.start()

    async def put_back(self, name: str | None) -> None:
        """Put the store back to a copy, or, for None, to nothing."""
        await self.server.stop()
        shutil.rmtree(self.server.store_dir / "jetstream")
        if name is not None:
            shutil.copytree(self._copies / name, self.server.store_dir / "jetstream")
        await self.server.start()

    async def events(self, kind: type[Event]) -> list[tuple[int, Any]]:
        """Every event of a kind, with its sequence."""
        nc = await nats.connect(self.server.url)
        last = (await nc.jetstream().stream_info(STREAM)).state.last_seq
        found = []
        async for batch in read_frames(nc, 1, last, GENESIS):
            found += [
                (stored.sequence, event)
                for stored in batch
                for commit in stored.frame.commits
                for event in commit.events
                if isinstance(event, kind)
            ]
        await nc.close()
        return found

    async def accept(self, code: int = 0, by: str = "Ada", reason: str = "the disk burnt") -> dict[str, Any]:
        """Run ``oms replay accept-loss``; return what it prints."""
        arguments = ["replay", "accept-loss", "--by", by, "--reason", reason, "--json"]
        arguments += ["--nats", self.server.url, "--data-dir", str(self.data)]
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if code == 0 else {"line": result.output}

    def _files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.receipts.glob("*") if path.is_file()}


@pytest.fixture
def house(nats_server: EmbeddedNats, tmp_path: Path) -> House:
    return House(nats_server, tmp_path)


def _lines(house: House) -> list[bytes]:
    return b"".join(path.read_bytes() for path in receipt_files(house.data)).splitlines(keepends=True)


# -- nothing lost


async def test_what_is_sealed_has_a_receipt_and_what_is_durable_a_mark(house: House, nc: Client) -> None:
    """After a clean stop the mark is at the journal's end, and every seal has a receipt that agrees with its frame."""
    for _ in range(3):
        last = await house.trade(3)
    mark = read_mark(house.receipts / "mark").mark
    assert mark is not None
    assert mark.sequence == last
    receipts = {receipt.sequence: receipt for receipt in check_receipts(house.data)}
    seals = dict(await house.events(Sealed))
    assert receipts.keys() == seals.keys()
    assert len(seals) >= 3
    assert max(receipts) == last
    [(_, declared)] = await house.events(SigningKeyDeclared)
    assert (declared.key_id, declared.public_key) == (
        SigningKey.of(house.data).key_id,
        SigningKey.of(house.data).public_key,
    )
    async for batch in read_frames(nc, 1, last, GENESIS):
        for stored in batch:
            if (receipt := receipts.get(stored.sequence)) is not None:
                assert receipt.head == stored.digest
                assert stored.frame.commits[receipt.commit].events == [seals[stored.sequence]]
                assert receipt.digest == seals[stored.sequence].digest
                assert receipt.at == stored.frame.commits[receipt.commit].at


async def test_the_mark_is_written_before_a_reply(house: House, nc: Client) -> None:
    """Whoever is told that something is durable can rely on the mark knowing it."""
    async with engine_on(house.server.url, house.settings):
        venue = Venue(nc)
        await venue.open()
        for number in range(50):
            answer = await venue.place(f"c{number}", quantity="0.00011")
            mark = read_mark(house.receipts / "mark").mark
            assert mark is not None
            assert mark.sequence >= answer["sequence"]
        await venue.close()


async def test_a_journal_that_was_never_attested_is_taken_on(house: House) -> None:
    """A journal from before receipts is no loss: the engine declares its key and attests from then on."""
    await house.trade(3, SETTINGS)
    last = await house.trade(3)
    assert [receipt.sequence for receipt in check_receipts(house.data)][-1] == last
    await house.start()


async def test_a_journal_ahead_of_the_mark_is_no_loss(house: House) -> None:
    """What became durable after the mark was written, or was written where nobody attested, is not refused."""
    await house.trade(3)
    await house.trade(3, SETTINGS)
    await house.start()


async def test_one_damaged_slot_of_the_mark_is_no_loss(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """With one slot damaged the other is relied on, and it is said."""
    await house.trade(3)
    path = house.receipts / "mark"
    for slot in (0, SLOT_BYTES):
        _flip(path, slot + 30)
        await house.start()
        assert "one of its two slots is damaged" in caplog.text
        caplog.clear()
        assert read_mark(path).damaged == 0, "a start mends it"


async def test_a_mark_that_is_lost_is_told_and_receipts_still_count(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a mark the receipts are relied on, and that the rest is unproven is said loudly."""
    await house.trade(2)
    await house.keep("early")
    await house.trade(2)
    path = house.receipts / "mark"
    good = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(bytes(2 * SLOT_BYTES))):
        damage()
        with caplog.at_level(logging.ERROR):
            await house.start()
        assert "cannot be told" in caplog.text
        caplog.clear()
    path.write_bytes(good)
    path.unlink()
    await house.put_back("early")
    assert (await house.refused()).loss.kind is LossKind.BEHIND


async def test_one_engine_at_a_time_has_a_data_directory(house: House) -> None:
    """A second engine on the same data directory does not start, on whatever journal."""
    async with EmbeddedNats(house.data.parent / "other") as other:
        async with engine_on(house.server.url, house.settings):
            with pytest.raises(EngineRunning, match="receipts"):
                async with engine_on(other.url, house.settings):
                    pass
        async with engine_on(house.server.url, house.settings):
            pass


# -- losses of the journal


@pytest.mark.parametrize("how", ["stream", "store", "purge"])
async def test_a_journal_that_is_gone_is_refused(house: House, nc: Client, how: str) -> None:
    """A stream deleted, a store deleted, a stream purged: the range is all that there was."""
    last = await house.trade(5)
    kind = LossKind.BEHIND
    if how == "stream":
        await nc.jetstream().delete_stream(STREAM)
    elif how == "purge":
        await nc.jetstream().purge_stream(STREAM)
        kind = LossKind.UNREADABLE
    else:
        await house.put_back(None)
    for _ in range(2):
        loss = (await house.refused()).loss
        assert (loss.kind, loss.first, loss.last) == (kind, 1, last)


async def test_a_store_put_back_to_an_older_copy_is_refused(house: House) -> None:
    """The range is what came after the copy, to the frame, and the line says what to do."""
    kept = await house.trade(4)
    await house.keep("early")
    last = await house.trade(4)
    await house.put_back("early")
    error = await house.refused()
    loss = error.loss
    assert (loss.kind, loss.first, loss.last) == (LossKind.BEHIND, kept + 1, last)
    mark = read_mark(house.receipts / "mark").mark
    assert mark is not None
    assert loss.head == mark.head
    assert f"frames {kept + 1:,} to {last:,} gone" in str(error)
    assert "oms replay restore" in str(error)
    assert "oms replay accept-loss" in str(error)


async def test_sequences_used_again_are_refused(house: House) -> None:
    """A journal that lost its end and went on, with a chain that is whole, is told from the one it was."""
    kept = await house.trade(4)
    await house.keep("early")
    last = await house.trade(4)
    await house.put_back("early")
    longer = await house.trade(12, SETTINGS)
    assert longer > last
    loss = (await house.refused()).loss
    assert (loss.kind, loss.first, loss.last) == (LossKind.DIFFERS, kept + 1, last)


async def test_a_shorter_journal_with_sequences_used_again_is_refused(house: House) -> None:
    """A journal that went on from an old copy, but not as far as a receipt to compare it with, is said to end too early."""
    await house.trade(2)
    kept = await house.trade(2)
    await house.keep("early")
    for _ in range(4):
        last = await house.trade(3)
    await house.put_back("early")
    assert kept < await house.trade(2, SETTINGS) < last
    loss = (await house.refused()).loss
    assert (loss.kind, loss.last) == (LossKind.BEHIND, last)


async def test_a_shorter_journal_that_differs_from_a_receipt_is_refused_from_where_it_differs(
    house: House,
) -> None:
    """It ends before the mark and differs before that: the range starts there, can be accepted, and is then let go."""
    kept = await house.trade(2)
    await house.keep("early")
    behind = await house.trade(2)
    last = await house.trade(12)
    await house.put_back("early")
    assert behind < await house.trade(6, SETTINGS) < last
    error = await house.refused()
    assert (error.loss.kind, error.loss.first, error.loss.last) == (LossKind.DIFFERS, kept + 1, last)
    assert "the journal ends at" in str(error)
    await house.accept()
    await house.start()
    [(_, event)] = await house.events(LossAccepted)
    assert (event.first, event.last) == (kept + 1, last)
    await house.trade(2)
    assert {receipt.sequence for receipt in check_receipts(house.data)} <= {
        sequence for sequence, _ in await house.events(Sealed)
    }


async def test_a_store_swapped_while_the_engine_rebuilds_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that was whole when it was compared, and is not when it has been rebuilt, is not served."""
    kept = await house.trade(2)
    await house.keep("early")
    last = await house.trade(4)
    real = engine_module.rebuild
    swapped = False

    async def late(*args: Any, **options: Any) -> Any:
        nonlocal swapped
        if not swapped:
            swapped = True
            await house.put_back("early")
            await asyncio.sleep(0.5)  # the engine's connection comes back
        return await real(*args, **options)

    monkeypatch.setattr(engine_module, "rebuild", late)
    loss = (await house.refused()).loss
    assert swapped
    assert (loss.kind, loss.first, loss.last) == (LossKind.BEHIND, kept + 1, last)


async def test_a_fenced_engine_whose_server_does_not_answer_ends_as_fenced(
    house: House, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the journal lost its end cannot be told then; that somebody else wrote it can, and is never tried again."""

    async def silent(*_: object) -> None:
        raise nats.errors.TimeoutError

    with pytest.raises(Fenced):  # noqa: PT012 - whatever is asked of it, the engine's end fails the block
        async with engine_on(house.server.url, house.settings) as engine:
            venue = Venue(nc)
            await venue.open()
            monkeypatch.setattr(Evidence, "compare", silent)
            await nc.jetstream().publish(SUBJECT, b"{}")
            answer = await venue.place("x1")
            assert answer["error"]["code"] == "JOURNAL_UNAVAILABLE"
            await venue.close()
            await asyncio.sleep(1.0)
            assert not engine.ready.is_set()


async def test_another_journal_is_refused(house: House) -> None:
    """A journal in the place of this one, longer and whole in itself, is not this one: no frame agrees."""
    last = await house.trade(4)
    await house.put_back(None)
    assert await house.trade(10, SETTINGS) > last
    loss = (await house.refused()).loss
    assert (loss.kind, loss.first, loss.last) == (LossKind.DIFFERS, 1, last)


async def test_a_loss_under_a_running_engine_is_not_taken_for_another_writer(house: House) -> None:
    """When nats-server loses frames and comes back, the running engine ends with the range, and says no OK meanwhile."""
    kept = await house.trade(3)
    await house.keep("early")
    nc = await nats.connect(house.server.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
    with pytest.raises(JournalLost) as lost:  # noqa: PT012 - whatever is asked of it, the engine's end fails the block
        async with engine_on(house.server.url, house.settings) as engine:
            venue = Venue(nc)
            await venue.open()
            first = await venue.place("x1")
            assert first["ok"]
            await house.server.kill()
            shutil.rmtree(house.server.store_dir / "jetstream")
            shutil.copytree(house._copies / "early", house.server.store_dir / "jetstream")
            await house.server.start()
            codes = set()
            for number in range(40):
                with contextlib.suppress(nats.errors.Error, OSError):
                    answer = await Trader(nc).ask(
                        "place.binance.main.spot.BTCUSDT",
                        {
                            "command_id": f"y{number}",
                            "side": "buy",
                            "type": "limit",
                            "quantity": "1",
                            "price": "1",
                        },
                        timeout=0.5,
                    )
                    codes.add("OK" if answer["ok"] else answer["error"]["code"])
                await asyncio.sleep(0.05)
            assert "OK" not in codes
            assert not engine.ready.is_set()
            await venue.close()
    await nc.close()
    assert lost.value.loss.kind is LossKind.BEHIND
    assert lost.value.loss.first == kept + 1
    assert lost.value.loss.last >= first["sequence"]


# -- losses of the proof


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def _rewrite(house: House, change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = change(_lines(house))
    first, *rest = receipt_files(house.data)
    for path in rest:
        path.unlink()
    first.write_bytes(b"".join(lines))


async def test_receipts_taken_away_are_missed(house: House) -> None:
    """No receipts where the journal says that there are some: refused, whether the mark is there or not."""
    await house.trade(3)
    last = await house.trade(3)
    good = {path: path.read_bytes() for path in receipt_files(house.data)}
    count = len(_lines(house))
    _rewrite(house, lambda lines: lines[:-1])
    loss = (await house.refused()).loss
    assert (loss.kind, loss.last) == (LossKind.RECEIPTS_CUT, last)
    for path in receipt_files(house.data):
        path.unlink()
    loss = (await house.refused()).loss
    assert (loss.kind, loss.first, loss.last) == (LossKind.RECEIPTS_CUT, 1, last)
    (house.receipts / "mark").unlink()
    loss = (await house.refused()).loss
    assert (loss.kind, loss.first, loss.last) == (LossKind.RECEIPTS_MISSING, 1, last)
    for path, content in good.items():
        path.write_bytes(content)
    assert len(_lines(house)) == count
    await house.start()


@pytest.mark.parametrize("mark", [b"", bytes(2 * SLOT_BYTES)], ids=["empty", "zeros"])
async def test_a_mark_that_is_damaged_whole_is_no_proof_without_receipts(house: House, mark: bytes) -> None:
    """A mark that says nothing is as good as none: with no receipts either, nothing proves the journal."""
    await house.trade(2)
    await house.keep("early")
    await house.trade(2)
    await house.put_back("early")
    for path in receipt_files(house.data):
        path.unlink()
    (house.receipts / "mark").write_bytes(mark)
    assert (await house.refused()).loss.kind is LossKind.RECEIPTS_MISSING


async def test_a_data_directory_without_any_proof_is_refused(house: House) -> None:
    """An engine with a new data directory, on a journal that was attested elsewhere, says so and is not let on silently."""
    await house.trade(3)
    shutil.rmtree(house.data)
    house.receipts.mkdir(parents=True)
    SigningKey.of(house.data)
    (house.receipts / "lock").touch()
    error = await house.refused()
    assert error.loss.kind is LossKind.RECEIPTS_MISSING
    assert "accept-loss" in str(error)


async def test_a_damaged_receipt_is_refused_and_named(house: House) -> None:
    """A receipt that was changed is named by file and line."""
    for _ in range(3):
        await house.trade(2)
    receipts = list(check_receipts(house.data))
    _rewrite(house, lambda lines: [*lines[:-2], lines[-2].replace(b'"commit":', b'"commit":1'), *lines[-1:]])
    error = await house.refused()
    assert error.loss.kind is LossKind.RECEIPTS_DAMAGED
    assert f"receipts-2026-11.0001.jsonl:{len(receipts)}:" in str(error) or ".0001.jsonl:" in str(error)
    assert error.loss.proven < receipts[-1].sequence


async def test_a_forged_receipt_is_refused(house: House) -> None:
    """A last receipt for another frame, well formed and in the chain, but not signed with the key, is refused."""
    await house.trade(3)
    _rewrite(
        house,
        lambda lines: [
            *lines[:-1],
            lines[-1].replace(lines[-1][lines[-1].index(b'"head"') :][8:72], b"ab" * 32),
        ],
    )
    error = await house.refused()
    assert error.loss.kind is LossKind.RECEIPTS_DAMAGED
    assert "signature" in str(error)


async def test_receipts_signed_with_an_undeclared_key_are_refused(house: House) -> None:
    """Whoever brings a key of their own, and signs all receipts again, is found out by the journal's declaration."""
    await house.trade(3)
    receipts = list(check_receipts(house.data))
    for path in [*receipt_files(house.data), *(house.data / "keys").iterdir()]:
        path.unlink()
    forger = Receipts(house.data, SigningKey.of(house.data), "0.1.0", receipts[0].code)
    forger.open()
    forger.append([_sealing(receipt) for receipt in receipts])
    forger.close()
    assert (await house.refused()).loss.kind is LossKind.KEY


def _sealing(receipt: Receipt) -> Sealing:
    return Sealing(
        sequence=receipt.sequence,
        head=receipt.head,
        digest=receipt.digest,
        commit=receipt.commit,
        at=receipt.at,
    )


async def test_a_key_that_is_replaced_is_declared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the private key was moved away a new one is declared, and a kill before its first receipt is no loss."""
    await house.trade(2)
    old = SigningKey.of(house.data).key_id
    (house.data / "keys" / "receipts.ed25519").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Receipts, "append", lambda receipts, sealings: None)
        patch.setattr(Evidence, "_set_mark", lambda *_: None)
        patch.setattr(Evidence, "durable", lambda *_: None)
        patch.setattr(Evidence, "receipted", lambda *_: None)
        await house.start()
    assert list(check_receipts(house.data))[-1].key_id == old
    new = SigningKey.of(house.data).key_id
    assert [event.key_id for _, event in await house.events(SigningKeyDeclared)] == [old, new]
    await house.start()
    assert list(check_receipts(house.data))[-1].key_id == new


async def test_keys_that_are_lost_are_replaced_whenever_the_first_start_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that signed the last receipt is known from the journal, even after that has declared the next one."""
    await house.trade(2)
    old = SigningKey.of(house.data).key_id
    shutil.rmtree(house.data / "keys")

    async def killed(engine: Engine) -> None:
        raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_endpoints", killed)
        with pytest.raises(SystemError):
            await house.start()
    new = SigningKey.of(house.data).key_id
    assert [event.key_id for _, event in await house.events(SigningKeyDeclared)] == [old, new]
    assert {receipt.key_id for receipt in check_receipts(house.data)} == {old}
    await house.start()
    assert list(check_receipts(house.data))[-1].key_id == new


# -- accepting


async def test_an_accepted_loss_is_recorded_once_and_let_go(house: House) -> None:
    """Accepting puts name, reason and range into the journal, moves receipts away, and holds for that loss alone."""
    kept = await house.trade(4)
    await house.keep("early")
    last = await house.trade(4)
    await house.put_back("early")
    everything = _lines(house)
    loss = (await house.refused()).loss
    said = await house.accept()
    assert (said["kind"], said["first"], said["last"], said["head"]) == (
        "BEHIND",
        kept + 1,
        last,
        loss.head,
    )
    await house.start()
    assert await house.events(LossAccepted) == [
        (
            kept + 1,
            LossAccepted(first=kept + 1, last=last, head=loss.head, by="Ada", reason="the disk burnt"),
        )
    ]
    [lost] = house.receipts.glob("lost-*.jsonl")
    moved = lost.read_bytes().splitlines(keepends=True)
    assert _lines(house)[: len(everything) - len(moved)] + moved == everything
    assert len(list(house.receipts.glob("accepted-*.json"))) == 1
    assert not (house.receipts / "accepted.json").exists()
    # It holds for that loss alone.
    await house.trade(3)
    assert len(await house.events(LossAccepted)) == 1
    assert [receipt.sequence for receipt in check_receipts(house.data)] == [
        sequence for sequence, _ in await house.events(Sealed)
    ]
    await house.put_back("early")
    await house.refused()


async def test_accepting_where_nothing_is_lost_is_refused(house: House) -> None:
    """There is no acceptance in advance, and none beside a running engine."""
    await house.trade(2)
    assert "nothing is lost" in (await house.accept(1))["line"]
    async with engine_on(house.server.url, house.settings):
        assert "an engine runs" in (await house.accept(1))["line"]


async def test_an_acceptance_of_another_loss_does_not_count(house: House) -> None:
    """What was accepted is what was found then; more loss needs a new word, and a journal brought back needs none."""
    await house.trade(2)
    await house.keep("earlier")
    await house.trade(2)
    await house.keep("early")
    await house.trade(2)
    await house.keep("whole")
    await house.put_back("early")
    await house.accept()
    await house.put_back("earlier")
    await house.refused()
    await house.put_back("whole")
    await house.start()
    assert await house.events(LossAccepted) == []
    assert len(list(house.receipts.glob("accepted-*-unused.json"))) == 1


async def test_a_journal_that_differs_can_be_accepted(house: House) -> None:
    """After acceptance the journal that is there is the truth, and receipts agree with it again."""
    kept = await house.trade(3)
    await house.keep("early")
    last = await house.trade(3)
    await house.put_back("early")
    await house.trade(9, SETTINGS)
    await house.refused()
    await house.accept()
    await house.start()
    [(_, event)] = await house.events(LossAccepted)
    assert (event.first, event.last) == (kept + 1, last)
    await house.trade(2)


@pytest.mark.parametrize("what", ["missing", "cut", "damaged", "key"])
async def test_a_lost_proof_can_be_accepted(house: House, what: str) -> None:
    """Where only the proof was lost, the journal records who said so, and that no frame is known to be gone."""
    await house.trade(3)
    last = await house.trade(2)
    receipts = list(check_receipts(house.data))
    if what == "missing":
        shutil.rmtree(house.data)
        house.data.mkdir()
    elif what == "cut":
        _rewrite(house, lambda lines: lines[:-1])
    elif what == "damaged":
        _rewrite(house, lambda lines: [b"{}\n", *lines[1:]])
    else:
        shutil.rmtree(house.data / "keys")
        for path in receipt_files(house.data):
            path.unlink()
        forger = Receipts(house.data, SigningKey.of(house.data), "0.1.0", "")
        forger.open()
        forger.append([_sealing(receipt) for receipt in receipts])
        forger.close()
    with pytest.raises(JournalLost):
        await house.start()
    await house.accept()
    await house.start()
    [(_, event)] = await house.events(LossAccepted)
    assert (event.first, event.last) == (last + 1, last)
    assert "unproven" in event.reason
    await house.trade(2)
    assert await house.events(LossAccepted) == [(last + 1, event)]


@pytest.mark.parametrize(
    "text, code",
    [
        ("\u0001" * ((TEXT_BYTES_MAX - 2) // 6), 0),
        ("\u640d" * TEXT_MAX, 0),
        ("\u0001" * (TEXT_BYTES_MAX // 6 + 1), 2),
        ("\U0001f600" * TEXT_MAX, 2),
        ("x" * (TEXT_MAX + 1), 2),
        ("x\udcff", 2),
        (" ", 2),
    ],
    ids=["controls", "wide", "controls-too-many", "emoji-too-many", "too-long", "not-utf-8", "blank"],
)
async def test_whatever_text_is_accepted_can_be_started_with(house: House, text: str, code: int) -> None:
    """A name or reason is refused as usage when it is given, or is in the journal after the next start."""
    await house.trade(1)
    for path in receipt_files(house.data):
        path.unlink()
    said = await house.accept(code, by=text, reason=text)
    if code:
        assert "Invalid value for '--by'" in said["line"]
        assert not (house.receipts / "accepted.json").exists()
        return
    await house.start()
    [(_, event)] = await house.events(LossAccepted)
    assert event.by == text
    assert event.reason.endswith(text)


async def test_an_acceptance_that_was_edited_is_refused(house: House) -> None:
    """Other words, or the same ones written otherwise: it is not what was signed, and the line says what to do."""
    await house.trade(1)
    for path in receipt_files(house.data):
        path.unlink()
    await house.accept()
    path = house.receipts / "accepted.json"
    raw = path.read_bytes()
    members = json.loads(raw)
    for edited in (
        json.dumps(members, indent=1).encode(),
        json.dumps(dict(reversed(members.items())), separators=(",", ":")).encode(),
        raw.replace(b"Ada", b"Bob"),
    ):
        path.write_bytes(edited)
        with pytest.raises(JournalBroken, match=r"remove it, and accept the loss again") as broken:
            await house.start()
        assert not isinstance(broken.value, JournalLost)
    path.write_bytes(raw)
    await house.start()


@pytest.mark.parametrize("moment", ["cut_after", "_set_mark", "file_away"])
async def test_a_crash_while_an_acceptance_takes_effect_is_made_good(
    house: House, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Wherever the engine ends between recording an acceptance and tidying up, the next start does the rest, once."""
    await house.trade(3)
    await house.keep("early")
    await house.trade(3)
    await house.put_back("early")
    await house.accept()

    def crash(*_: Any) -> None:
        raise ReceiptsFailed("crash")

    with monkeypatch.context() as patch:
        if moment == "cut_after":
            patch.setattr(Receipts, "cut_after", crash)
        elif moment == "_set_mark":
            patch.setattr(Evidence, "_set_mark", crash)
        else:
            patch.setattr("oms.journal.evidence.file_away", crash)
        with pytest.raises(ReceiptsFailed):
            await house.start()
    assert len(await house.events(LossAccepted)) == 1
    await house.start()
    await house.trade(2)
    assert len(await house.events(LossAccepted)) == 1
    assert not (house.receipts / "accepted.json").exists()


async def test_snapshots_of_what_is_gone_are_set_aside(house: House) -> None:
    """A snapshot that is ahead of what is left stops nobody after the loss was accepted, and stays to be looked at."""
    await house.trade(2)
    await house.keep("early")
    await house.trade(2)
    nc = await nats.connect(house.server.url)
    history = await rebuild(Source(nc, None), None)
    await nc.close()
    snapshots = Snapshots(house.data)
    path = snapshots.write(content_of(history), history.at).path
    house.settings = attrs.evolve(house.settings, snapshots=snapshots)
    await house.put_back("early")
    await house.refused()
    said = await house.accept()
    [aside] = said["snapshots_set_aside"]
    assert Path(aside).exists()
    assert not path.exists()
    await house.start()


# -- disks


@pytest.mark.parametrize("what", ["mark", "receipts"])
async def test_a_disk_that_fails_stops_the_engine(
    house: House, nc: Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """An engine that cannot attest does not go on, and those who wait are not told OK without a mark."""
    await house.trade(1)

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(ReceiptsFailed, match="Input/output error"):  # noqa: PT012 - its end fails the block
        async with engine_on(house.server.url, house.settings) as engine:
            venue = Venue(nc)
            await venue.open()
            if what == "mark":
                monkeypatch.setattr(MarkFile, "write", fail)
                answer = await venue.place("x1")
                assert answer["error"]["code"] == "JOURNAL_UNAVAILABLE"
            else:
                monkeypatch.setattr(Receipts, "_write", fail)
                await venue.place("x1")
                await asyncio.sleep(2.0)
            assert not engine.ready.is_set()
            await venue.close()
    monkeypatch.undo()
    await house.start()


async def test_a_disk_that_hangs_stops_the_engine(
    house: House, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receipts that do not come back within their time stop the engine; replies wait for room in the meantime."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("oms.engine.notary.STALL_S", 1.0)
    monkeypatch.setattr("oms.engine.notary.WAITING_MAX", 2)
    monkeypatch.setattr("oms.engine.engine.SEAL_COMMITS", 1)

    append, appending = Receipts.append, 0

    def hang(receipts: Receipts, sealings: Any) -> None:
        nonlocal appending
        appending += 1
        with receipts._appending:
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        append(receipts, sealings)
        appending -= 1

    with pytest.raises(ReceiptsFailed, match="within 1 s"):  # noqa: PT012 - its end fails the block
        async with engine_on(house.server.url, house.settings) as engine:
            venue = Venue(nc)
            await venue.open()
            monkeypatch.setattr(Receipts, "append", hang)
            codes = []
            for number in range(8):
                with contextlib.suppress(nats.errors.Error):
                    answer = await venue.place(f"x{number}", quantity="0.00011")
                    codes.append("OK" if answer["ok"] else answer["error"]["code"])
            assert "JOURNAL_UNAVAILABLE" in codes
            assert not engine.ready.is_set()
            await venue.close()
    with pytest.raises(EngineRunning):
        await house.start()
    release.set()
    while appending:
        await asyncio.sleep(0.01)
