"""Keys of Vault on a whole desk: they rotate while trading goes on, and nothing that a desk writes or sends holds one."""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from oms.messages.enums import OrderStatus
from oms.nats_server import EmbeddedNats
from oms.simulator import Simulator
from oms.simulator.client import ccxt_session
from oms.simulator.faults import Fault
from oms.venues.exchange import Exchange, Service
from oms.venues.over_ccxt import Reach
from oms.venues.vault_keys import VaultCredentials
from tests.bao import Bao, running_bao
from tests.venues.conftest import QUICK, RECV_WINDOW_MS, TIMEOUT_S, VENUE, Desk, until

ACCOUNTS = ("main", "sub_arb")
POLL_S = 0.2
TERMINAL = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A dev server of this module's own."""
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


class Planted:
    """Each account's key as Vault and the simulator have it, and every one there ever was."""

    def __init__(self, bao: Bao, simulator: Simulator) -> None:
        self._bao = bao
        self._exchange = simulator.exchanges["binance"].exchange
        self.ever: list[str] = []
        self._entries: dict[str, dict[str, str]] = {}
        for account in ACCOUNTS:
            self.make(account)
        self.store()

    def make(self, account: str) -> None:
        """Make the account another key, as its owner does at the exchange; the one before is worth nothing from now on."""
        entry = {"api_key": f"PLANTED{secrets.token_hex(12)}", "secret": f"PLANTED{secrets.token_hex(12)}"}
        self.ever += entry.values()
        self._entries[account] = entry
        its = self._exchange.accounts[account]
        for key in [key for key, owner in self._exchange.keys.items() if owner is its]:
            del self._exchange.keys[key]
        self._exchange.keys[entry["api_key"]] = its
        its.api_key, its.api_secret = entry["api_key"], entry["secret"]

    def store(self) -> None:
        """Put them into Vault."""
        self._bao.put("exchanges/binance_spot", **self._entries)


@pytest.fixture
def planted(bao: Bao, simulator: Simulator) -> Planted:
    return Planted(bao, simulator)


@asynccontextmanager
async def serving(
    desk: Desk, bao: Bao, accounts: tuple[str, ...], poll_s: float = POLL_S
) -> AsyncIterator[Exchange]:
    """A connector of the exchange, with its keys from Vault by a role, until the end of the block."""
    config = bao.config(poll_s=poll_s)
    async with VaultCredentials(config, {VENUE: accounts}, bao.approle()) as credentials:
        session = ccxt_session(desk.ca_path, desk.simulator.port)
        service = Service(
            accounts=accounts,
            weight_per_minute=6_000,
            orders_per_second=1_000,
            orders_per_day=100_000,
            reach=Reach(session=session, timeout_s=TIMEOUT_S, recv_window_ms=RECV_WINDOW_MS),
        )
        exchange = Exchange(desk.nc, {VENUE: service}, credentials, QUICK)
        credentials.watch(exchange.rekey)
        stop = asyncio.Event()
        running = asyncio.create_task(exchange.run(stop))
        try:
            await until(lambda: exchange.ready, what="the sessions to be ready")
            await until(lambda: desk.state.instruments["binance", "spot", "BTCUSDT"].mark, what="a mark")
            yield exchange
        finally:
            stop.set()
            await running
            await session.close()


async def trade(desk: Desk, account: str, until_done: asyncio.Event) -> tuple[int, int]:
    """Place and cancel one order after the other; return how many were taken and how many refused."""
    taken = refused = 0
    fields = {"side": "buy", "type": "limit", "quantity": "0.001", "price": "30000"}
    while not until_done.is_set():
        answer = await desk.ask(f"place.binance.{account}.spot.BTCUSDT", **fields)
        if answer["ok"]:
            taken += 1
            await desk.ask(f"cancel.binance.{account}.spot.BTCUSDT", order_id=answer["order_id"])
        else:
            refused += 1
        await asyncio.sleep(0.02)
    return taken, refused


async def _settled(desk: Desk) -> None:
    """Wait until every order has ended and none is in doubt; hold both sides' funds against each other."""
    orders = [desk.order(order_id) for order_id in list(desk.state.orders)]
    for order in orders:
        if order.status not in TERMINAL:
            await desk.ask(f"cancel.binance.{order.account}.spot.BTCUSDT", order_id=order.order_id)
    await until(
        lambda: all(order.status in TERMINAL and not order.in_doubt for order in desk.state.orders.values()),
        15,
    )
    for account in ACCOUNTS:
        assert not desk.wire.exchange.accounts[account].open
        await until(lambda: _funds_agree(desk, account))  # noqa: B023


def _funds_agree(desk: Desk, account: str) -> bool:
    try:
        desk.check_funds(account)
    except AssertionError:
        return False
    return True


