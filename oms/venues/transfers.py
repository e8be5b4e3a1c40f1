"""Transfers: funds moved between accounts of ours, by the session of the main one. Each is asked for once, then looked up.

An answer that is lost, or says only that the transfer is taken, is followed by look-ups until the venue shows what became of
it. "No such transfer" is final when nothing that was sent can take effect any more, and is never so for one that was taken.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import attrs

from oms.messages.desk import ReportTransfer, TransferState
from oms.messages.instructions import LookUpTransfer, Transfer
from oms.tasks import end
from oms.venues.adapter import Account, Move, Party, VenueTransfer
from oms.venues.errors import HARMLESS, Kind, VenueError
from oms.venues.lookup import CONFIRMATIONS, NS
from oms.venues.reporter import EngineRefused, SessionOver
from oms.venues.settings import Settings

log = logging.getLogger(__name__)

UNDER_WAY_MAX: Final = 100
REMEMBERED_MAX: Final = 10_000
LOOKED_UP_FOR_S: Final = 600.0
"""After so long without certainty the engine is told so; it asks again when it wants to."""
KEPT_S: Final = 6 * 86_400.0
"""Venues show transfers for seven days at least: an older one that is not shown may have been made."""
REASON_MAX: Final = 256


@attrs.define
class Register:
    """What one process knows of an exchange's transfers, whichever session made them.

    Args:
        venue_ids: account → what the venue calls it.
    """

    venue_ids: Mapping[str, str] = attrs.field(factory=dict)
    _taken: OrderedDict[str, bool] = attrs.field(factory=OrderedDict)

    def first(self, transfer_id: str) -> bool:
        """Whether this is the first that the process hears of it."""
        if transfer_id in self._taken:
            return False
        self._taken[transfer_id] = False
        if len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return True

    def take(self, transfer_id: str) -> None:
        """The venue has it."""
        self._taken[transfer_id] = True

    def taken(self, transfer_id: str) -> bool:
        """Whether the venue has said that it has it."""
        return self._taken.get(transfer_id, False)


class Transfers:
    """The transfers of one session.

    Args:
        own: the session's account, which is the main one.
        session: its token.
        tell: says something to the engine until it has taken it; see :func:`oms.venues.reporter.ask`.
        moved: called when funds have moved: what is there is not what it was.
    """

    def __init__(
        self,
        account: Account,
        own: str,
        session: str,
        register: Register,
        settings: Settings,
        tell: Callable[[str, ReportTransfer], Awaitable[object]],
        moved: Callable[[], None],
    ) -> None:
        self._account = account
        self._own = own
        self._session = session
        self._register = register
        self._settings = settings
        self._say = tell
        self._moved = moved
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop. What is under way stays in doubt: the engine has the next session look it up."""
        await end(self._tasks.values())

    def instruct(self, told: Transfer | LookUpTransfer) -> None:
        """Begin what is told. A transfer heard of before is not made: it may be under way, or was told to be unknown."""
        transfer_id = told.transfer_id
        first = self._register.first(transfer_id)
        if transfer_id in self._tasks:
            log.warning("transfer %s is under way: its outcome is reported", transfer_id)
            return
        if isinstance(told, Transfer) and not first:
            log.error("refused to make transfer %s: it was heard of before", transfer_id)
            return
        if isinstance(told, LookUpTransfer) and len(self._tasks) >= UNDER_WAY_MAX:
            log.error("%d transfers are under way: %s is not looked up now", UNDER_WAY_MAX, transfer_id)
            return
        self._tasks[transfer_id] = asyncio.create_task(self._carry(told), name=f"transfer {transfer_id}")

    async def _carry(self, told: Transfer | LookUpTransfer) -> None:
        transfer_id = told.transfer_id
        try:
            await (self._make(told) if isinstance(told, Transfer) else self._find(told))
        except SessionOver as over:
            # Whether this connector goes on is for the session to learn, which asks all the time.
            log.error("transfer %s: nobody takes what became of it: %s", transfer_id, over)
        except Exception:
            # The engine, left without an answer, has it looked up.
            log.exception("transfer %s failed", transfer_id)
        finally:
            del self._tasks[transfer_id]

    # -- work

    async def _make(self, transfer: Transfer) -> None:
        if len(self._tasks) > UNDER_WAY_MAX:
            why = f"not sent: {UNDER_WAY_MAX} transfers are under way"
            await self._tell(transfer.transfer_id, TransferState.REJECTED, reason=why)
            return
        move = self._move(transfer)
        try:
            answer = await self._account.move(move, transfer.deadline)
        except VenueError as error:
            if error.kind in HARMLESS:
                # A key that may not transfer may still trade: the session goes on.
                reason = error.reason if error.kind is Kind.REJECTED else f"{error.kind}: {error.reason}"
                await self._tell(move.reference, TransferState.REJECTED, reason=reason)
                return
            await self._tell(move.reference, TransferState.UNKNOWN, reason=error.reason)
            await self._look_up(move, time.time() + self._grace_s, True, error.reason)
            return
        self._register.take(move.reference)
        if answer.state is TransferState.PENDING:
            await self._look_up(move, 0.0, True, "the venue has only taken it")
            return
        await self._tell(
            move.reference,
            answer.state,
            answer.venue_transfer_id,
            _why(answer),
            answer.time or time.time_ns(),
        )

    async def _find(self, look_up: LookUpTransfer) -> None:
        # Whoever was told to make it did so before its deadline.
        sent_at = look_up.since / NS + self._settings.send_within_s + self._settings.clock_skew_s
        young = time.time() - look_up.since / NS < KEPT_S
        await self._look_up(self._move(look_up), sent_at + self._grace_s, young, "")

    async def _look_up(self, move: Move, settled_at: float, young: bool, why: str) -> None:
        """Ask until it is certain what became of it, and tell it.

        Args:
            settled_at: UTC seconds; what was sent takes effect before then or never.
            young: whether the venue would show it.
            why: it is looked up.
        """
        absent, pause, waiting = 0, self._settings.look_up_s, False
        give_up = time.monotonic() + LOOKED_UP_FOR_S
        while time.monotonic() < give_up:
            settled = time.time() >= settled_at
            try:
                found = await self._account.find_transfer(move)
            except VenueError as error:
                final = error.kind is Kind.NOT_FOUND and settled and young
                absent = absent + 1 if final and not self._register.taken(move.reference) else 0
                if absent >= CONFIRMATIONS:
                    reason = f"never reached the venue{f' ({why})' if why else ''}"
                    await self._tell(move.reference, TransferState.REJECTED, reason=reason)
                    return
                log.warning("looking up transfer %s: %s", move.reference, error)
                seen = error.reason
            else:
                self._register.take(move.reference)
                if found.state is not TransferState.PENDING:
                    at = found.time or time.time_ns()
                    await self._tell(move.reference, found.state, found.venue_transfer_id, _why(found), at)
                    return
                seen = found.reason
                if not waiting:
                    waiting = True
                    await self._tell(move.reference, found.state, found.venue_transfer_id, seen, found.time)
            await asyncio.sleep(self._settings.confirm_s if absent else pause)
            pause = min(pause * 2, self._settings.look_up_max_s)
        reason = f"not certain after {LOOKED_UP_FOR_S:.0f} s: {seen}"
        await self._tell(move.reference, TransferState.UNKNOWN, reason=reason)

    @property
    def _grace_s(self) -> float:
        return self._account.move_window_s + self._settings.grace_margin_s

    def _move(self, told: Transfer | LookUpTransfer) -> Move:
        def party(account: str, wallet: str) -> Party:
            venue_id = self._register.venue_ids.get(account, "")
            return Party(account=account, venue_id=venue_id, wallet=wallet, main=account == self._own)

        return Move(
            reference=told.transfer_id,
            source=party(told.source, told.source_wallet),
            target=party(told.target, told.target_wallet),
            asset=told.asset,
            amount=told.amount,
        )

    async def _tell(
        self,
        transfer_id: str,
        state: TransferState,
        venue_transfer_id: str = "",
        reason: str = "",
        venue_time: int = 0,
    ) -> None:
        log.info("transfer %s: %s %s", transfer_id, state, reason)
        report = ReportTransfer(
            session=self._session,
            transfer_id=transfer_id,
            state=state,
            venue_transfer_id=venue_transfer_id[:64],
            reason=reason[:REASON_MAX],
            venue_time=venue_time,
        )
        try:
            await self._say("report_transfer", report)
        except EngineRefused as refused:
            log.error("what became of transfer %s was not taken: %s", transfer_id, refused)
        if state is TransferState.DONE:
            self._moved()


def _why(answer: VenueTransfer) -> str:
    return answer.reason if answer.state is TransferState.REJECTED else ""
