"""``--from`` and ``--to``: the options of commands that look at a span of the history."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from replay.asking.moment import Moment
from replay.asking.span import Span, SpanRefused
from replay.cli import common as c

F = TypeVar("F", bound=Callable[..., Any])


def span_options(function: F) -> F:
    """``--from`` and ``--to``, given to the function together as ``span``."""

    @click.option(
        "--from",
        "start",
        type=c.moment,
        metavar="MOMENT",
        help="From this sequence, or time, on (ISO 8601, or UTC nanoseconds).  [default: the first frame]",
    )
    @click.option(
        "--to",
        "end",
        type=c.moment,
        metavar="MOMENT",
        help="Up to this sequence, or time, itself included.  [default: the last frame]",
    )
    @wraps(function)
    def wrapped(*args: Any, start: Moment | None, end: Moment | None, **kwargs: Any) -> Any:
        try:
            span = Span.between(start, end)
        except SpanRefused as error:
            raise click.UsageError(str(error)) from None
        return function(*args, span=span, **kwargs)

    return wrapped  # type: ignore[return-value]
