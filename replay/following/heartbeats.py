"""Heartbeats: what every session last said of itself. Not from the journal, and lost with the process."""

import logging
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.messages.heartbeat import Heartbeat
from oms.messages.subjects import ANY

log = logging.getLogger(__name__)

MAX_PLACES: Final = 10_000

_decode = msgspec.json.Decoder(Heartbeat).decode


class Heartbeats:
    """The latest heartbeat by (exchange, account, market)."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, ...], Heartbeat] = {}

    async def listen(self, nc: Client) -> None:
        """Hear them from now on, for as long as the connection lives."""
        await nc.subscribe("heartbeat.*.*.*.*", cb=self._heard)

    async def _heard(self, message: Msg) -> None:
        _, *place, _ = message.subject.split(".")
        if place[0] == ANY:
            # Of a client that is guarded against disconnection: it says nothing but that it lives.
            return
        try:
            heartbeat = _decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("a heartbeat on %s cannot be read: %s", message.subject, error)
            return
        if tuple(place) in self._latest or len(self._latest) < MAX_PLACES:
            self._latest[tuple(place)] = heartbeat

    def of(self, place: tuple[str, str, str], session: str) -> Heartbeat | None:
        """What this session last said; None when it was not heard, or another one was."""
        found = self._latest.get(place)
        return found if found is not None and found.session == session else None
