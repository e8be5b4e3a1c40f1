"""A desk of real processes whose engine is killed with SIGKILL where a test says, and what is known of it from the outside.

Known are the journal, every instruction on its way to a connector, and the venues' own records of what came to them.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.cli.demo import evidence
from oms.cli.stack import ENGINE, Stack
from oms.client import OmsClient, OmsRefused, new_order
from oms.client.asking import Result
from oms.config import AccountConfig, Config, RateLimits, VenueConfig, override
from oms.messages import events as e
from oms.messages.commands import PlaceOrder
from oms.messages.controls import KillSwitchEngaged
from oms.messages.enums import AccountKind
from oms.messages.scopes import ScopeKind, parse_scope
from oms.messages.subjects import ANY
from oms.nats_server import bound_to_parent
from oms.simulator.client import ControlClient
from replay.source import journal_bounds
from tests.limits import wide_config

ORDERS_PER_SECOND = 20
PLACES = (("binance", "main"), ("binance", "another"), ("bybit", "main"))
STRATEGIES = ("alpha", "beta")
PRICES = {"BTCUSDT": 42_000, "ETHUSDT": 2_500}
"""Far below the market, so that orders rest."""
QUANTITIES = {"BTCUSDT": "0.0002", "ETHUSDT": "0.004"}

DIES = """
import os, signal, sys
from pathlib import Path
from nats.aio.client import Client
from oms.journal.writer import JournalWriter

armed, config = Path(sys.argv[1]), sys.argv[2]
append, publish = JournalWriter.append, Client.publish
latched = False

def is_armed(point):
    return armed.exists() and armed.read_text() == point

def die_at(point):
    if is_armed(point):
        os.kill(os.getpid(), signal.SIGKILL)

async def watched_append(self, commits):
    global latched
    latching = any(b'"KillSwitchEngaged.' in commit for commit in commits)
    if latching and is_armed("before"):
        # What it has said too early has left.
        await self._nc.flush()
        die_at("before")
    sequence = await append(self, commits)
    if latching:
        die_at("durable")
        latched = True
    return sequence

async def watched_publish(self, subject, *args, **fields):
    await publish(self, subject, *args, **fields)
    point = {"instruct": "told one", "_INBOX": "answered"}.get(subject.partition(".")[0], "")
    if latched and point and is_armed(point):
        await self.flush()
        die_at(point)