async def test_keys_rotate_while_trading_goes_on(bare_desk: Desk, bao: Bao, planted: Planted) -> None:
    """Four rotations of one account's key, two noticed by looking, two by a refusal: it trades on, the other never stops."""
    desk = bare_desk
    async with serving(desk, bao, ACCOUNTS) as exchange:
        done = asyncio.Event()
        trading = [asyncio.create_task(trade(desk, account, done)) for account in ACCOUNTS]
        other = exchange.connectors[VENUE].sessions["sub_arb"].token

        def session() -> Any:
            found = exchange.connectors[VENUE].sessions.get("main")
            return found.token if found is not None and found.ready.is_set() else None

        for number in range(4):
            await asyncio.sleep(0.3)
            before = session()
            planted.make("main")
            if number % 2:
                # The exchange refuses the key for a while before Vault has the new one.
                await asyncio.sleep(0.5)
            planted.store()
            await until(lambda: session() not in (None, before), what="a session with the new key")  # noqa: B023
        await asyncio.sleep(0.3)
        done.set()
        (taken, _), (taken_beside, refused_beside) = await asyncio.gather(*trading)
        assert exchange.connectors[VENUE].sessions["sub_arb"].token == other, (
            "the other account's session ended"
        )
        assert refused_beside == 0
        assert taken_beside > 20
        assert taken > 10
        await _settled(desk)


async def test_a_refused_key_is_looked_up_without_waiting(
    bare_desk: Desk, bao: Bao, planted: Planted
) -> None:
    """With looks ten minutes apart a key that the exchange refuses is replaced by the one in Vault at once."""
    async with serving(bare_desk, bao, ("main",), poll_s=600) as exchange:
        before = exchange.connectors[VENUE].sessions["main"].token
        planted.make("main")
        planted.store()
        await bare_desk.place()
        await until(
            lambda: exchange.ready and exchange.connectors[VENUE].sessions["main"].token != before,
            what="a session with the new key",
        )
        order = await bare_desk.place()
        await bare_desk.becomes(order, OrderStatus.NEW)


async def test_no_key_is_in_anything_that_a_desk_writes_or_sends(
    bare_desk: Desk,
    bao: Bao,
    planted: Planted,
    nats_server_shared: EmbeddedNats,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With every library at DEBUG and requests failing in every way, no log, message, file or error holds a key or login."""
    caplog.set_level(logging.DEBUG)
    heard: list[bytes] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject.encode() + b" " + message.data + str(message.headers).encode())

    desk = bare_desk
    tap = await desk.nc.subscribe(">", cb=hear)
    role = bao.approle()
    async with serving(desk, bao, ACCOUNTS) as exchange:
        for number in range(12):
            if number % 4 == 2:
                planted.make("main")
                planted.store()
            if number % 4 == 3:
                desk.simulator.drop_websockets("binance", "all")
            for kind in Fault:
                desk.fault(kind, probability_percent=10, retry_after_s=0, delay_ms=100)
            await desk.ask(
                "place.binance.main.spot.BTCUSDT", side="buy", type="limit", quantity="0.001", price="30000"
            )
            await asyncio.sleep(0.25)
            desk.wire.faults.clear()
        await until(lambda: exchange.ready, 30, "the sessions to be ready again")
        errors = "\n".join(str(vars(found)) for found in exchange.connectors[VENUE].sessions.values())
    await tap.unsubscribe()
    js = desk.nc.jetstream()
    stored = []
    for name in [info.config.name for info in await js.streams_info()]:
        last = (await js.stream_info(name)).state
        for sequence in range(last.first_seq, last.last_seq + 1):
            message = await js.get_msg(name, sequence)
            stored.append((message.data or b"") + str(message.headers).encode())
    files = [path.read_bytes() for path in _files(tmp_path, Path(nats_server_shared.log_path).parent)]
    assert len(planted.ever) >= 8
    places = {
        "log": caplog.text.encode() + b"".join(str(record.__dict__).encode() for record in caplog.records),
        "messages": b"\n".join(heard),
        "streams": b"\n".join(stored),
        "files": b"\n".join(files),
        "sessions": errors.encode(),
    }
    for name in ("urllib3", "oms.venues"):
        assert name in caplog.text, f"{name} does not log"
    for place, found in places.items():
        assert found, f"nothing was looked at in {place}"
        for secret in (*planted.ever, *role.values()):
            assert secret.encode() not in found, f"a key is in the {place}: {_near(found, secret)}"


def _files(*roots: Path) -> Iterator[Path]:
    for root in roots:
        yield from (path for path in root.rglob("*") if path.is_file())


def _near(found: bytes, secret: str) -> str:
    at = re.search(re.escape(secret.encode()), found)
    assert at is not None
    return repr(found[max(at.start() - 200, 0) : at.start()])
