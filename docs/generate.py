"""Make the reference pages that are read from the code. ``python docs/generate.py`` writes them, ``--check`` compares.

Each page is a function here; nothing of it is written by hand. ``tests/docs`` fails when a page is stale.
"""

import collections.abc
import enum
import importlib
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import click
import msgspec

from oms.aggregates import order as orders
from oms.aggregates.risk import bounds, figures, sizes, standings
from oms.aggregates.risk.controls import CONTROLS, DEFAULTS, KINDS_OF_SCOPE, Control
from oms.cli import cli
from oms.handlers import risk_check
from oms.messages import (
    codec,
    commands,
    enums,
    events,
    heartbeat,
    instructions,
    public,
    queries,
    replies,
    reports,
)
from oms.messages.base import ClientCommand
from oms.messages.codes import Code
from oms.messages.controls import CAPITAL
from oms.messages.scopes import parse_scope, scope_tokens
from oms.messages.venues import Capabilities, Feature
from oms.projections import uses
from oms.venues.errors import Kind
from oms.venues.over_ccxt import CcxtAccount
from oms.venues.pools import POOLS, Limits, Rule
from oms.venues.registry import MARKETS
from replay import restore
from replay.asking import asof, bundle, controls, diff, finding, steps, story, timeline, trace, whatif

ROOT: Final = Path(__file__).resolve().parents[1]
HEADER: Final = "<!-- Made by docs/generate.py from the code. Change the code, then run it again. -->\n"
WIDTH: Final = 100
_LISTED: Final[dict[type, str]] = {enums.OrderStatus: "states.md", Code: "codes.md", Feature: "venues.md"}
"""Enums too long for a cell → the page that has them all."""
_ELSEWHERE: Final[dict[type, tuple[str, str]]] = {
    Capabilities: ("Capabilities", "commands.md#capabilities"),
    commands.InstrumentSpec: ("Instrument", "commands.md#instrument"),
    commands.PositionSpec: ("Position", "commands.md#position"),
    commands.Difference: ("Difference", "commands.md#difference"),
    heartbeat.Heartbeat: ("health", "queries.md#health"),
    queries.OverrideRow: ("override", "queries.md#override"),
    queries.LatchRow: ("latch", "queries.md#latch"),
    queries.Statement: ("statement", "queries.md#statement"),
    queries.VenueState: ("venue", "queries.md#venue"),
    queries.Allocation: ("allocation", "queries.md#allocation"),
}
"""What stands in other structs → its name, and where it is told of."""

# -- words


def prose(text: str | None) -> str:
    """A docstring as Markdown: its summary and paragraphs, without the ``Args:`` section."""
    text = inspect.cleandoc(text or "").split("\nArgs:")[0].strip()
    return re.sub(r"\s*\n(?!\n)\s*", " ", _inline(text)).strip()


def _inline(text: str) -> str:
    text = re.sub(
        r":(?:class|meth|func|mod|data|attr):`~?([^`]+)`", lambda found: f"`{found[1].split('.')[-1]}`", text
    )
    return text.replace("``", "`")


