"""What the commands share: where the history is, filters, moments, progress, and how an error becomes an exit code."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click
import nats
import nats.errors
from click.core import ParameterSource
from nats.aio.client import Client
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from oms._config_values import ConfigError
from oms.cli.exits import Exit
from oms.cli.options import json_option, nats_option
from oms.client.client import without_password
from oms.config import load_config
from oms.encryption import EncryptionError, Keys
from oms.journal.errors import JournalBroken
from oms.tasks import whole
from oms.vault import VaultError, storage_keys
from replay.archive import Archive
from replay.asking.asof import Unanswerable
from replay.asking.filters import Filters, UnknownName
from replay.asking.moment import Moment, parse_moment, parse_time
from replay.asking.span import SpanReversed
from replay.cli.belonging import other_journals
from replay.rebuild import Progress, SnapshotRefused
from replay.snapshot import Snapshots
from replay.source import Source

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 5

__all__ = [
    "Ended",
    "Where",
    "at_option",
    "connected",
    "filter_options",
    "json_option",
    "moment",
    "opened",
    "progress",
    "run",
    "time",
    "where_options",
]


class Ended(click.ClickException):
    """A command ends with this exit code and this one line on standard error."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Print the line, as all of ``oms`` does."""
        click.echo(f"oms: {self.message}", err=True, file=file)


# -- where the history is


@attrs.frozen
class Where:
    """Where a command reads. ``offline``: the data directory alone. ``keys``: of archive and snapshots, if encrypted."""

    url: str
    data_dir: Path
    offline: bool
    keys: Keys | None = None

    @property
    def snapshots(self) -> Snapshots:
        """Those of the data directory."""
        return Snapshots(self.data_dir, self.keys)

    @property
    def archive(self) -> Archive:
        """That of the data directory."""
        return Archive(self.data_dir, self.keys)


def where_options(function: F) -> F:
    """``--config``, ``--nats``, ``--data-dir`` and ``--offline``, given to the function as ``where``."""

    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="OMS_CONFIG",
        show_envvar=True,
        help="Take nats-server, data directory and encryption from this configuration.",
    )
    @nats_option
    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where archive, snapshots and receipts are.  [default: data]",
    )
    @click.option("--offline", is_flag=True, help="Read archive and snapshots alone; no nats-server.")
    @wraps(function)
    def wrapped(
        *args: Any, config_path: Path | None, url: str, data_dir: Path | None, offline: bool, **kwargs: Any
    ) -> Any:
        where = _where(config_path, url, data_dir, offline)
        return function(*args, where=where, **kwargs)

    return wrapped  # type: ignore[return-value]


def _where(config_path: Path | None, url: str, data_dir: Path | None, offline: bool) -> Where:
    if config_path is None:
        return Where(url, data_dir or Path("data"), offline)
    try:
        config = load_config(config_path)
        keys = storage_keys(config)
    except ConfigError as error:
        raise Ended(Exit.USAGE, f"configuration: {error}") from None
    except VaultError as error:
        raise Ended(Exit.REFUSED, str(error)) from None
    source = click.get_current_context().get_parameter_source("url")
    if source is ParameterSource.DEFAULT:
        url = config.nats.url
    return Where(url, data_dir or config.storage.data_dir, offline, keys)


@asynccontextmanager
async def connected(where: Where) -> AsyncIterator[Client]:
    """A connection that does not come back by itself once it is lost.

    Raises:
        Ended: nobody answers, or the data directory is of another journal than the server has.
    """
    try:
        client = await nats.connect(
            where.url,
            connect_timeout=CONNECT_TIMEOUT_S,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=1,
            error_cb=_told_by_its_exception,
        )
    except (nats.errors.Error, OSError) as error:
        raise Ended(
            Exit.NO_ANSWER,
            f"nats-server at {without_password([where.url])} does not answer: {str(error) or repr(error)}",
        ) from None
    try:
        others = await other_journals(client, where.snapshots, where.archive)
        if others is not None:
            raise Ended(
                Exit.USAGE,
                f"{without_password([where.url])} has journal {others[0]}, {where.data_dir} is of journal {others[1]}: name the"
                " right one with --data-dir or --nats",
            )
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def opened(where: Where) -> AsyncIterator[Source]:
    """The history there, archive and journal as one.

    Raises:
        Ended: as :func:`connected` has it.
    """
    if where.offline:
        yield Source(None, where.archive)
        return
    async with connected(where) as client:
        yield Source(client, where.archive)


