"""What crosses the wire: immutable, versioned, complete, and the same after a round trip."""

import inspect
import re
import types
from typing import Any, get_args

import msgspec
import pytest

from oms.aggregates import order, partition
from oms.handlers import dispatch
from oms.messages import codec, commands, controls, desk, events, instructions, replies, reports
from oms.messages.base import ClientCommand, Command, EventBase
from oms.messages.codes import Code
from oms.messages.enums import OrderStatus
from oms.messages.subjects import parse_subject

EVENTS = get_args(events.Event)
REPORTS = get_args(reports.Report)


def structs(module: types.ModuleType) -> list[type[msgspec.Struct]]:
    """The concrete Structs that a module defines."""
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    ]
    return [value for value in found if not value.__name__.startswith("_")]


@pytest.mark.parametrize("module", [commands, controls, desk, events, instructions, replies, reports])
def test_frozen(module: types.ModuleType) -> None:
    """A message cannot be changed once it is made."""
    assert structs(module)
    assert [s.__name__ for s in structs(module) if not s.__struct_config__.frozen] == []


def test_events_carry_their_version() -> None:
    """An event's tag is its class name and version, and no two have the same."""
    tags = [kind.__struct_config__.tag for kind in EVENTS]
    assert all(
        re.fullmatch(rf"{kind.__name__.rstrip('0123456789')}\.[0-9]+", str(tag))
        for kind, tag in zip(EVENTS, tags, strict=True)
    )
    assert len(set(tags)) == len(tags)


def test_commands_carry_their_version() -> None:
    """A command's tag is its verb and version: ``place.1``."""
    for verb, kind in codec.COMMANDS.items():
        assert re.fullmatch(rf"{verb}\.[0-9]+", str(kind.__struct_config__.tag))
        assert kind.__struct_config__.forbid_unknown_fields


def test_every_event_is_in_the_union() -> None:
    """An event class that is not part of ``Event`` could not be read back."""
    found = {kind for module in (events, controls, desk) for kind in structs(module)}
    assert {kind for kind in found if issubclass(kind, EventBase)} == set(EVENTS)
    assert set(structs(reports)) == set(REPORTS)


def test_every_event_has_a_rule() -> None:
    """Every event changes the state by a rule; one without would be lost on replay."""
    assert set(partition._EVOLVE) == set(EVENTS)


def test_every_event_of_an_order_has_its_row() -> None:
    """Every event that the order's table or its rules name exists, and every report has a decision."""
    named = {event for row in order.TRANSITIONS.values() for event in row}
    assert named <= set(order._EVOLVE) <= set(EVENTS)
    of_symbols = {reports.Funding, reports.Terms, reports.TermsRefused}
    assert set(order._DECIDE) == set(REPORTS) - of_symbols - {reports.Filled, reports.Busted, reports.Found}


def test_table_has_every_base_state() -> None:
    """Every state but the two that lie over another has a row, and a trade is allowed in each."""
    over = {OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}
    assert set(order.TRANSITIONS) == set(OrderStatus) - over
    assert all(events.OrderFilled in row for row in order.TRANSITIONS.values())


def test_every_command_is_decided() -> None:
    """Every verb's command is one that dispatch knows."""
    lists = {commands.SubmitReports, commands.ReportPositions}
    timed = {commands.ReportMarks, controls.CheckRisk}
    statements = set(dispatch._STATEMENTS) | lists | timed | {commands.ListLive}
    clients = {kind for kind in codec.COMMANDS.values() if issubclass(kind, ClientCommand)}
    assert set(codec.COMMANDS.values()) == statements | clients
    found = {kind for module in (commands, controls, desk) for kind in structs(module)}
    bases = {commands.Placed, controls.ScopedCommand}
    assert {kind for kind in found if issubclass(kind, Command)} - bases == set(codec.COMMANDS.values())


def test_every_code_has_a_meaning() -> None:
    """The page of codes is made from the enum: each has a sentence of its own, and its value is its name."""
    page = "\n".join(f"| `{code}` | {code.meaning} |" for code in Code)
    assert page.count("\n") + 1 == len(Code)
    assert all(code.value == code.name == str(code) for code in Code)
    assert all(code.meaning.endswith(".") and len(code.meaning) > 20 for code in Code)
    assert len({code.meaning for code in Code}) == len(Code)
    assert msgspec.json.decode(msgspec.json.encode(Code.TICK_SIZE), type=Code) is Code.TICK_SIZE


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_event_round_trip(kind: Any) -> None:
    """An event with every field set is the same after a round trip, and decimals are strings on disk."""
    event = sample(kind)
    raw = msgspec.json.encode(event)
    assert msgspec.json.decode(raw, type=events.Event) == event
    assert b'"1.50"' in raw or "Decimal" not in str([f.type for f in msgspec.structs.fields(kind)])


def sample(kind: Any) -> Any:
    """An instance with every field set to something that is not its default."""
    return msgspec.convert(
        {f.encode_name: _sample(f.type) for f in msgspec.structs.fields(kind)} | _tag(kind), kind
    )


def _tag(kind: Any) -> dict[str, Any]:
    config = kind.__struct_config__
    return {config.tag_field: config.tag}


def _sample(kind: Any) -> Any:
    info = msgspec.inspect.type_info(kind)
    return _of(info)


def _of(info: msgspec.inspect.Type) -> Any:
    if isinstance(info, msgspec.inspect.UnionType):
        return _of(next(one for one in info.types if not isinstance(one, msgspec.inspect.NoneType)))
    if isinstance(info, msgspec.inspect.EnumType):
        return list(info.cls)[-1].value
    if isinstance(info, msgspec.inspect.DictType):
        return {"key": _of(info.value_type)}
    if isinstance(info, msgspec.inspect.DecimalType):
        return "1.50"
    if isinstance(info, msgspec.inspect.BoolType):
        return True
    if isinstance(info, msgspec.inspect.IntType):
        return 7
    if isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return [_of(info.item_type)]
    if isinstance(info, msgspec.inspect.TupleType):
        return [_of(each) for each in info.item_types]
    if isinstance(info, msgspec.inspect.StructType):
        return {field.encode_name: _of(field.type) for field in info.fields}
    assert isinstance(info, msgspec.inspect.StrType), info
    return "text" if info.pattern is None else "order"


@pytest.mark.parametrize("order_id", ["abcdef0000000001", "0123456789012345"])
@pytest.mark.parametrize("revision", [0, 1, 12, 999])
def test_client_id_at_the_venue_round_trip(order_id: str, revision: int) -> None:
    """The client order id at the venue tells order and revision, in at most 32 letters and digits."""
    client_id = instructions.venue_client_id(order_id, revision)
    assert instructions.parse_venue_client_id(client_id) == (order_id, revision)
    assert len(client_id) <= 32
    assert client_id.isalnum()


@pytest.mark.parametrize(
    "client_id", ["web_1", "R", "R1", "x-abcR5", "R" * 17 + "1", "abcdef0000000001R01", "", "электронR1"]
)
def test_foreign_client_id_is_left_alone(client_id: str) -> None:
    """An id that is not of our making comes back whole."""
    assert instructions.parse_venue_client_id(client_id) == (client_id, 0)


def test_subject_round_trip() -> None:
    """A subject's parts make the subject again."""
    subject = "place.binance.sub_arb.spot.BTC-USDT"
    assert str(parse_subject(subject)) == subject
