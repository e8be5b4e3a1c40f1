"""Alarm: tells people, and stops trading when the state differs from what was decided."""

import asyncio
import logging
import time
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

from oms.messages.alerts import SUBJECT, Alert
from oms.messages.controls import Kill
from oms.messages.scopes import GLOBAL, scope_tokens

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
STOP_WITHIN_S: Final = 30.0
"""How long an engine is waited for that is away: it may be starting, or the server may be."""
RETRY_S: Final = 0.5
BY: Final = "audit"
"""Who throws the kill switch, in the journal."""
KILL_SUBJECT: Final = ".".join(("kill", *scope_tokens(GLOBAL)))

_encode = msgspec.json.Encoder().encode


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    count: int = 0
    duplicate: bool = False
    error: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Reply).decode


async def tell(nc: Client, code: str, sequence: int, message: str, *, kill: bool = False) -> None:
    """Log and publish an alert; without a server it is in the log alone."""
    log.error("%s at sequence %d: %s%s", code, sequence, message, "; stopping trading" if kill else "")
    alert = Alert(code=code, sequence=sequence, message=message, at=time.time_ns(), kill=kill)
    try:
        await nc.publish(SUBJECT, _encode(alert))
        # The process may end right after this.
        await asyncio.wait_for(asyncio.shield(asyncio.create_task(nc.flush())), TIMEOUT_S)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.error("the alert could not be published: %r", error)


async def stop_trading(nc: Client, cause: str, sequence: int, *, within_s: float = STOP_WITHIN_S) -> bool:
    """Throw the global kill switch: it is latched in the journal, everything is cancelled, a person has to release it.

    One difference throws it once. Whoever meets the same one again, after a person has released the switch, changes
    nothing: a person's decision stands.

    Args:
        cause: the fault's code. ``sequence``: of the frame where it was seen.
        within_s: how long it is tried.

    Returns:
        Whether the engine has it. When it has not, that is alerted: somebody must do it by hand.
    """
    # Of cause and sequence alone, so that what is sent again is the same command, whoever sends it.
    command = _encode(
        Kill(
            command_id=f"audit-{cause}-{sequence}",
            scope=str(GLOBAL),
            by=BY,
            cause=cause,
            reason=f"the follower's state differs from what frame {sequence} states",
        )
    )
    until = time.monotonic() + within_s
    while True:
        why = await _throw(nc, command)
        if not why:
            return True
        if time.monotonic() >= until:
            message = f"the global kill switch could not be thrown: {why}. Throw it by hand: oms kill global"
            await tell(nc, "KILL", sequence, message)
            return False
        await asyncio.sleep(RETRY_S)


async def _throw(nc: Client, command: bytes) -> str:
    """Ask the engine; return why it has not done it, empty when it has."""
    try:
        answer = await nc.request(KILL_SUBJECT, command, timeout=TIMEOUT_S)
        reply = _decode(answer.data)
    except (nats.errors.Error, OSError, TimeoutError, msgspec.DecodeError) as error:
        return f"no engine took it ({error!r})"
    if not reply.ok:
        return f"it was refused: {bytes(reply.error).decode()}"
    if reply.duplicate:
        log.error("the global kill switch was thrown for this before; whoever released it has decided that")
    else:
        log.error("the global kill switch is engaged; %d orders are being cancelled", reply.count)
    return ""
