"""WebSockets: `/websocket/v1` for everybody and `/websocket/v1/private` for accounts.

A request is an array: a ticket, what is wanted, and maybe a format. It takes the place of the one before. Messages go out
as binary frames, in the formats DEFAULT and JSON_LIST.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import attrs
import msgspec
from aiohttp import web

from oms.simulator.connections import Connection, encode
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade

from . import payloads

PUBLIC_TYPES = ("ticker", "trade", "orderbook")
PRIVATE_TYPES = ("myOrder", "myAsset")
FORMATS = ("DEFAULT", "JSON_LIST")


@attrs.frozen
class Wanted:
    """One type, of some markets or (empty) of all."""

    type: str
    codes: frozenset[str]
    snapshot: bool
    realtime: bool

    def covers(self, type_: str, code: str) -> bool:
        return self.type == type_ and (not self.codes or code in self.codes)


class WrongRequest(Exception):
    """A request that is answered with an error: its name, and why."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.body = {"error": {"name": name, "message": message}}


class Client:
    """One connection, whose it is, and what it wants."""

    def __init__(self, request: web.BaseRequest, account: Account | None) -> None:
        self.connection = Connection(request, binary=True)
        self.account = account
        self.wanted: list[Wanted] = []
        self.ticket = ""
        self.as_list = False

    def wants(self, type_: str, code: str) -> bool:
        return any(each.realtime and each.covers(type_, code) for each in self.wanted)

    def send(self, text: str) -> None:
        """Send an encoded event."""
        self.connection.send_text(f"[{text}]" if self.as_list else text)


