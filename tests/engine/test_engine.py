"""The engine's shell on a real nats-server: durable before told, once each, one writer, back after every failure."""

import asyncio
import contextlib
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.api import StorageType, StreamConfig

from oms.aggregates import image
from oms.aggregates.partition import Partition
from oms.config import ConfigError
from oms.engine import engine as engine_module
from oms.engine.engine import Engine, EngineRunning
from oms.handlers import dispatch
from oms.journal.errors import Fenced, JournalBroken
from oms.journal.reader import read_frames
from oms.journal.stream import STREAM, SUBJECT
from oms.journal.writer import JournalWriter
from oms.messages.commands import CloseSession
from oms.messages.enums import AccountKind
from oms.messages.events import AccountRegistered
from oms.messages.frames import GENESIS, Commit, encode_commit
from oms.nats_server import EmbeddedNats, bound_to_parent, nats_server_binary
from replay.archive import Archive
from replay.rebuild import rebuild
from replay.source import Source
from tests.engine.desk import SETTINGS, Trader, Venue, accepted, engine_on, filled

_ACCOUNT_COMMIT = encode_commit(
    Commit(
        at=1,
        subject="register_account._.late._._",
        command=msgspec.Raw(b"{}"),
        events=[AccountRegistered(account="late", kind=AccountKind.SUB)],
    )
)

# nats-py leaves its old socket to the garbage collector when a server dies under it.


async def _digest_from_zero(nc: Client) -> str:
    history = await rebuild(Source(nc), None, projections=False)
    return image.digest(history.partition)


async def test_a_reply_names_the_frame_that_holds_the_order(trader: Trader, nc: Client) -> None:
    """The sequence in a reply is that of the frame whose commit made the order."""
    answer = await trader.place("c1")
    stored = await nc.jetstream().get_msg(STREAM, seq=answer["sequence"])
    frame = json.loads(stored.data or b"")
    assert answer["ok"]
    assert answer["status"] == "PENDING_NEW"
    assert frame["sequence"] == answer["sequence"]
    assert [c["events"][0]["order_id"] for c in frame["commits"]] == [answer["order_id"]]


async def test_no_engine_is_told_at_once(nats_server: EmbeddedNats, nc: Client) -> None:
    """Without an engine a client hears 'no responders', and its command is queued nowhere."""
    with pytest.raises(NoRespondersError):
        await Trader(nc).place("c1")


async def test_the_same_command_is_done_once(trader: Trader, venue: Venue) -> None:
    """A repeated command gets the first answer with ``duplicate`` and reaches the venue once."""
    first = await trader.place("c1")
    again = await trader.place("c1")
    other = await trader.place("c1", quantity="0.002")
    assert again == {**first, "duplicate": True}
    assert other["error"]["code"] == "COMMAND_ID_REUSED"
    assert len(await venue.told("submit")) == 1


async def test_the_same_command_is_done_once_across_a_restart(nats_server: EmbeddedNats, nc: Client) -> None:
    """A command repeated to another engine process on the same journal changes nothing."""
    venue = Venue(nc)
    async with engine_on(nats_server.url):
        await venue.open()
        first = await Trader(nc).place("c1")
    async with engine_on(nats_server.url) as engine:
        assert await Trader(nc).place("c1") == {**first, "duplicate": True}
        assert len(engine.state.orders) == 1
    await venue.close()


async def test_bulks_are_answered_one_by_one_in_order(trader: Trader) -> None:
    """Each command of a bulk stands alone: good ones are done, bad ones are told why, in the order they came."""
    order = {"side": "buy", "type": "limit", "quantity": "0.001", "price": "50000"}
    bulk = [
        {"command_id": "b1", "symbol": "BTCUSDT", **order},
        {"command_id": "b2", "symbol": "NOSUCH", **order},
        {"command_id": "b3", "symbol": "BTCUSDT", **order, "quantity": "1e400"},
        {"command_id": "b4", "symbol": "BTCUSDT", **order},
    ]
    answers = await trader.ask("place.binance.main.spot._", bulk)
    assert [a["command_id"] for a in answers] == ["b1", "b2", "b3", "b4"]
    assert [a.get("error", {}).get("code") for a in answers] == [
        None,
        "INSTRUMENT_UNKNOWN",
        "INVALID_DECIMAL",
        None,
    ]


