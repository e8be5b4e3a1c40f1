"""Ten thousand malformed messages: each is answered with a code, none leaves a trace, and the engine goes on."""

import asyncio
import json
import random
from collections import Counter
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.aggregates import image
from oms.engine.engine import Engine
from oms.journal.stream import STREAM
from oms.messages.codes import Code
from tests.engine.desk import Trader

MESSAGES = 10_000
GOOD = {"command_id": "g", "side": "buy", "type": "limit", "quantity": "0.001", "price": "50000"}
PLACE = "place.binance.main.spot.BTCUSDT"
BAD_DECIMALS = [
    "NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E5", "1_000", " 1", "1 ", "", ".", "-", "+1", "0x1f",
    "1.", ".5", "1,5", "１", "0", "0.0", "-1", "-0.001", "1" * 21, "0." + "1" * 19, "9" * 400, None, True, [], {},
    0, 1, -1, 0.1, 1e308, 10**30,
]  # fmt: skip
BAD_VALUES: dict[str, list[Any]] = {
    "command_id": ["", "x" * 65, 1, None, [], {}, True],
    "side": ["BUY", "", "hold", 1, None, [], {}],
    "type": ["LIMIT", "", "market ", "iceberg", 0, None],
    "quantity": BAD_DECIMALS,
    "price": BAD_DECIMALS,
    "trigger_price": ["1", "NaN", 1],
    "time_in_force": ["gtc", "", "DAY", 1, None, "GTD"],
    "expires_at": [1, -1, "1", 1.5, 2**63, 2**64, 10**30, True],
    "post_only": [1, "true", None, 0],
    "reduce_only": [1, "false", None],
    "strategy": ["x" * 33, 1, None],
    "client_order_id": ["x" * 65, 1, None],
    "symbol": ["ETHUSDT", "", 1, "BTC.USDT", "*"],
    "exchange": ["bybit", 1],
    "market": ["futures", []],
    "unknown": [1],
    "command": ["place.2", 1],
}


def _bad_message(rng: random.Random) -> tuple[str, bytes]:
    kind = rng.randrange(10)
    if kind < 5:
        field = rng.choice(list(BAD_VALUES))
        return PLACE, json.dumps({**GOOD, field: rng.choice(BAD_VALUES[field])}).encode()
    if kind == 5:
        missing = rng.choice(["command_id", "side", "type", "quantity", "price"])
        return PLACE, json.dumps({k: v for k, v in GOOD.items() if k != missing}).encode()
    if kind == 6:  # cut, or bytes that JSON never has
        raw = json.dumps(GOOD).encode()
        if rng.random() < 0.5:
            return PLACE, raw[: rng.randrange(len(raw) - 1)]
        cut = rng.randrange(len(raw))
        return PLACE, raw[:cut] + bytes([rng.choice([0, 1, 0x80, 0xC0, 0xFF])]) + raw[cut:]
    if kind == 7:
        return PLACE, rng.randbytes(rng.randrange(200))
    if kind == 8:  # the right words in the wrong place
        subject = rng.choice([
            "place._.main.spot.BTCUSDT", "place.binance._.spot.BTCUSDT", "place.binance.nobody.spot.BTCUSDT",
            "place.binance.main.spot.NOSUCH", "place.bybit.main.spot.BTCUSDT", "place.binance.main._._",
            "cancel.binance.main.spot.BTCUSDT", "amend.binance.main.spot.BTCUSDT", "report.binance.main.spot._",
            "open_session.binance.nobody.spot._", "list_instruments.binance._.spot._", "report_marks.x._.y._",
            "report_balances.binance.main.spot._", "register_account._.main._._", "cancel_all.binance.nobody._._",
            "cancel_all.binance._._._", "list_live.binance.main.spot._", "close_session.binance.main.spot._",
        ])  # fmt: skip
        return subject, json.dumps(GOOD).encode()
    payload = rng.choice([
        b"", b"null", b"[]", b"[[]]", b"{}", b"[{}]", b"1", b'"x"', b"[" * 2_000, b'{"a":' * 2_000,
        b'{"command_id":"' + b"x" * 9_000 + b'"}', b"[" + b",".join([b"{}"] * 1_001) + b"]",
        b'{"command_id":"a\\u0062","side":"buy"}', b"\xef\xbb\xbf{}",
    ])  # fmt: skip
    return rng.choice([PLACE, "cancel.binance.main.spot.BTCUSDT", "report.binance.main.spot._"]), payload


async def test_malformed_messages_leave_no_trace(engine: Engine, trader: Trader, nc: Client) -> None:
    """Every one of 10,000 malformed messages gets a documented code; journal and state are as before; orders go on."""
    assert (await trader.place("before"))["ok"]
    # What was committed is sealed within a second, in a frame of its own; after that the journal is still.
    async with asyncio.timeout(10):
        while (
            engine._unsealed
            or engine._queue.open.commits
            or engine._writer.sequence + 1 < engine._queue.open.sequence
        ):
            await asyncio.sleep(0.05)
    last = (await nc.jetstream().stream_info(STREAM)).state.last_seq
    digest = image.digest(engine.state)
    rng = random.Random(20261121)
    inbox, answers, done = nc.new_inbox(), Counter[str](), asyncio.Event()
    wrong: list[Any] = []

    async def answered(message: Msg) -> None:
        answer = json.loads(message.data)
        for each in answer if isinstance(answer, list) else [answer]:
            if each["ok"]:
                wrong.append(each)
            else:
                answers[each["error"]["code"]] += 1
        answers["messages"] += 1
        if answers["messages"] == MESSAGES:
            done.set()

    await nc.subscribe(inbox, cb=answered)
    for _ in range(MESSAGES):
        subject, payload = _bad_message(rng)
        await nc.publish(subject, payload, reply=inbox)
    await asyncio.wait_for(done.wait(), 60)
    assert wrong == []
    assert answers.keys() - {"messages"} <= {code.value for code in Code}
    assert len(answers) > 8, answers
    assert (await nc.jetstream().stream_info(STREAM)).state.last_seq == last
    assert image.digest(engine.state) == digest
    assert (await trader.place("after"))["ok"]
