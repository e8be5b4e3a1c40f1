"""Controls and accounts from a program: each goes to the subject of its scope, exactly as it was said."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.client import OmsClient, OmsRefused
from oms.messages.codec import decode_command
from oms.messages.codes import Code
from oms.nats_server import EmbeddedNats

Heard = list[tuple[str, Any]]
Call = Callable[[OmsClient], Awaitable[Any]]


def _done(_subject: str, payload: Any) -> dict[str, Any]:
    return {"ok": True, "command_id": payload["command_id"], "sequence": 7}


@pytest.mark.parametrize(
    "call, subject, payload",
    [
        (
            lambda oms: oms.set_limits(
                "account:sub_arb",
                {"max_order_value": Decimal("1E+4"), "max_open_orders": 20, "price_collar": "0.05"},
                clear=["max_exposure"],
                by="kim",
                reason="grows",
            ),
            "set_limits._.sub_arb._._",
            {
                "scope": "account:sub_arb",
                "limits": {"max_order_value": "10000", "max_open_orders": "20", "price_collar": "0.05"},
                "clear": ["max_exposure"],
                "by": "kim",
                "reason": "grows",
            },
        ),
        (
            lambda oms: oms.override_limits("strategy:arb", {"max_position": "20000"}, until=9, by="kim"),
            "override_limits._._._._",
            {"scope": "strategy:arb", "limits": {"max_position": "20000"}, "until": 9, "by": "kim"},
        ),
        (
            lambda oms: oms.end_override("exchange:okx", ["max_exposure"], by="kim"),
            "end_override.okx._._._",
            {"scope": "exchange:okx", "controls": ["max_exposure"], "by": "kim"},
        ),
        (
            lambda oms: oms.kill("global", by="kim", reason="now", allow_reduce_only=True),
            "kill._._._._",
            {"scope": "global", "by": "kim", "reason": "now", "allow_reduce_only": True},
        ),
        (
            lambda oms: oms.release("instrument:okx.futures.BTC-USDT-SWAP", by="kim"),
            "release.okx._.futures.BTC-USDT-SWAP",
            {"scope": "instrument:okx.futures.BTC-USDT-SWAP", "by": "kim"},
        ),
        (
            lambda oms: oms.set_valuation("USDT", rate="0.9995", by="kim"),
            "set_valuation._._._._",
            {"asset": "USDT", "rate": "0.9995", "by": "kim"},
        ),
        (
            lambda oms: oms.set_valuation("KRW", instrument="upbit.spot.KRW-USDT", by="kim"),
            "set_valuation._._._._",
            {"asset": "KRW", "instrument": "upbit.spot.KRW-USDT", "by": "kim"},
        ),
        (
            lambda oms: oms.register_account("sub_x", "STRATEGY"),
            "register_account._.sub_x._._",
            {"kind": "STRATEGY"},
        ),
        (
            lambda oms: oms.rename_account("sub_x", "The new one", by="kim"),
            "rename_account._.sub_x._._",
            {"name": "The new one", "by": "kim"},
        ),
        (
            lambda oms: oms.disable_account("sub_x", by="kim", reason="keys"),
            "disable_account._.sub_x._._",
            {"by": "kim", "reason": "keys"},
        ),
        (lambda oms: oms.enable_account("sub_x", by="kim"), "enable_account._.sub_x._._", {"by": "kim"}),
        (lambda oms: oms.close_account("sub_x", by="kim"), "close_account._.sub_x._._", {"by": "kim"}),
        (
            lambda oms: oms.assign_strategy("arb", "sub_x", "25000", by="kim"),
            "assign_strategy._.sub_x._._",
            {"strategy": "arb", "capital": "25000", "by": "kim"},
        ),
        (
            lambda oms: oms.assign_strategy("arb", "sub_x", None, by="kim"),
            "assign_strategy._.sub_x._._",
            {"strategy": "arb", "capital": None, "by": "kim"},
        ),
        (
            lambda oms: oms.transfer(
                "bybit", "main", "sub_x", "USDT", "1000.5", to_market="futures", by="kim"
            ),
            "transfer.bybit.main.spot._",
            {"to": "sub_x", "asset": "USDT", "amount": "1000.5", "to_market": "futures", "by": "kim"},
        ),
        (
            lambda oms: oms.cancel_on_disconnect("desk-1", 5_000, strategy="arb", account="sub_x"),
            "cancel_on_disconnect._.sub_x._._",
            {"client": "desk-1", "timeout_ms": 5_000, "strategy": "arb"},
        ),
    ],
)
async def test_each_goes_where_its_scope_says(
    nats_server: EmbeddedNats, serve: Any, heard: Heard, call: Call, subject: str, payload: dict[str, Any]
) -> None:
    """Subject and payload are what was said, and the engine's own decoder takes them."""
    await serve(_done)
    async with OmsClient.connect(nats_server.url) as oms:
        result = await call(oms)
        assert oms.last_sequence == 7
    assert result.ok
    ((went, said),) = heard
    assert went == subject
    assert {name: value for name, value in said.items() if name in payload} == payload
    rest = {name: value for name, value in said.items() if name not in (*payload, "command_id", "command")}
    assert not any(rest.values()), rest
    decode_command(subject.partition(".")[0], msgspec.json.encode(said))