async def _told_by_its_exception(error: Exception) -> None:
    """nats-py prints a traceback of its own otherwise."""


# -- running


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; every error that was foreseen ends it with its exit code.

    Raises:
        Ended: 1 for a question that has no answer, 2 for a span that ends before it starts, 3 when nats-server went away,
            6 when journal, archive or snapshot are broken.
    """
    results: list[T] = []

    async def keep() -> None:
        # Not returned: asyncio.run writes out the result of its task, as Python does in an error that nobody sees, and
        # for a whole state that takes seconds.
        results.append(await work)

    try:
        asyncio.run(whole(keep()))
        return results[0]
    except (JournalBroken, SnapshotRefused) as error:
        raise Ended(Exit.JOURNAL_BROKEN, str(error)) from None
    except SpanReversed as error:
        raise Ended(Exit.USAGE, str(error)) from None
    except (UnknownName, Unanswerable, EncryptionError) as error:
        raise Ended(Exit.REFUSED, str(error)) from None
    except (nats.errors.Error, TimeoutError) as error:
        raise Ended(Exit.NO_ANSWER, f"nats-server stopped answering: {str(error) or repr(error)}") from None
    except BrokenPipeError:
        # Whoever reads the answer has enough of it; click ends quietly.
        raise
    except OSError as error:
        raise Ended(Exit.REFUSED, str(error)) from None


@contextmanager
def progress(what: str, unit: str = "frames") -> Iterator[Progress]:
    """A bar on standard error, when that is a terminal, moved by calls of ``(reached, last, events)``."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit + ", {task.fields[events]:,} events"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, events=0)

        def move(reached: int, last: int, events: int) -> None:
            bar.update(task, completed=reached, total=last, events=events)

        yield move


# -- moments


def moment(text: str) -> Moment:
    """Type of an argument or option that is a sequence or a time."""
    try:
        return parse_moment(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def time(text: str) -> int:
    """Type of an argument or option that is a time, ISO 8601 or UTC ns; gives UTC ns."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def at_option(function: F) -> F:
    """``--at``: the moment asked about, None for the end of the history."""
    return click.option(
        "--at",
        type=moment,
        metavar="MOMENT",
        help="As it was after this sequence, or at this time (ISO 8601, or UTC nanoseconds).  [default: now]",
    )(function)


# -- filters

_FILTERS: Final[dict[str, dict[str, Any]]] = {
    "account": {"metavar": "NAME", "help": "Only this account."},
    "exchange": {"metavar": "NAME", "help": "Only this exchange."},
    "market": {"metavar": "NAME", "help": "Only this market, such as spot."},
    "symbol": {"metavar": "SYMBOL", "help": "Only this symbol."},
    "strategy": {"metavar": "NAME", "help": 'Only this strategy\'s; "" is that of orders without one.'},
    "since": {"type": time, "metavar": "TIME", "help": "Only what changed then or later."},
    "until": {"type": time, "metavar": "TIME", "help": "Only what changed then or before."},
}
_SHORT: Final = {"account": "-a", "symbol": "-s"}


def filter_options(*names: str) -> Callable[[F], F]:
    """The filters of these names, given to the function as ``filters``."""

    def decorate(function: F) -> F:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(name) for name in names}
            filters = Filters(**{name: value for name, value in given.items() if value is not None})
            return function(*args, filters=filters, **kwargs)

        decorated: Any = wrapped
        for name in reversed(names):
            flags = (f"--{name}", *filter(None, (_SHORT.get(name),)))
            decorated = click.option(*flags, **_FILTERS[name])(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
