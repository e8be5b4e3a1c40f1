"""Whose command is decided next: an account that floods delays itself alone."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.request import Request

from oms.engine import engine as engine_module
from oms.engine import intake as module
from oms.engine.engine import Engine
from oms.engine.intake import AT_ONCE_NS, STATEMENTS, WAITING_BYTES_MAX, WAITING_MAX, Intake, party_of
from oms.messages import codec
from oms.messages.base import ClientCommand
from oms.messages.codes import Code, Refused
from oms.nats_server import EmbeddedNats
from tests.engine.desk import Trader, Venue, engine_on

KNOWN = frozenset({"main", "sub_arb"})
PLACE = "place.binance.main.spot.BTCUSDT"
ONE, OTHER = ("main", "orders"), ("sub_arb", "orders")


def request(data: bytes = b"{}") -> Request:
    """A message that nobody waits for."""
    return Request(Msg(Client(), subject=PLACE, data=data))


# -- lines


def test_whose_message_it_is() -> None:
    """Cancels and kills do not stand behind orders, connectors never wait, and strangers stand before nobody else."""
    assert party_of(PLACE, KNOWN) == ONE
    assert party_of("cancel.binance.main.spot._", KNOWN) == ("main", "cancels")
    assert party_of("kill._.main._._", KNOWN) == ("main", "kills")
    assert party_of("kill._._._._", KNOWN) == ("_", "kills")
    assert party_of("release._._._._", KNOWN) == ("_", "kills"), "one that a kill overtook would undo it"
    assert party_of("cancel_all._.main._._", KNOWN) == ONE, "it cancels what was sent before it"
    assert party_of("report.binance.main.spot._", KNOWN) is None
    strangers = {party_of(f"place.binance.{name}.spot.X", KNOWN) for name in ("who", "me")}
    assert strangers == {("", "orders")}
    assert party_of("set_limits._._._._", KNOWN) == ("_", "orders")


def test_statements_are_all_that_no_client_says() -> None:
    """A verb that is new is a client's, or is listed as a connector's."""
    public = codec.COMMANDS.items()
    spoken = {verb for verb, kind in public if not issubclass(kind, ClientCommand)} - codec.INTERNAL_VERBS
    assert spoken == STATEMENTS


def test_work_beyond_the_share_waits_until_the_next_turn() -> None:
    """What is spent counts for its party alone, and only within the turn."""
    intake = Intake()
    assert intake.spend(ONE, AT_ONCE_NS - 1), "the first of a turn"
    assert intake.at_once(ONE)
    assert not intake.spend(ONE, 1)
    assert not intake.at_once(ONE)
    assert intake.at_once(OTHER)
    assert intake.at_once(("main", "cancels")), "its cancels"
    intake.next_turn()
    assert intake.at_once(ONE)


def test_lines_are_served_in_rotation_and_each_in_order() -> None:
    """Two that wait take turns, however many of one there are; nobody overtakes within a line."""
    intake = Intake()
    long, short = [request() for _ in range(4)], [request() for _ in range(2)]
    for each in long:
        intake.put(ONE, each)
    for each in short:
        intake.put(OTHER, each)
    assert not intake.at_once(ONE), "while others of it wait"
    taken = [intake.take() for _ in range(6)]
    assert taken == [long[0], short[0], long[1], short[1], long[2], long[3]]
    assert not intake
    assert intake.at_once(ONE)


def test_a_line_is_bounded_in_messages_and_in_bytes() -> None:
    """Beyond either bound OVERLOADED, for this party alone; what was taken makes room again."""
    intake = Intake()
    for _ in range(WAITING_MAX):
        intake.put(ONE, request())
    with pytest.raises(Refused, match="messages of account main wait") as refused:
        intake.put(ONE, request())
    assert refused.value.code is Code.OVERLOADED
    intake.put(OTHER, request(bytes(WAITING_BYTES_MAX)))
    with pytest.raises(Refused):
        intake.put(OTHER, request(b"x"))
    intake.take()
    intake.put(ONE, request())
    intake.take()
    assert len(intake.clear()) == WAITING_MAX
    assert not intake


def test_all_lines_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what may wait of everybody nobody's waits, and nothing is left of who was refused."""
    monkeypatch.setattr(module, "WAITING_ALL_MAX", 2)
    intake = Intake()
    intake.put(ONE, request())
    intake.put(ONE, request())
    with pytest.raises(Refused, match="2 messages of all accounts wait"):
        intake.put(OTHER, request())
    assert intake.at_once(OTHER)
    intake.take()
    intake.put(OTHER, request())
    intake.put(("main", "cancels"), request())
    assert (len(intake.clear()), intake.waiting) == (3, 0)
    intake.put(OTHER, request())


