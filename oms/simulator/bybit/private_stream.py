"""`/v5/private`: log in, subscribe, and hear of orders, executions, the wallet and positions."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import OrderUpdate
from oms.simulator.reports import Reports

from . import auth, payloads
from .sockets import Client, open_client, parse, topics_of

PATH = "/v5/private"
# Topics for all categories at once, and for one.
TOPICS = ("order", "execution", "wallet", "position")
BY_CATEGORY = ("order", "execution", "position")
NS_PER_MS = 1_000_000


class PrivateStream:
    """Everyone who is connected, and what each account's stream tells."""

    def __init__(self, exchange: Exchange, reports: Reports) -> None:
        self._exchange = exchange
        self._reports = reports
        self._accounts: dict[Client, Account] = {}
        self.clients: set[Client] = set()
        self._number = 0

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        client = await open_client(request)
        self.clients.add(client)
        try:
            async for text in client.connection.texts():
                self._obey(client, parse(text))
        finally:
            self.clients.discard(client)
            self._accounts.pop(client, None)
            await client.connection.close()
        return client.connection.response

    def _obey(self, client: Client, request: dict[str, object]) -> None:
        op = request.get("op")
        if op == "ping":
            pong: dict[str, object] = {
                "op": "pong",
                "args": [str(self._now_ms())],
                "conn_id": client.conn_id,
            }
            if request.get("req_id") is not None:
                pong["req_id"] = str(request["req_id"])
            client.connection.send(pong)
        elif op == "auth":
            found = auth.log_in(self._exchange, request.get("args"))
            if isinstance(found, Account):
                self._accounts[client] = found
                client.answer("auth", request, True, "")
            else:
                client.answer("auth", request, False, found)
        elif op not in ("subscribe", "unsubscribe"):
            client.answer(str(op), request, False, "error:invalid op")
        elif client not in self._accounts:
            client.answer(str(op), request, False, "Request not authorized")
        else:
            self._subscribe(client, str(op), request)

    def _subscribe(self, client: Client, op: str, request: dict[str, object]) -> None:
        topics = topics_of(request)
        bad = [topic for topic in topics if topic not in self._known()]
        if bad or not topics:
            client.answer(op, request, False, f"error:handler not found,topic:{','.join(bad)}")
            return
        if op == "subscribe":
            client.topics.update(topics)
        else:
            client.topics.difference_update(topics)
        client.answer(op, request, True, "")

    @staticmethod
    def _known() -> set[str]:
        return {*TOPICS, *(f"{topic}.{category}" for topic in BY_CATEGORY for category in ("spot", "linear"))}

    def _now_ms(self) -> int:
        return self._exchange.clock() // NS_PER_MS

    # What happens

    def order(self, update: OrderUpdate) -> None:
        """Tell an order's change, and before it the trade that changed it."""
        order = update.order
        account = self._exchange.accounts[order.account]
        category = payloads.CATEGORY[order.market]
        if update.fill is not None:
            self._tell(
                account,
                "execution",
                category,
                payloads.execution_row(order, update.fill),
                (update.execution, "execution"),
            )
        self._tell(account, "order", category, payloads.order_row(order), (update.execution, "order"))

    def funds(self, change: FundsChange) -> None:
        """Tell what became of the wallet and of positions."""
        account = change.account
        if change.payment is not None:
            self._tell(
                account,
                "execution",
                "linear",
                payloads.funding_row(change.payment),
                ("FUNDING", "execution"),
            )
        for position in change.positions:
            row = payloads.position_row(self._exchange, account, position, streamed=True)
            self._tell(account, "position", "linear", row, ())
        if change.wallet == "unified" and change.assets:
            row = payloads.wallet_row(self._exchange, account)
            self._tell(account, "wallet", "", row, ())

    def _tell(
        self, account: Account, topic: str, category: str, row: dict[str, object], labels: tuple[str, ...]
    ) -> None:
        """Send one row, as it is now, to the account's connections; those with labels as the faults want."""
        self._number += 1
        row = {"category": category, **row} if category else row
        head = {"id": f"{account.uid}_{topic}_{self._number}", "creationTime": self._now_ms(), "data": [row]}
        names = (topic, f"{topic}.{category}")
        listeners = [
            (client, name)
            for client, owner in self._accounts.items()
            for name in names
            if owner is account and name in client.topics
        ]
        if not listeners:
            return

        def deliver() -> None:
            for client, name in listeners:
                client.connection.send({"topic": name, **head})

        self._emit(account, labels, deliver)

    def _emit(self, account: Account, labels: tuple[str, ...], deliver: Callable[[], None]) -> None:
        if labels:
            self._reports.emit(account.name, labels, deliver)
        else:
            deliver()
