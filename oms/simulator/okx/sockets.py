"""WebSockets: one protocol at three paths. Each has its subscriptions; the private one has an account, and takes orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from oms.simulator.connections import Connection
from oms.simulator.exchange import Exchange
from oms.simulator.faults import Fault, Faults, Stage
from oms.simulator.http import refuse_upgrade
from oms.simulator.ledger import Account

from . import auth, errors
from .errors import ApiError
from .rest import VERBS, Orders, check_deadline

Arg = dict[str, Any]

PRIVATE_CHANNELS = frozenset({"orders", "account", "positions", "balance_and_position"})
PUBLIC_CHANNELS = frozenset({"tickers", "bbo-tbt", "books", "books5", "trades", "mark-price", "funding-rate"})
BUSINESS_CHANNELS = frozenset({"trades-all"})
CHANNELS = {"public": PUBLIC_CHANNELS, "private": PRIVATE_CHANNELS, "business": BUSINESS_CHANNELS}
INST_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY"})
SUBSCRIPTIONS_MAX = 480


class Socket:
    """One WebSocket. `args` are its subscriptions, as they were asked for, by their sorted fields."""

    def __init__(self, connection: Connection, access: str, connection_id: str) -> None:
        self.connection = connection
        self.access = access
        self.connection_id = connection_id
        self.account: Account | None = None
        self.args: dict[tuple[tuple[str, str], ...], Arg] = {}

    def event(self, **fields: object) -> None:
        """Say something that is no data."""
        self.connection.send({**fields, "connId": self.connection_id})

    def subscriptions(self, channel: str) -> Iterator[Arg]:
        return (arg for arg in self.args.values() if arg["channel"] == channel)


class Sockets:
    """All WebSockets. `greet` sends what a subscription begins with; `opened` holds those that are open."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        orders: Orders,
        opened: set[Socket],
        greet: Callable[[Socket, Arg], None],
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._orders = orders
        self._greet = greet
        self._next_id = 0
        self.open = opened

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Serve one until it ends."""
        access = path.removeprefix("/ws/v5/")
        if access not in CHANNELS:
            return web.Response(status=404, text=f"no WebSocket at {path}\n")
        refused = refuse_upgrade(self._faults, path)
        if refused is not None:
            return refused
        connection = Connection(request)
        await connection.open()
        self._next_id += 1
        socket = Socket(connection, access, f"{self._next_id:08x}")
        self.open.add(socket)
        try:
            async for text in connection.texts():
                await self._hear(socket, text)
        finally:
            self.open.discard(socket)
            await connection.close()
        return connection.response

    def counts(self) -> Mapping[str, int]:
        private = sum(socket.access == "private" for socket in self.open)
        return {"user": private, "market": len(self.open) - private}

    def drop(self, which: str) -> int:
        """Cut `all`, `user` or `market` ones; return how many."""
        cut = [
            socket
            for socket in self.open
            if which == "all" or (socket.access == "private") == (which == "user")
        ]
        for socket in cut:
            socket.connection.cut()
        return len(cut)

    async def _hear(self, socket: Socket, text: str) -> None:
        if text == "ping":
            socket.connection.send_text("pong")
            return
        try:
            message = msgspec.json.decode(text)
            if not isinstance(message, dict) or not isinstance(message.get("args"), list):
                raise ValueError(text)
        except (msgspec.DecodeError, ValueError):
            socket.event(event="error", msg=f"Illegal request: {text}", code="60012")
            return
        op = message.get("op")
        try:
            if op == "login":
                self._login(socket, message["args"])
            elif op in ("subscribe", "unsubscribe"):
                for arg in message["args"]:
                    self._subscription(socket, str(op), arg, message.get("id"))
            elif op in VERBS:
                await self._order(socket, str(op), message)
            else:
                raise ApiError(60019, f"Invalid op: {op}")
        except ApiError as error:
            more = {"id": message["id"]} if "id" in message else {}
            socket.event(event="error", msg=error.message, code=error.code, **more)

    def _login(self, socket: Socket, args: list[Any]) -> None:
        if socket.access == "public":
            raise ApiError(60008, "Login is not supported for public channels")
        socket.account = auth.login(self._exchange, args[0] if args else None)
        socket.event(event="login", msg="", code="0")

    def _subscription(self, socket: Socket, op: str, arg: Any, request_id: Any) -> None:
        self._check(socket, arg)
        key = tuple(sorted((str(name), str(value)) for name, value in arg.items()))
        more = {} if request_id is None else {"id": request_id}
        if op == "unsubscribe":
            socket.args.pop(key, None)
            socket.event(event="unsubscribe", arg=arg, **more)
            return
        if len(socket.args) >= SUBSCRIPTIONS_MAX:
            raise ApiError(60014, "Requests too frequent")
        socket.event(event="subscribe", arg=arg, **more)
        if key not in socket.args:
            # What it begins with comes before anything that follows.
            self._greet(socket, arg)
            socket.args[key] = arg
        if arg["channel"] in PRIVATE_CHANNELS:
            count = sum(
                1
                for each in self.open
                if each.account is socket.account
                for _ in each.subscriptions(arg["channel"])
            )
            socket.event(event="channel-conn-count", channel=arg["channel"], connCount=str(count))

    def _check(self, socket: Socket, arg: Any) -> None:
        if not isinstance(arg, dict) or not isinstance(arg.get("channel"), str):
            raise ApiError(60013, "Invalid args")
        channel, symbol = arg["channel"], arg.get("instId")
        shown = ",".join(f"{name}:{value}" for name, value in arg.items())
        wrong = ApiError(
            60018,
            f"Wrong URL or {shown} doesn't exist. Please use the correct URL, channel and parameters "
            "referring to API document.",
        )
        if channel not in CHANNELS[socket.access]:
            raise wrong
        known = {market.symbol for market in self._exchange.markets.values()}
        if socket.access == "private":
            if socket.account is None:
                raise ApiError(60011, "Please log in")
            needs_type = channel in ("orders", "positions")
            if (needs_type and arg.get("instType") not in INST_TYPES) or (symbol and symbol not in known):
                raise wrong
        elif symbol not in known:
            raise wrong

    async def _order(self, socket: Socket, op: str, message: dict[str, Any]) -> None:
        """An order over the private connection: answered with its `id`, and with the faults of such a request."""
        if socket.access != "private" or socket.account is None:
            raise ApiError(60011, "Please log in")
        before = self._faults.draw(Stage.BEFORE, op)
        if before is not None:
            if before.kind is Fault.DROP_REQUEST:
                socket.connection.cut()
                return
            raise errors.too_many_requests()
        verb, given = VERBS[op], message["args"]
        self._orders.spend(socket.account, verb, given, single=not op.startswith("batch"))
        if verb != "cancel":
            check_deadline(message.get("expTime"), self._exchange.clock())
        answer = {"id": message.get("id", ""), "op": op, **self._orders.run(socket.account, verb, given)}
        delay = self._faults.draw(Stage.DELAY, op)
        if delay is not None:
            await asyncio.sleep(delay.delay_ms / 1000)
        rule = self._faults.draw(Stage.AFTER, op) if answer["code"] != "1" else None
        if rule is None:
            socket.connection.send(answer)
        elif rule.kind is Fault.TIMEOUT_1007:
            error = errors.timed_out()
            socket.connection.send({**answer, "code": error.code, "msg": error.message, "data": []})
        else:
            if rule.kind is Fault.HANG:
                await asyncio.sleep(rule.delay_ms / 1000)
            socket.connection.cut()