async def test_a_bulk_of_a_thousand_fits_its_frames(venue: Venue, nc: Client) -> None:
    """The largest bulk is durable whatever its size in frames, and every reply names its own frame."""
    order = {
        "side": "buy",
        "type": "limit",
        "quantity": "0.00011",
        "price": "50000",
        "client_order_id": "x" * 64,
    }
    for round_ in range(3):
        bulk = [
            {"command_id": f"{round_}-{i}".ljust(64, "-"), "symbol": "BTCUSDT", **order} for i in range(1_000)
        ]
        answers = await venue.ask("place.binance.main.spot._", bulk, timeout=30)
        assert all(a["ok"] for a in answers)
    placed = {}
    async for batch in read_frames(nc, 1, await _last(nc), GENESIS):
        for stored in batch:
            for commit in stored.frame.commits:
                placed[commit.command_id] = stored.sequence
    assert all(placed[a["command_id"]] == a["sequence"] for a in answers)
    assert len(await venue.told("submit", 3_000)) == 3_000


async def _last(nc: Client) -> int:
    return (await nc.jetstream().stream_info(STREAM)).state.last_seq


async def test_an_account_that_the_journal_does_not_take_ends_the_start(
    engine: Engine, nats_server: EmbeddedNats, nc: Client
) -> None:
    """A configuration that no longer fits the journal is told by its place, and nothing of that start is in the journal."""
    before = await nc.jetstream().stream_info(STREAM)
    two = attrs.evolve(SETTINGS, accounts={**SETTINGS.accounts, "another": AccountKind.MAIN})
    starting = Engine(nc, two)
    starting._refuse_second = _nobody_else  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match=r"^accounts\.another: ACCOUNT_LIMIT: "):
        await starting.run(asyncio.Event())
    after = await nc.jetstream().stream_info(STREAM)
    assert after.state.last_seq == before.state.last_seq
    assert (await Trader(nc).place("c1"))["error"]["code"] == "INSTRUMENT_UNKNOWN"


async def _nobody_else() -> None:
    """The engine whose journal it is still serves; as another would, that has crashed."""


async def test_a_second_engine_refuses_to_start(engine: Engine, nats_server: EmbeddedNats) -> None:
    """An engine that finds another one answering does not take the journal over."""
    with pytest.raises(EngineRunning):
        async with engine_on(nats_server.url):
            pass


