"""OmsClient on a real nats-server, with an engine of one function: faults that no real engine makes on demand."""

import asyncio
import json
from typing import Any

import pytest

from oms.client import OmsClient, OmsEventsLost, OmsRefused, OmsTimeout, OmsUnreachable, new_order
from oms.messages.codes import Code
from oms.nats_server import EmbeddedNats


def _done(payload: Any, sequence: int = 7) -> dict[str, Any]:
    return {"ok": True, "command_id": payload["command_id"], "order_id": "o1", "sequence": sequence}


def _failed(payload: Any, code: Code) -> dict[str, Any]:
    return {"ok": False, "command_id": payload["command_id"], "error": {"code": code, "message": "why"}}


@pytest.mark.parametrize("code", [Code.JOURNAL_UNAVAILABLE, Code.NOT_READY, Code.OVERLOADED, None])
async def test_without_an_outcome_the_same_bytes_are_sent_again(
    nats_server: EmbeddedNats, serve: Any, heard: list[tuple[str, Any]], code: Code | None
) -> None:
    """No answer, or one that leaves the outcome open, is asked again with the same command_id and payload."""
    await serve(lambda _s, p: _done(p) if len(heard) > 2 else None if code is None else _failed(p, code))
    async with OmsClient.connect(nats_server.url) as oms:
        result = await oms.place("BTCUSDT", "buy", "1", price="2")
    assert result.order_id == "o1"
    assert len(heard) == 3
    assert heard[0] == heard[1] == heard[2]
    assert heard[0][0] == "place.binance.main.spot.BTCUSDT"


async def test_a_refusal_is_raised_at_once(
    nats_server: EmbeddedNats, serve: Any, heard: list[tuple[str, Any]]
) -> None:
    """An answer that says no is final: it is raised with code and message, and never repeated."""
    await serve(lambda _s, p: _failed(p, Code.TICK_SIZE))
    async with OmsClient.connect(nats_server.url) as oms:
        with pytest.raises(OmsRefused, match="TICK_SIZE: why") as caught:
            await oms.place("BTCUSDT", "buy", "1", price="2", command_id="mine")
    assert caught.value.code == Code.TICK_SIZE
    assert len(heard) == 1
    assert heard[0][1]["command_id"] == "mine"


async def test_patience_ends_with_the_truth(nats_server: EmbeddedNats) -> None:
    """When nobody answers, the error says that the outcome is unknown and which id finds it out."""
    async with OmsClient.connect(nats_server.url, patience_s=0.4) as oms:
        started = asyncio.get_running_loop().time()
        with pytest.raises(OmsTimeout, match=r"UNKNOWN.*same command_id mine") as caught:
            await oms.cancel("o1", command_id="mine")
        assert asyncio.get_running_loop().time() - started < 2
    assert caught.value.command_ids == ("mine",)


async def test_nothing_is_kept_for_later(nats_server: EmbeddedNats) -> None:
    """A command that could not be sent is not sent when the server comes back: a stale order is a dangerous order."""
    async with OmsClient.connect(nats_server.url, patience_s=0.5) as oms:
        # A stream sees whatever the server takes, from its first moment on.
        await oms.nc.jetstream().add_stream(name="SEEN", subjects=["place.>"])
        await nats_server.stop()
        with pytest.raises(OmsTimeout):
            await oms.place("BTCUSDT", "buy", "1", price="2")
        await nats_server.start()
        await asyncio.wait_for(oms.connected(), 10)
        await oms.nc.flush()
        assert (await oms.nc.jetstream().stream_info("SEEN")).state.messages == 0


async def test_no_server_is_said_in_time_and_without_the_password(free_port: int) -> None:
    """An address where nothing listens is an error within the time given, and shows no secret."""
    with pytest.raises(OmsUnreachable) as caught:
        async with OmsClient.connect(f"nats://me:secret@127.0.0.1:{free_port}", connect_timeout_s=0.5):
            pass
    assert "secret" not in str(caught.value)
    assert str(free_port) in str(caught.value)


async def test_a_bulk_gives_each_its_result(
    nats_server: EmbeddedNats, serve: Any, heard: list[tuple[str, Any]]
) -> None:
    """Results of a bulk come in its order, refused ones included, and it goes out as one message."""
    await serve(lambda _s, p: [_done(p[0]), _failed(p[1], Code.TICK_SIZE)])
    async with OmsClient.connect(nats_server.url, "sub_arb") as oms:
        results = await oms.place_many([new_order("BTCUSDT", "buy", n, price=1) for n in (1, 2)])
    assert [result.ok for result in results] == [True, False]
    assert results[1].error is not None
    assert [subject for subject, _ in heard] == ["place._.sub_arb._._"]
    assert [one["symbol"] for one in heard[0][1]] == ["BTCUSDT", "BTCUSDT"]


