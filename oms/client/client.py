"""OmsClient: one connection, one account by default, every verb as a method."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
import nats
import nats.errors
from nats.aio.client import Client

from oms.client import commands as k
from oms.client.errors import OmsError, OmsEventsLost, OmsRefused, OmsTimeout, OmsUnreachable
from oms.client.watch import PublicEvent, Watch, watch_subject
from oms.messages import commands as c
from oms.messages import queries as q
from oms.messages.codes import Code
from oms.messages.enums import MarginMode, OrderStatus, OrderType, Side, TimeInForce
from oms.messages.public import AccountReconciled
from oms.messages.replies import ErrorBody
from oms.messages.subjects import ANY

PATIENCE_S: Final = 10.0
"""How long a request is repeated before it is given up."""
ATTEMPT_TIMEOUT_S: Final = 2.0
QUERY_TIMEOUT_S: Final = 4.0
"""Longer than a query may wait for ``at_least``."""
PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 0.5
RECONNECT_WAIT_S: Final = 0.2
RECONCILE_WITHIN_S: Final = 60.0
"""How long a reconciliation may take: with thousands of open orders it is many requests, within the venue's limits."""
ROWS: Final = 1_000

ASK_AGAIN: Final = frozenset(
    {Code.NOT_READY, Code.OVERLOADED, Code.JOURNAL_UNAVAILABLE, Code.SEQUENCE_TIMEOUT}
)
"""Answers that say nothing about the command's outcome, or that the next moment may change."""

