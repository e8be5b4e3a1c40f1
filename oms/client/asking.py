"""Asking: one command or question at a time, the same bytes again until there is an answer that says what became of it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client

from oms.client import commands as k
from oms.client.errors import OmsError, OmsRefused, OmsTimeout, OmsUnreachable
from oms.messages import queries as q
from oms.messages.base import ClientCommand
from oms.messages.codes import Code
from oms.messages.enums import OrderStatus
from oms.messages.replies import ErrorBody
from oms.messages.subjects import ANY

ATTEMPT_TIMEOUT_S: Final = 2.0
QUERY_TIMEOUT_S: Final = 4.0
"""Longer than a query may wait for ``at_least``."""
PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 0.5

ASK_AGAIN: Final = frozenset(
    {
        Code.NOT_READY,
        Code.CLOCK_BEHIND,
        Code.OVERLOADED,
        Code.JOURNAL_UNAVAILABLE,
        Code.SEQUENCE_TIMEOUT,
    }
)
"""Answers that say nothing about the command's outcome, or that the next moment may change."""
ROWS: Final = 1_000
"""Rows that a question brings unless it says how many."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command.

    Args:
        ok: it was done and is durable at journal ``sequence``. Else ``error`` has the code and the message.
        order_id, status: of the order it made, changed or denied, as it was then. ``transfer_id``: of the transfer it made.
        count: orders that a ``cancel_all`` asked to cancel. ``left``: those beyond its bound: ask again, with a new id.
        duplicate: the command_id was known: this is the first answer again, and nothing was changed.
    """

    ok: bool
    command_id: str | None = None
    order_id: str = ""
    status: OrderStatus | None = None
    transfer_id: str = ""
    count: int = 0
    left: int = 0
    sequence: int = 0
    duplicate: bool = False
    error: ErrorBody | None = None

    def raise_for_error(self) -> "Result":
        """Return this result when it is ok.

        Raises:
            OmsRefused: it is not.
        """
        if self.error is not None:
            raise OmsRefused(self.error.code, self.error.message, self.order_id)
        return self


_decode_result: Final = msgspec.json.Decoder(Result).decode
_decode_results: Final = msgspec.json.Decoder(list[Result]).decode
_decode_failed: Final = msgspec.json.Decoder(q.QueryFailed).decode


class _Peek(msgspec.Struct):
    ok: bool


_peek: Final = msgspec.json.Decoder(_Peek).decode


