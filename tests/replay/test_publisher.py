"""Public event streams: complete, in order and without doubles, whatever is killed when."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from oms.config import CacheConfig
from oms.messages.public import STREAMS
from oms.nats_server import EmbeddedNats
from oms.tasks import end
from replay.following import publisher
from replay.following.public import derive
from replay.following.publisher import PublicStreamForeign, StreamPublisher
from replay.rebuild import new_history
from replay.snapshot import Snapshots
from tests.replay.conftest import Following
from tests.replay.journal import Maker, busy, write

Told = list[tuple[str, str, bytes]]
"""(Nats-Msg-Id, subject, payload) in order."""


def expected(maker: Maker) -> dict[str, Told]:
    """What each stream must hold, derived from the frames at once."""
    found: dict[str, Told] = {name: [] for name in STREAMS}
    history = new_history(CacheConfig())
    models = history.projections
    assert models is not None

    def watch(event: Any, at: int, place: tuple[int, int, int]) -> None:
        def put(name: str, subject: str, payload: bytes) -> None:
            found[name].append((".".join(map(str, place)), subject, payload))

        derive(models, event, at, place[0], put)

    for stored in maker.stored:
        history.apply(stored, watch)
    return found


async def held(nc: Client) -> dict[str, Told]:
    """What each stream holds."""
    js = nc.jetstream()
    found: dict[str, Told] = {}
    for name in STREAMS:
        messages: Told = []
        count = (await js.stream_info(name)).state.messages
        subscription = await js.subscribe(f"{STREAMS[name]}.>", stream=name, ordered_consumer=True)
        while len(messages) < count:
            message = await subscription.next_msg(timeout=5)
            messages.append((message.headers["Nats-Msg-Id"], message.subject, message.data))
        await subscription.unsubscribe()
        found[name] = messages
    return found


async def published(nc: Client, maker: Maker, within_s: float = 20.0) -> dict[str, Told]:
    """What the streams hold, once they hold as much as they must; compared with what that is."""
    wanted = expected(maker)
    async with asyncio.timeout(within_s):
        while True:
            infos = [(await nc.jetstream().stream_info(name)).state.messages for name in STREAMS]
            if infos == [len(wanted[name]) for name in STREAMS]:
                break
            await asyncio.sleep(0.05)
    found = await held(nc)
    for name in STREAMS:
        assert [each[0] for each in found[name]] == [each[0] for each in wanted[name]], name
        assert found[name] == wanted[name], name
    return found


async def test_each_event_is_told_once_with_its_subject_and_id(nc: Client, following: Following) -> None:
    """Every stream holds one readable message for each event that concerns it, in the journal's order."""
    maker = busy(51, 300)
    await write(nc, maker.payloads)
    async with following():
        found = await published(nc, maker)
    _, subject, payload = found["ORDERS"][0]
    told = json.loads(payload)
    assert subject == f"orders.binance.{told['account']}.spot.{told['symbol']}"
    assert (told["event"], told["status"], told["filled"]) == ("OrderPlaced", "PENDING_NEW", "0")
    _, subject, payload = found["POSITIONS"][-1]
    position = json.loads(payload)
    state = maker.state.positions["binance", position["account"], "spot", position["symbol"]]
    assert position["quantity"] == str(state.quantity)
    kinds = {json.loads(payload)["event"] for _, _, payload in found["ACCOUNTS"]}
    assert {"AccountRegistered", "SessionOpened", "BalanceAdjusted", "OrderFilled"} <= kinds


async def test_kept_for_the_days_configured(nc: Client, following: Following) -> None:
    """The streams are on disk and forget after retention_days; a changed setting is brought in line."""
    await write(nc, busy(52, 5).payloads)
    js = nc.jetstream()
    async with following():
        for name in STREAMS:
            config = (await js.stream_info(name)).config
            assert (config.max_age, config.storage) == (30 * 86_400, "file")
    config = (await js.stream_info("TRADES")).config
    config.max_age = 3_600
    config.duplicate_window = 60
    await js.update_stream(config)
    async with following():
        assert (await js.stream_info("TRADES")).config.max_age == 30 * 86_400


async def test_resumes_behind_the_last_message_without_the_dedupe_window(
    nc: Client, following: Following
) -> None:
    """Replaying all frames again without a snapshot publishes nothing twice, even when the server forgot the ids."""
    maker = busy(53, 100)
    await write(nc, maker.payloads)
    async with following("one", crash=True):
        await published(nc, maker)
    js = nc.jetstream()
    for name in STREAMS:
        config = (await js.stream_info(name)).config
        config.duplicate_window = 0.1
        await js.update_stream(config)
    await asyncio.sleep(0.5)
    since = maker.sequence
    busy(54, 50, maker=maker)
    await write(nc, maker.payloads[since:])
    async with following("two", crash=True):
        await published(nc, maker)


async def test_expired_streams_go_on_from_the_snapshot(nc: Client, following: Following) -> None:
    """With every message expired, what a snapshot covers is not published again, and what follows it is."""
    maker = busy(55, 50)
    await write(nc, maker.payloads)
    async with following():
        await published(nc, maker)
    js = nc.jetstream()
    for name in STREAMS:
        await js.purge_stream(name)
    before = {name: len(told) for name, told in expected(maker).items()}
    since = maker.sequence
    busy(56, 50, maker=maker)
    await write(nc, maker.payloads[since:])
    wanted = {name: told[before[name] :] for name, told in expected(maker).items()}
    async with following():
        async with asyncio.timeout(10):
            while (found := await held(nc)) != wanted:
                assert all(len(found[name]) <= len(wanted[name]) for name in STREAMS)
                await asyncio.sleep(0.05)


