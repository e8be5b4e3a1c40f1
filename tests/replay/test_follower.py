"""The follower as its users see it: over NATS, with a real journal."""

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from oms.aggregates import image
from oms.journal.errors import JournalBroken
from oms.journal.stream import STREAM, ensure_journal
from oms.messages.public import STREAMS
from oms.messages.queries import QUERIES
from oms.nats_server import EmbeddedNats
from replay.following import follower as follower_module
from replay.rebuild import SnapshotRefused
from replay.snapshot import Snapshots
from tests.replay.conftest import Following, ask
from tests.replay.journal import Maker, busy, write


async def append(nc: Client, maker: Maker, since: int) -> None:
    """Write the frames that came after ``since``."""
    maker.cut()
    await write(nc, maker.payloads[since:])


async def test_answers_are_true_at_their_sequence(nc: Client, following: Following) -> None:
    """Every question is answered with ``ok``, the sequence and its rows; no payload asks without filters."""
    maker = busy(31, 100)
    await write(nc, maker.payloads)
    async with following():
        for verb in (
            "show_orders",
            "show_trades",
            "show_positions",
            "show_balances",
            "show_pnl",
            "show_status",
        ):
            found = await ask(nc, f"{verb}._._._._")
            assert (found["ok"], found["sequence"]) == (True, maker.sequence)
            assert found["rows"], verb
            assert isinstance(found["more"], bool)


async def test_subject_says_what_is_meant(nc: Client, following: Following) -> None:
    """Each place of the subject narrows the rows, and ``_`` means any."""
    maker = busy(32, 200)
    await write(nc, maker.payloads)
    async with following():
        everything = (await ask(nc, "show_orders._._._._", limit=500))["rows"]
        assert len(everything) == 200
        for subject, field, value in (
            ("show_orders._.sub_arb._._", "account", "sub_arb"),
            ("show_orders._._._.ETHUSDT", "symbol", "ETHUSDT"),
        ):
            rows = (await ask(nc, subject, limit=500))["rows"]
            assert rows == [row for row in everything if row[field] == value]


MISSPELT = [
    # Subject behind the verb, code, what is told.
    ("_.sub_ar._._", "ACCOUNT_UNKNOWN", "no account 'sub_ar', known: main, sub_arb"),
    ("bybit._._._", "INSTRUMENT_UNKNOWN", "no exchange 'bybit', known: binance"),
    ("_._.futures._", "INSTRUMENT_UNKNOWN", "no market 'futures', known: spot"),
    ("_._._.BTCUSD", "INSTRUMENT_UNKNOWN", "no symbol 'BTCUSD', known: BTCUSDT, ETHUSDT"),
    ("binance._.spot.BTCUSD", "INSTRUMENT_UNKNOWN", "no symbol 'BTCUSD', known: BTCUSDT, ETHUSDT"),
]


async def test_a_misspelt_name_is_no_empty_answer(nc: Client, following: Following) -> None:
    """Whatever is asked, a name that is not known is refused with those that are: "nothing" would be taken for flat."""
    await write(nc, busy(32, 20).payloads)
    async with following():
        for verb in QUERIES:
            for place, code, told in MISSPELT:
                found = await ask(nc, f"{verb}.{place}")
                assert not found["ok"], (verb, place)
                assert (found["error"]["code"], found["error"]["message"]) == (code, told), verb
            assert (await ask(nc, f"{verb}.binance.sub_arb.spot.BTCUSDT"))["ok"], verb
        for filters, code, told in (
            ({"control": "max_positon"}, "LIMIT_UNKNOWN", "max_position may be meant"),
            ({"scope": "acount:"}, "SCOPE_UNKNOWN", "no scope begins with 'acount:'"),
            ({"scope": "account:nobody", "near": True}, "SCOPE_UNKNOWN", "account:nobody"),
        ):
            error = (await ask(nc, "show_limits._._._._", **filters))["error"]
            assert error["code"] == code
            assert told in error["message"]
        for filters in (
            {"control": "kill_switch"},
            {"scope": "strat"},
            {"scope": "account:sub"},
            {"scope": "instrument:"},
        ):
            assert (await ask(nc, "show_limits._._._._", **filters))["ok"], filters


