"""Alarm: tells people, and stops trading when the state differs from what was decided.

There is no kill switch in the journal yet: killing asks the engine to cancel every working order of every account. New
orders are still taken after that; whoever hears ``kill`` must stop those who send them.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

from oms.messages.alerts import SUBJECT, Alert
from oms.messages.subjects import ANY

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
ROUNDS_MAX: Final = 100
"""How often an account is asked again because it has more orders than one ``cancel_all`` covers."""

_encode = msgspec.json.Encoder().encode


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    count: int = 0
    left: int = 0
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


async def stop_trading(nc: Client, accounts: Iterable[str]) -> None:
    """Ask the engine to cancel every order of these accounts, at once; what it does not take is logged."""
    await asyncio.gather(*(_cancel_all(nc, account) for account in accounts))


async def _cancel_all(nc: Client, account: str) -> None:
    subject = f"cancel_all.{ANY}.{account}.{ANY}.{ANY}"
    asked = 0
    for _ in range(ROUNDS_MAX):
        command = _encode({"command_id": f"audit-{secrets.token_hex(8)}"})
        try:
            answer = await nc.request(subject, command, timeout=TIMEOUT_S)
            reply = _decode(answer.data)
        except (nats.errors.Error, OSError, TimeoutError, msgspec.DecodeError) as error:
            log.error("account %s: nobody took cancel_all (%r): cancel its orders by hand", account, error)
            return
        if not reply.ok:
            log.error("account %s: cancel_all was refused: %s", account, bytes(reply.error).decode())
            return
        asked += reply.count
        if not reply.left:
            log.error("account %s: %d orders are being cancelled", account, asked)
            return
    log.error("account %s: more orders than %d cancel_all cover", account, ROUNDS_MAX)
