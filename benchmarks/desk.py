"""State and messages that the benchmarks share: one account with funds, one instrument, a ready session."""

import json
from typing import Any

from benchmarks.limits import BEGIN
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import Outcome, handle

PLACE = "place.binance.main.spot.BTCUSDT"
INSTRUMENT = {
    "symbol": "BTCUSDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "tick": "0.01", "step": "0.00001",
    "min_quantity": "0.00001", "max_quantity": "9000", "min_notional": "5", "maker_fee": "0.001", "taker_fee": "0.001",
}  # fmt: skip
SETUP: list[tuple[str, dict[str, Any]]] = [
    ("list_instruments.binance._.spot._", {"instruments": [INSTRUMENT]}),
    ("open_session.binance.main.spot._", {"session": "bench", "ready": False}),
    (
        "report_balances.binance.main.spot._",
        {"session": "bench", "totals": {"USDT": "1000000000000", "BTC": "2"}},
    ),
    ("open_session.binance.main.spot._", {"session": "bench", "ready": True}),
]
HEARTBEAT = ("heartbeat.binance.main.spot._", b'{"session":"bench"}')


def place(number: int, prefix: str = "b") -> bytes:
    """A limit order as a client would send it."""
    return (
        b'{"command_id":"%b-%032d","side":"buy","type":"limit","quantity":"0.00100","price":"%d.50","strategy":"bench"}'
        % (prefix.encode(), number, 40_000 + number % 10_000)
    )


def bulk(first: int, count: int, prefix: str = "k") -> bytes:
    """A bulk of such orders."""
    return b"[" + b",".join(place(first + i, prefix) for i in range(count)) + b"]"


def partition() -> Partition:
    """A partition with an account that can place."""
    state = Partition()
    start = {"instance": "bench", "version": "0", "journal_id": "mbench", "partition": "0"}
    register = {"command_id": "r", "kind": "MAIN"}
    beginning = [("start._._._._", start), BEGIN, ("register_account._.main._._", register)]
    for subject, payload in [*beginning, *SETUP]:
        outcome: Outcome = handle(state, subject, encoded(payload), 1, 1)
        assert outcome.reply.ok, outcome.reply
    return state


def encoded(payload: dict[str, Any]) -> bytes:
    """A payload as it goes over the wire."""
    return json.dumps(payload).encode()
