"""In process: decode, checks, decide, apply, encode. No I/O. Flat, whatever is open."""

import gc
import time
from collections.abc import Iterator

from benchmarks.desk import PLACE, partition, place
from benchmarks.figures import Figure, of_latencies
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import handle
from oms.messages.codec import encode
from oms.messages.frames import encode_commit

ROUNDS = 20_000
OPEN_FEW, OPEN_MANY = 100, 100_000


def measure() -> Iterator[Figure]:
    """Place with few and with many open orders, measured in turns so that the machine's drift hits both."""
    few, many = _with_open(OPEN_FEW), _with_open(OPEN_MANY)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        times: dict[int, list[float]] = {OPEN_FEW: [], OPEN_MANY: []}
        number = OPEN_MANY
        for _ in range(ROUNDS // 500):
            for count, state in ((OPEN_FEW, few), (OPEN_MANY, many)):
                times[count] += _place(state, number, 500)
            number += 500
            # Few must stay few.
            few = _with_open(OPEN_FEW)
    finally:
        gc.enable()
        gc.unfreeze()
    small = of_latencies(f"place, in process, {OPEN_FEW} open", times[OPEN_FEW], "us", "<= 20")
    large = of_latencies(f"place, in process, {OPEN_MANY:,} open", times[OPEN_MANY], "us", "the same")
    yield small
    yield large
    yield Figure("many open / few open", "ratio", large.p50 / small.p50, large.p99 / small.p99, "1.0")


def _with_open(count: int) -> Partition:
    state = partition()
    for number in range(count):
        handle(state, PLACE, place(number, "open"), 2, 2)
    return state


def _place(state: Partition, first: int, count: int) -> list[float]:
    messages = [place(first + i) for i in range(count)]
    taken = []
    clock = time.perf_counter
    for message in messages:
        started = clock()
        outcome = handle(state, PLACE, message, 3, 3)
        encode(outcome.reply)
        assert outcome.commit is not None
        encode_commit(outcome.commit)
        taken.append(clock() - started)
    return taken