async def test_an_engine_that_was_taken_over_steps_down(
    nats_server: EmbeddedNats, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two engines on one journal the older says no OK any more, and the journal stays whole."""
    venue = Venue(nc)

    async def blind(engine: Engine) -> None:
        """Does not see the other engine, as when both start at once."""

    with pytest.raises(Fenced):  # noqa: PT012 - whatever is asked of it, the engine's end fails the block
        async with engine_on(nats_server.url) as old:
            await venue.open()
            monkeypatch.setattr(Engine, "_refuse_second", blind)
            async with engine_on(nats_server.url) as new:
                codes = set()
                for i in range(20):
                    try:
                        answer = await Trader(nc).place(f"c{i}")
                    except (NoRespondersError, nats.errors.TimeoutError):
                        continue
                    codes.add("OK" if answer["ok"] else answer["error"]["code"])
                    if answer["ok"]:
                        assert answer["order_id"] in new.state.orders
                assert not old.ready.is_set()
                assert codes <= {"OK", "JOURNAL_UNAVAILABLE"}
                assert "OK" in codes
                assert image.digest(new.state) == await _digest_from_zero(nc)
    await venue.close()


async def test_a_foreign_append_stops_the_engine(nats_server: EmbeddedNats, nc: Client) -> None:
    """Somebody else's write to the journal is never written over: the engine stops, with no OK for what it had decided."""
    venue = Venue(nc)
    with pytest.raises(Fenced):  # noqa: PT012 - whatever is asked of it, the engine's end fails the block
        async with engine_on(nats_server.url):
            await venue.open()
            await nc.jetstream().publish(SUBJECT, b"{}")
            answer = await Trader(nc).place("c1")
            assert answer["error"]["code"] == "JOURNAL_UNAVAILABLE"
    await venue.close()


async def test_an_edited_journal_is_refused_with_its_sequence(nats_server: EmbeddedNats, nc: Client) -> None:
    """A frame that does not follow the one before stops the start and is named."""
    async with engine_on(nats_server.url):
        pass
    last = await _last(nc)
    await JournalWriter(nc, last, "0" * 64).append([])
    with pytest.raises(JournalBroken) as broken:
        async with engine_on(nats_server.url):
            pass
    assert broken.value.sequence == last + 1


async def test_a_journal_with_an_expiry_is_refused(nats_server: EmbeddedNats, nc: Client) -> None:
    """A stream that would forget the truth by age is not taken as a journal."""
    await nc.jetstream().add_stream(
        StreamConfig(name=STREAM, subjects=[SUBJECT], storage=StorageType.FILE, max_age=3600)
    )
    with pytest.raises(JournalBroken):
        async with engine_on(nats_server.url):
            pass


async def test_a_stopped_server_gives_no_false_ok_and_the_engine_comes_back(
    nats_server: EmbeddedNats, nc: Client
) -> None:
    """Killing nats-server under load loses no acknowledged order; the engine serves again by itself."""
    venue = Venue(nc)
    acknowledged: dict[str, str] = {}
    settings = attrs.evolve(SETTINGS, give_up_s=2.0)
    async with engine_on(nats_server.url, settings) as engine:
        await venue.open()

        async def trade(worker: int) -> None:
            client = await nats.connect(nats_server.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
            trader, number = Trader(client), 0
            while len(acknowledged) < 600:
                number += 1
                command_id = f"w{worker}-{number}"
                while True:
                    try:
                        answer = await trader.place(command_id, quantity="0.00011")
                    except (nats.errors.Error, OSError):
                        await asyncio.sleep(0.05)
                        continue
                    if answer["ok"]:
                        acknowledged[command_id] = answer["order_id"]
                        break
                    assert answer["error"]["code"] in ("JOURNAL_UNAVAILABLE", "VENUE_DOWN"), answer
                    if answer["error"]["code"] == "VENUE_DOWN":
                        break
                    await asyncio.sleep(0.05)
            await client.close()

        async def kill() -> None:
            for _ in range(2):
                await asyncio.sleep(random.uniform(0.1, 0.4))
                await nats_server.kill()
                await asyncio.sleep(0.3)
                await nats_server.restart()

        await asyncio.wait_for(asyncio.gather(kill(), *(trade(w) for w in range(8))), 90)
        assert all(order_id in engine.state.orders for order_id in acknowledged.values())
        assert len(set(acknowledged.values())) == len(acknowledged)
        assert image.digest(engine.state) == await _digest_from_zero(nc)
    await venue.close()


async def test_a_full_journal_gives_no_false_ok(nats_server: EmbeddedNats, nc: Client) -> None:
    """When the store has no room commands get an error, and when it has again they are done."""
    js = nc.jetstream()
    async with engine_on(nats_server.url, attrs.evolve(SETTINGS, give_up_s=1.0)):
        venue = Venue(nc)
        await venue.open()
        info = await js.stream_info(STREAM)
        config = info.config
        config.max_bytes = info.state.bytes + 400
        await js.update_stream(config)
        trader = Trader(nc)
        answers = []
        for i in range(4):
            try:
                answers.append(await trader.place(f"c{i}"))
            except (NoRespondersError, nats.errors.TimeoutError):
                continue
        assert not any(a["ok"] for a in answers), answers
        assert {a["error"]["code"] for a in answers} <= {"JOURNAL_UNAVAILABLE"}
        config.max_bytes = -1
        await js.update_stream(config)
        async with asyncio.timeout(10):
            while True:
                try:
                    again = await trader.place("c0")
                    if again["ok"]:
                        break
                except (NoRespondersError, nats.errors.TimeoutError):
                    pass
                await asyncio.sleep(0.1)
        assert again["duplicate"] is False
        await venue.close()


async def test_a_server_that_hangs_delays_and_loses_nothing(nats_server: EmbeddedNats, nc: Client) -> None:
    """An append that outlives its timeout is settled by reading the journal back: done once, answered OK."""
    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc)
        await venue.open()
        assert nats_server.pid is not None
        for i in range(3):
            asking = asyncio.create_task(
                Trader(nc).ask(
                    "place.binance.main.spot.BTCUSDT",
                    {
                        "command_id": f"h{i}",
                        "side": "buy",
                        "type": "limit",
                        "quantity": "0.001",
                        "price": "50000",
                    },
                    timeout=20,
                )
            )
            await asyncio.sleep(0)
            os.kill(nats_server.pid, signal.SIGSTOP)
            await asyncio.sleep(2.5)
            os.kill(nats_server.pid, signal.SIGCONT)
            assert (await asking)["ok"]
        assert len(engine.state.orders) == 3
        assert image.digest(engine.state) == await _digest_from_zero(nc)
        await venue.close()


async def test_a_silent_connector_is_closed_and_its_account_refuses_orders(
    engine: Engine, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without heartbeats the session closes, and a place is denied at once with VENUE_DOWN, recorded."""
    monkeypatch.setattr("oms.engine.watch.SILENT_AFTER_S", 1.2)
    venue = Venue(nc)
    await venue.open()
    assert (await venue.place("c1"))["ok"]
    await venue.close()
    await asyncio.sleep(2.5)
    answer = await venue.place("c2")
    assert answer["error"]["code"] == "VENUE_DOWN"
    assert answer["status"] == "DENIED"


async def test_an_order_the_venue_never_answers_is_doubted_and_looked_up(
    engine: Engine, venue: Venue, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence of the venue makes an order in doubt: it is looked up, again and again, and never sent again."""
    monkeypatch.setattr("oms.engine.watch.ANSWER_WITHIN_NS", 3 * 10**8)
    monkeypatch.setattr("oms.engine.watch.LOOK_UP_AGAIN_NS", 3 * 10**8)
    order_id = (await trader.place("c1"))["order_id"]
    look_ups = await venue.told("look_up", 3)
    assert {i["order_id"] for i in look_ups} == {order_id}
    assert len(await venue.told("submit")) == 1
    await venue.report({"report": "absent", "order_id": order_id, "reason": "not there"})
    assert str(engine.state.orders[order_id].status) == "REJECTED"


async def test_a_gtd_order_is_canceled_when_its_time_comes(
    engine: Engine, venue: Venue, trader: Trader
) -> None:
    """The engine cancels a GTD order after expires_at, and what the venue then cancels is EXPIRED."""
    import time

    order_id = (await trader.place("c1", time_in_force="GTD", expires_at=time.time_ns() + 4 * 10**8))[
        "order_id"
    ]
    await venue.report(accepted(order_id))
    assert (await venue.told("cancel"))[0]["order_id"] == order_id
    await venue.report({"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 2})
    assert str(engine.state.orders[order_id].status) == "EXPIRED"


async def test_what_waited_for_the_venue_at_a_crash_is_looked_up_and_never_sent_again(
    nats_server: EmbeddedNats, nc: Client
) -> None:
    """Orders without an answer are in doubt after a restart; a cancel that nobody heard is repeated."""
    venue = Venue(nc)
    async with engine_on(nats_server.url):
        await venue.open()
        unanswered = (await venue.place("c1"))["order_id"]
        canceling = (await venue.place("c2"))["order_id"]
        await venue.report(accepted(canceling))
        await venue.cancel("x2", canceling)
        await venue.told("cancel")
    venue.instructions.clear()
    async with engine_on(nats_server.url):
        assert [i["order_id"] for i in await venue.told("look_up")] == [unanswered]
        assert [i["order_id"] for i in await venue.told("cancel")] == [canceling]
        await venue.report(accepted(unanswered), accepted(canceling))
        assert [i["order_id"] for i in await venue.told("cancel", 2)] == [canceling, canceling]
        assert not [i for i in venue.instructions if i["instruction"] == "submit"]
    await venue.close()


async def test_reports_may_be_repeated(engine: Engine, venue: Venue, trader: Trader) -> None:
    """A connector that repeats its reports changes nothing and appends nothing."""
    order_id = (await trader.place("c1"))["order_id"]
    reports = [accepted(order_id), filled(order_id, "t1", "0.0004"), filled(order_id, "t2", "0.0006")]
    first = await venue.report(*reports)
    before = image.digest(engine.state)
    again = await venue.report(*reports)
    assert first["count"] == 3
    assert again["count"] == 0
    assert image.digest(engine.state) == before
    assert str(engine.state.orders[order_id].status) == "FILLED"


async def test_a_server_that_takes_too_small_messages_is_refused(tmp_path: Path) -> None:
    """A frame that the server would not take must not be found out in the middle of trading."""
    config = tmp_path / "small.conf"
    config.write_text(
        f'listen: "127.0.0.1:-1"\nmax_payload: 64KB\njetstream {{ store_dir: "{tmp_path}", sync_interval: always }}\n'
        f'ports_file_dir: "{tmp_path}"\n'
    )
    command = bound_to_parent([str(nats_server_binary()), "-c", str(config)])
    server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(10):
            while not (ports := list(tmp_path.glob("*.ports"))) or not ports[0].read_text():
                await asyncio.sleep(0.05)
        url = json.loads(ports[0].read_text())["nats"][0]
        with pytest.raises(JournalBroken, match="max_payload"):
            async with engine_on(url):
                pass
    finally:
        server.terminate()
        await server.wait()


async def test_a_defect_in_deciding_costs_one_answer_and_no_state(
    engine: Engine, venue: Venue, trader: Trader, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When deciding a command fails half way, nothing of it is kept: the state is rebuilt, and commands are done again."""
    before = (await trader.place("c1"))["order_id"]

    def half_done(state: Partition, *_: object) -> None:
        state.next_order += 7
        raise KeyError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("oms.handlers.dispatch.change.decide_cancel", half_done)
        answer = await trader.cancel("x1", before)
        assert answer["error"]["code"] == "DEFECT"
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(NoRespondersError, nats.errors.TimeoutError):
                if (again := await trader.cancel("x2", before))["ok"]:
                    break
            await asyncio.sleep(0.05)
    assert again["status"] == "PENDING_CANCEL"
    assert image.digest(engine.state) == await _digest_from_zero(nc)


async def test_a_defect_while_an_append_is_in_flight_is_never_sealed(
    nats_server: EmbeddedNats, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the defect left half changed waits for the append to end, is thrown away, and no seal tells of it."""
    monkeypatch.setattr(engine_module, "WATCH_INTERVAL_S", 0.05)
    monkeypatch.setattr(engine_module, "SEAL_WITHIN_S", 0.2)
    appending, append = asyncio.Event(), JournalWriter.append

    async def slow(writer: JournalWriter, commits: list[bytes]) -> int:
        appending.set()
        await asyncio.sleep(1.0)
        return await append(writer, commits)

    def half_done(state: Partition, *_: object) -> None:
        state.next_order += 7
        raise KeyError("a defect")

    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc)
        await venue.open()
        order_id = (await venue.place("c1"))["order_id"]
        with monkeypatch.context() as patch:
            patch.setattr(JournalWriter, "append", slow)
            patch.setattr("oms.handlers.dispatch.change.decide_cancel", half_done)
            placing = asyncio.create_task(venue.place("c2"))
            await appending.wait()
            assert (await venue.cancel("x1", order_id))["error"]["code"] == "DEFECT"
            assert (await placing)["ok"]
            async with asyncio.timeout(10):
                while engine.ready.is_set():
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            await engine.ready.wait()
        assert image.digest(engine.state) == await _digest_from_zero(nc)
        await venue.close()
    await _digest_from_zero(nc)
    async with engine_on(nats_server.url):
        pass


async def test_a_defect_in_the_watch_is_never_sealed(
    nats_server: EmbeddedNats, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision of the engine's own that fails half way is thrown away like a client's, and is taken again later."""
    monkeypatch.setattr("oms.engine.watch.SILENT_AFTER_S", 1.0)
    monkeypatch.setattr(engine_module, "SEAL_WITHIN_S", 60.0)  # so that the stop is what would seal
    failed = False

    def half_done(state: Partition, *_: object) -> None:
        nonlocal failed
        failed = True
        state.next_order += 7
        raise KeyError("a defect")

    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc)
        await venue.open()
        assert (await venue.place("c1"))["ok"]
        with monkeypatch.context() as patch:
            patch.setitem(dispatch._STATEMENTS, CloseSession, half_done)
            await venue.close()
            async with asyncio.timeout(10):
                while not failed or engine.ready.is_set():
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await _digest_from_zero(nc)
        async with asyncio.timeout(10):
            await engine.ready.wait()
            while any(ledger.session for ledger in engine.state.ledgers.values()):
                await asyncio.sleep(0.05)
    await _digest_from_zero(nc)
    async with engine_on(nats_server.url):
        pass


async def test_a_frame_of_its_own_that_arrives_late_does_not_stop_the_engine(
    nats_server: EmbeddedNats, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append given up may still land while the state is rebuilt; the engine then reads again and serves."""
    rebuilt = engine_module.rebuild
    late = 0

    async def overtaken(source: Source, *args: Any, **options: Any) -> Any:
        nonlocal late
        history = await rebuilt(source, *args, **options)
        late += 1
        if late == 1:
            await JournalWriter(nc, history.sequence, history.head).append([_ACCOUNT_COMMIT])
        return history

    monkeypatch.setattr(engine_module, "rebuild", overtaken)
    async with engine_on(nats_server.url) as engine:
        assert late == 2
        assert "late" in engine.state.accounts


async def test_a_damaged_archive_does_not_keep_it_from_serving(
    nats_server: EmbeddedNats, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trading hangs on the journal alone as long as that has every frame; what is wrong with the archive is logged."""
    day = tmp_path / "archive/2026/11/21"
    day.mkdir(parents=True)
    (day / "000000000001.open").write_bytes(b"x" * 500)
    settings = attrs.evolve(SETTINGS, archive=Archive(tmp_path))
    async with engine_on(nats_server.url, settings) as engine:
        assert engine.ready.is_set()
    assert "the archive is left out of the start" in caplog.text
