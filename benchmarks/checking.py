"""The controls in process: what an order's check costs, whatever is open, and what keeping up the figures costs that it reads.

Everything is measured in turns within one run, so that the machine's drift hits all of it. A round takes what is measured of
every desk in turn; the figures are of all rounds.
"""

import decimal
import gc
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs

from benchmarks.controlled import EXCHANGE, MARK, MARKETS, ControlledDesk
from benchmarks.desk import encoded
from benchmarks.figures import Figure, of_latencies
from benchmarks.limits import CONTROLS_OFF
from oms.aggregates.money import EXACT
from oms.aggregates.order import make
from oms.aggregates.partition import Partition, reservation
from oms.handlers.dispatch import handle
from oms.handlers.place import decide_place
from oms.handlers.risk_check import is_due
from oms.handlers.self_trade import decide_self_trade
from oms.handlers.target import Target, check_trading
from oms.messages.codec import decode_command, encode
from oms.messages.commands import PlaceOrder
from oms.messages.enums import OrderStatus
from oms.messages.events import MarksRecorded, OrderFilled, OrderPlaced
from oms.messages.frames import encode_commit
from oms.messages.subjects import parse_subject

clock = time.perf_counter
SAME: Final = {"scope": "global", "limits": {"max_position": "100000000000"}, "by": "bench"}
"""A change of limits that changes nothing, so that every check begins anew."""
MARGIN: Final = Decimal("0.01")
"""What an order is taken to reserve: finding that out is no part of the check."""


@attrs.frozen
class Size:
    """How much is measured.

    Args:
        accounts, open_orders: few and many of them.
        rounds, orders: of each desk in every round so many orders are checked.
        symbols: that each of ``watched`` accounts holds a position and an open order in.
        looks: of the watch.
    """

    accounts: tuple[int, int] = (1, 200)
    open_orders: tuple[int, int] = (10, 100_000)
    rounds: int = 40
    orders: int = 500
    watched: int = 201
    symbols: int = 25
    looks: int = 60


def measure(size: Size | None = None) -> Iterator[Figure]:
    """Everything, on desks whose limits are wide, with positions and liquidation prices on the futures."""
    size = size or Size()
    yield from _quietly(lambda: _checks(size))
    yield from _quietly(lambda: _marks(size))
    yield from _quietly(lambda: _looks(size))
    yield from _quietly(lambda: _on_against_off(size))


def _quietly(measured: Callable[[], Iterator[Figure]]) -> list[Figure]:
    """Measure without the cycle collector, exactly, and let go of what was built."""
    gc.collect()
    before = decimal.getcontext()
    decimal.setcontext(EXACT)
    gc.disable()
    try:
        return list(measured())
    finally:
        gc.enable()
        decimal.setcontext(before)


# -- check and count


