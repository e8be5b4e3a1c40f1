"""Session: one account on one market, from taking it over until the connection or the engine's trust is lost.

It fences older connectors, subscribes the private stream, holds the engine's belief against the venue by REST, and only
then says that it is ready. What the stream tells meanwhile waits, and is told after what REST told. It never reconnects:
a new session, with a new token, goes through all of it again.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.messages.codec import encode
from oms.messages.codes import Code
from oms.messages.commands import CloseSession, ListLive, OpenSession
from oms.messages.heartbeat import Heartbeat
from oms.messages.instructions import (
    Instructions,
    LookUpTransfer,
    Reconcile,
    SetTerms,
    Submit,
    Transfer,
)
from oms.messages.reports import Report
from oms.tasks import end, until_first
from oms.venues.adapter import (
    Account,
    AmendRefused,
    FundsMoved,
    Market,
    OrderChanged,
    StreamEvent,
    Traded,
)
from oms.venues.errors import Kind, VenueError
from oms.venues.orders import Orders
from oms.venues.reconcile import BEHIND_ALL, Comparison, Reconciler
from oms.venues.reporter import Reporter, SessionOver, ask
from oms.venues.settings import Settings
from oms.venues.terms import set_terms
from oms.venues.transfers import Register, Transfers
from oms.venues.wallet import Wallet

log = logging.getLogger(__name__)

HELD_MAX: Final = 100_000
CLOSE_TIMEOUT_S: Final = 2.0

_read_instructions = msgspec.json.Decoder(Instructions).decode


class SessionLost(Exception):
    """The session is over and another one should be opened; the message says why."""


class Session:
    """One life of an account's connection.

    Args:
        nc: a connection to NATS that outlives the session.
        place: ``exchange.account.market``.
        account: a fresh private connection; the session opens and closes it.
        market: what the account is of.
        wallet: where the funds are that the account trades with on that market.
        limits_left: what may still be sent, by group of requests and window.
        register: of the exchange's transfers.
    """

    def __init__(
        self,
        nc: Client,
        place: str,
        account: Account,
        market: Market,
        wallet: Wallet,
        settings: Settings,
        limits_left: Callable[[], dict[str, dict[str, int]]],
        register: Register,
    ) -> None:
        self.token = secrets.token_hex(8)
        self._nc = nc
        self._place = place
        self._account = account
        self._settings = settings
        self._limits_left = limits_left
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reporter = Reporter(nc, place, self.token, self._fail)
        self.orders = Orders(account, settings, self._reporter.put, self._fail, market.amends_in_place)
        self.reconciler = Reconciler(
            place, self.token, account, market.capabilities, self.orders, self._reporter, wallet, settings
        )
        self.transfers = Transfers(
            account,
            place.split(".")[1],
            self.token,
            register,
            settings,
            self._reporter.tell,
            self._moved,
        )
        self._held: list[OrderChanged | Traded | AmendRefused] | None = []
        self._heard_at = 0
        self._connected = 0
        self._funds_moved = asyncio.Event()
        self._setting_terms = asyncio.Lock()
        self._tasks: list[asyncio.Task[Any]] = []
        self.ready = asyncio.Event()

    def end(self, reason: str) -> None:
        """End the session; another one follows it."""
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    async def run(self) -> None:
        """Serve the account until the session is over.

        Raises:
            SessionLost: open another session.
            SessionOver: with ``replaced``, another connector has the account: do not.
            VenueError: AUTH_FATAL.
        """
        tasks = self._tasks
        reason = "the connector stops"

        def start(work: Coroutine[Any, Any, Any]) -> None:
            tasks.append(asyncio.create_task(work))

        subscription = None
        self._connected = self._nc.stats["reconnects"]
        try:
            subscription = await self._nc.subscribe(f"instruct.{self._place}.*", cb=self._instructed)
            await ask(self._nc, f"open_session.{self._place}._", OpenSession(session=self.token, ready=False))
            start(self._reporter.run())
            start(self._beat())
            start(self._lost())
            start(self._serve())
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise SessionLost("the session's work ended")
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:256]
            raise
        finally:
            self.ready.clear()
            self.reconciler.close()
            self._reporter.close()
            for task in tasks:
                task.cancel()
            await self._close(reason)
            if subscription is not None and not self._nc.is_closed:
                # A connection that goes down at this moment must not keep the account's from being closed.
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()
            await self.orders.close()
            await self.transfers.close()
            await end(tasks)
            await self._account.close()

    async def _close(self, reason: str) -> None:
        command = CloseSession(session=self.token, reason=reason)
        try:
            await self._nc.request(f"close_session.{self._place}._", encode(command), timeout=CLOSE_TIMEOUT_S)
        except (nats.errors.Error, OSError) as error:
            log.warning("%s: the engine was not told that the session is over (%r)", self._place, error)

    async def _beat(self) -> None:
        since_probe = 0.0
        while True:
            if self._nc.stats["reconnects"] != self._connected:
                # What the engine tells is told once; what is to be canceled, the next session hears again.
                raise SessionLost("the connection to NATS broke: what the engine told meanwhile is lost")
            await self._nc.publish(f"heartbeat.{self._place}._", encode(self._health()))
            await asyncio.sleep(self._settings.heartbeat_s)
            since_probe += self._settings.heartbeat_s
            if since_probe >= self._settings.probe_s:
                since_probe = 0.0
                await self._probe()

    def _health(self) -> Heartbeat:
        return Heartbeat(
            session=self.token,
            ready=self.ready.is_set(),
            heard_at=self._heard_at,
            compared_at=self.reconciler.compared_at,
            funds_compared_at=self.reconciler.funds_compared_at,
            waiting=self._reporter.waiting,
            limits_left=self._limits_left(),
        )

    async def _probe(self) -> None:
        """An idle session learns here that the engine closed it or gave the account to another."""
        command = ListLive(session=self.token, after=BEHIND_ALL)
        try:
            answer = await self._nc.request(
                f"list_live.{self._place}._", encode(command), timeout=self._settings.heartbeat_s
            )
        except (nats.errors.Error, OSError):
            return
        page = msgspec.json.decode(answer.data)
        code = (page.get("error") or {}).get("code")
        if code in (Code.SESSION_STALE, Code.SESSION_CLOSED):
            raise SessionOver(page["error"]["message"], replaced=code == Code.SESSION_STALE)

    async def _lost(self) -> None:
        lost = asyncio.create_task(self._account.lost())
        try:
            await asyncio.wait([lost, self._over], return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                raise SessionLost(self._over.result())
            raise SessionLost(f"the private stream is lost: {lost.result()}")
        finally:
            lost.cancel()

    # -- instructions and events in

    async def _instructed(self, message: Msg) -> None:
        try:
            told = _read_instructions(message.data)
        except msgspec.DecodeError as error:
            log.error(
                "instructions on %s cannot be read (%s): %r", message.subject, error, message.data[:500]
            )
            return
        if told.session != self.token:
            return
        for instruction in told.instructions:
            if isinstance(instruction, SetTerms | Reconcile | Transfer | LookUpTransfer):
                self._do(instruction)
                continue
            if isinstance(instruction, Submit):
                self.reconciler.touch(instruction.symbol, time.time_ns())
            self.orders.instruct(instruction)

    def _do(self, instruction: SetTerms | Reconcile | Transfer | LookUpTransfer) -> None:
        """Begin what is no order's. When setting terms or comparing fails for good, so does the session."""
        if self.orders.ready_at is None:
            log.warning("not ready: ignored %s", instruction)
            return
        if isinstance(instruction, Transfer | LookUpTransfer):
            self.transfers.instruct(instruction)
            return
        if isinstance(instruction, Reconcile):
            work = self.reconciler.asked(instruction.request_id)
        else:
            work = self._set_terms(instruction)
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._did)

    async def _set_terms(self, asked: SetTerms) -> None:
        """Set terms in the order asked for: an earlier change whose answer is told last would be believed to stand."""

        def tell(reports: list[Report]) -> None:
            self.reconciler.moved()
            self._reporter.put(reports)

        async with self._setting_terms:
            # Positions show them: what was read before the change must not be told after it.
            self.reconciler.moved()
            await set_terms(self._account, asked, tell)

    def _did(self, task: asyncio.Task[Any]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: %r", self._place, error)
            self._fail(f"{type(error).__name__}: {error}")

    def _heard(self, event: StreamEvent) -> None:
        self._heard_at = time.time_ns()
        if isinstance(event, FundsMoved):
            log.info("%s: %s", self._place, event.reason)
            self._moved()
            return
        trades = event.order.trades if isinstance(event, OrderChanged) else ()
        for trade in (event.trade,) if isinstance(event, Traded) else trades:
            self.reconciler.heard(trade)
        if self._held is None:
            self._tell(event)
        elif len(self._held) < HELD_MAX:
            self._held.append(event)
        else:
            self._fail(f"over {HELD_MAX:,} events came while reconciling")

    def _moved(self) -> None:
        """Funds moved by something else than a trade: what is there is to be compared."""
        self.reconciler.moved()
        self._funds_moved.set()

    def _tell(self, event: OrderChanged | Traded | AmendRefused) -> None:
        if isinstance(event, OrderChanged):
            self.orders.heard(event.order)
        elif isinstance(event, Traded):
            self.orders.heard_trade(event.trade)
        else:
            self.orders.heard_refusal(event)

    # -- the dance

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(self._settings.open_s):
                await self._account.open(self._heard)
        except TimeoutError:
            raise SessionLost("the venue's private stream did not open in time") from None
        except VenueError as error:
            if error.kind is Kind.AUTH_FATAL:
                raise
            raise SessionLost(str(error)) from None
        started = time.monotonic()
        try:
            live = await self.reconciler.start()
            held, self._held = self._held or [], None
            for event in held:
                self._tell(event)
            await self.reconciler.compare_funds(Comparison())
        except VenueError as error:
            if error.kind is Kind.AUTH_FATAL:
                raise
            raise SessionLost(f"reconciling: {error}") from None
        await self._reporter.flushed()
        # Instructions may come before the answer to this does.
        self.orders.ready_at = time.time_ns()
        await ask(self._nc, f"open_session.{self._place}._", OpenSession(session=self.token, ready=True))
        self.ready.set()
        log.info(
            "%s: session %s is ready after %.2f s, with %d live orders",
            self._place,
            self.token,
            time.monotonic() - started,
            live,
        )
        await until_first([self.reconciler.run(), self._follow_funds()])

    async def _follow_funds(self) -> None:
        """Compare funds when the stream tells that they moved by something else than a trade."""
        while True:
            await self._funds_moved.wait()
            self._funds_moved.clear()
            try:
                # What moved them is expected to differ; the comparison that comes by the clock tells of differences.
                await self.reconciler.compare_funds(Comparison())
            except VenueError as error:
                if error.kind is Kind.AUTH_FATAL:
                    raise
                log.error("%s: funds moved and could not be read: %s", self._place, error)