async def test_filters_of_orders(nc: Client, following: Following) -> None:
    """``open``, ``status``, ``strategy``, ``order_id`` and ``since`` give exactly the rows that they describe."""
    maker = busy(33, 200)
    await write(nc, maker.payloads)
    async with following():
        everything = (await ask(nc, "show_orders._._._._", limit=500))["rows"]
        middle = everything[100]
        for filters, matches in (
            ({"open": True}, lambda row: row["open"]),
            ({"open": False}, lambda row: not row["open"]),
            ({"status": "REJECTED"}, lambda row: row["status"] == "REJECTED"),
            ({"strategy": "arb"}, lambda row: row["strategy"] == "arb"),
            ({"strategy": ""}, lambda row: row["strategy"] == ""),
            ({"order_id": middle["order_id"]}, lambda row: row["order_id"] == middle["order_id"]),
            ({"since": middle["updated_at"]}, lambda row: row["updated_at"] >= middle["updated_at"]),
        ):
            rows = (await ask(nc, "show_orders._._._._", limit=500, **filters))["rows"]
            assert rows == [row for row in everything if matches(row)], filters
            assert rows, filters


@pytest.mark.parametrize(
    "verb, filters",
    [
        ("show_orders", {}),
        ("show_orders", {"open": True}),
        ("show_orders", {"status": "FILLED"}),
        ("show_trades", {}),
        ("show_positions", {}),
        ("show_balances", {}),
        ("show_pnl", {"by": ["account", "strategy", "symbol", "day"]}),
    ],
)
async def test_pages_join_without_gap_or_double(
    nc: Client, following: Following, verb: str, filters: dict[str, object]
) -> None:
    """Going through pages by ``after`` gives the rows of one large page, and ``more`` is false on the last only."""
    await write(nc, busy(34, 150).payloads)
    async with following():
        whole = await ask(nc, f"{verb}._._._._", limit=500, **filters)
        assert not whole["more"]
        rows, after = [], ""
        for _ in range(200):
            page = await ask(nc, f"{verb}._._._._", limit=3, after=after, **filters)
            assert len(page["rows"]) <= 3
            rows += page["rows"]
            if not page["more"]:
                break
            after = page["next"]
        assert rows == whole["rows"]
        assert len(rows) > 3


async def test_at_least_reads_ones_own_writes(nc: Client, following: Following) -> None:
    """A question that asks for a sequence waits for it, and others are answered meanwhile."""
    maker = busy(35, 20)
    await write(nc, maker.payloads)
    async with following():
        since = maker.sequence
        order_id = maker.place()
        waiting = asyncio.create_task(ask(nc, "show_orders._._._._", at_least=since + 1, order_id=order_id))
        await asyncio.sleep(0.05)
        assert (await ask(nc, "show_orders._._._._", order_id=order_id))["rows"] == []
        assert not waiting.done()
        await append(nc, maker, since)
        found = await waiting
        assert found["sequence"] == since + 1
        assert [row["order_id"] for row in found["rows"]] == [order_id]


async def test_sequence_that_does_not_come_times_out(nc: Client, following: Following) -> None:
    """After ``timeout_ms`` the answer is SEQUENCE_TIMEOUT with the sequence reached."""
    maker = busy(36, 20)
    await write(nc, maker.payloads)
    async with following():
        found = await ask(nc, "show_orders._._._._", at_least=10**6, timeout_ms=50)
        assert not found["ok"]
        assert found["error"]["code"] == "SEQUENCE_TIMEOUT"
        assert found["sequence"] == maker.sequence


