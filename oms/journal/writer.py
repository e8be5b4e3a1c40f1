"""Appending: one frame at a time, fenced by the sequence it must get, known to be durable before it is told.

An append whose outcome is unknown is repeated with the same ``Nats-Msg-Id`` and the same expected sequence. A server
that stored it the first time answers "duplicate" or error 10071; then the frame that stands at that sequence says whose
it is. Ours: it is durable. Another's: there is another writer, and this one stops for good.
"""

import asyncio
import time
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from oms.journal.errors import AppendRefused, AppendUnknown, Fenced
from oms.journal.stream import STREAM, SUBJECT
from oms.messages.frames import encode_frame, frame_digest

ATTEMPT_TIMEOUT_S: Final = 2.0
"""How long one attempt may take before it is repeated."""
_WRONG_LAST_SEQUENCE: Final = 10071
_PAUSE_S: Final = 0.1


class JournalWriter:
    """The one writer of the journal.

    Args:
        sequence, head: of the last frame: where the next one goes and what it follows.
        give_up_s: how long an append is tried before :class:`AppendUnknown`.
    """

    def __init__(self, nc: Client, sequence: int, head: str, give_up_s: float = 30.0) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=ATTEMPT_TIMEOUT_S)
        self._give_up_s = give_up_s
        self.sequence = sequence
        self.head = head

    async def append(self, commits: list[bytes]) -> int:
        """Append one frame of encoded commits and return its sequence, once it is durable.

        Raises:
            Fenced: another writer has taken the sequence.
            AppendRefused: the server did not store it, and said so (stream full, no space).
            AppendUnknown: no answer for ``give_up_s``; it may be durable or become so.
        """
        sequence = self.sequence + 1
        payload = encode_frame(sequence, self.head, commits)
        digest = frame_digest(payload)
        headers = {"Nats-Expected-Last-Sequence": str(self.sequence), "Nats-Msg-Id": digest}
        deadline = time.monotonic() + self._give_up_s
        attempt = 0
        while True:
            attempt += 1
            try:
                ack = await self._js.publish(SUBJECT, payload, timeout=ATTEMPT_TIMEOUT_S, headers=headers)
                if ack.seq != sequence:
                    raise Fenced(f"the frame for sequence {sequence} was stored at {ack.seq}")
                break
            except APIError as error:
                if error.err_code == _WRONG_LAST_SEQUENCE:
                    if await self._stands(sequence, digest, deadline):
                        break
                    raise Fenced(f"sequence {sequence} is taken by another writer") from None
                if attempt == 1 and error.code is not None and error.code != 408:
                    raise AppendRefused(str(error)) from None
                last: Exception = error
            except (TimeoutError, nats.errors.Error, OSError) as error:
                last = error
            if time.monotonic() > deadline:
                raise AppendUnknown(
                    f"no answer to {attempt} attempts at sequence {sequence}: {last!r}"
                ) from None
            await asyncio.sleep(_PAUSE_S)
        self.sequence, self.head = sequence, digest
        return sequence

    async def _stands(self, sequence: int, digest: str, deadline: float) -> bool:
        """Whether the frame at this sequence is ours."""
        while True:
            try:
                found = await self._js.get_msg(STREAM, seq=sequence)
                return frame_digest(found.data or b"") == digest
            except NotFoundError:
                return False
            except (TimeoutError, nats.errors.Error, OSError, APIError) as error:
                if time.monotonic() > deadline:
                    raise AppendUnknown(f"cannot read sequence {sequence} back: {error!r}") from None
                await asyncio.sleep(_PAUSE_S)
