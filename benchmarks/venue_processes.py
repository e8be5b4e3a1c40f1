"""What a desk on simulated venues is made of, each a process of its own: ``python -m benchmarks.venue_processes PART JSON``.

PART is ``simulator``, ``engine`` or ``connector``. Each says in a line of JSON that it is ready, and ends with its parent.
"""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import nats
import uvloop

from benchmarks import venue_limits
from benchmarks.limits import CONTROLS_OFF
from oms.engine.engine import Engine, EngineSettings
from oms.messages.enums import AccountKind
from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.wire import WIRES
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.exchange import Exchange, Service
from oms.venues.over_ccxt import Reach

FUNDS: Final = {"USDT": Decimal(10**9), "BTC": Decimal(10**6), "KRW": Decimal(10**15)}
POLL_S: Final = 0.01


def names(count: int) -> list[str]:
    """The accounts of a desk."""
    return ["main", *(f"sub_{number}" for number in range(1, count))]


def key_of(exchange: str, account: str) -> Key:
    """As the simulator knows it."""
    return Key(f"{exchange}-{account}-key", f"{exchange}-{account}-secret", "pass-Phrase1")


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def _simulator(stop: asyncio.Event, ca: str, exchanges: list[str], accounts: int) -> None:
    made = []
    for exchange in exchanges:
        symbols = [
            attrs.evolve(symbol, max_orders=10**6)
            for venue, some in PRESETS.items()
            if venue.startswith(f"{exchange}.")
            for symbol in some
        ]
        keys = {name: key_of(exchange, name) for name in names(accounts)}
        made.append(
            ExchangeConfig(
                exchange,
                tuple(symbols),
                tuple(AccountConfig(n, k.api_key, k.secret, FUNDS, k.passphrase) for n, k in keys.items()),
                limits=venue_limits.simulated(WIRES[exchange]),
            )
        )
    simulator = Simulator(SimulatorConfig(tuple(made), ca_path=Path(ca)))
    await simulator.start()
    _tell(port=simulator.port)
    await stop.wait()
    await simulator.stop()


async def _engine(stop: asyncio.Event, url: str, accounts: int) -> None:
    nc = await nats.connect(url, max_reconnect_attempts=-1)
    kinds = {name: AccountKind.MAIN if name == "main" else AccountKind.SUB for name in names(accounts)}
    engine = Engine(nc, EngineSettings(accounts=kinds, controls=CONTROLS_OFF))
    serving = asyncio.create_task(engine.run(stop))
    await engine.ready.wait()
    _tell(ready=True)
    await serving
    await nc.close()


async def _connector(
    stop: asyncio.Event, url: str, ca: str, port: int, venues: list[str], accounts: int, limited: list[str]
) -> None:
    venue_limits.free(limited)
    started = time.monotonic()
    nc = await nats.connect(url, max_reconnect_attempts=-1)
    session = ccxt_session(Path(ca), port)
    service = Service(
        accounts=names(accounts),
        weight_per_minute=venue_limits.FREE,
        orders_per_second=venue_limits.FREE,
        orders_per_day=venue_limits.FREE,
        reach=Reach(session=session),
    )
    exchanges = {venue.split(".")[0] for venue in venues}
    keys = {(each, name): key_of(each, name) for each in exchanges for name in names(accounts)}
    served = Exchange(nc, dict.fromkeys(venues, service), FixedCredentials(keys))
    serving = asyncio.create_task(served.run(stop))
    while not served.ready and not serving.done():
        await asyncio.sleep(POLL_S)
    _tell(ready_s=time.monotonic() - started)
    await serving
    await session.close()
    await nc.close()


PARTS: Final[dict[str, Callable[..., Awaitable[None]]]] = {
    "simulator": _simulator,
    "engine": _engine,
    "connector": _connector,
}


async def _run(part: str, arguments: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await PARTS[part](stop, **arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvloop.run(_run(sys.argv[1], json.loads(sys.argv[2])))