@pytest.mark.parametrize(
    "payload, code",
    [
        (b"{", "INVALID_JSON"),
        (b"\xff", "INVALID_JSON"),
        (b"[]", "INVALID_COMMAND"),
        (b'{"limit":0}', "INVALID_COMMAND"),
        (b'{"limit":501}', "INVALID_COMMAND"),
        (b'{"timeout_ms":5001}', "INVALID_COMMAND"),
        (b'{"unknown":1}', "INVALID_COMMAND"),
        (b'{"status":"OPEN"}', "INVALID_COMMAND"),
        (b'{"after":"' + b"x" * 9_000 + b'"}', "MESSAGE_TOO_LARGE"),
    ],
)
async def test_bad_question_gets_its_code(
    nc: Client, following: Following, payload: bytes, code: str
) -> None:
    """What cannot be understood is answered with a documented code, and the next question as ever."""
    await write(nc, busy(37, 10).payloads)
    async with following():
        answer = json.loads((await nc.request("show_orders._._._._", payload)).data)
        assert (answer["ok"], answer["error"]["code"]) == (False, code)
        assert (await ask(nc, "show_orders._._._._"))["ok"]
        bad = await ask(nc, "show_trades._._._._", after="x")
        assert bad["error"]["code"] == "INVALID_COMMAND"


async def test_answer_of_large_rows_stays_below_a_megabyte(nc: Client, following: Following) -> None:
    """A page ends early when its rows are large, and the rest comes in the next."""
    maker = Maker()
    maker.begin()
    for _ in range(500):
        order_id = maker.place(client_order_id="é" * 64)
        maker.report({"report": "rejected", "order_id": order_id, "reason": "\x01" * 512, "venue_time": 1})
        maker.cut()
    await write(nc, maker.payloads)
    async with following():
        answer = await nc.request("show_orders._._._._", b'{"limit":500}')
        page = json.loads(answer.data)
        assert len(answer.data) < 1024 * 1024
        assert 100 < len(page["rows"]) < 500
        assert page["more"]
        ids = [row["order_id"] for row in page["rows"]]
        while page["more"]:
            page = await ask(nc, "show_orders._._._._", limit=500, after=page["next"])
            ids += [row["order_id"] for row in page["rows"]]
        assert len(ids) == len(set(ids)) == 500


async def test_status_tells_of_journal_engine_sessions_and_counts(nc: Client, following: Following) -> None:
    """Everything an operator asks first is in one row."""
    maker = busy(38, 60)
    await write(nc, maker.payloads)
    async with following() as follower:
        (row,) = (await ask(nc, "show_status._._._._"))["rows"]
        assert (row["journal_id"], row["engine"], row["lag"]) == ("mtest1", "e1", 0)
        assert row["journal_sequence"] == maker.sequence
        assert row["accounts"] == {"main": "MAIN", "sub_arb": "SUB"}
        assert [(s["account"], s["ready"]) for s in row["sessions"]] == [("main", True), ("sub_arb", True)]
        assert row["open_orders"] == sum(len(live) for live in follower.history.partition.live.values())
        assert set(row["published"]) == {"ORDERS", "TRADES", "POSITIONS", "ACCOUNTS", "RISK"}


async def test_the_status_names_what_is_killed(nc: Client, following: Following) -> None:
    """Each engaged kill switch, the widest first, at most twenty; of a question about an account not those of others. An order
    that a kill switch waits to cancel says so."""
    maker = busy(38, 10)
    order_id = maker.place(price="9")
    maker.accept(order_id)
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", by="lee")
    maker.command("kill._._._._", scope="global", by="ann", reason="odd fills")
    maker.command("kill._.main._._", scope="account:main", by="kim")
    maker.cut()
    await write(nc, maker.payloads)
    async with following():
        (row,) = (await ask(nc, "show_status._._._._"))["rows"]
        assert row["latched"] == 3
        assert [each["scope"] for each in row["latches"]] == ["global", "account:sub_arb", "account:main"]
        assert (row["latches"][0]["by"], row["latches"][0]["reason"]) == ("ann", "odd fills")
        (row,) = (await ask(nc, "show_status._.main._._"))["rows"]
        assert [each["scope"] for each in row["latches"]] == ["global", "account:main"]
        (order,) = (await ask(nc, "show_orders._._._._", order_id=order_id))["rows"]
        assert (order["status"], order["cancel_reason"]) == ("PENDING_CANCEL", "kill")
        since = maker.sequence
        for number in range(30):
            maker.command("kill._._._._", scope=f"strategy:s{number}", by="ann")
        await append(nc, maker, since)
        (row,) = (await ask(nc, "show_status._._._._", at_least=maker.sequence))["rows"]
        assert (row["latched"], len(row["latches"])) == (33, 20)