class Asking:
    """A connection that asks: what every part of the client sends its commands and questions through."""

    def __init__(self, nc: Client, *, account: str, patience_s: float) -> None:
        self.nc = nc
        self.account = account
        self.patience_s = patience_s
        self.last_sequence = 0

    def _subject(
        self, verb: str, account: str | None, exchange: str = ANY, market: str = ANY, symbol: str = ANY
    ) -> str:
        tokens = (verb, exchange, self.account if account is None else account, market, symbol)
        for token in tokens:
            if not token or any(ch in " .*>\t\r\n" for ch in token):
                raise ValueError(f"a name is one word without '.', '*', '>' or blanks, was {token!r}")
        return ".".join(tokens)

    async def _command(self, subject: str, command: ClientCommand) -> Result:
        payload = k.encode(command)
        answer = await self._request(
            subject, payload, _decode_results_of, ATTEMPT_TIMEOUT_S, (command.command_id,)
        )
        self._saw(answer)
        return answer[0].raise_for_error()

    async def _bulk(self, verb: str, wanted: Sequence[ClientCommand], account: str | None) -> list[Result]:
        subject = self._subject(verb, account)
        found: list[Result] = []
        for bulk in k.bulks(map(k.encode, wanted)):
            ids = tuple(each.command_id for each in wanted[len(found) :])
            answers = await self._request(
                subject, b"[" + b",".join(bulk) + b"]", _decode_results_of, ATTEMPT_TIMEOUT_S, ids
            )
            if len(answers) != len(bulk):
                # One answer for the whole message: nothing in it was looked at.
                answers[0].raise_for_error()
                raise OmsError(f"{len(bulk)} commands got {len(answers)} answers on {subject}")
            self._saw(answers)
            found += answers
        return found

    def _saw(self, results: list[Result]) -> None:
        self.last_sequence = max(self.last_sequence, *(result.sequence for result in results))

    async def _ask(
        self, subject: str, question: q.Query, kind: type[Any], rows: int, at_least: int | None
    ) -> q.Answer[Any]:
        if rows < 1:
            raise ValueError(f"rows must be at least 1, was {rows}")
        decode = msgspec.json.Decoder(kind).decode

        def read(data: bytes) -> Any:
            return decode(data) if _peek(data).ok else _decode_failed(data)

        first: q.Answer[Any] | None = None
        found: list[Any] = []
        after = ""
        while True:
            page = msgspec.structs.replace(
                question,
                limit=min(rows - len(found), q.MAX_ROWS),
                after=after,
                at_least=self.last_sequence if at_least is None else at_least,
            )
            answer = await self._request(subject, k.encode(page), read, QUERY_TIMEOUT_S, ())
            if isinstance(answer, q.QueryFailed):
                raise OmsRefused(answer.error.code, answer.error.message)
            first = first or answer
            found += answer.rows
            after = answer.next
            if not answer.more or len(found) >= rows:
                return msgspec.structs.replace(first, rows=found, more=answer.more, next=after)

    async def _request(
        self,
        subject: str,
        payload: bytes,
        read: Any,
        attempt_timeout_s: float,
        command_ids: tuple[str, ...],
    ) -> Any:
        """Send the same bytes until they are answered with an outcome, with growing pauses."""
        deadline = time.monotonic() + self.patience_s
        pause, why = PAUSE_S, ""
        while True:
            left = deadline - time.monotonic()
            try:
                message = await self.nc.request(
                    subject, payload, timeout=max(min(attempt_timeout_s, left), 0.01)
                )
                answer = read(message.data)
                again = _ask_again(answer)
                if again is None:
                    return answer
                why = f"{again.code}: {again.message}"
            except nats.errors.NoRespondersError:
                why = "nobody serves it now"
            except nats.errors.MaxPayloadError:
                raise OmsRefused(
                    Code.MESSAGE_TOO_LARGE, f"the server takes no message of {len(payload):,} bytes"
                ) from None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise OmsError(f"the answer on {subject} cannot be read: {error}") from None
            except nats.errors.ConnectionClosedError:
                raise OmsUnreachable("this client is closed") from None
            except nats.errors.OutboundBufferLimitError:
                why = "no connection to nats-server"
            except (TimeoutError, nats.errors.Error, OSError) as error:
                why = str(error) or type(error).__name__
            if time.monotonic() + pause >= deadline:
                raise _no_answer(subject, command_ids, self.patience_s, why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)


def _decode_results_of(data: bytes) -> list[Result]:
    return _decode_results(data) if data[:1] == b"[" else [_decode_result(data)]


def _ask_again(answer: Any) -> ErrorBody | None:
    if isinstance(answer, list):
        errors = [result.error for result in answer if result.error is not None]
        return next((error for error in errors if error.code in ASK_AGAIN), None)
    if isinstance(answer, q.QueryFailed) and answer.error.code in ASK_AGAIN:
        return answer.error
    return None


def _no_answer(subject: str, command_ids: tuple[str, ...], patience_s: float, why: str) -> OmsTimeout:
    verb = subject.partition(".")[0]
    head = f"no answer to {verb} for {patience_s:g} s ({why})"
    if not command_ids:
        return OmsTimeout(f"{head}: is the follower running?")
    which = (
        f"command_id {command_ids[0]}"
        if len(command_ids) == 1
        else f"{len(command_ids)} commands, see command_ids"
    )
    return OmsTimeout(
        f"{head}: the outcome is UNKNOWN. Send it again with the same {which}: it is never done twice.",
        command_ids,
    )