def test_all_lines_together_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred accounts that fill a line each do not take the memory of two hundred lines."""
    monkeypatch.setattr(module, "WAITING_ALL_BYTES_MAX", 10)
    intake = Intake()
    intake.put(ONE, request(b"12345"))
    intake.put(ONE, request(b"12345"))
    with pytest.raises(Refused, match="2 messages of all accounts wait"):
        intake.put(OTHER, request(b"1"))
    intake.take()
    intake.put(OTHER, request(b"12345"))
    intake.clear()
    intake.put(OTHER, request(b"1234567890"))


# -- the engine


class Flood:
    """Places of ``main``, sent without waiting, and what was answered."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self.answered: Counter[str] = Counter()
        self.ids: list[str] = []

    async def send(self, count: int) -> None:
        """Send them all."""
        inbox = self._nc.new_inbox()
        await self._nc.subscribe(inbox, cb=self._heard)
        for number in range(count):
            terms = {
                "side": "buy",
                "type": "limit",
                "quantity": "0.0002",
                "price": f"{40_000 + number % 5_000}",
            }
            payload = json.dumps({"command_id": f"flood-{number}", **terms}).encode()
            await self._nc.publish(PLACE, payload, reply=inbox)
        await self._nc.flush()

    async def _heard(self, message: Msg) -> None:
        answer: dict[str, Any] = json.loads(message.data)
        self.answered["OK" if answer["ok"] else answer["error"]["code"]] += 1
        if answer["ok"]:
            self.ids.append(answer["order_id"])