async def test_waits_for_the_journal_to_be_made(nc: Client, following: Following) -> None:
    """Started before any engine, it waits, and follows once there is a journal."""
    async with following(wait=False) as follower:
        await asyncio.sleep(0.3)
        assert not follower.ready.is_set()
        maker = busy(39, 10)
        await write(nc, maker.payloads)
        await asyncio.wait_for(follower.ready.wait(), 5)
        assert (await ask(nc, "show_orders._._._._", at_least=maker.sequence))["ok"]


async def test_clean_stop_writes_a_snapshot_and_the_next_start_uses_it(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """After a stop a snapshot stands at the last sequence; the next follower applies nothing again and is the same."""
    maker = busy(40, 100)
    await write(nc, maker.payloads)
    async with following() as first:
        pass
    (snapshot,) = Snapshots(tmp_path / "data").newest_first()
    assert snapshot.header.sequence == maker.sequence
    async with following() as second:
        assert second.history.events == 0
        assert image.digest(second.history.partition) == image.digest(first.history.partition)
        assert second.history.projections is not None
        assert first.history.projections is not None
        assert second.history.projections.dump() == first.history.projections.dump()


async def test_snapshots_are_written_on_the_interval(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """While it runs, a snapshot follows the journal; without news none is written again."""
    maker = busy(41, 30)
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path / "data")
    async with following(crash=True, interval_s=1):
        for _ in range(100):
            if snapshots.paths():
                break
            await asyncio.sleep(0.05)
        (snapshot,) = snapshots.newest_first()
        assert snapshot.header.sequence == maker.sequence
        written = snapshot.path.stat().st_mtime_ns
        await asyncio.sleep(1.3)
        assert snapshot.path.stat().st_mtime_ns == written


async def test_broken_chain_stops_it(nc: Client, following: Following) -> None:
    """A frame that does not follow the one before ends the follower with its sequence."""
    maker = busy(42, 60, frame=10)
    await write(nc, maker.payloads[:4])

    async def follow() -> None:
        async with following() as follower:
            await write(nc, maker.payloads[5:6])
            while follower.ready.is_set():
                await asyncio.sleep(0.01)

    with pytest.raises(JournalBroken, match="CHAIN at sequence 5"):
        await follow()


async def test_foreign_snapshot_stops_it(nc: Client, following: Following, tmp_path: Path) -> None:
    """A data directory of another journal is refused at start, by its archive, and by its snapshot without one."""
    maker = busy(43, 60, frame=10)
    await write(nc, maker.payloads)
    async with following():
        pass
    await nc.jetstream().delete_stream("JOURNAL")
    await write(nc, busy(44, 90, frame=10).payloads)
    with pytest.raises(JournalBroken, match=rf"CHAIN at sequence {maker.sequence}: .* different journals"):
        await following().__aenter__()
    shutil.rmtree(tmp_path / "data" / "archive")
    with pytest.raises(SnapshotRefused):
        await following().__aenter__()


async def test_journal_that_lost_its_end_stops_it(nc: Client, following: Following) -> None:
    """A journal that ends before the archive does, or is gone, is refused with the range that is lost."""
    maker = busy(48, 60, frame=10)
    await write(nc, maker.payloads)
    async with following():
        pass
    await nc.jetstream().delete_stream("JOURNAL")
    with pytest.raises(JournalBroken, match=f"LOST at sequence 1: .* frames 1 to {maker.sequence}"):
        await following().__aenter__()
    await write(nc, maker.payloads[:4])
    with pytest.raises(JournalBroken, match=f"LOST at sequence 5: .* frames 5 to {maker.sequence}"):
        await following().__aenter__()


@pytest.mark.parametrize("seen_by", ["reconnecting", "being asked"])
async def test_journal_that_loses_its_end_while_followed_stops_it(
    nc: Client, following: Following, seen_by: str
) -> None:
    """Frames that were followed and are gone are noticed after a reconnect and by the next question for the status, before
    others are written under their numbers.
    """
    maker = busy(49, 60, frame=10)
    await write(nc, maker.payloads)

    async def follow() -> None:
        async with following() as follower:
            await nc.jetstream().delete_stream(STREAM)
            await ensure_journal(nc.jetstream())
            await write(nc, maker.payloads[:4])
            if seen_by == "reconnecting":
                follower._nc._transport.close()  # type: ignore[union-attr]
            else:
                await ask(nc, "show_status._._._._")
            async with asyncio.timeout(10):
                while follower.ready.is_set():
                    await asyncio.sleep(0.01)

    with pytest.raises(
        JournalBroken, match=f"LOST at sequence 5: frames up to {maker.sequence} were followed"
    ):
        await follow()


async def test_expired_public_events_are_not_published_again(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """Beginning before its newest snapshot, for an archive that is gone, it publishes only what came after that snapshot."""
    maker = busy(50, 60)
    await write(nc, maker.payloads)
    async with following():
        pass
    js = nc.jetstream()
    for name in STREAMS:
        await js.delete_stream(name)
    shutil.rmtree(tmp_path / "data" / "archive")
    async with following() as again:
        assert again.history.events > 0
        since = maker.sequence
        maker.fill(maker.place(), "1", "100")
        await append(nc, maker, since)
        assert (await ask(nc, "show_status._._._._", at_least=maker.sequence))["ok"]
        async with asyncio.timeout(10):
            await again._publisher.stored(maker.sequence)
    for name in ("ORDERS", "TRADES"):
        state = (await js.stream_info(name)).state
        assert state.messages
        headers = (await js.get_msg(name, seq=state.first_seq)).headers or {}
        assert headers["Nats-Msg-Id"].startswith(f"{maker.sequence}.")


async def test_old_snapshots_are_removed_off_the_loop(
    nc: Client, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking through the snapshots of a year holds nobody up."""
    threads: list[threading.Thread] = []
    retain = Snapshots.retain

    def noted(self: Snapshots, *args: Any) -> list[Path]:
        threads.append(threading.current_thread())
        return retain(self, *args)

    monkeypatch.setattr(Snapshots, "retain", noted)
    await write(nc, busy(51, 20).payloads)
    async with following():
        pass
    assert threads
    assert threading.main_thread() not in threads


async def test_survives_its_server(nc: Client, following: Following, nats_server: EmbeddedNats) -> None:
    """nats-server killed and restarted: the follower goes on, with nothing missed."""
    maker = busy(45, 40, frame=5)
    await write(nc, maker.payloads)
    async with following() as follower:
        await nats_server.kill()
        await asyncio.sleep(0.3)
        await nats_server.restart()
        since = maker.sequence
        busy(46, 40, frame=5, maker=maker)
        while not nc.is_connected:
            await asyncio.sleep(0.05)
        await append(nc, maker, since)
        # Sooner than nats-py notices by itself that its consumer is gone, which takes it 20 s.
        async with asyncio.timeout(12):
            while follower.history.sequence < maker.sequence:
                await asyncio.sleep(0.05)
        assert (await ask(nc, "show_status._._._._", at_least=maker.sequence))["ok"]
        assert image.digest(follower.history.partition) == image.digest(maker.state)


async def test_several_share_the_questions(nc: Client, following: Following) -> None:
    """Two followers are one queue group: each question gets one answer, from either."""
    maker = busy(47, 30)
    await write(nc, maker.payloads)
    async with following("one"), following("two"):
        answers: list[bytes] = []
        inbox = nc.new_inbox()

        async def take(message: object) -> None:
            answers.append(message.data)  # type: ignore[attr-defined]

        await nc.subscribe(inbox, cb=take)
        for _ in range(20):
            await nc.publish("show_status._._._._", b"", reply=inbox)
        for _ in range(100):
            if len(answers) >= 20:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert len(answers) == 20


async def test_many_events_bring_a_snapshot_before_its_time(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer as of a moment never has far to go: a snapshot does not wait for the hour when much happens."""
    monkeypatch.setattr(follower_module, "SNAPSHOT_EVENTS", 50)
    maker = busy(5, 60)
    await write(nc, maker.payloads)
    async with following():
        before = len(maker.payloads)
        await append(nc, busy(6, 60, maker=maker), before)
        async with asyncio.timeout(20):
            while not Snapshots(tmp_path / "data").paths():
                await asyncio.sleep(0.05)