def notes(kind: type) -> dict[str, str]:
    """Field → what the ``Args:`` sections of a class and its bases say of it.

    A line names one field or several (``a, b: …``); a field named in a later sentence (``b``: …) counts too.
    """
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        section = inspect.cleandoc(each.__dict__.get("__doc__") or "").partition("Args:\n")[2]
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(section.split("\n\n")[0])):
            names, colon, text = entry.partition(":")
            if not colon:
                continue
            text = " ".join(_inline(text).split())
            if text.strip().startswith("see "):
                continue
            parts = re.split(r"(?<=\.) `([a-z_]+)`: ", text)
            found |= {name.strip(): parts[0] for name in names.split(",")}
            found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def type_text(annotation: Any) -> str:
    """A type in the wire's words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0]) + _bounds(arguments[1])
    if annotation == events.Event:
        return "[event](events.md)"
    if origin is types.UnionType or origin is typing.Union:
        if set(typing.get_args(events.Event)) < set(arguments):
            return "[event](events.md) or null"
        return " or ".join(type_text(each) for each in arguments if each is not msgspec.UnsetType)
    if origin is typing.Literal:
        return " ".join(f"`{each}`" for each in arguments)
    if origin in (list, tuple, collections.abc.Sequence):
        return f"array of {type_text(arguments[0])}"
    if origin is dict:
        return f"object of {type_text(arguments[0])} → {type_text(arguments[1])}"
    if isinstance(origin, type):
        return type_text(origin)
    named = {
        Decimal: "decimal",
        str: "text",
        int: "integer",
        bool: "boolean",
        type(None): "null",
        typing.Any: "any",
    }
    if annotation in named:
        return named[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        if annotation in _LISTED:
            return f"[{annotation.__name__}]({_LISTED[annotation]})"
        return " ".join(f"`{member.value}`" for member in annotation)
    if annotation in _ELSEWHERE:
        name, place = _ELSEWHERE[annotation]
        return f"[{name}]({place})"
    return f"`{getattr(annotation, '__name__', annotation)}`"


def _bounds(meta: msgspec.Meta) -> str:
    said = []
    if meta.min_length is not None or meta.max_length is not None:
        said.append(f"{meta.min_length or 0}–{meta.max_length}")
    if meta.ge is not None or meta.le is not None:
        highest = "2⁶³−1" if meta.le == 2**63 - 1 else f"{meta.le:,}"
        said.append(f"{meta.ge}–{highest}")
    if meta.pattern is not None:
        said.append(f"`{meta.pattern}`".replace("|", "\\|"))
    return f" ({', '.join(said)})" if said else ""


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """What a field is when it is left out."""
    if field.default is msgspec.UNSET:
        return "left out"
    if field.default is not msgspec.NODEFAULT:
        value = field.default
        if isinstance(value, enum.Enum):
            value = value.value
        return f"`{msgspec.json.encode(value).decode()}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default_factory()).decode()}`"
    return "required"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def struct_table(kind: type, leave_out: frozenset[str] = frozenset(), required: str = "default") -> str:
    """The fields of a Struct: name, type, default, and what its docstring says of each."""
    said = notes(kind)
    rows = []
    for field in msgspec.structs.fields(kind):
        if field.encode_name in leave_out:
            continue
        row = [f"`{field.encode_name}`", type_text(field.type)]
        if required:
            row.append(default_text(field))
        rows.append([*row, said.get(field.encode_name, "")])
    if not rows:
        return "No fields.\n\n"
    head = ["field", "type", required, ""] if required else ["field", "type", ""]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table(head, rows)


# -- pages


def codes_page() -> Iterator[str]:
    yield "# Codes\n\nEvery code that `error.code` of an answer can carry. `oms.messages.codes.Code` is the enum.\n\n"
    yield table(["code", "meaning"], ([f"`{code.value}`", code.meaning] for code in Code))


def events_page() -> Iterator[str]:
    yield "# Events\n\n"
    yield (
        "What stands in the journal, in the `events` of a commit. `event` is the tag, with its version. A field equal"
        " to its default is left out. The time of a fact is its commit's `at`. Decimals are strings, times UTC"
        " nanoseconds.\n\n"
    )
    for kind in typing.get_args(events.Event):
        yield f"## {kind.__struct_config__.tag}\n\n{prose(kind.__doc__)}\n\n{struct_table(kind)}"


_CLIENT: Final = tuple(verb for verb, kind in codec.COMMANDS.items() if issubclass(kind, ClientCommand))


_PARTS: Final[dict[str, type]] = {
    "Capabilities": Capabilities,
    "Instrument": commands.InstrumentSpec,
    "Position": commands.PositionSpec,
    "Difference": commands.Difference,
}
"""Heading in the page of commands → what stands in one of them."""


def commands_page() -> Iterator[str]:
    yield "# Commands\n\n"
    yield (
        "The payload of each verb. Unknown fields are refused. `command`, the tag with the version, may be left out:"
        " the subject's verb says it. How messages travel: [wire](wire.md).\n\n## From clients\n\n"
    )
    for verb in _CLIENT:
        yield from _command(verb)
    yield "## From connectors\n\nStatements: without a `command_id`, idempotent by what they say.\n\n"
    for verb in codec.COMMANDS:
        if verb not in _CLIENT and verb not in codec.INTERNAL_VERBS:
            yield from _command(verb)
    for name, kind in _PARTS.items():
        yield f"### {name}\n\n{prose(kind.__doc__)}\n\n{struct_table(kind)}"
    yield (
        "## The engine's own\n\nThe engine asks these of itself; no endpoint serves them. They stand in the journal"
        " beside the events they caused.\n\n"
    )
    for verb in sorted(codec.INTERNAL_VERBS):
        yield from _command(verb)


def _command(verb: str) -> Iterator[str]:
    kind = codec.COMMANDS[verb]
    yield f"### `{verb}`\n\n{prose(kind.__doc__)}\n\n"
    if verb in codec.BULK_VERBS:
        yield f"One, or an array of 1 to {codec.MAX_BULK:,}.\n\n"
    yield struct_table(kind)


_SCOPES: Final = {
    "global": "everything",
    "exchange:binance": "an exchange, all accounts and markets",
    "account:sub_arb": "an account, everywhere",
    "strategy:arbitrage": "a strategy; `strategy:` is what is traded without one",
    "instrument:binance.spot.BTCUSDT": "an instrument, in all accounts",
    "account:*": "each account that says nothing of a control itself; so too `exchange:*`, `strategy:*`, `instrument:*`. For"
    " limits alone",
}


def controls_page() -> Iterator[str]:
    yield (
        "# Controls\n\nEvery order passes every control of every scope that covers it: the tightest holds. A scope that says"
        " nothing of a control itself has what `kind:*` says. What nobody speaks of is denied with"
        " [`LIMIT_MISSING`](codes.md): `off` is said in words, in the global scope for all and in another to leave it out there."
        " How they are set, overridden and seen: [command line](command-line.md#oms-limits), [commands](commands.md),"
        " [queries](queries.md#show_limits), [public events](public.md).\n\n## Scopes\n\nThe subject of a command about a"
        " scope names the same places as the scope, so that permission to publish there is permission to speak of it.\n\n"
    )
    yield table(
        ["scope", "is", "subject"],
        (
            [f"`{text}`", meaning, f"`set_limits.{'.'.join(scope_tokens(parse_scope(text)))}`"]
            for text, meaning in _SCOPES.items()
        ),
    )
    yield (
        "## Every control\n\nAmounts are in USD, of which [valuations](command-line.md#oms-value) say what each asset is worth."
        " The code is what an order, or a transfer, beyond it is refused with. Sources: RTS 6 is Commission Delegated Regulation"
        " (EU) 2017/589, SEC 15c3-5 the Market Access Rule, FIA its recommendations of risk controls.\n\n"
    )
    yield table(
        ["control", "meaning", "value", "scopes", "default", "code", "source"],
        (
            [
                f"`{control.name}`",
                control.meaning,
                _values_of(control),
                "all" if control.scopes == KINDS_OF_SCOPE else ", ".join(control.scopes),
                "; ".join(_defaults_of(control.name)),
                f"`{control.code.value}`",
                control.source,
            ]
            for control in CONTROLS.values()
        ),
    )
    yield (
        "A strategy's account and capital are not limits but its assignment"
        " ([`assign_strategy`](commands.md#assign_strategy)): codes `STRATEGY_ACCOUNT` and `CAPITAL`; `oms risk` shows the"
        f" capital as `{CAPITAL}`. What a control's code says in a sentence stands in the page of [codes](codes.md).\n\n"
    )
    at = [name for name in figures.FIGURES if name in figures.AT_THE_LIMIT]
    yield (
        f"## Near, and beyond\n\nThe running figures ({', '.join(f'`{name}`' for name in figures.FIGURES)}), a strategy's"
        f" `{CAPITAL}`, margin ({_listed(standings.MARGIN)}), and each position of a scope for itself (`{sizes.POSITION}`,"
        f" `{sizes.INVENTORY}`) are looked at"
        f" several times a second. From {_percent(bounds.NEAR)} of its limit on one is near, beyond it breached"
        f" ({', '.join(f'`{name}`' for name in at)}: at it), below {_percent(risk_check.CLEAR)} clear again; a liquidation price"
        " is near from a quarter above the distance on. Each change is a public"
        " event [LimitReached](public.md#limitreached), with the position where it is of one; a breach is an alert, and engages"
        " the scope's kill switch where `kill_on` names the control.\n\n"
        f"{_listed(uses.UNWATCHED)} have a use and no level: only an order or a transfer that asks for more is held against"
        " them.\n"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _values_of(control: Control) -> str:
    words = f": {', '.join(f'`{word}`' for word in control.words)}" if control.words else ""
    off = ", or `off`" if control.may_be_off and "off" not in control.kind.value else ""
    return f"{control.kind.value}{words}{off}"


def _defaults_of(name: str) -> Iterator[str]:
    for scope, values in DEFAULTS.items():
        if name in values:
            yield f"`{values[name]}`" + ("" if scope == "global" else f" for `{scope}`")


def _percent(share: Decimal) -> str:
    return f"{share * 100:.0f} %"


def reports_page() -> Iterator[str]:
    yield "# Reports and instructions\n\n"
    yield (
        "Between the engine and a connector. The connector reports with the verb `report`"
        " ([commands](commands.md#report)); the engine instructs on `instruct.{exchange}.{account}.{market}._`. How"
        " both are kept true: [order truth](../concepts/order-truth.md).\n\n## Reports\n\n"
    )
    yield prose(inspect.getdoc(reports)) + "\n\n"
    for kind in typing.get_args(reports.Report):
        yield f"### `{kind.__struct_config__.tag}`\n\n{prose(kind.__doc__)}\n\n{struct_table(kind)}"
    yield f"## Instructions\n\n{prose(inspect.getdoc(instructions))}\n\n"
    for kind in typing.get_args(instructions.Instruction):
        yield f"### `{kind.__struct_config__.tag}`\n\n{prose(kind.__doc__)}\n\n{struct_table(kind)}"
    yield f"## A page of `list_live`\n\n{prose(replies.LivePage.__doc__)}\n\n{struct_table(replies.LivePage)}"


_ROWS: Final = {
    "show_orders": queries.OrderRow,
    "show_trades": queries.TradeRow,
    "show_positions": queries.PositionRow,
    "show_balances": queries.BalanceRow,
    "show_pnl": queries.PnlRow,
    "show_limits": queries.LimitRow,
    "show_accounts": queries.AccountRow,
    "show_status": queries.StatusRow,
}
_IN_ROWS: Final[dict[str, dict[str, type]]] = {
    "show_limits": {
        "override": queries.OverrideRow,
        "latch": queries.LatchRow,
        "statement": queries.Statement,
    },
    "show_accounts": {"venue": queries.VenueState, "allocation": queries.Allocation},
}
"""Query → heading → what stands in its rows."""


def queries_page() -> Iterator[str]:
    yield f"# Queries\n\n{prose(inspect.getdoc(queries))}\n\nAnswered by the follower, from memory.\n\n"
    yield f"Every question may carry:\n\n{struct_table(queries.Query)}"
    common = frozenset(field.encode_name for field in msgspec.structs.fields(queries.Query))
    for verb, kind in queries.QUERIES.items():
        yield f"## `{verb}`\n\n{prose(kind.__doc__)}\n\n"
        if any(field.encode_name not in common for field in msgspec.structs.fields(kind)):
            yield struct_table(kind, leave_out=common)
        yield f"A row: {_lower(prose(_ROWS[verb].__doc__))}\n\n{struct_table(_ROWS[verb], required='')}"
        for name, part in _IN_ROWS.get(verb, {}).items():
            yield f"### {name}\n\n{prose(part.__doc__)}\n\n{struct_table(part, required='')}"
        if verb == "show_status":
            yield f"A row of `sessions`: {_lower(prose(queries.SessionRow.__doc__))}\n\n"
            yield struct_table(queries.SessionRow, required="")
            yield f"### health\n\n{prose(heartbeat.Heartbeat.__doc__)}\n\n"
            yield struct_table(heartbeat.Heartbeat, required="")
    for kind in (queries.Answer, queries.PnlAnswer, queries.QueryFailed):
        yield f"## `{kind.__name__}`\n\n{prose(kind.__doc__)}\n\n{struct_table(kind, required='')}"
    yield f"An answer holds at most {queries.MAX_ROWS} rows and {queries.MAX_ANSWER_BYTES:,} bytes of them.\n"


def _lower(text: str) -> str:
    return text if text.startswith(("P&L", "`")) else text[:1].lower() + text[1:]


_TOLD: Final = {
    "ORDERS": [public.OrderChanged],
    "TRADES": [public.TradeHappened],
    "POSITIONS": [public.PositionChanged],
    "ACCOUNTS": [
        public.BalanceChanged,
        public.SessionChanged,
        public.AccountReconciled,
        public.AccountKnown,
        public.ClientGuarded,
    ],
    "RISK": [
        public.LimitsChanged,
        public.LimitReached,
        public.KillSwitchChanged,
        public.TradingDayBegan,
        public.AssetValued,
        public.CapitalAllocated,
    ],
}


def public_page() -> Iterator[str]:
    yield (
        "# Public events\n\nWhat anybody may listen to, one JSON message each, derived from the journal by the follower"
        " and kept for `storage.retention_days`. Fields may be added; take what you know.\n\n"
    )
    rows = []
    for stream, first in public.STREAMS.items():
        subject = (
            "accounts.{exchange}.{account}.{market}._"
            if stream == "ACCOUNTS"
            else f"{first}.{{exchange}}.{{account}}.{{market}}.{{symbol}}"
        )
        rows.append(
            [
                f"`{stream}`",
                f"`{subject}`",
                ", ".join(f"[{kind.__name__}](#{kind.__name__.lower()})" for kind in _TOLD[stream]),
            ]
        )
    yield table(["stream", "subject", "messages"], rows)
    yield (
        "The header `Nats-Msg-Id` is `{sequence}.{commit}.{event}`: the journal sequence, the commit's index in its frame"
        " and the event's in its commit. A stream holds its ids in rising order, none twice. `event` is the name of the"
        " journal's event without its version, `sequence` the frame, `at` the commit's time. The subject of"
        " `AccountKnown` is `accounts._.{account}._._`.\n\n"
    )
    for kinds in _TOLD.values():
        for kind in kinds:
            base = kind.__mro__[1]
            known = (
                frozenset(field.encode_name for field in msgspec.structs.fields(base))
                if base.__name__.endswith("Row")
                else frozenset()
            )
            yield f"## {kind.__name__}\n\n{prose(kind.__doc__)}"
            if known:
                verb = next(verb for verb, row in _ROWS.items() if row is base)
                yield f" Every field of a row of [`{verb}`](queries.md#{verb}), and:"
            yield f"\n\n{struct_table(kind, leave_out=known, required='')}"


_ANSWERS: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "limits": ("`rows` as [`show_limits`](queries.md#show_limits) has them.", ()),
    "diff": ("`before` and `after` are heads.", (diff.Diff, diff.Change, diff.FieldChange)),
    "order": (
        "When several orders go by the name: `matches`, and exit code 1.",
        (
            story.Story,
            story.Denial,
            steps.Step,
            steps.Made,
            controls.Explained,
            controls.Control,
            steps.Part,
            steps.Sent,
            story.Change,
            story.Fill,
            story.Latency,
            finding.Match,
        ),
    ),
    "trace": ("`traces`: one for each account that used the id.", (trace.Trace, trace.Node)),
    "timeline": ("An object a line.", (timeline.Line,)),
    "whatif": (
        "",
        (
            whatif.Report,
            whatif.Changed,
            whatif.Killed,
            whatif.AccountRow,
            whatif.Figures,
            whatif.PositionRow,
        ),
    ),
    "bundle": ("`file`, `manifest_sha256`, and `manifest`:", (bundle.Manifest,)),
    "accept-loss": ("`kind`, `first`, `last`, `head` and `message` of the loss, `snapshots_set_aside`.", ()),
}


def replay_page() -> Iterator[str]:
    yield (
        "# Answers of `oms replay --json`\n\nOne line of JSON; decimals are strings, times UTC nanoseconds. Fields may be"
        " added; take what you know. What each command is for: [command line](command-line.md#oms-replay);"
        " [`verify`](verify.md).\n\n## As of a moment\n\n`state`, `orders`, `trades`, `positions`, `balances`, `pnl` and"
        f" `limits` begin with a head. {prose(asof.Head.__doc__)}\n\n{struct_table(asof.Head, required='')}"
        "Then `rows`, as the follower's [queries](queries.md) give them; `pnl` has `totals` too. `orders` and `trades`"
        " have `complete`, `missing` (how many older ones are not held) and `missing_before` (UTC ns; all with"
        " `--from-zero`). `state` has `engine`, `accounts`, `orders`, `positions` and `balances`.\n\n"
    )
    for command, (text, kinds) in _ANSWERS.items():
        yield f"## `{command}`\n\n" + (f"{text}\n\n" if text else "")
        for kind in kinds:
            yield f"### {command}: {kind.__name__}\n\n{_with_values(kind, prose(kind.__doc__))}\n\n"
            yield _with_values(kind, struct_table(kind, required=""))
    yield "## `restore`\n\n"
    said = notes(restore.Restored)
    yield table(
        ["field", ""], ([f"`{field.name}`", said[field.name]] for field in attrs.fields(restore.Restored))
    )


def _with_values(kind: type, text: str) -> str:
    """With the values of the constants that a docstring names, and with JSON's word for None."""
    known = vars(steps) | vars(sys.modules[kind.__module__])

    def value(found: re.Match[str]) -> str:
        named = known.get(found[1])
        if isinstance(named, str):
            return f"`{named}`"
        return f"{named:,}" if isinstance(named, int) else found[0]

    return re.sub(r"\bNone\b", "null", re.sub(r"(?<![\w.])`?\b([A-Z][A-Z_]{3,})\b`?", value, text))


