"""Options that commands share, and the one way a command runs with a client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from oms.cli.params import SCOPE
from oms.client import OmsClient
from oms.messages.base import MAX_TEXT
from oms.tasks import whole

F = TypeVar("F", bound=Callable[..., Any])

ANY: Final = "_"
_DEFAULT_URL: Final = "nats://127.0.0.1:4222"


def nats_option(function: F) -> F:
    """``--nats URL``."""
    return click.option(
        "--nats",
        "url",
        metavar="URL",
        envvar="OMS_NATS",
        default=_DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="Where nats-server is; user:password@ may stand before the host.",
    )(function)


def account_option(function: F) -> F:
    """``--account NAME`` for commands, which are always for one account."""
    return click.option(
        "--account",
        "-a",
        metavar="NAME",
        envvar="OMS_ACCOUNT",
        default="main",
        show_default=True,
        show_envvar=True,
        help="Whose order it is.",
    )(function)


def any_account_option(function: F) -> F:
    """``--account NAME`` for queries, which show every account by default."""
    return click.option(
        "--account",
        "-a",
        metavar="NAME",
        envvar="OMS_ACCOUNT",
        default=ANY,
        show_envvar=True,
        help="Only this account.  [default: all]",
    )(function)


def json_option(function: F) -> F:
    """``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="One line of JSON: decimals as text, times in UTC nanoseconds.",
    )(function)


def id_option(function: F) -> F:
    """``--id COMMAND_ID``."""
    return click.option(
        "--id",
        "command_id",
        metavar="COMMAND_ID",
        help="Idempotency key: sent again with the same one, a command is never done twice.  [default: a new one]",
    )(function)


def by_option(function: F) -> F:
    """``--by NAME``: who decides this."""
    return click.option("--by", required=True, metavar="NAME", help="The person who decides this; recorded.")(
        function
    )


def reason_option(function: F) -> F:
    """``--reason TEXT``."""
    return click.option(
        "--reason",
        default="",
        metavar="TEXT",
        callback=_within_bound,
        help=f"Why; recorded, at most {MAX_TEXT} characters.",
    )(function)


def _within_bound(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if len(value) > MAX_TEXT:
        raise click.UsageError(f"--reason: at most {MAX_TEXT} characters, was {len(value)}", ctx)
    return value


def kill_reason_option(function: F) -> F:
    """``--reason TEXT`` of a kill, which nothing that is said of it may stop: what is too long is cut by the client."""
    return click.option(
        "--reason", default="", metavar="TEXT", help=f"Why; the first {MAX_TEXT} characters are recorded."
    )(function)


def scope_argument(function: F) -> F:
    """``SCOPE``."""
    return click.argument("scope", type=SCOPE)(function)


def symbol_option(function: F) -> F:
    """``--symbol`` as a filter."""
    return click.option(
        "--symbol", "-s", default=ANY, metavar="SYMBOL", help="Only this symbol.  [default: all]"
    )(function)


def rows_option(function: F) -> F:
    """``--rows N``."""
    return click.option(
        "--rows",
        "-n",
        type=click.IntRange(1, 100_000),
        default=50,
        show_default=True,
        help="Show at most so many.",
    )(function)


def with_client(url: str, account: str, work: Callable[[OmsClient], Awaitable[Any]]) -> Any:
    """Connect, do the work, and return what it returns."""

    async def run() -> Any:
        async with OmsClient.connect(url, account, name="mexoms-cli") as oms:
            return await work(oms)

    try:
        return asyncio.run(whole(run()))
    except (TypeError, ValueError) as error:
        # What the client refuses to send, such as a quantity that is no number.
        raise click.UsageError(str(error)) from error


def console() -> Console:
    """Standard output; colours only on a terminal."""
    return Console(highlight=False)