def _checks(size: Size) -> Iterator[Figure]:
    desks: dict[tuple[int, int], ControlledDesk] = {}
    for accounts in size.accounts:
        for count in size.open_orders:
            desks[accounts, count] = desk = ControlledDesk(accounts)
            desk.hold()
            desk.rest(count)
    gc.freeze()
    checked: dict[tuple[str, int, int], list[float]] = {}
    again: dict[tuple[str, int, int], list[float]] = {}
    anew: list[float] = []
    counted: dict[str, list[float]] = {"placed": [], "filled": []}
    for number in range(size.rounds):
        for (accounts, count), desk in desks.items():
            # Until what was placed is no duplicate any more.
            desk.now += 2 * 10**9
            desk.ask("set_limits._._._._", {**SAME, "command_id": f"same-{number}"})
            for market in MARKETS:
                anew += (first for first, _ in _check(desk.state, _orders(desk, market, accounts), desk.now))
                for first, second in _check(desk.state, _orders(desk, market, size.orders), desk.now):
                    checked.setdefault((market, accounts, count), []).append(first)
                    again.setdefault((market, accounts, count), []).append(second)
        busiest = desks[size.accounts[1], size.open_orders[1]]
        # No more than may be executed within a minute.
        for placed, filled in _count(busiest, size.orders // 5):
            counted["placed"].append(placed)
            counted["filled"].append(filled)
    gc.unfreeze()
    for (market, accounts, count), taken in checked.items():
        what = f"risk check, {market}, {accounts} accounts, {count:,} open"
        yield of_latencies(what, taken, "us", "<= 10, p99 25")
    for market in MARKETS:
        for which, kept in (("accounts in turns", checked), ("the same account again", again)):
            some = [_quietest(taken, size.orders) for (each, _, _), taken in kept.items() if each == market]
            middle, slow = ([found[at] for found in some] for at in (0, 1))
            yield Figure(
                f"… {market}: dearest / cheapest, {which}",
                "ratio",
                max(middle) / min(middle),
                max(slow) / min(slow),
                "<= 1.2",
                "of the quietest rounds",
            )
    yield of_latencies("risk check, the first of a strategy after a change of limits", anew, "us")
    yield of_latencies("an order placed, into the running figures", counted["placed"], "us")
    yield of_latencies("a fill, into the running figures", counted["filled"], "us")


def _quietest(taken: list[float], each: int) -> tuple[float, float]:
    """p50 and p99 of the rounds that the machine disturbed least."""
    rounds = [sorted(taken[at : at + each]) for at in range(0, len(taken), each)]
    return min(some[each // 2] for some in rounds), min(some[each * 99 // 100] for some in rounds)


Orders = list[tuple[str, bytes]]
"""Subjects and payloads."""


def _orders(desk: ControlledDesk, market: str, count: int) -> Orders:
    return [(subject, encoded(fields)) for subject, fields in desk.orders(count, (market,))]


def _decoded(subject: str, raw: bytes) -> tuple[Target, PlaceOrder]:
    parts = parse_subject(subject)
    command: Any = decode_command(parts.action, raw)
    return Target._make(parts[1:]), command


def _check(state: Partition, orders: Orders, now: int) -> Iterator[tuple[float, float]]:
    """Everything that stands between an order and its acceptance on account of controls, as the handler of place asks it, of a
    message that was just decoded: in seconds, and again at once, when what it reads is in the processor's caches."""
    for subject, raw in orders:
        yield _check_one(state, subject, raw, now), _check_one(state, subject, raw, now)


def _check_one(state: Partition, subject: str, raw: bytes, now: int) -> float:
    target, command = _decoded(subject, raw)
    started = clock()
    check_trading(state, target.account)
    gate = state.risk.gate(state, target[:4], command.strategy, now)
    gate.check_open(command.side, command.quantity, command.quantity, command.reduce_only)
    gate.check_place(
        command.side,
        command.type,
        command.quantity,
        command.price,
        command.trigger_price,
        MARGIN,
        command.reduce_only,
        now,
        state.risk.recent,
    )
    prevention = decide_self_trade(
        state, gate.self_trade, target, command.type, command.side, command.price, command.post_only
    )
    seconds = clock() - started
    assert prevention.denied is None
    return seconds


def _count(desk: ControlledDesk, count: int) -> Iterator[tuple[float, float]]:
    """Count orders, and a fill of each, into the figures: (seconds, seconds). What is made up ends again behind it."""
    state, risk = desk.state, desk.state.risk
    for subject, raw in _orders(desk, "futures", count):
        target, command = _decoded(subject, raw)
        now = desk.tick()
        (placed,) = decide_place(state, target, command, now)
        assert isinstance(placed, OrderPlaced)
        instrument = target.instrument(state)
        asset, unit = reservation(instrument, placed.side, placed.reserve_price)
        order = make(placed, now, OrderStatus.PENDING_NEW, asset, unit)
        started = clock()
        risk.placed(state, placed, now)
        risk.leaves.counts(state, order)
        counted = clock() - started
        fill = _fill(placed, now)
        place = target[:4]
        book_key = (*place, placed.strategy)
        state.position(place).fill(fill, instrument, now)
        state.book(book_key).fill(fill, instrument, now)
        order.evolve(fill, now)
        started = clock()
        risk.moved(state, place, (book_key,))
        risk.leaves.counts(state, order)
        risk.executed(state, order, now)
        filled = clock() - started
        yield counted, filled


def _fill(placed: OrderPlaced, now: int) -> OrderFilled:
    assert placed.price is not None
    return OrderFilled(
        order_id=placed.order_id,
        exchange=placed.exchange,
        account=placed.account,
        market=placed.market,
        symbol=placed.symbol,
        side=placed.side,
        quantity=placed.quantity,
        price=placed.price,
        fee=Decimal("0.01"),
        fee_asset="USDT",
        maker=False,
        trade_id=placed.order_id,
        strategy=placed.strategy,
        venue_time=now,
    )


# -- marks and the watch


def _marks(size: Size) -> Iterator[Figure]:
    for accounts in size.accounts:
        desk = ControlledDesk(accounts)
        desk.hold()
        desk.rest(2 * accounts)
        taken = []
        for number in range(size.rounds * 5):
            event = _moved(desk, number)
            started = clock()
            desk.state.evolve(event, desk.tick())
            taken.append(clock() - started)
        yield of_latencies(f"a mark, positions of {accounts} accounts in its instrument", taken, "us")


def _moved(desk: ControlledDesk, number: int) -> MarksRecorded:
    price = MARK + number % 7
    return MarksRecorded(exchange=EXCHANGE, market="futures", marks=dict.fromkeys(desk.symbols, price))


def _looks(size: Size) -> Iterator[Figure]:
    """What the engine's watch costs, four times a second, with nothing due: after a quarter of a second without anything, with
    orders placed in it, and with every mark moved."""
    symbols = tuple(f"S{number:02d}USDT" for number in range(size.symbols))
    desk = ControlledDesk(size.watched, symbols)
    desk.hold()
    desk.rest(2 * size.watched * size.symbols)
    desk.ask("check_risk._._._._", {})
    gc.freeze()
    state = desk.state
    taken: dict[str, list[float]] = {"nothing happened": [], "100 orders": [], "every mark moved": []}
    for number in range(size.looks):
        for what, some in taken.items():
            if what == "100 orders":
                desk.rest(100)
            elif what == "every mark moved":
                state.evolve(_moved(desk, number), desk.now)
            desk.now += 250 * 10**6
            started = clock()
            due = is_due(state, desk.now, 0)
            some.append(clock() - started)
            assert not due
    gc.unfreeze()
    positions = size.watched * size.symbols
    for what, some in taken.items():
        note = f"{size.watched} accounts, {positions:,} positions, {len(state.risk.totals):,} scopes"
        yield of_latencies(f"one look of the watch, {what}", some, "ms", "<= 10", note)


# -- end to end


def _on_against_off(size: Size) -> Iterator[Figure]:
    taken: dict[str, list[float]] = {"on": [], "off": []}
    desks = {"on": ControlledDesk(1), "off": ControlledDesk(1, controls=CONTROLS_OFF)}
    for desk in desks.values():
        desk.rest(100)
    gc.freeze()
    for _ in range(size.rounds):
        for what, desk in desks.items():
            taken[what] += _place(desk, size.orders)
    gc.unfreeze()
    on = of_latencies("place, in process, every control on", taken["on"], "us")
    off = of_latencies("place, in process, every control off", taken["off"], "us")
    yield on
    yield off
    yield Figure("… on / off", "ratio", on.p50 / off.p50, on.p99 / off.p99)


def _place(desk: ControlledDesk, count: int) -> list[float]:
    taken = []
    for subject, raw in [(subject, encoded(fields)) for subject, fields in desk.orders(count)]:
        now = desk.tick()
        started = clock()
        outcome = handle(desk.state, subject, raw, now, 1)
        encode(outcome.reply)
        assert outcome.commit is not None
        encode_commit(outcome.commit)
        taken.append(clock() - started)
        assert type(outcome.commit.events[-1]) is OrderPlaced
    return taken