async def test_a_query_reads_its_own_writes(
    nats_server: EmbeddedNats, serve: Any, heard: list[tuple[str, Any]]
) -> None:
    """After a command, a query asks for at least its sequence, unless told otherwise."""

    def answer(subject: str, payload: Any) -> Any:
        if subject.startswith("show_"):
            return {"ok": True, "sequence": 50, "rows": []}
        return _done(payload, sequence=41)

    await serve(answer)
    async with OmsClient.connect(nats_server.url) as oms:
        await oms.cancel("o1")
        await oms.orders()
        await oms.orders(at_least=0)
    assert [payload["at_least"] for subject, payload in heard if subject.startswith("show_")] == [41, 0]


async def test_a_long_answer_is_asked_for_page_by_page(
    nats_server: EmbeddedNats, serve: Any, heard: list[tuple[str, Any]]
) -> None:
    """Pages are put together up to the rows asked for, and `more` says what was left."""
    row = {"exchange": "binance", "account": "main", "market": "spot", "symbol": "BTCUSDT", "side": "buy"}
    row |= {
        "type": "market",
        "status": "NEW",
        "open": True,
        "in_doubt": False,
        "quantity": "1",
        "price": None,
    }
    row |= {
        "trigger_price": None,
        "filled": "0",
        "leaves": "1",
        "cost": "0",
        "locked": "0",
        "locked_asset": "BTC",
    }
    row |= {
        "time_in_force": "GTC",
        "expires_at": None,
        "post_only": False,
        "reduce_only": False,
        "strategy": "",
    }
    row |= {"client_order_id": "", "venue_order_id": "", "reason": "", "placed_at": 1, "updated_at": 1}

    def answer(_subject: str, payload: Any) -> Any:
        start = int(payload["after"] or 0)
        end = start + min(payload["limit"], 2)
        rows = [row | {"order_id": f"o{number}"} for number in range(start, end)]
        return {"ok": True, "sequence": 9, "rows": rows, "more": True, "next": str(end)}

    await serve(answer)
    async with OmsClient.connect(nats_server.url) as oms:
        found = await oms.orders(rows=5)
    assert [one.order_id for one in found.rows] == ["o0", "o1", "o2", "o3", "o4"]
    assert found.more
    assert [payload["limit"] for _, payload in heard] == [5, 3, 1]


async def test_watching_ends_when_events_may_be_missing(nats_server: EmbeddedNats) -> None:
    """A dropped connection is told to whoever watches, after the events that came before it."""
    event = {"event": "AccountRegistered", "sequence": 1, "at": 5, "account": "main", "kind": "MAIN"}
    async with OmsClient.connect(nats_server.url) as oms, oms.watch("accounts") as events:
        before = oms.nc.stats["in_msgs"]
        await oms.nc.publish("accounts._.main._._", json.dumps(event).encode())
        async with asyncio.timeout(5):
            while oms.nc.stats["in_msgs"] == before:
                await asyncio.sleep(0.01)
        # It has come, and waits to be read; what takes it in from the connection is a task.
        await asyncio.sleep(0.1)
        await nats_server.restart()
        first = await asyncio.wait_for(anext(events), 5)
        assert first.event == "AccountRegistered"
        with pytest.raises(OmsEventsLost, match="may be missing"):
            await asyncio.wait_for(anext(events), 5)


async def test_watching_shows_only_the_account_asked_for(nats_server: EmbeddedNats) -> None:
    """Whoever watches one account hears of no other."""
    event = {"event": "AccountRegistered", "sequence": 1, "at": 5, "kind": "SUB"}
    async with OmsClient.connect(nats_server.url, "sub_arb") as oms, oms.watch("accounts") as events:
        for account in ("main", "sub_arb"):
            await oms.nc.publish(
                f"accounts._.{account}._._", json.dumps(event | {"account": account}).encode()
            )
        first = await asyncio.wait_for(anext(events), 5)
    assert first.account == "sub_arb"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["a.b", "*", ">", "", "a b"])
async def test_a_name_cannot_reach_beyond_its_token(nats_server: EmbeddedNats, name: str) -> None:
    """An account or symbol that NATS would read as more than one name is refused before anything is sent."""
    async with OmsClient.connect(nats_server.url, patience_s=0.3) as oms:
        with pytest.raises(ValueError, match="one word"):
            await oms.cancel("o1", account=name)
