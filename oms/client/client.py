"""OmsClient: one connection, one account by default, every verb as a method."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client

from oms.client import commands as k
from oms.client.asking import ROWS, Result
from oms.client.controlling import Controlling
from oms.client.desk import Desk
from oms.client.errors import OmsEventsLost, OmsTimeout, OmsUnreachable
from oms.client.watch import PublicEvent, Watch, watch_subject
from oms.messages import commands as c
from oms.messages import queries as q
from oms.messages.enums import MarginMode, OrderStatus, OrderType, Side, TimeInForce
from oms.messages.public import STREAMS, AccountReconciled
from oms.messages.subjects import ANY

PATIENCE_S: Final = 10.0
"""How long a request is repeated before it is given up."""
RECONNECT_WAIT_S: Final = 0.2
RECONCILE_WITHIN_S: Final = 60.0
"""How long a reconciliation may take: with thousands of open orders it is many requests, within the venue's limits."""


class OmsClient(Controlling, Desk):
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
        super().__init__(nc, account=account, patience_s=patience_s)
        self.exchange = exchange
        self.market = market
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
        """Receive public events from now on: of the streams named (:data:`oms.messages.public.STREAMS`), or of all.

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
                    for stream in streams or STREAMS.values()
                ]
            )
            yield events
        finally:
            self._watches.discard(watch)
            await watch.stop()

    def _lose(self, reason: str) -> None:
        for watch in self._watches:
            watch.lost(OmsEventsLost(f"{reason}: events may be missing"))


def without_password(servers: list[str]) -> str:
    return ", ".join(
        server if "@" not in server else f"{server.partition('://')[0]}://{server.rpartition('@')[2]}"
        for server in servers
    )
