"""The journal's messages. One JetStream message is one frame: the commits of one group commit, atomically durable.

A frame names its own sequence and the digest of the frame before it, so that a missing, doubled, swapped or edited
frame is found by reading.
"""

import hashlib
from typing import TYPE_CHECKING

import msgspec

from oms.messages.events import Event
from oms.messages.upcast import OLD_TAGS, OldEvent, upcast

if TYPE_CHECKING:
    _Stored = Event
else:
    # What may stand on disk; whoever decodes a frame gets today's events.
    _Stored = Event | OldEvent

GENESIS = "0" * 64
"""``prev`` of the first frame."""


class Commit(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """All events that one command caused.

    Args:
        at: UTC nanoseconds when the engine decided; never earlier than the commit before.
        subject: the command's subject, so: verb, exchange, account, market, symbol.
        command: the command as it was received, byte for byte.
        events: what follows from it; at least one.
        command_id: its idempotency key; empty for what needs none (reports, marks, the engine itself).
        fingerprint: hash of what the command means, to tell a repeated id from a reused one.
    """

    at: int
    subject: str
    command: msgspec.Raw
    events: list[_Stored]
    command_id: str = ""
    fingerprint: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One group commit.

    Args:
        sequence: the stream sequence this frame is written for.
        prev: SHA-256, in hex, of the payload of the frame before.
        format: version of this layout.
    """

    sequence: int
    prev: str
    commits: list[Commit]
    format: int = 1


def frame_digest(payload: bytes) -> str:
    """The digest that the next frame carries as ``prev``."""
    return hashlib.sha256(payload).hexdigest()


class _Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """A :class:`Frame` whose commits are encoded already."""

    sequence: int
    prev: str
    commits: list[msgspec.Raw]
    format: int = 1


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a frame says of its place in the chain; see :class:`Frame`."""

    sequence: int
    prev: str


_encode = msgspec.json.Encoder().encode
decode_place = msgspec.json.Decoder(Place).decode
_decode = msgspec.json.Decoder(Frame).decode
_OLD_TAGS = tuple(f'"{tag}"'.encode() for tag in OLD_TAGS)


def decode_frame(payload: bytes) -> Frame:
    """A frame, its events as they are today.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the bytes are not a frame.
    """
    frame = _decode(payload)
    # Looking for the tags' bytes costs less than looking at every event, and almost no frame has one.
    if any(tag in payload for tag in _OLD_TAGS):
        for commit in frame.commits:
            upcast(commit.events)
    return frame


def encode_commit(commit: Commit) -> bytes:
    """A commit as it stands in a frame."""
    return _encode(commit)


def encode_frame(sequence: int, prev: str, commits: list[bytes]) -> bytes:
    """A frame from commits that are encoded already, each once and as soon as it is decided."""
    return _encode(
        _Encoded(sequence=sequence, prev=prev, commits=[msgspec.Raw(commit) for commit in commits])
    )
