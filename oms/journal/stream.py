"""The stream behind the journal, and the settings without which it would not be the truth."""

from typing import Final

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from oms.journal.errors import JournalBroken, JournalFault

STREAM: Final = "JOURNAL"
PARTITION: Final = "0"
SUBJECT: Final = f"journal.{PARTITION}"
DEDUPE_WINDOW_S: Final = 120.0


def journal_settings(first: int = 1) -> StreamConfig:
    """The stream as it is made; ``first`` is the sequence of its first message."""
    return StreamConfig(
        name=STREAM,
        subjects=[SUBJECT],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=0,
        max_msgs=-1,
        max_bytes=-1,
        duplicate_window=DEDUPE_WINDOW_S,
        deny_delete=True,
        allow_direct=True,
        first_seq=first if first > 1 else None,
    )


async def ensure_journal(js: JetStreamContext) -> tuple[int, int]:
    """Make the stream when it is missing, check its settings when it is there.

    Returns:
        The first and the last sequence kept; (1, 0) when the journal is new.

    Raises:
        JournalBroken: a setting would let the truth be lost.
    """
    wanted = journal_settings()
    try:
        info = await js.stream_info(STREAM)
    except NotFoundError:
        info = await js.add_stream(wanted)
    for name in ("subjects", "retention", "storage", "discard", "deny_delete"):
        _check(name, getattr(info.config, name), getattr(wanted, name))
    for name in ("max_age", "max_msgs"):
        value = getattr(info.config, name)
        _check(name, value if value and value > 0 else 0, 0)
    first, last = info.state.first_seq, info.state.last_seq
    return max(first, 1), last


def _check(name: str, was: object, wanted: object) -> None:
    if was != wanted:
        raise JournalBroken(JournalFault.SETTINGS, 0, f"stream {STREAM} must have {name} {wanted}, was {was}")
