"""Reports reach the engine in order and are repeated until it confirms; none is dropped."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.messages import reports as r
from oms.messages.codec import MAX_LIST_BYTES, encode
from oms.messages.codes import Code
from oms.messages.commands import SubmitReports
from oms.nats_server import EmbeddedNats
from oms.venues import reporter as module
from oms.venues.reporter import MAX_BATCH_BYTES, Reporter, SessionOver

from .conftest import until

PLACE = "binance.main.spot"
OK = b'{"ok":true,"command_id":null,"sequence":1}'


def _failed(code: Code) -> bytes:
    return msgspec.json.encode({"ok": False, "command_id": None, "error": {"code": code, "message": "test"}})


@pytest.fixture
async def nc(nats_server_shared: EmbeddedNats) -> AsyncIterator[Client]:
    client = await nats.connect(nats_server_shared.url)
    yield client
    await client.close()


def _reports(count: int, reason: str = "") -> list[r.Report]:
    return [r.InDoubt(order_id=f"o{i}", reason=reason) for i in range(count)]


async def test_a_batch_is_repeated_as_it_was_until_it_is_confirmed(
    nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence, NOT_READY and JOURNAL_UNAVAILABLE are each followed by the same batch; then the rest follows in order."""
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_S", 0.1)
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    answers = [b"", _failed(Code.NOT_READY), _failed(Code.JOURNAL_UNAVAILABLE), OK]
    seen: list[bytes] = []

    async def answer(message: Msg) -> None:
        seen.append(message.data)
        payload = answers.pop(0) if answers else OK
        if payload:
            await message.respond(payload)

    await nc.subscribe(f"report.{PLACE}._", cb=answer)
    reporter = Reporter(nc, PLACE, "session", pytest.fail)
    reporter.put(_reports(2_500))
    running = asyncio.create_task(reporter.run())
    await asyncio.wait_for(reporter.flushed(), 5)
    running.cancel()
    assert len(seen) == 6
    assert len(set(seen[:4])) == 1
    told = [each["order_id"] for message in seen[3:] for each in msgspec.json.decode(message)["reports"]]
    assert told == [f"o{i}" for i in range(2_500)]


def test_a_full_batch_is_within_what_the_engine_takes() -> None:
    """Whatever the reports' lengths come to, the command around them counts too: one byte over would end the session."""
    for length in range(0, 512, 8):
        reporter = Reporter(None, PLACE, "s" * 32, pytest.fail)  # type: ignore[arg-type]
        reporter.put([*_reports(1, "x" * length), *_reports(1_000, "y" * 300)])
        batch = [waiting.report for waiting in reporter._take()]
        command = SubmitReports(session="s" * 32, reports=batch)
        assert len(encode(command)) <= MAX_LIST_BYTES


async def test_batches_fit_a_message(nc: Client) -> None:
    """However long the reports, no message is larger than it may be."""
    sizes: list[int] = []

    async def answer(message: Msg) -> None:
        sizes.append(len(message.data))
        await message.respond(OK)

    await nc.subscribe(f"report.{PLACE}._", cb=answer)
    reporter = Reporter(nc, PLACE, "session", pytest.fail)
    reporter.put(_reports(1_500, "x" * 512))
    running = asyncio.create_task(reporter.run())
    await asyncio.wait_for(reporter.flushed(), 5)
    running.cancel()
    assert len(sizes) > 2
    assert max(sizes) < MAX_BATCH_BYTES + 200


@pytest.mark.parametrize("code,replaced", [(Code.SESSION_STALE, True), (Code.SESSION_CLOSED, False)])
async def test_a_session_that_is_over_stops_reporting(nc: Client, code: Code, replaced: bool) -> None:
    """An engine that takes nothing from this session any more ends it, and says whether another has its place."""

    async def answer(message: Msg) -> None:
        await message.respond(_failed(code))

    await nc.subscribe(f"report.{PLACE}._", cb=answer)
    reporter = Reporter(nc, PLACE, "session", pytest.fail)
    reporter.put(_reports(1))
    with pytest.raises(SessionOver) as over:
        await asyncio.wait_for(reporter.run(), 5)
    assert over.value.replaced is replaced


async def test_too_many_reports_end_the_session_and_none_is_dropped(
    nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the bound the session is told to end, once; what waits is kept."""
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    full: list[str] = []
    reporter = Reporter(nc, PLACE, "session", full.append)
    reporter.put(_reports(15))
    assert len(full) == 1
    assert len(reporter._waiting) == 15


async def test_a_refused_report_is_logged_whole(nc: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What the engine does not take is an error in the log with all it said, and what follows goes on."""

    async def answer(message: Msg) -> None:
        refused = {"index": 0, "error": {"code": "FILL_TOO_OLD", "message": "older than all"}}
        body = {"ok": True, "command_id": None, "sequence": 1, "refused": [refused]}
        await message.respond(msgspec.json.encode(body))

    await nc.subscribe(f"report.{PLACE}._", cb=answer)
    reporter = Reporter(nc, PLACE, "session", pytest.fail)
    reporter.put(_reports(2))
    running = asyncio.create_task(reporter.run())
    await until(lambda: "FILL_TOO_OLD" in caplog.text)
    assert '"order_id":"o0"' in caplog.text
    assert '"order_id":"o1"' not in caplog.text
    running.cancel()