_RowT = TypeVar("_RowT")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command.

    Args:
        ok: it was done and is durable at journal ``sequence``. Else ``error`` has the code and the message.
        order_id, status: of the order it made, changed or denied, as it was then.
        count: orders that a ``cancel_all`` asked to cancel.
        duplicate: the command_id was known: this is the first answer again, and nothing was changed.
    """

    ok: bool
    command_id: str | None = None
    order_id: str = ""
    status: OrderStatus | None = None
    count: int = 0
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


class OmsClient:
    """Commands, queries and public events of one system. Make one with :meth:`connect`.

    A command carries a ``command_id`` (made when none is given). A request that gets no answer, or one that says
    nothing of the outcome (NOT_READY, OVERLOADED, JOURNAL_UNAVAILABLE), is repeated with the same id for
    ``patience_s``; then :class:`OmsTimeout` says that the outcome is unknown. A refusal raises
    :class:`OmsRefused`; the bulk methods return one :class:`Result` a command instead, refused ones included.

    Queries are answered no earlier than the last command of this client (``at_least``), so that it reads its own
    writes; pass ``at_least=0`` to take whatever the follower has.

    Amounts are ``Decimal``, ``str`` or ``int`` going in, never float, and ``Decimal`` coming out. Times are UTC
    nanoseconds. In a query ``_`` means any exchange, market or symbol, and for those allowed to see it any account.

    Not for use from several event loops; many tasks of one loop may share it.

    Attributes:
        last_sequence: highest journal sequence that an answer to a command named.
    """

    def __init__(
        self, nc: Client, *, account: str, exchange: str = "binance", market: str = "spot", patience_s: float
    ) -> None:
        self.nc = nc
        self.account = account
        self.exchange = exchange
        self.market = market
        self.patience_s = patience_s
        self.last_sequence = 0
        self._watches: set[Watch] = set()
        self._up = asyncio.Event()
        self._up.set()

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls,
        url: str | list[str] = "nats://127.0.0.1:4222",
        account: str = "main",
        *,
        exchange: str = "binance",
        market: str = "spot",
        patience_s: float = PATIENCE_S,
        connect_timeout_s: float = 5.0,
        name: str = "mexoms-client",
        **options: Any,
    ) -> AsyncIterator["OmsClient"]:
        """Connect for as long as the ``async with`` block lasts.

        Args:
            url: a nats-server, or those of a cluster, also separated by commas. A user in it gets the inbox prefix
                ``_INBOX_<user>``, as ``configs/nats-server.conf`` lets it have.
            account: whom commands and queries are for, unless a call names another.
            exchange, market: where orders go, unless a call names another.
            patience_s: how long a request is repeated without an answer.
            options: anything else that ``nats.connect`` takes: ``tls``, ``user_credentials``, …

        Raises:
            OmsUnreachable: no server answers within ``connect_timeout_s``, or it lets us not in.
        """
        servers = [
            part.strip() for each in ([url] if isinstance(url, str) else url) for part in each.split(",")
        ]
        user = urlsplit(servers[0]).username
        if user:
            options.setdefault("inbox_prefix", f"_INBOX_{user}")
        failures: list[Exception] = []
        watching: list[OmsClient] = []

        async def failed(error: Exception) -> None:
            # Kept to say why connecting failed; later ones show in what they make fail.
            failures[:] = [error]

        async def disconnected() -> None:
            for client in watching:
                client._up.clear()
                client._lose("the connection to nats-server dropped")

        async def reconnected() -> None:
            for client in watching:
                client._up.set()

        try:
            nc = await asyncio.wait_for(
                nats.connect(
                    servers=servers,
                    name=name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,
                    # A command is never kept for later: while there is no connection, sending fails at once.
                    pending_size=0,
                    error_cb=failed,
                    disconnected_cb=disconnected,
                    reconnected_cb=reconnected,
                    **options,
                ),
                connect_timeout_s,
            )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            reason = failures[0] if failures else error
            raise OmsUnreachable(
                f"no nats-server at {without_password(servers)}: {str(reason) or type(reason).__name__}"
            ) from None
        client = cls(nc, account=account, exchange=exchange, market=market, patience_s=patience_s)
        watching.append(client)
        try:
            yield client
        finally:
            watching.clear()
            await nc.close()

    async def connected(self) -> None:
        """Wait until there is a connection to nats-server; at once while there is one."""
        await self._up.wait()

    # -- commands

    async def place(
        self,
        symbol: str,
        side: Side | str,
        quantity: k.Number,
        *,
        price: k.Number | None = None,
        trigger_price: k.Number | None = None,
        type: OrderType | str | None = None,  # noqa: A002 - the wire's own word
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        expires_at: int | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        strategy: str = "",
        client_order_id: str = "",
        account: str | None = None,
        exchange: str | None = None,
        market: str | None = None,
        command_id: str | None = None,
    ) -> Result:
        """Place one order; see :func:`oms.client.new_order` for the fields and what follows from them.

        Returns:
            Its ``order_id``, its ``status`` (PENDING_NEW: durable, and on its way to the venue) and ``sequence``.

        Raises:
            OmsRefused: with ``order_id`` when the denial is recorded. OmsTimeout: the outcome is unknown.
        """
        command = k.new_order(
            symbol,
            side,
            quantity,
            price=price,
            trigger_price=trigger_price,
            type=type,
            time_in_force=time_in_force,
            expires_at=expires_at,
            post_only=post_only,
            reduce_only=reduce_only,
            strategy=strategy,
            client_order_id=client_order_id,
            exchange=exchange or self.exchange,
            market=market or self.market,
            command_id=command_id,
        )
        subject = self._subject("place", account, exchange or self.exchange, market or self.market, symbol)
        return await self._command(subject, command)

    async def place_many(self, orders: Iterable[c.PlaceOrder], *, account: str | None = None) -> list[Result]:
        """Place many orders of one account, each made by :func:`oms.client.new_order`, in as few messages as fit.

        Returns:
            One result an order, in the same order; a refused one does not stop the others.

        Raises:
            OmsTimeout: with the command ids that got no answer. OmsRefused: a whole message was refused.
        """
        return await self._bulk("place", list(orders), account)

    async def amend(
        self,
        order_id: str,
        *,
        quantity: k.Number | None = None,
        price: k.Number | None = None,
        account: str | None = None,
        command_id: str | None = None,
    ) -> Result:
        """Ask for another total quantity (what is filled included) or price of a working order.

        Raises:
            OmsRefused, OmsTimeout: as :meth:`place`.
        """
        command = c.AmendOrder(
            command_id=command_id or k.new_command_id(),
            order_id=order_id,
            quantity=None if quantity is None else k.amount(quantity),
            price=None if price is None else k.amount(price),
        )
        return await self._command(self._subject("amend", account), command)

    async def cancel(
        self, order_id: str, *, account: str | None = None, command_id: str | None = None
    ) -> Result:
        """Ask to cancel what is left of an order.

        Raises:
            OmsRefused, OmsTimeout: as :meth:`place`.
        """
        command = c.CancelOrder(command_id=command_id or k.new_command_id(), order_id=order_id)
        return await self._command(self._subject("cancel", account), command)

    async def cancel_many(self, order_ids: Iterable[str], *, account: str | None = None) -> list[Result]:
        """Ask to cancel many orders of one account; results and errors as :meth:`place_many`."""
        wanted = [c.CancelOrder(command_id=k.new_command_id(), order_id=order_id) for order_id in order_ids]
        return await self._bulk("cancel", wanted, account)

    async def cancel_all(
        self,
        *,
        symbol: str = ANY,
        exchange: str = ANY,
        market: str = ANY,
        account: str | None = None,
        command_id: str | None = None,
    ) -> Result:
        """Ask to cancel every live order of the account, or of one symbol; ``count`` says how many.

        Raises:
            OmsRefused, OmsTimeout: as :meth:`place`.
        """
        command = c.CancelAll(command_id=command_id or k.new_command_id())
        return await self._command(self._subject("cancel_all", account, exchange, market, symbol), command)

    async def set_terms(
        self,
        symbol: str,
        *,
        leverage: k.Number | None = None,
        margin_mode: MarginMode | str | None = None,
        account: str | None = None,
        exchange: str | None = None,
        market: str | None = None,
        command_id: str | None = None,
    ) -> Result:
        """Ask the venue for another leverage, margin mode (``cross``, ``isolated``) or both of a futures symbol.

        The answer says that it was asked. What the venue makes of it is a public event of the position (``TermsSet``,
        ``TermsRefused``), and stands in :meth:`positions`.

        Raises:
            OmsRefused, OmsTimeout: as :meth:`place`.
        """
        exchange, market = exchange or self.exchange, market or self.market
        command = c.SetTerms(
            command_id=command_id or k.new_command_id(),
            exchange=exchange,
            market=market,
            symbol=symbol,
            leverage=None if leverage is None else k.amount(leverage),
            margin_mode=None if margin_mode is None else MarginMode(margin_mode),
        )
        return await self._command(self._subject("set_terms", account, exchange, market, symbol), command)

    async def reconcile(
        self,
        *,
        account: str | None = None,
        exchange: str | None = None,
        market: str | None = None,
        within_s: float = RECONCILE_WITHIN_S,
    ) -> AccountReconciled:
        """Have an account on one market held against the venue now, and wait for what is found.

        Raises:
            OmsRefused: VENUE_DOWN when no session is ready to do it.
            OmsTimeout: no answer within ``within_s``; it may still come, and is recorded then.
            OmsEventsLost: the connection dropped meanwhile; ask again.
        """
        exchange, market = exchange or self.exchange, market or self.market
        request_id = k.new_command_id()
        subject = self._subject("reconcile", account, exchange, market)
        async with self.watch("accounts", account=account, exchange=exchange, market=market) as events:
            await self._command(subject, c.RequestReconciliation(command_id=request_id))
            try:
                async with asyncio.timeout(within_s):
                    async for event in events:
                        if isinstance(event, AccountReconciled) and event.request_id == request_id:
                            return event
            except TimeoutError:
                pass
        raise OmsTimeout(
            f"{exchange}.{market} of {account or self.account} was not reconciled within {within_s:g} s: "
            "is its connector busy, or the follower not running?",
            (request_id,),
        )

    # -- queries

    async def orders(
        self,
        *,
        open: bool | None = None,  # noqa: A002 - the wire's own word
        status: OrderStatus | None = None,
        strategy: str | None = None,
        order_id: str | None = None,
        since: int = 0,
        symbol: str = ANY,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        at_least: int | None = None,
    ) -> q.Answer[q.OrderRow]:
        """Orders, newest first, at most ``rows``; ``more`` says whether there are others. Filters: :class:`ShowOrders`.

        Raises:
            OmsRefused: the question is not taken. OmsTimeout: no follower answers, or none is as far as ``at_least``.
        """
        question = q.ShowOrders(open=open, status=status, strategy=strategy, order_id=order_id, since=since)
        return await self._ask(
            self._subject("show_orders", account, exchange, market, symbol),
            question,
            q.Answer[q.OrderRow],
            rows,
            at_least,
        )

    async def trades(
        self,
        *,
        strategy: str | None = None,
        order_id: str | None = None,
        since: int = 0,
        symbol: str = ANY,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        at_least: int | None = None,
    ) -> q.Answer[q.TradeRow]:
        """Fills, newest first; otherwise as :meth:`orders`."""
        question = q.ShowTrades(strategy=strategy, order_id=order_id, since=since)
        return await self._ask(
            self._subject("show_trades", account, exchange, market, symbol),
            question,
            q.Answer[q.TradeRow],
            rows,
            at_least,
        )

    async def positions(
        self,
        *,
        open: bool | None = None,  # noqa: A002 - the wire's own word
        symbol: str = ANY,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        at_least: int | None = None,
    ) -> q.Answer[q.PositionRow]:
        """Positions by symbol; ``open=True`` leaves flat ones out. Otherwise as :meth:`orders`."""
        return await self._ask(
            self._subject("show_positions", account, exchange, market, symbol),
            q.ShowPositions(open=open),
            q.Answer[q.PositionRow],
            rows,
            at_least,
        )

    async def balances(
        self,
        *,
        asset: str | None = None,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        at_least: int | None = None,
    ) -> q.Answer[q.BalanceRow]:
        """Balances by wallet and asset: total, locked by orders, margin of positions, free. Otherwise as :meth:`orders`.

        A market means the wallet that its funds are in, which other markets may share.
        """
        return await self._ask(
            self._subject("show_balances", account, exchange, market),
            q.ShowBalances(asset=asset),
            q.Answer[q.BalanceRow],
            rows,
            at_least,
        )

    async def pnl(
        self,
        *,
        by: Sequence[q.Dimension] = ("account", "strategy", "symbol"),
        strategy: str | None = None,
        day: str | None = None,
        symbol: str = ANY,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        at_least: int | None = None,
    ) -> q.PnlAnswer[q.PnlRow]:
        """P&L told apart by ``by``, with ``totals`` by settlement asset; ``day`` is ``YYYY-MM-DD`` in UTC.

        Otherwise as :meth:`orders`.
        """
        question = q.ShowPnl(by=list(by), strategy=strategy, day=day)
        answer = await self._ask(
            self._subject("show_pnl", account, exchange, market, symbol),
            question,
            q.PnlAnswer[q.PnlRow],
            rows,
            at_least,
        )
        return cast("q.PnlAnswer[q.PnlRow]", answer)

    async def status(self, *, account: str | None = None, at_least: int | None = None) -> q.StatusRow:
        """How the system is: sequence, lag, sessions, counts. Raises as :meth:`orders`."""
        answer = await self._ask(
            self._subject("show_status", account), q.ShowStatus(), q.Answer[q.StatusRow], 1, at_least
        )
        return answer.rows[0]

    # -- public events

    @contextlib.asynccontextmanager
    async def watch(
        self,
        *streams: str,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        symbol: str = ANY,
    ) -> AsyncIterator[AsyncIterator[PublicEvent]]:
        """Receive public events from now on: of ``orders``, ``trades``, ``positions``, ``accounts``; of all when none is named.

            async with oms.watch("orders", "trades") as events:
                async for event in events:
                    ...

        The iterator raises :class:`OmsEventsLost` once events may be missing.
        """
        watch = Watch(self.nc)
        self._watches.add(watch)
        account = self.account if account is None else account
        events = aiter(watch)
        try:
            await watch.start(
                [
                    watch_subject(stream, exchange, account, market, symbol)
                    for stream in streams or ("orders", "trades", "positions", "accounts")
                ]
            )
            yield events
        finally:
            self._watches.discard(watch)
            await watch.stop()

    def _lose(self, reason: str) -> None:
        for watch in self._watches:
            watch.lost(OmsEventsLost(f"{reason}: events may be missing"))

    # -- asking until there is an answer

    def _subject(
        self, verb: str, account: str | None, exchange: str = ANY, market: str = ANY, symbol: str = ANY
    ) -> str:
        tokens = (verb, exchange, self.account if account is None else account, market, symbol)
        for token in tokens:
            if not token or any(ch in " .*>\t\r\n" for ch in token):
                raise ValueError(f"a name is one word without '.', '*', '>' or blanks, was {token!r}")
        return ".".join(tokens)

    async def _command(self, subject: str, command: c.ClientCommand) -> Result:
        payload = k.encode(command)
        answer = await self._request(
            subject, payload, _decode_results_of, ATTEMPT_TIMEOUT_S, (command.command_id,)
        )
        self._saw(answer)
        return answer[0].raise_for_error()

    async def _bulk(self, verb: str, wanted: Sequence[c.ClientCommand], account: str | None) -> list[Result]:
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


def without_password(servers: list[str]) -> str:
    return ", ".join(
        server if "@" not in server else f"{server.partition('://')[0]}://{server.rpartition('@')[2]}"
        for server in servers
    )