async def test_what_is_no_scope_is_not_sent(nats_server: EmbeddedNats, serve: Any, heard: Heard) -> None:
    """A kill for a scope that cannot be read is refused on the spot: it would reach nobody."""
    await serve(_done)
    async with OmsClient.connect(nats_server.url) as oms:
        with pytest.raises(OmsRefused) as refused:
            await oms.kill("acount:sub_arb", by="kim")
        with pytest.raises(TypeError):
            await oms.set_limits("global", {"max_exposure": 0.1}, by="kim")  # type: ignore[dict-item]
    assert refused.value.code is Code.SCOPE_INVALID
    assert heard == []


async def test_limits_and_accounts_are_asked_for(nats_server: EmbeddedNats, serve: Any, heard: Heard) -> None:
    """Filters go as they are, and the account is the client's own unless another is named."""
    await serve(lambda _s, _p: {"ok": True, "sequence": 3, "rows": []})
    async with OmsClient.connect(nats_server.url, "sub_arb") as oms:
        assert (await oms.limits(scope="account:", control="max_exposure", near=True)).rows == []
        await oms.limits(account="_", exchange="okx", latched=True)
        await oms.accounts(account="_")
    assert [subject for subject, _ in heard] == [
        "show_limits._.sub_arb._._",
        "show_limits.okx._._._",
        "show_accounts._._._._",
    ]
    first, second, _ = (payload for _, payload in heard)
    assert (first["scope"], first["control"], first["near"], first["latched"]) == (
        "account:",
        "max_exposure",
        True,
        False,
    )
    assert second["latched"] is True


@pytest.fixture
async def beats(nc: Client) -> list[str]:
    """Subjects of every beat that came."""
    found: list[str] = []

    async def take(message: Msg) -> None:
        found.append(message.subject)

    await nc.subscribe("heartbeat.*.*.*.*", cb=take)
    await nc.flush()
    return found


async def test_a_guarded_block_beats_and_disarms(
    nats_server: EmbeddedNats, serve: Any, heard: Heard, beats: list[str]
) -> None:
    """Armed on entry, beating while it lasts, disarmed at its end: leaving in order cancels nothing."""
    await serve(_done)
    async with OmsClient.connect(nats_server.url, "sub_arb") as oms:
        async with oms.guarded("desk-1", 200, strategy="arb") as beating:
            await asyncio.sleep(0.3)
            assert not beating.lost.is_set()
        count = len(beats)
        await asyncio.sleep(0.15)
    assert set(beats) == {"heartbeat._.sub_arb._.desk-1"}
    assert 4 <= count <= 8
    assert len(beats) == count
    armed, disarmed = heard
    assert armed[0] == disarmed[0] == "cancel_on_disconnect._.sub_arb._._"
    assert (armed[1]["client"], armed[1]["timeout_ms"], armed[1]["strategy"]) == ("desk-1", 200, "arb")
    assert (disarmed[1]["client"], disarmed[1]["timeout_ms"]) == ("desk-1", 0)


async def test_a_block_that_fails_stays_armed(
    nats_server: EmbeddedNats, serve: Any, heard: Heard, beats: list[str]
) -> None:
    """Left by an exception, it falls silent without a word: the engine cancels the orders."""

    async def trade(oms: OmsClient) -> None:
        async with oms.guarded("desk-1", 200):
            await asyncio.sleep(0.1)
            raise RuntimeError("the strategy is broken")

    await serve(_done)
    async with OmsClient.connect(nats_server.url) as oms:
        with pytest.raises(RuntimeError, match="strategy is broken"):
            await trade(oms)
        count = len(beats)
        await asyncio.sleep(0.15)
    assert count > 0
    assert len(beats) == count
    assert [payload["timeout_ms"] for _, payload in heard] == [200]


async def test_beats_that_cannot_be_sent_are_known(
    nats_server: EmbeddedNats, serve: Any, heard: Heard
) -> None:
    """Without a server for longer than the timeout the guard has acted: the block is told, and nothing is disarmed."""
    await serve(_done)
    async with OmsClient.connect(nats_server.url) as oms, oms.guarded("desk-1", 300) as beating:
        await nats_server.stop()
        await asyncio.wait_for(beating.lost.wait(), 3)
    assert [payload["timeout_ms"] for _, payload in heard] == [300]
