"""Session: one account on one market, from taking it over until the connection or the engine's trust is lost.

It fences older connectors, subscribes the private stream, holds the engine's belief against the venue by REST, and only
then says that it is ready. What the stream tells meanwhile waits, and is told after what REST told. It never reconnects:
a new session, with a new token, goes through all of it again.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.messages import reports as r
from oms.messages.codec import encode
from oms.messages.codes import Code
from oms.messages.commands import CloseSession, ListLive, OpenSession
from oms.messages.enums import Side
from oms.messages.instructions import Instructions, LookUp
from oms.messages.replies import LivePage
from oms.tasks import end, together
from oms.venues.adapter import Account, FundsMoved, OrderChanged, StreamEvent, VenueOrder, VenueTrade
from oms.venues.errors import Kind, VenueError
from oms.venues.lookup import NS, Question
from oms.venues.orders import Orders
from oms.venues.reporter import Reporter, SessionOver, ask
from oms.venues.settings import Settings
from oms.venues.translate import accepted, filled, found, is_ours, name_of

log = logging.getLogger(__name__)

HELD_MAX: Final = 100_000
CLOSE_TIMEOUT_S: Final = 2.0
AT_ONCE: Final = 10
"""Orders looked at concurrently while reconciling."""
BEHIND_ALL: Final = "~"
"""Sorts behind every order id: a page after it is empty, and asks only whether the session is still good."""

_read_instructions = msgspec.json.Decoder(Instructions).decode
_read_page = msgspec.json.Decoder(LivePage).decode


class SessionLost(Exception):
    """The session is over and another one should be opened; the message says why."""


class Session:
    """One life of an account's connection.

    Args:
        nc: a connection to NATS that outlives the session.
        place: ``exchange.account.market``.
        account: a fresh private connection; the session opens and closes it.
    """

    def __init__(self, nc: Client, place: str, account: Account, settings: Settings) -> None:
        self.token = secrets.token_hex(8)
        self._nc = nc
        self._place = place
        self._account = account
        self._settings = settings
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reporter = Reporter(nc, place, self.token, self._fail)
        self.orders = Orders(account, settings, self._reporter.put, self._fail)
        self._held: list[StreamEvent] | None = []
        self._moves = 0
        self._funds_moved = asyncio.Event()
        self._since: dict[str, int] = {}
        self._known_trades: set[tuple[str, str, Side]] = set()
        self.ready = asyncio.Event()

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
        tasks: list[asyncio.Task[Any]] = []
        reason = "the connector stops"

        def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
            task = asyncio.create_task(work)
            tasks.append(task)
            return task

        subscription = None
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
            for task in tasks:
                task.cancel()
            await self._close(reason)
            if subscription is not None and not self._nc.is_closed:
                await subscription.unsubscribe()
            await self.orders.close()
            await end(tasks)
            await self._account.close()

    async def _close(self, reason: str) -> None:
        command = CloseSession(session=self.token, reason=reason)
        try:
            await self._nc.request(f"close_session.{self._place}._", encode(command), timeout=CLOSE_TIMEOUT_S)
        except (nats.errors.Error, OSError) as error:
            log.warning("%s: the engine was not told that the session is over (%r)", self._place, error)

    async def _beat(self) -> None:
        payload = encode({"session": self.token})
        since_probe = 0.0
        while True:
            await self._nc.publish(f"heartbeat.{self._place}._", payload)
            await asyncio.sleep(self._settings.heartbeat_s)
            since_probe += self._settings.heartbeat_s
            if since_probe >= self._settings.probe_s:
                since_probe = 0.0
                await self._probe()

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
            self.orders.instruct(instruction)

    def _heard(self, event: StreamEvent) -> None:
        if isinstance(event, FundsMoved):
            log.info("%s: %s", self._place, event.reason)
            self._moves += 1
            self._funds_moved.set()
            return
        if event.order.trades:
            self._moves += 1
            self._since.setdefault(event.order.symbol, event.order.time)
        if self._held is None:
            self.orders.heard(event.order)
        elif len(self._held) < HELD_MAX:
            self._held.append(event)
        else:
            self._fail(f"over {HELD_MAX:,} events came while reconciling")

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
        live, filled_until = await self._list_live()
        try:
            await self._reconcile(live, filled_until)
            held, self._held = self._held or [], None
            for event in held:
                if isinstance(event, OrderChanged):
                    self.orders.heard(event.order)
            await self._report_balances()
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
            len(live),
        )
        while True:
            await self._funds_moved.wait()
            self._funds_moved.clear()
            try:
                await self._report_balances()
            except VenueError as error:
                if error.kind is Kind.AUTH_FATAL:
                    raise
                log.error("%s: funds moved and could not be read: %s", self._place, error)

    async def _list_live(self) -> tuple[list[LookUp], dict[str, int]]:
        live: list[LookUp] = []
        after = ""
        while True:
            command = ListLive(session=self.token, after=after)
            page = _read_page(await ask(self._nc, f"list_live.{self._place}._", command))
            live += page.orders
            if not page.more:
                break
            after = page.orders[-1].order_id
        for look_up in live:
            self.orders.take_over(look_up)
        return live, page.filled_until

    async def _reconcile(self, live: list[LookUp], filled_until: dict[str, int]) -> None:
        """Hold what the engine believes against the venue."""
        overlap = int(self._settings.overlap_s * NS)
        since = self._since = {symbol: until - overlap for symbol, until in filled_until.items()}
        for look_up in live:
            if look_up.symbol not in filled_until:
                since[look_up.symbol] = min(since.get(look_up.symbol, look_up.since), look_up.since - overlap)
        standing = {order.client_id: order for order in await self._account.open_orders()}
        for order in standing.values():
            self.orders.venue_ids.see(order)
        slots = asyncio.Semaphore(AT_ONCE)

        async def check(look_up: LookUp) -> None:
            async with slots:
                await self._check(look_up, standing)

        await together(check(look_up) for look_up in live)
        ours = {look_up.client_id for look_up in live}
        ours |= {look_up.pending_client_id for look_up in live if look_up.pending_client_id is not None}
        for order in standing.values():
            if order.client_id not in ours:
                await self._adopt(order)
        await self._report_trades()

    async def _check(self, look_up: LookUp, standing: dict[str, VenueOrder]) -> None:
        """Report what is certain about one order at first sight; doubt and look up the rest in the background."""
        old = standing.get(look_up.client_id) or await self._order(look_up.symbol, look_up.client_id)
        new = None
        if look_up.pending_client_id is not None:
            new = standing.get(look_up.pending_client_id)
            new = new or await self._order(look_up.symbol, look_up.pending_client_id)
        for order in (old, new):
            if order is not None:
                self.orders.venue_ids.see(order)
        reports = await self.orders.look_ups.judge(
            Question.of(look_up, settled_at=0.0), old, new, settled=False, absent=False, patient=True
        )
        if reports is None:
            self._reporter.put([r.InDoubt(order_id=look_up.order_id, reason="not certain when taken over")])
            self.orders.instruct(look_up)
            return
        self._reporter.put(reports)
        self.orders.settle(look_up)

    async def _order(self, symbol: str, client_id: str) -> VenueOrder | None:
        try:
            return await self._account.order(symbol, client_id)
        except VenueError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    async def _adopt(self, order: VenueOrder) -> None:
        """An open order that the engine does not count as live: one it believes ended, or one from elsewhere."""
        order_id, revision = name_of(order.client_id)
        adopt = True
        if is_ours(order.client_id):
            code = await self._reporter.put_and_hear(accepted(order_id, revision, order))
            adopt = code is Code.ORDER_UNKNOWN
            if not adopt:
                log.error("%s: %s is open, and the engine did not count it as live", self._place, order)
        if adopt:
            self._reporter.put([found(order)])
            order_id = order.client_id
        if order.cumulative:
            trades = await self._account.trades_of(order.symbol, order.venue_order_id)
            self._reporter.put(filled(order_id, trade) for trade in trades)

    async def _report_trades(self) -> int:
        """Report the trades since the last time; return how many of them had not been read before."""
        unseen = 0
        for symbol, start in list(self._since.items()):
            for trade in await self._account.trades_since(symbol, max(start, 0)):
                if (symbol, trade.trade_id, trade.side) in self._known_trades:
                    continue
                self._known_trades.add((symbol, trade.trade_id, trade.side))
                unseen += 1
                await self._report_trade(trade)
        return unseen

    async def _report_trade(self, trade: VenueTrade) -> None:
        client_id = self.orders.venue_ids.client_id(trade)
        order_id = await self.orders.order_id_of_trade(trade.symbol, trade.venue_order_id, client_id)
        self._reporter.put([filled(order_id, trade)])

    def _still(self, moves: int) -> bool:
        return self._moves == moves

    async def _report_balances(self) -> None:
        """Report funds that were the same before and after looking for trades, with nothing heard in between."""
        read_from = time.time_ns() - int(self._settings.overlap_s * NS)
        for _ in range(self._settings.balance_attempts):
            moves = self._moves
            totals = await self._account.totals()
            unseen = await self._report_trades()
            if unseen or await self._account.totals() != totals or self._moves != moves:
                continue
            if await self._reporter.balances(totals, partial(self._still, moves)):
                self._since = dict.fromkeys(self._since, read_from)
                self._known_trades.clear()
                return
        log.error("%s: funds were never quiet enough to be compared with the engine's", self._place)