async def until(condition: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_flood_of_one_account_delays_no_other(
    engine: Engine,
    venue: Venue,
    nc: Client,
    nats_server: EmbeddedNats,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind thousands of one account's orders another's order, its own cancel and its connector are answered first."""
    monkeypatch.setattr(module, "WAITING_MAX", 100_000)
    other = Venue(nc, "sub_arb", "s2")
    await other.open()
    trader = Trader(nc)
    first = await trader.place("first")
    flood = Flood(await nats.connect(nats_server.url))
    sending = asyncio.create_task(flood.send(4_000))
    await until(lambda: flood.answered)
    answers = [
        await Trader(nc, "sub_arb").place("other"),
        await trader.cancel("stop", first["order_id"]),
        await venue.ask("list_live.binance.main.spot._", {"session": "s1", "after": ""}),
    ]
    decided = flood.answered.total()
    assert [answer["ok"] for answer in answers] == [True] * 3, answers
    await sending
    await until(lambda: flood.answered.total() == 4_000)
    assert set(flood.answered) == {"OK"}
    assert decided < 2_000, f"{decided} of 4,000 went before"
    assert sorted(set(flood.ids)) == flood.ids, "in the order in which they were sent"
    await other.close()
    await flood._nc.close()


async def test_a_cancel_of_all_overtakes_nothing(
    engine: Engine, venue: Venue, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of orders sent before it by the same client, none is placed behind it."""
    monkeypatch.setattr(module, "WAITING_MAX", 100_000)
    flood = Flood(nc)
    await flood.send(2_000)
    answer = json.loads((await nc.request("cancel_all._.main._._", b'{"command_id":"all"}', timeout=30)).data)
    assert answer["count"] == flood.answered["OK"] == 2_000
    assert all(order.cancel_requested for order in engine.state.orders.values())


async def test_what_is_too_much_is_refused_at_once(
    engine: Engine, venue: Venue, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what may wait a flood is OVERLOADED, and nothing was done with what was refused."""
    monkeypatch.setattr(module, "WAITING_MAX", 50)
    flood = Flood(nc)
    await flood.send(3_000)
    await until(lambda: flood.answered.total() == 3_000)
    assert set(flood.answered) == {"OK", "OVERLOADED"}
    assert set(engine.state.orders) == set(flood.ids)


async def test_what_waits_is_answered_when_the_engine_stops(
    nats_server: EmbeddedNats, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left without an answer: durable, or unknown, which the same command sent again finds out."""
    monkeypatch.setattr(module, "WAITING_MAX", 100_000)
    flood = Flood(nc)
    async with engine_on(nats_server.url):
        venue = Venue(nc)
        await venue.open()
        await flood.send(5_000)
        await until(lambda: flood.answered)
        await venue.close()
    await nc.flush()
    await until(lambda: flood.answered.total() == 5_000)
    assert set(flood.answered) == {"OK", "JOURNAL_UNAVAILABLE"}, flood.answered


async def test_a_flood_that_waits_for_the_journal_can_be_stopped(
    engine: Engine, venue: Venue, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal takes nothing and no more orders may wait for it, cancels, kills and connectors may."""
    monkeypatch.setattr(engine_module, "MAX_WAITING", 3)
    come, going_on = asyncio.Event(), asyncio.Event()
    append = engine._writer.append

    async def wait(commits: list[bytes]) -> int:
        # What else may be on its way holds nobody up.
        if any(b'"first"' in commit for commit in commits):
            come.set()
            await going_on.wait()
        return await append(commits)

    monkeypatch.setattr(engine._writer, "append", wait)
    trader = Trader(nc)
    try:
        in_flight = asyncio.create_task(trader.place("first"))
        await come.wait()
        placing = [asyncio.create_task(trader.place(f"c{number}")) for number in range(4)]
        done, _ = await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
        assert [each.result()["error"]["code"] for each in done] == ["OVERLOADED"]
        kill = {"command_id": "k", "scope": "account:main", "by": "kim", "reason": "flood"}
        killing = asyncio.create_task(trader.ask("kill._.main._._", kill))
        listing = asyncio.create_task(
            venue.ask("list_live.binance.main.spot._", {"session": "s1", "after": ""})
        )
        await asyncio.wait([killing, listing], timeout=0.3)
    finally:
        going_on.set()
    assert (await killing)["ok"]
    assert "error" not in await listing
    assert Counter(answer["ok"] for answer in await asyncio.gather(in_flight, *placing)) == {
        True: 4,
        False: 1,
    }


async def test_what_a_client_sent_before_it_fell_silent_is_canceled_too(
    engine: Engine, venue: Venue, nc: Client
) -> None:
    """Its orders that still wait in the account's line are decided first: nothing of it is placed behind the cancels."""
    arm = {"command_id": "arm", "client": "bot", "timeout_ms": 1_000}
    assert (await venue.ask("cancel_on_disconnect._.main._._", arm))["ok"]
    terms = {"side": "buy", "type": "limit", "quantity": "0.001", "price": "50000"}
    # Waits as long as nobody else's message has the lines looked at.
    engine._intake.put(ONE, request(json.dumps({"command_id": "late", **terms}).encode()))
    await asyncio.sleep(2)
    assert ("main", "bot") in engine.state.guards
    engine._come.set()
    await until(lambda: not engine.state.guards)
    (order,) = engine.state.orders.values()
    assert order.cancel_requested