async def test_two_followers_publish_each_event_once(nc: Client, following: Following) -> None:
    """Two followers that publish at the same time leave every message once and in order."""
    maker = busy(57, 200, frame=3)
    await write(nc, maker.payloads[:3])
    async with following("one"), following("two"):
        for payload in maker.payloads[3:]:
            await write(nc, [payload])
        await published(nc, maker)


async def test_late_publisher_stores_nothing_that_another_stored(
    nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that comes late with what another stored is fenced by the stream, not by the server's memory of ids."""
    monkeypatch.setattr(publisher, "DEDUPE_WINDOW_S", 0.1)
    early, late = (StreamPublisher(nc, "TRADES", 3_600.0) for _ in range(2))
    tasks = []
    for count, one in ((10, early), (12, late)):
        await one.open()
        for number in range(1, count + 1):
            one.put((number, 0, 0), "trades.a.b.c.d", b"{}")
    for one in (early, late):
        tasks.append(asyncio.create_task(one.run()))
        async with asyncio.timeout(10):
            while one.waiting:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
    await end(tasks)
    js = nc.jetstream()
    ids = [(await js.get_msg("TRADES", seq=place)).headers for place in range(1, 13)]
    assert [each["Nats-Msg-Id"] for each in ids if each] == [f"{number}.0.0" for number in range(1, 13)]
    assert (await js.stream_info("TRADES")).state.last_seq == 12


async def test_server_killed_while_publishing(
    nc: Client, following: Following, nats_server: EmbeddedNats
) -> None:
    """nats-server killed in the middle of the batches: the streams are complete once it is back."""
    maker = busy(58, 3_000, frame=100)
    await write(nc, maker.payloads)
    async with following():
        for pause in (0.05, 0.2):
            await asyncio.sleep(pause)
            await nats_server.kill()
            await nats_server.restart()
        while not nc.is_connected:
            await asyncio.sleep(0.05)
        await published(nc, maker, within_s=40)


FOLLOW = """
import asyncio, sys, nats
from pathlib import Path
from oms.config import StorageConfig
from replay.following.follower import Follower, FollowerSettings

async def main():
    nc = await nats.connect(sys.argv[1])
    storage = StorageConfig(data_dir=Path(sys.argv[2]), snapshot_interval=int(0.15e9))
    print("go", flush=True)
    await Follower(nc, FollowerSettings(storage=storage)).run(asyncio.Event())

asyncio.run(main())
"""


async def test_follower_killed_at_random_moments(
    nc: Client, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """SIGKILL at random moments, between them more frames: each stream ends complete and without doubles."""
    chance = random.Random(59)
    maker = busy(59, 1_500, frame=20)
    frames = list(maker.payloads)
    command = [sys.executable, "-c", FOLLOW, nats_server.url, str(tmp_path / "data")]
    done = 0
    for kill in range(8):
        upto = len(frames) * (kill + 1) // 8
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        try:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await write(nc, frames[done:upto])
            done = upto
            if kill < 7:
                await asyncio.sleep(chance.random() * 0.4)
            else:
                await published(nc, maker)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


async def test_full_queue_holds_the_tail_back(
    nc: Client, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a stream does not take messages, the tail waits at the bound, questions are answered, and it goes on after."""
    monkeypatch.setattr(publisher, "MAX_QUEUED", 50)
    maker = busy(60, 400, frame=10)
    await write(nc, maker.payloads[:1])
    js = nc.jetstream()
    async with following() as follower:
        config = (await js.stream_info("ORDERS")).config
        config.max_msg_size = 10
        await js.update_stream(config)
        await write(nc, maker.payloads[1:])
        await asyncio.sleep(1.0)
        held_at = follower.history.sequence
        assert 1 < held_at < maker.sequence
        answer = json.loads((await nc.request("show_status._._._._", timeout=5)).data)
        assert answer["rows"][0]["lag"] == maker.sequence - held_at
        config.max_msg_size = -1
        await js.update_stream(config)
        await published(nc, maker)


async def test_snapshot_waits_for_the_events_before_it(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """No snapshot is written while public events up to it are not stored, so that a crash then loses none of them."""
    maker = busy(62, 60, frame=10)
    await write(nc, maker.payloads[:1])
    js = nc.jetstream()
    async with following(crash=True, interval_s=1):
        config = (await js.stream_info("ORDERS")).config
        config.max_msg_size = 10
        await js.update_stream(config)
        await write(nc, maker.payloads[1:])
        await asyncio.sleep(2.5)
        assert [s.header.sequence for s in Snapshots(tmp_path / "data").newest_first()] in ([], [1])
    config.max_msg_size = -1
    await js.update_stream(config)
    async with following(crash=True):
        await published(nc, maker)


async def test_foreign_message_stops_it(nc: Client, following: Following) -> None:
    """A message in a public stream that no follower wrote is told, not overwritten or ignored."""
    await write(nc, busy(61, 5).payloads)
    async with following("one"):
        pass
    await nc.jetstream().publish("trades.binance.main.spot.BTCUSDT", b"forged")
    with pytest.raises(PublicStreamForeign, match="stream TRADES"):
        await following("two").__aenter__()
