"""Orders: the work of one session. Serial for each order, concurrent across them, each request sent once.

Instructions come in by :meth:`Orders.instruct`, events of the private stream by :meth:`Orders.heard`; everything goes out
through ``report``. A request whose outcome is unknown makes the order in doubt and is looked up, never repeated.

A cancel takes back what has not left. Once it is taken in, nothing begins that would put its order at the venue: what waits
in the queue is taken out of it, what waits further on is a :class:`~oms.venues.departure.Departure`, and an amend that has
canceled asks for the cancel in the same step in which it would place the rest.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final

import attrs
import msgspec

from oms.messages import reports as r
from oms.messages.enums import OrderStatus
from oms.messages.instructions import Amend, Cancel, LookUp, Submit, venue_client_id
from oms.tasks import end
from oms.venues.adapter import Account, AmendRefused, State, VenueOrder, VenueTrade
from oms.venues.departure import Departure, Withdrawn
from oms.venues.errors import HARMLESS, Kind, VenueError
from oms.venues.lookup import NS, LookUps, Question
from oms.venues.patience import patiently
from oms.venues.settings import Settings
from oms.venues.translate import (
    VenueIds,
    accepted,
    answered,
    ended,
    filled,
    found,
    is_ours,
    name_of,
    restated,
)

log = logging.getLogger(__name__)

Instruction = Submit | Cancel | Amend | LookUp
"""Those about an order."""
THROTTLED_CANCELS: Final = 4
MAX_TRACKED: Final = 200_000
"""Orders that a session remembers; the longest untouched and idle go first."""


@attrs.define(eq=False)
class Tracked:
    """What the session knows of one order.

    Args:
        submitted: an instruction to submit it was taken; there is never a second one.
        tombstone: it was reported absent unsent, or is to be canceled; an instruction to submit it comes too late.
        departure: of the last request that would put it at the venue, or of the wait for its turn.
        taken_over: it was live when the session took the account over; it is only ever looked up.
        since: UTC ns; the order is not older.
        begun: how often work on it has begun.
        sent_at: UTC seconds at which the last request about it may have left.
        totals: revision → total quantity of the order then.
        revision: the latest known to stand at the venue; a cancel decided before it is meant for it too.
        replacing: client id of the venue order whose cancellation is half of an amend, not the end of the order.
        withheld: that cancellation, as the stream told it.
        terms: (quantity, price) as last told to the engine or by it, where the venue amends in place.
        amending: an amend in place is asked for, and other terms than those before have not been seen since.
        refused: the stream told that the last amend in place was not done.
    """

    order_id: str
    since: int
    inbox: deque[Instruction] = attrs.field(factory=deque)
    task: asyncio.Task[None] | None = None
    begun: int = 0
    departure: Departure | None = None
    looking_up: bool = False
    submitted: bool = False
    tombstone: bool = False
    taken_over: bool = False
    heard: bool = False
    sent_at: float = 0.0
    totals: dict[int, Decimal] = attrs.field(factory=dict)
    client_ids: list[str] = attrs.field(factory=list)
    revision: int = 0
    replacing: str = ""
    withheld: VenueOrder | None = None
    terms: tuple[Decimal, Decimal | None] | None = None
    amending: bool = False
    refused: bool = False

    def departing(self, waits: bool = False) -> Departure:
        """One to enter, which a cancel takes back."""
        self.departure = Departure(waits)
        return self.departure

    @property
    def unwanted(self) -> bool:
        """Whether a cancel waits."""
        return any(isinstance(each, Cancel) for each in self.inbox)


@attrs.frozen
class Doubt:
    """What has to be found out about a request, after a pause in seconds."""

    question: Question
    pause: float


class Orders:
    """The orders of one session.

    Args:
        report: takes reports in order; never waits.
        fail: called with a reason when the session cannot go on.
        in_place: whether the venue amends in place.
    """

    def __init__(
        self,
        account: Account,
        settings: Settings,
        report: Callable[[list[r.Report]], None],
        fail: Callable[[str], None],
        in_place: bool = False,
    ) -> None:
        self._account = account
        self._settings = settings
        self._report = report
        self._fail = fail
        self._in_place = in_place
        self.venue_ids = VenueIds()
        self.look_ups = LookUps(account, settings, self.found_out, self.venue_ids, in_place)
        self._tracked: OrderedDict[str, Tracked] = OrderedDict()
        self._by_client: dict[str, str] = {}
        self._adopted: OrderedDict[str, str] = OrderedDict()
        self._strays: set[asyncio.Task[None]] = set()
        self._meeting: dict[tuple[str, str], list[VenueTrade]] = {}
        self._slots = asyncio.Semaphore(settings.concurrent)
        self._cancel_slots = asyncio.Semaphore(settings.concurrent)
        self._opened_at = time.time()
        self.ready_at: int | None = None
        """UTC ns since when the session takes instructions; None before."""

    @property
    def grace_s(self) -> float:
        """How long after it was sent a request may still take effect."""
        return self._account.accept_window_s + self._settings.grace_margin_s

    async def close(self) -> None:
        """Stop working. What is in flight stays in doubt for the next session."""
        await end(tracked.task for tracked in self._tracked.values() if tracked.task is not None)
        await end(self._strays)
        await self.look_ups.close()

    def busy(self, order_id: str) -> bool:
        """Whether something is being done about the order: what is seen of it now may be old in a moment."""
        tracked = self._tracked.get(order_id)
        return tracked is not None and (tracked.task is not None or tracked.looking_up)

    def begun(self, order_id: str) -> int:
        """How often work on the order has begun: of one that is not busy, the same number later means that nothing was done."""
        tracked = self._tracked.get(order_id)
        return 0 if tracked is None else tracked.begun

    # -- instructions in

    def instruct(self, instruction: Instruction) -> None:
        """Take an instruction of this session's. Before the session is ready only look-ups are taken."""
        if self.ready_at is None and not isinstance(instruction, LookUp):
            log.warning("not ready: ignored %s", instruction)
            return
        tracked = self._track(instruction.order_id)
        self._name(tracked, instruction.client_id)
        if isinstance(instruction, Submit):
            if tracked.submitted or tracked.tombstone or tracked.taken_over:
                log.error(
                    "refused to submit %s: it was taken before, told absent, or canceled",
                    instruction.order_id,
                )
                return
            tracked.submitted = True
        elif isinstance(instruction, Amend):
            self._name(tracked, instruction.new_client_id)
        elif isinstance(instruction, LookUp):
            if not self._wants_look_up(tracked, instruction):
                return
        elif self._take_back(tracked):
            return
        tracked.inbox.append(instruction)
        if tracked.task is None:
            tracked.begun += 1
            tracked.task = asyncio.create_task(self._work(tracked), name=f"order {tracked.order_id}")

    def _take_back(self, tracked: Tracked) -> bool:
        """Send nothing any more that has not left. Return whether that leaves nothing to cancel."""
        tracked.tombstone = True
        if tracked.departure is not None:
            # Whoever waits reports it; whoever waits for a turn looks again at what there is to do.
            tracked.departure.withdraw()
        waiting = [each for each in tracked.inbox if isinstance(each, Submit | Amend)]
        for each in waiting:
            tracked.inbox.remove(each)
            self._report([_unsent(each)])
        return any(isinstance(each, Submit) for each in waiting)

    def _gone(self, tracked: Tracked) -> None:
        """The order is told to have ended: what waits to cancel it has nothing to do."""
        for each in [each for each in tracked.inbox if isinstance(each, Cancel)]:
            tracked.inbox.remove(each)

    def take_over(self, look_up: LookUp) -> None:
        """Learn of an order that was live when the session took over."""
        tracked = self._track(look_up.order_id)
        tracked.taken_over = True
        self._learn(tracked, look_up)

    def settle(self, look_up: LookUp) -> None:
        """What was asked of an order that was taken over is answered: no look-up has to follow."""
        self._replaced(self._track(look_up.order_id))

    def _learn(self, tracked: Tracked, look_up: LookUp) -> None:
        self._name(tracked, look_up.client_id)
        tracked.since = look_up.since
        tracked.totals[look_up.revision] = look_up.quantity
        tracked.terms = (look_up.quantity, look_up.price)
        if self._in_place:
            return
        if look_up.pending_client_id is not None and look_up.pending_quantity is not None:
            self._name(tracked, look_up.pending_client_id)
            tracked.totals[look_up.pending_revision or 0] = look_up.pending_quantity
            tracked.replacing = look_up.client_id

    def _wants_look_up(self, tracked: Tracked, look_up: LookUp) -> bool:
        """Whether the venue has to be asked: not when it was never told, nor twice at once."""
        if any(isinstance(each, Submit) for each in tracked.inbox):
            tracked.inbox.clear()
            self._never_sent(tracked)
            return False
        if tracked.looking_up or any(isinstance(each, LookUp) for each in tracked.inbox):
            return False
        if (
            tracked.submitted
            or tracked.taken_over
            or tracked.heard
            or look_up.status is not OrderStatus.PENDING_NEW
        ):
            return True
        # Its instruction was lost, or is late: from now on it must not be obeyed.
        tracked.tombstone = True
        skew = int(self._settings.clock_skew_s * NS)
        if self.ready_at is not None and look_up.since > self.ready_at + skew:
            self._never_sent(tracked)
            return False
        return True

    def _never_sent(self, tracked: Tracked) -> None:
        tracked.tombstone = True
        self._report([r.Absent(order_id=tracked.order_id, reason="never sent")])

    def _track(self, order_id: str) -> Tracked:
        tracked = self._tracked.get(order_id)
        if tracked is None:
            tracked = self._tracked[order_id] = Tracked(order_id, int(self._opened_at * NS))
            self._forget()
        else:
            self._tracked.move_to_end(order_id)
        return tracked

    def _forget(self) -> None:
        for _ in range(len(self._tracked) - MAX_TRACKED):
            order_id, tracked = next(iter(self._tracked.items()))
            if tracked.task is not None:
                self._tracked.move_to_end(order_id)
                continue
            del self._tracked[order_id]
            for client_id in tracked.client_ids:
                self._by_client.pop(client_id, None)

    def _name(self, tracked: Tracked, client_id: str) -> None:
        if client_id not in self._by_client:
            self._by_client[client_id] = tracked.order_id
            tracked.client_ids.append(client_id)

    # -- work, one order at a time

    async def _work(self, tracked: Tracked) -> None:
        try:
            while tracked.inbox:
                first = tracked.inbox[0]
                if isinstance(first, LookUp):
                    tracked.inbox.popleft()
                    await self._look_up(tracked, first)
                    continue
                doubt = None
                slots = self._cancel_slots if isinstance(first, Cancel) else self._slots
                try:
                    with tracked.departing(waits=True):
                        await slots.acquire()
                except Withdrawn:
                    continue
                try:
                    # A look-up may have withdrawn what waited.
                    if tracked.inbox:
                        doubt = await self._do(tracked, tracked.inbox.popleft())
                finally:
                    slots.release()
                # Outside the slot: finding out takes as long as the venue's grace, and must not hold up other orders.
                if doubt is not None:
                    await self._find_out(tracked, doubt)
        except VenueError as error:
            self._fail(f"{error.kind}: {error.reason}")
        except Exception as error:
            log.exception("working on %s failed", tracked.order_id)
            self._fail(f"working on {tracked.order_id} failed: {error!r}")
        finally:
            tracked.task = None

    async def _do(self, tracked: Tracked, instruction: Instruction) -> Doubt | None:
        """Send what is asked; return what has to be found out when the outcome is unknown."""
        if isinstance(instruction, Submit):
            return await self._submit(tracked, instruction)
        if isinstance(instruction, Cancel):
            return await self._cancel(tracked, instruction)
        assert isinstance(instruction, Amend), instruction
        return await self._amend(tracked, instruction)

    async def _submit(self, tracked: Tracked, submit: Submit) -> Doubt | None:
        order_id = submit.order_id
        tracked.totals[0] = submit.quantity
        tracked.terms = (submit.quantity, submit.price)
        tracked.since = submit.deadline - int(self._settings.send_within_s * 2 * NS)
        try:
            with tracked.departing():
                order = await self._account.submit(submit)
        except Withdrawn:
            self._report([_unsent(submit)])
            self._gone(tracked)
            return None
        except VenueError as error:
            if error.kind in HARMLESS:
                self._report(
                    [r.Rejected(order_id=order_id, reason=_refusal(error), venue_time=time.time_ns())]
                )
                self._gone(tracked)
                self._fail_on_auth(error)
                return None
            tracked.sent_at = time.time()
            question = Question(
                order_id=order_id,
                symbol=submit.symbol,
                asked=OrderStatus.PENDING_NEW,
                client_id=submit.client_id,
                revision=0,
                quantity=submit.quantity,
                cumulative=Decimal(0),
                since=tracked.since,
                settled_at=tracked.sent_at + self.grace_s,
            )
            return self._doubt(question, f"submit: {error.reason}")
        tracked.sent_at = time.time()
        self.venue_ids.see(order)
        self._report(list(answered(order_id, 0, Decimal(0), order)))
        return None

    async def _cancel(self, tracked: Tracked, cancel: Cancel) -> Doubt | None:
        order_id = cancel.order_id
        if tracked.revision > cancel.revision:
            client_id = venue_client_id(order_id, tracked.revision)
            cancel = msgspec.structs.replace(cancel, client_id=client_id, revision=tracked.revision)
        try:
            order = await self._cancel_patiently(cancel)
        except VenueError as error:
            now = time.time_ns()
            if error.kind in HARMLESS:
                self._report([r.CancelRejected(order_id=order_id, reason=_refusal(error), venue_time=now)])
                self._fail_on_auth(error)
                return None
            tracked.sent_at = time.time()
            question = self._question(tracked, cancel, cancel.revision, OrderStatus.PENDING_CANCEL)
            # The engine repeats a cancel that did nothing: not faster than this.
            pause = self._settings.confirm_s if error.kind is Kind.UNKNOWN else 0.0
            return self._doubt(question, f"cancel: {error.reason}", pause)
        if order is not None:
            before = self._before(tracked, cancel.revision, order)
            self._report(list(ended(order_id, cancel.revision, before, order, "canceled")))
        return None

    async def _cancel_patiently(self, cancel: Cancel) -> VenueOrder | None:
        """A cancel that is throttled did nothing, and is wanted all the same: the limiter says when it may go again."""
        for _ in range(THROTTLED_CANCELS):
            try:
                return await self._account.cancel(cancel.symbol, cancel.client_id)
            except VenueError as error:
                if error.kind is not Kind.THROTTLED:
                    raise
                log.warning("the cancel of %s is throttled (%s): asking again", cancel.client_id, error)
        return await self._account.cancel(cancel.symbol, cancel.client_id)

    async def _amend(self, tracked: Tracked, amend: Amend) -> Doubt | None:
        """Cancel, then place what the cancel's answer says is left: no fill can take it beyond the new total."""
        if self._in_place:
            return await self._amend_in_place(tracked, amend)
        order_id, before_revision = amend.order_id, name_of(amend.client_id)[1]
        tracked.totals[before_revision] = amend.quantity_before
        tracked.replacing = amend.client_id
        doubt: Doubt | None = None
        try:
            try:
                with tracked.departing(waits=True):
                    await self._account.reserve_amend(amend.deadline)
                if time.time_ns() > amend.deadline:
                    raise VenueError(Kind.NOT_SENT, "the deadline has passed")
                old = await self._account.cancel_for_amend(amend.symbol, amend.client_id)
            except Withdrawn:
                self._report([_unsent(amend)])
            except VenueError as error:
                now = time.time_ns()
                if error.kind in HARMLESS:
                    self._report([r.AmendRejected(order_id=order_id, reason=_refusal(error), venue_time=now)])
                    self._fail_on_auth(error)
                    return None
                tracked.sent_at = time.time()
                question = self._question(tracked, amend, before_revision, OrderStatus.PENDING_REPLACE)
                doubt = self._doubt(question, f"amend, canceling: {error.reason}")
            else:
                doubt = await self._place_rest(tracked, amend, old)
            return doubt
        finally:
            # In doubt, the amend is over only when that is found out.
            if doubt is None:
                self._replaced(tracked)

    async def _amend_in_place(self, tracked: Tracked, amend: Amend) -> Doubt | None:
        order_id, revision = amend.order_id, amend.revision
        tracked.amending, tracked.refused = True, False
        try:
            with tracked.departing():
                order = await self._account.amend(amend)
        except Withdrawn:
            tracked.amending = False
            self._report([_unsent(amend)])
            return None
        except VenueError as error:
            if error.kind in HARMLESS:
                tracked.amending = False
                now = time.time_ns()
                refused = r.AmendRejected(
                    order_id=order_id, reason=_refusal(error), venue_time=now, revision=revision
                )
                self._report([refused])
                self._fail_on_auth(error)
                return None
            tracked.sent_at = time.time()
            quantity, price = tracked.terms or (amend.quantity_before, None)
            question = attrs.evolve(
                self._question(tracked, amend, revision, OrderStatus.PENDING_REPLACE),
                quantity=quantity,
                price=price,
                pending_client_id=amend.client_id,
                pending_revision=revision,
                pending_quantity=amend.quantity,
                pending_price=amend.price,
            )
            return self._doubt(question, f"amend: {error.reason}")
        tracked.sent_at = time.time()
        if order is not None:
            self.heard(order)
        return None

    async def _place_rest(self, tracked: Tracked, amend: Amend, old: VenueOrder) -> Doubt | None:
        order_id, before_revision = amend.order_id, name_of(amend.client_id)[1]
        before = amend.quantity_before - old.quantity
        executed = before + old.cumulative
        left = amend.quantity - executed
        if left <= 0:
            self._not_replaced(tracked, amend, before, old, "amend: nothing is left to place")
            return None
        if tracked.unwanted:
            self._not_replaced(tracked, amend, before, old, f"amend: {r.UNSENT}")
            return None
        tracked.totals[amend.revision] = amend.quantity
        try:
            with tracked.departing():
                new = await self._account.submit_for_amend(amend, left)
        except Withdrawn:
            self._not_replaced(tracked, amend, before, old, f"amend: {r.UNSENT}")
            return None
        except VenueError as error:
            if error.kind in HARMLESS:
                self._not_replaced(tracked, amend, before, old, f"amend: {_refusal(error)}")
                self._fail_on_auth(error)
                return None
            tracked.sent_at = time.time()
            question = attrs.evolve(
                self._question(tracked, amend, before_revision, OrderStatus.PENDING_REPLACE),
                pending_client_id=amend.new_client_id,
                pending_revision=amend.revision,
                pending_quantity=amend.quantity,
            )
            return self._doubt(question, f"amend, placing: {error.reason}")
        self.venue_ids.see(new)
        if new.state is State.REJECTED:
            self._not_replaced(tracked, amend, before, old, f"amend: {new.reason}")
            return None
        amended = r.Amended(
            order_id=order_id,
            venue_order_id=new.venue_order_id,
            venue_time=new.time,
            revision=amend.revision,
        )
        tracked.revision = amend.revision
        # The answer to the new order, with the amend in the place of the acknowledgement.
        self._report([amended, *list(answered(order_id, amend.revision, executed, new))[1:]])
        tracked.withheld = None
        return None

    def _not_replaced(
        self, tracked: Tracked, amend: Amend, before: Decimal, old: VenueOrder, reason: str
    ) -> None:
        """Report an order that was canceled for an amend which made no other in its place."""
        failed = r.AmendRejected(
            order_id=amend.order_id, reason=reason, venue_time=old.time, revision=amend.revision
        )
        end = list(ended(amend.order_id, name_of(amend.client_id)[1], before, old, reason))
        self._report([failed, *end])
        if end:
            self._gone(tracked)

    def _replaced(self, tracked: Tracked) -> None:
        """The amend is over: a cancellation withheld for it is told after all, which changes nothing after an amend."""
        withheld, tracked.withheld, tracked.replacing = tracked.withheld, None, ""
        if withheld is not None:
            self.heard(withheld)

    def found_out(self, reports: list[r.Report]) -> None:
        """Report what looking up came to."""
        for report in reports:
            if isinstance(report, r.Amended):
                self._track(report.order_id).revision = report.revision
            elif isinstance(report, r.Restated):
                tracked = self._track(report.order_id)
                tracked.terms, tracked.amending = (report.quantity, report.price), False
            elif isinstance(report, r.AmendRejected):
                self._track(report.order_id).amending = False
        self._report(reports)

    async def _look_up(self, tracked: Tracked, look_up: LookUp) -> None:
        self._learn(tracked, look_up)
        tracked.looking_up = True
        sent_at = tracked.sent_at
        if not sent_at:
            # Not ours: whoever sent it did so before its deadline.
            sent_at = look_up.since / NS + self._settings.send_within_s
            if look_up.status is not OrderStatus.PENDING_NEW and tracked.taken_over:
                sent_at = self._opened_at + self._settings.send_within_s
        try:
            await self.look_ups.resolve(Question.of(look_up, sent_at + self.grace_s))
        finally:
            tracked.looking_up = False
            if look_up.pending_client_id is not None:
                self._replaced(tracked)

    def _doubt(self, question: Question, reason: str, pause: float = 0.0) -> Doubt:
        log.warning("%s is in doubt: %s", question.client_id, reason)
        self._report([r.InDoubt(order_id=question.order_id, reason=reason)])
        return Doubt(question, pause)

    async def _find_out(self, tracked: Tracked, doubt: Doubt) -> None:
        tracked.looking_up = True
        try:
            await asyncio.sleep(doubt.pause)
            await self.look_ups.resolve(doubt.question, lambda: tracked.refused)
        finally:
            tracked.looking_up = False
            if doubt.question.asked is OrderStatus.PENDING_REPLACE:
                self._replaced(tracked)

    def _question(
        self, tracked: Tracked, instruction: Cancel | Amend, revision: int, asked: OrderStatus
    ) -> Question:
        return Question(
            order_id=instruction.order_id,
            symbol=instruction.symbol,
            asked=asked,
            client_id=instruction.client_id,
            revision=revision,
            quantity=tracked.totals.get(revision),
            cumulative=Decimal(0),
            since=tracked.since,
            settled_at=tracked.sent_at + self.grace_s,
        )

    def _fail_on_auth(self, error: VenueError) -> None:
        if error.kind is Kind.AUTH_FATAL:
            self._fail(f"{error.kind}: {error.reason}")

    # -- the private stream

    def heard(self, order: VenueOrder) -> None:
        """Report a change that the stream told."""
        self.venue_ids.see(order)
        client_id = order.client_id
        known = self._by_client.get(client_id)
        order_id, revision = name_of(client_id)
        if known is not None:
            order_id = known
        tracked = self._tracked.get(order_id)
        if tracked is not None:
            tracked.heard = True
            if tracked.replacing == client_id and order.state is State.CANCELED:
                tracked.withheld = order
                return
        told: list[r.Report] = []
        if known is None and not is_ours(client_id):
            if order.state is State.WORKING and order.quantity > 0 and self._adopt(order):
                told.append(found(order))
        elif revision or (order.state is State.WORKING and not order.trades):
            # A trade may overtake the acknowledgement of the amend that made this venue order.
            told.append(accepted(order_id, revision, order))
        told += [filled(order_id, trade) for trade in order.trades]
        if self._in_place and order.state is not State.REJECTED:
            told += self._terms(tracked, order_id, revision, order)
            if order.state is State.FILLED and tracked is not None and tracked.amending:
                # Filled by the old terms or the new, there is nothing left to amend.
                tracked.amending = False
                told.append(r.Finished(order_id=order_id, cumulative=order.cumulative, venue_time=order.time))
        told += ended(order_id, revision, self._before(tracked, revision, order), order)
        self._report(told)

    def _terms(
        self, tracked: Tracked | None, order_id: str, revision: int, order: VenueOrder
    ) -> list[r.Report]:
        """The order's terms, unless they were told before. Which are the newer, the engine tells by the venue's time."""
        terms = (order.quantity, order.price)
        if not order.quantity or (tracked is not None and tracked.terms == terms):
            return []
        if tracked is not None:
            tracked.terms, tracked.amending = terms, False
        return [restated(order_id, revision, order)]

    def heard_refusal(self, refused: AmendRefused) -> None:
        """Report an amend in place that was taken, and not done. One of somebody else's is not ours to answer."""
        order_id = self._by_client.get(refused.client_id) or name_of(refused.client_id)[0]
        tracked = self._tracked.get(order_id)
        if tracked is None or not tracked.amending:
            return
        tracked.amending, tracked.refused = False, True
        self._report([r.AmendRejected(order_id=order_id, reason=refused.reason, venue_time=refused.time)])

    def heard_trade(self, trade: VenueTrade) -> None:
        """Report a trade that the stream told apart from its order."""
        client_id = self.venue_ids.client_id(trade)
        if client_id is not None and (client_id in self._by_client or is_ours(client_id)):
            self._report([filled(self._by_client.get(client_id) or name_of(client_id)[0], trade)])
        elif client_id is not None and client_id in self._adopted:
            self._report([filled(client_id, trade)])
        else:
            # The order is from elsewhere and has not been seen yet: without it the trade would be nobody's.
            of = (trade.symbol, trade.venue_order_id)
            if of in self._meeting:
                self._meeting[of].append(trade)
                return
            self._meeting[of] = [trade]
            stray = asyncio.create_task(self._meet(trade))
            self._strays.add(stray)
            stray.add_done_callback(self._met)

    def _met(self, stray: asyncio.Task[None]) -> None:
        self._strays.discard(stray)
        if not stray.cancelled() and (error := stray.exception()) is not None:
            # The next session asks for the trade again.
            log.error("a trade could not be told", exc_info=error)
            self._fail(f"a trade could not be told: {error!r}")

    async def _meet(self, trade: VenueTrade) -> None:
        """See the order of trades that nobody knows, once for all that come meanwhile, and tell it before them."""
        of = (trade.symbol, trade.venue_order_id)
        try:
            told = await self._order_of(trade)
        finally:
            trades = self._meeting.pop(of)
        if told is None:
            self._report([filled(each.client_id or each.venue_order_id, each) for each in trades])
            return
        order, order_id = told
        self._report([filled(order_id, each) for each in trades])
        self.heard(attrs.evolve(order, trades=()))

    async def _order_of(self, trade: VenueTrade) -> tuple[VenueOrder, str] | None:
        """The order of a trade, told if it is from elsewhere, and our id of it; None when it cannot be seen."""
        try:
            order = await patiently(
                partial(self._account.order_by_venue_id, trade.symbol, trade.venue_order_id)
            )
        except VenueError as error:
            log.warning("the order of trade %s cannot be seen (%s)", trade.trade_id, error)
            return None
        self.venue_ids.see(order)
        if not is_ours(order.client_id) and order.client_id not in self._by_client and self._adopt(order):
            self._report([found(order)])
        return order, self._by_client.get(order.client_id) or name_of(order.client_id)[0]

    def _adopt(self, order: VenueOrder) -> bool:
        """Note an order from elsewhere; whether it is new to this session. Client ids may be used again there."""
        if self._adopted.get(order.client_id) == order.venue_order_id:
            return False
        self._adopted[order.client_id] = order.venue_order_id
        if len(self._adopted) > MAX_TRACKED:
            self._adopted.popitem(last=False)
        return True

    @staticmethod
    def _before(tracked: Tracked | None, revision: int, order: VenueOrder) -> Decimal | None:
        """What earlier revisions filled: the order's total then, less what this venue order was placed for."""
        if revision == 0:
            return Decimal(0)
        total = None if tracked is None else tracked.totals.get(revision)
        return None if total is None else total - order.quantity

    async def order_id_of_trade(self, symbol: str, venue_order_id: str, client_id: str | None) -> str:
        """Whose trade it is; the venue is asked when no order seen lately has that id."""
        if client_id is None:
            try:
                order = await patiently(partial(self._account.order_by_venue_id, symbol, venue_order_id))
            except VenueError as error:
                if error.kind is not Kind.NOT_FOUND:
                    raise
                # Orders are forgotten before trades are: the trade is a fact nevertheless.
                return venue_order_id
            self.venue_ids.see(order)
            client_id = order.client_id
        return self._by_client.get(client_id) or name_of(client_id)[0]


def _unsent(instruction: Submit | Amend) -> r.Report:
    """What is told of one that was taken back."""
    order_id, now = instruction.order_id, time.time_ns()
    if isinstance(instruction, Submit):
        return r.Canceled(order_id=order_id, reason=r.UNSENT, venue_time=now, cumulative=Decimal(0))
    return r.AmendRejected(order_id=order_id, reason=r.UNSENT, venue_time=now, revision=instruction.revision)


def _refusal(error: VenueError) -> str:
    if error.kind is Kind.NOT_SENT:
        return f"not sent: {error.reason}"
    if error.kind is Kind.THROTTLED:
        return f"not sent: throttled ({error.reason})"
    return error.reason
