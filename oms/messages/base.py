"""What every command and every event is made of: base classes, and the bounded types of their fields."""

from typing import Annotated, Final

import msgspec

CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_-]+\Z")]
Label = Annotated[str, msgspec.Meta(max_length=32)]
Reference = Annotated[str, msgspec.Meta(max_length=64)]
MAX_TEXT: Final = 256
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Person = Annotated[str, msgspec.Meta(max_length=64)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="command",
):
    """Anything that may be asked. What connectors and the engine ask is idempotent by what it says."""


class ClientCommand(Command, frozen=True, kw_only=True):
    """A request that carries its own idempotency key.

    Args:
        command_id: chosen by the sender, unique for each intent; sent again with the same payload it changes nothing.
    """

    command_id: CommandId


class EventBase(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="event"):
    """A fact. See :mod:`oms.messages.events`."""