def command_line_page() -> Iterator[str]:
    yield "# Command line\n\nThe helps of all commands, as `--help` prints them.\n\n"
    yield from _help(cli, "oms")


def _help(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    settings = {
        **command.context_settings,
        "terminal_width": WIDTH,
        "max_content_width": WIDTH,
        "color": False,
    }
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from _help(found, each, context)


def states_page() -> Iterator[str]:
    yield (
        "# Order states, as the code has them\n\nRead from `TRANSITIONS` of `oms/aggregates/order.py`: the one table that moves"
        " an order's base state. A row is the state, a column the event; a cell is the next state, and an empty one says"
        " that the event cannot happen there. What it means: [orders and their states](../concepts/orders.md).\n\n"
    )
    kinds = list(dict.fromkeys(kind for row in orders.TRANSITIONS.values() for kind in row))
    short = {orders.BY_QUANTITY: "by quantity ¹", orders.BY_QUANTITY_OR_STAY: "by quantity or stay ²"}
    rows = []
    for state, row in orders.TRANSITIONS.items():
        cells = [short.get(str(row[kind]), f"`{row[kind]}`") if kind in row else "" for kind in kinds]
        rows.append([f"**`{state.value}`**", *cells])
    yield table(["", *(f"`{kind.__name__}`" for kind in kinds)], rows)
    yield (
        "¹ `FILLED` when the quantity is reached, else `PARTIALLY_FILLED` when anything is filled, else `NEW`.\n"
        "² `FILLED` when the quantity is reached, else it stays what it is.\n\n"
    )
    final = ", ".join(f"`{status.value}`" for status in enums.OrderStatus if status in enums.FINAL_STATUSES)
    shown = ", ".join(f"`{status.value}`" for status in enums.OrderStatus if status not in orders.TRANSITIONS)
    yield (
        f"Final states: {final}. {shown} are never a base state: they lie over it while what was asked has no"
        " answer.\n"
    )


def venues_page() -> Iterator[str]:
    yield (
        "# Venues\n\nWhat the connector of each market declares to the engine, which refuses everything else with"
        " [`NOT_SUPPORTED`](codes.md) before anything is sent; what each exchange counts; and what its refusals mean."
        " How to add one: [add an exchange](../add-an-exchange.md).\n\n## What each market takes\n\n"
    )
    markets = {venue: getattr(*_market_of(venue)) for venue in MARKETS}
    declared: dict[str, Capabilities] = {venue: market.capabilities for venue, market in markets.items()}

    def row(value: str, have: Callable[[Capabilities], Iterable[object]]) -> list[str]:
        return [f"`{value}`", *("yes" if value in have(each) else "" for each in declared.values())]

    rows = [
        *(row(each, lambda c: c.order_types) for each in enums.OrderType),
        *(row(each, lambda c: c.times_in_force) for each in enums.TimeInForce),
        *(row(each, lambda c: c.features) for each in Feature),
        [
            "an amend",
            *("changes the order" if each.amends_in_place else "replaces it" for each in markets.values()),
        ],
        ["funds are in wallet", *(f"`{each.wallet}`" for each in declared.values())],
    ]
    yield table(["", *(f"`{venue}`" for venue in markets)], rows)
    yield "`GTD` is kept by the engine, which cancels the order when its time has come.\n\n"
    modules = {_market_of(venue)[0].__name__: _market_of(venue)[0] for venue in markets}
    for module in modules.values():
        its = [f"`{venue}`" for venue in markets if _market_of(venue)[0] is module]
        yield f"## {' and '.join(its)}\n\n{_paragraphs(module.__doc__)}\n\n"
        yield from _meanings_of(module)
    yield (
        "## Rate limits\n\nThe figures of an account without a VIP level; what an exchange lists or tells takes their place."
        " An account's own limits are in the [configuration](../operating/configuration.md).\n\n"
    )
    head = ["of", "shared by", "rule", "counts", "limit", "in", "of which requests"]
    limits_of = ((name, scope, rule) for name, its in POOLS.items() for scope, rule in _rules(its))
    yield table(
        head,
        (
            [
                f"`{name}`",
                scope,
                rule.name,
                rule.counts.value,
                f"{rule.limit:,}",
                f"{rule.seconds:,} s",
                ", ".join(sorted(rule.groups)) or "all",
            ]
            for name, scope, rule in limits_of
        ),
    )


def _market_of(venue: str) -> tuple[types.ModuleType, str]:
    module, _, name = MARKETS[venue].partition(":")
    return importlib.import_module(module), name


def _paragraphs(text: str | None) -> str:
    """A docstring with its paragraphs and lists as they are."""
    parts = re.split(r"\n\n|\n(?=\* )", _inline(inspect.cleandoc(text or "")))
    return "\n\n".join(" ".join(part.split()) for part in parts)


def _rules(limits: Limits) -> Iterator[tuple[str, Rule]]:
    yield from (("address", rule) for rule in limits.address)
    yield from (("account and symbol" if rule.by_symbol else "account", rule) for rule in limits.account)


def _meanings_of(module: types.ModuleType) -> Iterator[str]:
    accounts = (
        each for each in vars(module).values() if isinstance(each, type) and issubclass(each, CcxtAccount)
    )
    (dialect,) = {id(each.dialect): each.dialect for each in accounts if hasattr(each, "dialect")}.values()
    codes: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for code, meanings in dialect.meanings.items():
        for begins, kind in meanings:
            codes[kind].append(f"`{code}`" + (f" ({begins} …)" if begins else ""))
    rows = [[kind.value, ", ".join(its)] for kind, its in codes.items() if its]
    yield "A refusal with any other code, and every answer that cannot be read, leaves the outcome unknown.\n\n"
    yield table(["means", "code"], rows)


PAGES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "codes.md": codes_page,
    "controls.md": controls_page,
    "events.md": events_page,
    "commands.md": commands_page,
    "reports.md": reports_page,
    "queries.md": queries_page,
    "public.md": public_page,
    "states.md": states_page,
    "replay.md": replay_page,
    "command-line.md": command_line_page,
    "venues.md": venues_page,
}


def pages() -> dict[Path, str]:
    """Every generated page: path → text."""
    folder = ROOT / "docs" / "reference"
    return {folder / name: (HEADER + "".join(make())).rstrip() + "\n" for name, make in PAGES.items()}


def main() -> None:
    """Write the pages; with ``--check`` say which are stale, and exit 1 if one is."""
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: python docs/generate.py [--check]")
    stale = {
        path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        print(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, "utf-8")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