class Streams:
    """Who listens to what."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.public: set[Client] = set()
        self.private: set[Client] = set()
        self._changed: dict[str, Market] = {}

    async def serve(self, request: web.BaseRequest, account: Account | None) -> web.StreamResponse:
        """Serve one connection until it ends."""
        client = Client(request, account)
        clients = self.public if account is None else self.private
        await client.connection.open()
        clients.add(client)
        try:
            async for text in client.connection.texts():
                if text.strip() == "PING":
                    client.connection.send_text('{"status":"UP"}')
                    continue
                try:
                    self._take(client, text)
                except WrongRequest as wrong:
                    client.connection.send(wrong.body)
        finally:
            clients.discard(client)
            await client.connection.close()
        return client.connection.response

    def _take(self, client: Client, text: str) -> None:
        try:
            parts = msgspec.json.decode(text, type=list[dict[str, object]])
        except msgspec.DecodeError:
            raise WrongRequest("WRONG_FORMAT", "Format이 맞지 않습니다.") from None
        ticket = next((part["ticket"] for part in parts if "ticket" in part), None)
        if not isinstance(ticket, str) or not ticket:
            raise WrongRequest("NO_TICKET", "티켓이 존재하지 않습니다.")
        if any(part.get("method") == "LIST_SUBSCRIPTIONS" for part in parts):
            client.connection.send(self._listed(client))
            return
        shape = next((part["format"] for part in parts if "format" in part), "DEFAULT")
        if shape not in FORMATS:
            raise WrongRequest("WRONG_FORMAT", "Format이 맞지 않습니다.")
        wanted = [self._read(client, part) for part in parts if "type" in part]
        if not wanted:
            raise WrongRequest("NO_TYPE", "타입이 존재하지 않습니다.")
        client.ticket, client.as_list, client.wanted = ticket, shape == "JSON_LIST", wanted
        for each in wanted:
            if each.snapshot and client.account is None:
                self._snapshot(client, each)

    def _read(self, client: Client, part: dict[str, object]) -> Wanted:
        types = PUBLIC_TYPES if client.account is None else PRIVATE_TYPES
        type_, codes = part["type"], part.get("codes", [])
        if type_ not in types or not isinstance(codes, list):
            raise WrongRequest("INVALID_PARAM", f"type must be one of {', '.join(types)}, was {type_}")
        if client.account is None and not codes:
            raise WrongRequest("NO_CODES", "마켓 코드가 존재하지 않습니다.")
        # A book may be asked for with a number of levels, KRW-BTC.15: all of it is sent.
        names = frozenset(str(code).partition(".")[0] for code in codes)
        only_snapshot = part.get("is_only_snapshot", part.get("isOnlySnapshot")) is True
        only_realtime = part.get("is_only_realtime", part.get("isOnlyRealtime")) is True
        return Wanted(str(type_), names, snapshot=not only_realtime, realtime=not only_snapshot)

    def _listed(self, client: Client) -> dict[str, object]:
        result = [{"type": each.type, "codes": sorted(each.codes)} for each in client.wanted]
        return {"method": "LIST_SUBSCRIPTIONS", "result": result, "ticket": client.ticket}

    def _snapshot(self, client: Client, wanted: Wanted) -> None:
        for market in self._exchange.markets.values():
            if not wanted.covers(wanted.type, market.symbol):
                continue
            event: dict[str, object] | None
            if wanted.type == "trade":
                event = _trade(market, market.trades[-1], "SNAPSHOT") if market.trades else None
            else:
                event = self._event(wanted.type, market, "SNAPSHOT")
            if event is not None:
                client.send(encode(event))

    def _event(self, type_: str, market: Market, stream: str) -> dict[str, object]:
        now = self._exchange.clock()
        shown = payloads.ticker(market, now) if type_ == "ticker" else payloads.orderbook(market, now)
        more: dict[str, object] = {}
        if type_ == "ticker":
            last = market.trades[-1] if market.trades else None
            state = "ACTIVE" if market.status == "TRADING" else "SUSPENDED"
            more = {
                "ask_bid": "ASK" if last is not None and last.is_buyer_maker else "BID",
                "market_state": state,
                "is_trading_suspended": state != "ACTIVE",
                "delisting_date": None,
                "market_warning": "NONE",
            }
        return {"type": type_, "code": market.symbol, **shown, **more, "stream_type": stream}

    # What happens

    def trade(self, market: Market, trade: PublicTrade) -> None:
        """Publish a trade."""
        self._publish("trade", market, lambda: _trade(market, trade, "REALTIME"))
        self._publish("ticker", market, lambda: self._event("ticker", market, "REALTIME"))

    def book(self, market: Market) -> None:
        """Note that a book may have changed."""
        self._changed[market.symbol] = market

    def flush(self) -> None:
        """Publish the books that changed."""
        changed, self._changed = self._changed, {}
        for market in changed.values():
            if market.book.drain_changes() is not None:
                self._publish("orderbook", market, partial(self._event, "orderbook", market, "REALTIME"))

    def _publish(self, type_: str, market: Market, make: Callable[[], dict[str, object]]) -> None:
        text = None
        for client in self.public:
            if client.wants(type_, market.symbol):
                text = text or encode(make())
                client.send(text)

    def tell(self, account: str, type_: str, code: str, event: dict[str, object]) -> None:
        """Send a private event to those of the account who want it."""
        text = encode(event)
        for client in self.of(account):
            if client.wants(type_, code):
                client.send(text)

    def of(self, account: str) -> Iterable[Client]:
        return [each for each in self.private if each.account is not None and each.account.name == account]


def _trade(market: Market, trade: PublicTrade, stream: str) -> dict[str, object]:
    names = {"_date": "trade_date", "_time": "trade_time"}
    shown = {names.get(name, name): value for name, value in payloads.trade(market, trade).items()}
    best = (market.book.best("SELL"), market.book.best("BUY"))
    quotes = {
        "best_ask_price": None if best[0] is None else payloads.number(best[0].price),
        "best_ask_size": None if best[0] is None else payloads.number(best[0].quantity),
        "best_bid_price": None if best[1] is None else payloads.number(best[1].price),
        "best_bid_size": None if best[1] is None else payloads.number(best[1].quantity),
    }
    at = {"trade_timestamp": payloads.ms(trade.time_ns)}
    return {"type": "trade", "code": market.symbol, **shown, **at, **quotes, "stream_type": stream}
