"""Two hundred sub-accounts on two exchanges, all trading at once, with real processes: what befalls one is no other's.

The desk trades the same script twice. The second time one account is flooded, one loses its key, one is killed, and the main
account breaches its limits. To the last digit the other 197 come to the same orders, fills, fees, funds and profit.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from nats.aio.msg import Msg

from oms.cli.demo import evidence
from oms.client import OmsRefused
from oms.messages.alerts import SUBJECT
from oms.nats_server import bound_to_parent

from .desk_of_200 import (
    FLOODED,
    KEYLESS,
    KILLED,
    MESSAGES,
    OTHERS,
    WAITING,
    Outcome,
    Trading,
    exchange_of,
    in_the_end,
    trading_desk,
)

pytestmark = pytest.mark.timeout(240)
D = Decimal


def _told(trading: Trading) -> list[float]:
    """Say how long the replies to the 197 took, and return p50 and p99 in ms."""
    taken = [1e3 * each for name in OTHERS for each in trading.traders[name].taken_s]
    cuts = statistics.quantiles(taken, n=100)
    print(f"{len(taken):,} replies: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, max {max(taken):.0f} ms")
    return [cuts[49], cuts[98]]


# -- what befalls four of them


@attrs.define
class Trouble:
    """What was done to them, and when (UTC ns)."""

    trading: Trading
    killed_at: int = 0
    flood: dict[str, Any] = attrs.field(factory=dict)
    """What the flooding client tells: ``sent``, ``accepted`` (command → order id), ``codes``, ``seconds``."""
    alerts: list[str] = attrs.field(factory=list)

    async def stop_two(self) -> None:
        """Take an account's key away at the exchange, and kill another; each has an order working and a position."""
        async with self.trading.venue(exchange_of(KEYLESS)) as venue:
            await venue.revoke_key(KEYLESS)
        await self.trading.main.kill(f"account:{KILLED}", by="risk desk", reason="a test of it")
        self.killed_at = time.time_ns()

    async def breach(self) -> None:
        """The main account buys, may buy no more, loses what it may lose, and is stopped."""
        main = self.trading.main
        terms: dict[str, Any] = {"price": D(3_010), "strategy": "of_main"}
        await main.place("ETHUSDT", "buy", 2, **terms)
        await main.place("ETHUSDT", "buy", 1, **{**terms, "price": D(2_900)})
        with pytest.raises(OmsRefused, match="MAX_EXPOSURE"):
            await main.place("ETHUSDT", "buy", 1, **terms)
        await evidence.until("the main account has bought", self._bought)
        async with self.trading.venue("binance") as venue:
            await venue.set_price("ETHUSDT", "2980")
        await evidence.until("the main account's loss has stopped it", self._stopped)
        with pytest.raises(OmsRefused, match="KILL_SWITCH"):
            await main.place("ETHUSDT", "buy", 1, **terms)

    async def _bought(self) -> bool:
        return bool((await self.trading.main.trades(account="main")).rows)

    async def _stopped(self) -> bool:
        (row,) = (await self.trading.main.accounts(account="main")).rows
        return [latch.cause for latch in row.latches] == ["max_daily_loss"] and not row.open_orders

    @contextlib.asynccontextmanager
    async def flooding(self) -> AsyncIterator[None]:
        """Flood an account from a client of its own, for as long as the block lasts."""
        subject = f"place.{exchange_of(FLOODED)}.{FLOODED}.spot.BTCUSDT"
        url = self.trading.stack.config.nats.url
        command = [sys.executable, "-m", "tests.e2e.flooding", url, subject, "49300", f"of_{FLOODED}"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*bound_to_parent(command), stdin=pipe, stdout=pipe)
        try:
            yield
            out, _ = await asyncio.wait_for(process.communicate(b""), 20)
            self.flood.update(json.loads(out))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def listen(self) -> None:
        """Keep what people are alerted of."""

        async def heard(message: Msg) -> None:
            self.alerts.append("{code} {message}".format(**json.loads(message.data)))

        await self.trading.main.nc.subscribe(SUBJECT, cb=heard)


async def _bad_day(trading: Trading) -> tuple[dict[str, Outcome], Trouble]:
    trouble = Trouble(trading)
    await trouble.listen()
    async with trouble.flooding():
        await trading.day(trouble.stop_two(), trouble.breach(), but=(FLOODED, KEYLESS))
    await trading.settled(but=(KEYLESS,))
    return await in_the_end(trading), trouble


# -- the test


async def test_what_befalls_one_account_is_no_other_accounts(tmp_path: Path) -> None:
    """One of 200 is flooded, one loses its key, one is killed, the main one breaches: the other 197 come to the very same."""
    async with trading_desk(tmp_path / "quiet") as trading:
        await trading.day()
        quiet = await in_the_end(trading)
        before = _told(trading)
    assert [name for name in OTHERS if not _traded_as_scripted(quiet[name])] == []
    async with trading_desk(tmp_path / "bad") as trading:
        with pytest.raises(OmsRefused, match="ACCOUNT_LIMIT"):
            await trading.main.register_account("sub_201", "SUB")
        bad, trouble = await _bad_day(trading)
        ratio = [after / earlier for after, earlier in zip(_told(trading), before, strict=True)]
        print(f"bad / quiet: p50 {ratio[0]:.1f}, p99 {ratio[1]:.1f}")
        print({**trouble.flood, "accepted": len(trouble.flood["accepted"])})
        assert not any(bad[name].latches for name in OTHERS)
        differ = [name for name in OTHERS if quiet[name] != bad[name]]
        assert not differ, f"{len(differ)} differ, such as {differ[0]}: {_difference(quiet, bad, differ[0])}"
        _check_flooded(bad[FLOODED], trouble)
        await _check_keyless(bad[KEYLESS], trouble)
        await _check_killed(bad[KILLED], trouble)
        assert bad["main"].latches == [("account:main", "", "max_daily_loss")]