JournalWriter.append, Client.publish = watched_append, watched_publish
sys.argv = ["oms", "engine", "--config", config]
from oms.cli import main
main()
"""
"""An engine that dies, where the file says, at the frame that latches a kill switch: before it is sent, once it is durable, once
the first connector is told, once the first who asked is answered."""


class EngineProcess:
    """``oms engine``, killed and started again by the test."""

    def __init__(self, config: Path, armed: Path) -> None:
        self._config = config
        self._armed = armed
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it serves."""
        command = [sys.executable, "-c", DIES, str(self._armed), str(self._config)]
        self._process = await asyncio.create_subprocess_exec(
            *bound_to_parent(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line.startswith(b"ready "), line

    def arm(self, point: str) -> None:
        """Have it die at this point of the next frame that latches a kill switch."""
        self._armed.write_text(point)

    async def died(self) -> None:
        """Wait until it has died where it was armed to."""
        assert self._process is not None
        assert await asyncio.wait_for(self._process.wait(), 20) == -signal.SIGKILL
        self._armed.unlink()
        self._let_go()

    async def kill(self) -> None:
        """SIGKILL, now."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
            await asyncio.wait_for(self._process.wait(), 20)
            self._let_go()

    async def again(self) -> None:
        """SIGKILL, and start it anew."""
        await self.kill()
        await self.start()

    def _let_go(self) -> None:
        assert self._process is not None
        self._process._transport.close()  # type: ignore[attr-defined]  # or it warns when collected


@attrs.frozen
class Told:
    """An instruction on its way: the how-manieth message it was in, and when that came by, UTC ns."""

    message: int
    at: int
    kind: str
    order_id: str


class Tap:
    """Everything that engines tell connectors, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.canceling = asyncio.Event()
        self._messages = 0

    async def hear(self, message: Msg) -> None:
        """One message of instructions."""
        self._messages += 1
        now = time.time_ns()
        for each in json.loads(message.data)["instructions"]:
            kind = each["instruction"]
            self.told.append(Told(self._messages, now, kind, each.get("order_id", "")))
            if kind == "cancel":
                self.canceling.set()


class Record:
    """What the journal says: (index, event) in order, the times of their commits (UTC ns), of orders placed the index and the
    event, and when each was first decided to be placed, and to be canceled."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Any]] = []
        self.times: list[int] = []
        self.placed: dict[str, tuple[int, e.OrderPlaced]] = {}
        self.decided: dict[tuple[type[Any], str], int] = {}

    @classmethod
    async def read(cls, nc: Client) -> "Record":
        """Read all of the journal."""
        record = cls()
        _, last = await journal_bounds(nc)
        async for commit in evidence.commits(nc, last):
            for event in commit.events:
                index = len(record.events)
                record.events.append((index, event))
                record.times.append(commit.at)
                if isinstance(event, e.OrderPlaced):
                    record.placed[event.order_id] = (index, event)
                if isinstance(event, e.OrderPlaced | e.OrderCancelRequested):
                    record.decided.setdefault((type(event), event.order_id), commit.at)
        return record

    def of(self, kind: type[Any], since: int = 0, until: float = float("inf")) -> Iterator[tuple[int, Any]]:
        """The events of a kind between two places."""
        return ((i, event) for i, event in self.events if since <= i < until and isinstance(event, kind))

    def latched(self, scope: str, since: int = 0) -> list[tuple[int, KillSwitchEngaged]]:
        """Every time the scope's kill switch was engaged."""
        return [each for each in self.of(KillSwitchEngaged, since) if each[1].scope == scope]


def covers(scope: str, order: Any) -> bool:
    """Whether an order, or what places one, is in a scope."""
    kind, name = parse_scope(scope)
    return {
        ScopeKind.GLOBAL: True,
        ScopeKind.EXCHANGE: order.exchange == name,
        ScopeKind.ACCOUNT: order.account == name,
        ScopeKind.STRATEGY: order.strategy == name,
        ScopeKind.INSTRUMENT: f"{order.exchange}.{order.market}.{order.symbol}" == name,
    }[kind]


@attrs.frozen
class Answer:
    """What a trader was told, and when it had asked and was answered, UTC ns."""

    exchange: str
    account: str
    market: str
    symbol: str
    strategy: str
    asked: int
    answered: int
    result: Result

    @property
    def code(self) -> str:
        """Of what it was refused with; empty when it was not."""
        return "" if self.result.error is None else str(self.result.error.code)


@attrs.define(eq=False)
class Trader:
    """A strategy that places orders on one account of one exchange, on two symbols, until told to stop."""

    client: OmsClient
    exchange: str
    account: str
    strategy: str
    rng: random.Random
    answers: list[Answer] = attrs.field(factory=list)

    async def run(self, stopping: asyncio.Event) -> None:
        """Trade, and amend now and then what was placed before."""
        while not stopping.is_set():
            for answer in await self.place(2):
                if answer.result.ok and self.rng.random() < 0.3:
                    await asyncio.sleep(0.1)
                    price = PRICES[answer.symbol] + self.rng.randrange(1, 100)
                    with contextlib.suppress(OmsRefused):
                        await self.client.amend(answer.result.order_id, price=price, account=self.account)
            await asyncio.sleep(self.rng.uniform(0.3, 0.7))

    async def place(self, count: int) -> list[Answer]:
        """Place so many at once, which rest."""
        orders = [self._order() for _ in range(count)]
        asked = time.time_ns()
        results = await self.client.place_many(orders, account=self.account)
        answered = time.time_ns()
        where = (self.exchange, self.account, "spot")
        found = [
            Answer(*where, order.symbol, self.strategy, asked, answered, result)
            for order, result in zip(orders, results, strict=True)
        ]
        self.answers += found
        return found

    def _order(self) -> PlaceOrder:
        symbol = self.rng.choice(("BTCUSDT", "ETHUSDT"))
        price = PRICES[symbol] - self.rng.randrange(100)
        terms = {"strategy": self.strategy, "exchange": self.exchange}
        return new_order(symbol, "buy", QUANTITIES[symbol], price=price, **terms)  # type: ignore[arg-type]


@attrs.frozen
class Desk:
    """The whole system, an engine that can be killed, and what is seen from the outside."""

    stack: Stack
    engine: EngineProcess
    nc: Client
    client: OmsClient
    tap: Tap

    def traders(self, rng: random.Random) -> list[Trader]:
        """Two strategies on each account of each exchange."""
        return [
            Trader(self.client, exchange, account, strategy, random.Random(rng.random()))
            for exchange, account in PLACES
            for strategy in STRATEGIES
        ]

    async def kill(self, scope: str) -> int:
        """Kill a scope, and return how many instructions had been told when that was answered."""
        await self.client.kill(scope, by="kim", reason="it looks odd")
        return len(self.tap.told)

    def venue(self, exchange: str = "binance") -> ControlClient:
        """The control of a simulated exchange; to be entered."""
        return ControlClient(self.stack.ca_path, self.stack.simulator_port, exchange)

    async def at_venues(self) -> dict[str, dict[str, Any]]:
        """Orders of ours at the venues, by the client order id there."""
        found = {}
        for exchange in ("binance", "bybit"):
            async with self.venue(exchange) as venue:
                rows = await evidence.venue_rows(venue.orders(), self.stack.config)
                found |= {row["client_order_id"]: row for row in rows}
        return found

    async def none_open(self, scope: str, within_s: float = 30.0) -> None:
        """Wait until every order of the scope has ended here."""

        async def ended() -> bool:
            rows = (await self.client.orders(open=True, account=ANY, rows=5_000)).rows
            return not any(covers(scope, row) for row in rows)

        await evidence.until(f"every order of {scope} has ended", ended, within_s)

    async def clear(self) -> None:
        """Cancel everything."""
        for account in ("main", "another"):
            await self.client.cancel_all(account=account)
        await self.none_open("global")


def config(data_dir: Path) -> Config:
    """Two accounts on two exchanges, with controls that limit nothing, and rate limits that let orders wait."""
    limits = RateLimits(weight_per_minute=600_000, orders_per_second=ORDERS_PER_SECOND)
    venue = {"spot": VenueConfig(enabled=True, rate_limits=limits)}
    return attrs.evolve(
        override(wide_config(), data_dir=data_dir, port=0),
        exchanges={"binance": venue, "bybit": venue},
        accounts={
            "main": AccountConfig(kind=AccountKind.MAIN, venues=("binance.spot", "bybit.spot")),
            "another": AccountConfig(kind=AccountKind.SUB, venues=("binance.spot",)),
        },
    )


@contextlib.asynccontextmanager
async def desk_in(directory: Path) -> AsyncIterator[Desk]:
    """Nats-server, simulator, follower, two connectors and an engine, each a process, as long as the block lasts."""
    lines: list[str] = []
    stack = Stack(config(directory / "data"), lambda name, line: lines.append(f"{name}: {line}"))
    engine = EngineProcess(stack.config_path, directory / "armed")
    try:
        await stack.start()
        # In its place comes one that dies where it is told to.
        await stack.processes.stop(ENGINE)
        await engine.start()
        tap, nc = Tap(), await nats.connect(stack.config.nats.url)
        async with OmsClient.connect(stack.config.nats.url, account="main", patience_s=30) as client:
            # On the connection that is answered: what is told before an answer is heard before it.
            await client.nc.subscribe("instruct.>", cb=tap.hear)
            yield Desk(stack, engine, nc, client, tap)
        await nc.close()
        await engine.kill()
    finally:
        await stack.stop()
        (directory / "processes.log").write_text("\n".join(lines))


@contextlib.asynccontextmanager
async def trading(traders: Iterable[Trader]) -> AsyncIterator[None]:
    """Trade as long as the block lasts."""
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(trader.run(stopping)) for trader in traders]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)
