"""How one process of ours lives: signals, logging, the ready line, its connection, a bounded end."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import nats
import nats.errors
from nats.aio.client import Client

from oms.cli.exits import Exit, StoppedError
from oms.config import Config, load_config, override
from oms.tasks import whole

READY: Final = "ready "
"""What the line on standard output starts with that tells a supervisor that a process serves; JSON follows."""
CONNECT_WITHIN_S: Final = 30.0
RECONNECT_WAIT_S: Final = 0.25
STOP_WITHIN_S: Final = 15.0
"""How long a clean stop may take; then what still runs is cut off."""

log = logging.getLogger("oms")

Work = Callable[[asyncio.Event], Awaitable[None]]


def run(work: Work, *, fast: bool) -> None:
    """Run ``work`` until SIGTERM or SIGINT sets its event, then give it :data:`STOP_WITHIN_S` to end.

    Args:
        fast: on uvloop.

    Raises:
        StoppedError: it did not end in time. Anything that ``work`` raises.
    """
    _log_to_stderr()
    if fast:
        import uvloop

        uvloop.run(whole(_until_stopped(work)))
    else:
        asyncio.run(whole(_until_stopped(work)))


def _log_to_stderr() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )


async def _until_stopped(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    working = asyncio.ensure_future(work(stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait((working,), timeout=STOP_WITHIN_S)
    finally:
        stopping.cancel()
        late = working.cancel()
        result = (await asyncio.gather(working, return_exceptions=True))[0]
    if late:
        raise StoppedError(Exit.REFUSED, f"did not stop within {STOP_WITHIN_S:g} s and was cut off")
    if isinstance(result, BaseException):
        raise result


def say_ready(process: str, **facts: Any) -> None:
    """Tell whoever started us, on one line of standard output, that this process serves."""
    with contextlib.suppress(BrokenPipeError):
        print(f"{READY}{json.dumps({'process': process, 'pid': os.getpid(), **facts})}", flush=True)


@contextlib.asynccontextmanager
async def connection(config: Config, name: str) -> AsyncIterator[Client]:
    """A connection that comes back by itself for as long as the process lives.

    Raises:
        StoppedError: nothing answers at ``nats.url`` within :data:`CONNECT_WITHIN_S`.
    """
    failures: list[Exception] = []
    closing = False

    async def failed(error: Exception) -> None:
        if not failures or str(failures[0]) != str(error):
            log.warning("nats: %s", error or type(error).__name__)
        failures[:] = [error]

    async def disconnected() -> None:
        if not closing:
            log.warning("nats: connection lost; trying again every %g s", RECONNECT_WAIT_S)

    async def reconnected() -> None:
        failures.clear()
        log.warning("nats: connected again")

    user = _user(config.nats.servers[0])
    options: dict[str, Any] = {"inbox_prefix": f"_INBOX_{user}"} if user else {}
    connecting = nats.connect(
        servers=config.nats.servers,
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
        error_cb=failed,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        **options,
    )
    try:
        nc = await asyncio.wait_for(connecting, CONNECT_WITHIN_S)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        reason = failures[0] if failures else error
        raise StoppedError(
            Exit.NO_ANSWER,
            f"no nats-server within {CONNECT_WITHIN_S:g} s at nats.url: {str(reason) or type(reason).__name__}",
        ) from None
    try:
        yield nc
    finally:
        closing = True
        # Closing tells the server what is left to tell; without a server it would wait for one.
        with contextlib.suppress(TimeoutError, nats.errors.Error, OSError):
            await asyncio.wait_for(nc.close(), 2.0)


def _user(server: str) -> str | None:
    from urllib.parse import urlsplit

    return urlsplit(server).username


def config_option(function: Any) -> Any:
    """``--config FILE``."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="OMS_CONFIG",
        metavar="FILE",
        show_envvar=True,
        help="Configuration, see configs/config.yaml.  [default: the built-in one]",
    )(function)


def nats_override_option(function: Any) -> Any:
    """``--nats URL`` for processes, where the configuration has one."""
    return click.option(
        "--nats", "nats_url", metavar="URL", help="In place of nats.url of the configuration."
    )(function)


def configured(config_path: Path | None, **changes: Any) -> Config:
    """The configuration with what the command line says instead."""
    config = load_config(config_path)
    given: Mapping[str, Any] = {name: value for name, value in changes.items() if value is not None}
    return override(config, **given) if given else config
