"""The ``show_*`` endpoints: a NATS micro service over a history. Several followers share them as one queue group.

A question is answered at once from memory, between two batches of frames. One that asks for ``at_least`` a sequence
waits in a task of its own, so that it holds up nobody; at most :data:`MAX_WAITING` may wait.
"""

import asyncio
import decimal
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
import nats.errors
from nats import micro
from nats.aio.client import Client
from nats.micro.request import Request
from nats.micro.service import Service

from oms import __version__
from oms.aggregates.money import EXACT
from oms.messages import queries as q
from oms.messages.codes import Code, Refused
from oms.messages.replies import ErrorBody
from oms.messages.subjects import Subject, parse_subject
from replay.following.answers import answer
from replay.history import History

log = logging.getLogger(__name__)

SERVICE: Final = "mexoms-follower"
MAX_WAITING: Final = 1_000
PING_TIMEOUT_S: Final = 5.0

Status = Callable[[Subject], Awaitable[q.StatusRow]]

_encode = msgspec.json.Encoder().encode
_DECODE: Final = {verb: msgspec.json.Decoder(kind).decode for verb, kind in q.QUERIES.items()}


def decode_query(verb: str, payload: bytes) -> Any:
    """Decode one question strictly; no payload means no filter.

    Raises:
        Refused: MESSAGE_TOO_LARGE, INVALID_JSON, INVALID_COMMAND.
    """
    if len(payload) > q.MAX_QUERY_BYTES:
        raise Refused(
            Code.MESSAGE_TOO_LARGE, f"a question is at most {q.MAX_QUERY_BYTES:,} bytes, was {len(payload):,}"
        )
    try:
        return _DECODE[verb](payload or b"{}")
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID_COMMAND, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Code.INVALID_JSON, str(error)) from None


class Queries:
    """Serves questions about a history that somebody else moves forward, and tells of it by :meth:`moved`.

    Args:
        history: with projections.
        status: makes the row of ``show_status``; may ask the server.
    """

    def __init__(self, history: History, status: Status) -> None:
        self._history = history
        self._status = status
        self._waiting: dict[asyncio.Task[None], int] = {}
        self._moved = asyncio.Event()

    async def serve(self, nc: Client) -> Service:
        """Open the endpoints; the caller stops the service.

        Raises:
            nats.errors.Error, OSError: the server is not there; nothing is left open.
        """
        service = await micro.add_service(
            nc,
            name=SERVICE,
            version=__version__,
            description="Orders, trades, positions, balances, P&L, limits, accounts and status. See docs/reference.",
        )
        try:
            for verb in q.QUERIES:
                await service.add_endpoint(name=verb, subject=f"{verb}.*.*.*.*", handler=self._on_request)
            # An answer from ourselves means that the server has the endpoints, so that who is told "ready" finds them. A flush
            # does not: nats-py's ping overtakes what is still to be written.
            await nc.request(f"$SRV.PING.{SERVICE}.{service.id}", timeout=PING_TIMEOUT_S)
        except (nats.errors.Error, OSError):
            with suppress(nats.errors.Error, OSError):
                await service.stop()
            raise
        return service

    def moved(self) -> None:
        """The history is further than it was: let those who wait for it look."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def reached(self, sequence: int) -> None:
        """Wait until the history is at a sequence."""
        while self._history.sequence < sequence:
            await self._moved.wait()

    async def close(self) -> None:
        """Tell those who still wait that they waited in vain."""
        for task in list(self._waiting):
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _on_request(self, request: Request) -> None:
        try:
            subject = parse_subject(request.subject)
            query = decode_query(subject.action, request.data)
        except Refused as refused:
            await request.respond(self._failed(refused))
            return
        if query.at_least <= self._history.sequence and not isinstance(query, q.ShowStatus):
            await request.respond(await self._answer(subject, query))
        elif len(self._waiting) >= MAX_WAITING:
            overloaded = Refused(Code.OVERLOADED, f"{MAX_WAITING:,} questions wait for a sequence already")
            await request.respond(self._failed(overloaded))
        else:
            task = asyncio.create_task(self._wait_and_answer(request, subject, query))
            self._waiting[task] = query.at_least
            task.add_done_callback(self._waiting.pop)

    async def _wait_and_answer(self, request: Request, subject: Subject, query: q.Query) -> None:
        try:
            async with asyncio.timeout(query.timeout_ms / 1_000):
                while self._history.sequence < query.at_least:
                    await self._moved.wait()
        except TimeoutError:
            refused = Refused(
                Code.SEQUENCE_TIMEOUT,
                f"not at {query.at_least} after {query.timeout_ms} ms, but at {self._history.sequence}",
            )
            await request.respond(self._failed(refused))
            return
        except asyncio.CancelledError:
            await request.respond(
                self._failed(Refused(Code.NOT_READY, "this follower is stopping; ask again"))
            )
            raise
        await request.respond(await self._answer(subject, query))

    async def _answer(self, subject: Subject, query: Any) -> bytes:
        try:
            if isinstance(query, q.ShowStatus):
                row = msgspec.Raw(_encode(await self._status(subject)))
                return _encode(q.Answer(sequence=self._history.sequence, rows=[row]))
            models = self._history.projections
            assert models is not None, "a history that is asked has projections"
            with decimal.localcontext(EXACT):
                return _encode(answer(models, subject, query, self._history.sequence, time.time_ns()))
        except Refused as refused:
            return self._failed(refused)

    def _failed(self, refused: Refused) -> bytes:
        return _encode(
            q.QueryFailed(error=ErrorBody(refused.code, refused.message), sequence=self._history.sequence)
        )