def _difference(quiet: dict[str, Outcome], bad: dict[str, Outcome], name: str) -> str:
    one, other = attrs.asdict(quiet[name], recurse=False), attrs.asdict(bad[name], recurse=False)
    return "; ".join(
        f"{field} {one[field]} and {other[field]}" for field in one if one[field] != other[field]
    )


SCRIPT: Final = [
    *(("rest", "OK"), ("take", "OK"), ("amend", "OK"), ("gone", "OK"), ("cancel", "OK"), ("sell", "OK")),
    *(("far", "PRICE_COLLAR"), ("much", "MAX_EXPOSURE"), ("last", "OK")),
]
ENDS: Final = {
    "rest": "NEW",
    "take": "FILLED",
    "gone": "CANCELED",
    "sell": "FILLED",
    "far": "DENIED",
    "much": "DENIED",
    "last": "NEW",
}


def _traded_as_scripted(outcome: Outcome) -> bool:
    """Equal outcomes prove nothing if nothing came out."""
    ends = {str(step): status for step, status, *_ in outcome.orders}
    return (
        outcome.answers == SCRIPT
        and ends == ENDS
        and [step for step, *_ in outcome.fills] == ["sell", "take"]
    )


def _check_flooded(outcome: Outcome, trouble: Trouble) -> None:
    """It was throttled by its own limit, and what was taken of it stands here and there, once each; nothing else does."""
    flood = trouble.flood
    accepted = set(flood["accepted"])
    assert flood["sent"] > 5_000, flood
    assert len(accepted) + sum(flood["codes"].values()) == flood["sent"]
    assert flood["codes"].keys() <= {"MAX_MESSAGES", "DUPLICATE_ORDER", "MAX_OPEN_ORDERS"}
    assert 0 < len(accepted) <= MESSAGES * (flood["seconds"] + 1)
    working = [str(step) for step, status, *_ in outcome.orders if status == "NEW"]
    there = [str(step) for step, status, *_ in outcome.there if status == "NEW"]
    assert sorted(working) == sorted(there)
    assert {step for step in there if step.startswith("flood-")} == accepted
    assert len(there) == len(set(there))
    kept = {str(step): status for step, status, *_ in outcome.orders}
    assert all(kept[step] == "DENIED" for step in kept.keys() - accepted if step.startswith("flood-"))


async def _check_keyless(outcome: Outcome, trouble: Trouble) -> None:
    """People are told; the account takes no orders; what it had at the venue is known here, and locked."""
    client = trouble.trading.main
    (row,) = (await client.accounts(account=KEYLESS)).rows
    assert [venue.ready for venue in row.venues] == [False]
    told = [each for each in trouble.alerts if KEYLESS in each]
    assert told, f"nobody was told: {trouble.alerts}"
    assert "SESSION" in told[0], told
    assert "-2015" in told[0], told
    assert outcome.answers[:2] == SCRIPT[:2]
    # Until its session has ended for it, an amend or an order is still taken; then the venue refuses it.
    later = {answer for step, answer in outcome.answers[2:] if step != "cancel"}
    assert {"VENUE_DOWN"} <= later <= {"VENUE_DOWN", "OK", "PRICE_COLLAR", "MAX_EXPOSURE"}, outcome.answers
    ends = {str(step): (status, doubt) for step, status, doubt, *_ in outcome.orders}
    assert (ends.pop("rest"), ends.pop("take")) == (("NEW", False), ("FILLED", False))
    # What was on its way when the session ended waits to be looked up: it is not given up, and holds its funds.
    assert {status for status, doubt in ends.values() if not doubt} <= {"REJECTED", "DENIED", *WAITING}, ends
    assert [(step, status) for step, status, *_ in outcome.there] == [("rest", "NEW"), ("take", "FILLED")]
    funds = (await client.balances(account=KEYLESS)).rows
    orders = (await client.orders(account=KEYLESS, open=True)).rows
    held = sum(order.locked for order in orders)
    assert held > 0
    assert [balance.locked for balance in funds if balance.asset == "USDT"] == [held]


async def _check_killed(outcome: Outcome, trouble: Trouble) -> None:
    """All of it is cancelled, and from the latch on it sent nothing."""
    assert outcome.answers[:2] == SCRIPT[:2]
    later = {step: answer for step, answer in outcome.answers[2:] if step != "cancel"}
    assert set(later.values()) == {"KILL_SWITCH"}, later
    ends = {str(step): status for step, status, *_ in outcome.orders}
    assert ends["rest"] == "CANCELED"
    assert not [row for row in outcome.orders if row[1] in (*WAITING, "NEW")]
    async with trouble.trading.venue(exchange_of(KILLED)) as venue:
        there = await venue.orders(account=KILLED)
    assert len(there) == 2
    assert max(int(str(order["created_ns"])) for order in there) < trouble.killed_at
    assert {order["status"] for order in there} <= {"CANCELED", "FILLED"}
    assert outcome.latches == [(f"account:{KILLED}", "risk desk", "")]
