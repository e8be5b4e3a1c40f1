"""What is pushed: private channels as things happen, public ones as things happen or every tenth of a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from oms.simulator.connections import encode
from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, SELL, OrderUpdate
from oms.simulator.positions import Position
from oms.simulator.reports import Reports

from . import funds, payloads, prices
from .queries import Queries
from .sockets import Arg, Socket
from .trading import Trading

BOOK_LEVELS = 400
SMALL_BOOK_LEVELS = 5

# What moved funds or positions → OKX's event type on `balance_and_position`. What is not here is not told there.
_EVENTS = {
    "ORDER": "filled",
    "DEPOSIT": "transferred",
    "WITHDRAW": "transferred",
    "TRANSFER": "transferred",
    "FUNDING": "funding_fee",
    "LIQUIDATION": "liquidation",
    "ADL": "adl",
    "LEVERAGE": "set_leverage",
    "MARGIN": "adjust_margin",
}

Best = tuple[tuple[Decimal, Decimal] | None, ...]


class PrivateStreams:
    """Orders, funds and positions of accounts, to whoever is logged in and subscribed."""

    def __init__(
        self, exchange: Exchange, trading: Trading, queries: Queries, reports: Reports, opened: set[Socket]
    ) -> None:
        self._exchange = exchange
        self._trading = trading
        self._queries = queries
        self._reports = reports
        self._open = opened

    def greet(self, socket: Socket, arg: Arg) -> None:
        account = socket.account
        assert account is not None, "a private subscription has an account"
        channel = arg["channel"]
        if channel == "account":
            assets = arg["ccy"].split(",") if arg.get("ccy") else None
            row = funds.balance(self._exchange, account, assets)
            _push(socket, arg, [row], account, eventType="snapshot", curPage=1, lastPage=True)
        elif channel == "positions":
            held = [each for each in account.positions.values() if each.quantity and _of_position(arg, each)]
            _push(socket, arg, [funds.position(self._exchange, account, each) for each in held], account)
        elif channel == "balance_and_position":
            assets = [asset for asset, each in account.wallets["unified"].items() if each.total]
            held = [each for each in account.positions.values() if each.quantity]
            _push(socket, arg, [self._both(account, "snapshot", assets, held)], account)

    def order(self, update: OrderUpdate) -> None:
        """Tell a change of an order."""
        order = update.order
        account = self._exchange.accounts[order.account]
        amending = self._trading.amending
        amended_by = ""
        if update.execution == "AMENDED":
            amended_by = "1" if amending.active else "4"
        row = payloads.order_change(
            self._queries.show(order), update.fill, req_id=amending.req_id, amended_by=amended_by
        )

        def deliver() -> None:
            for socket, arg in self._subscribed(account, "orders"):
                kinds = ("ANY", payloads.INST_TYPES[order.market])
                if arg["instType"] in kinds and arg.get("instId") in (None, "", order.symbol):
                    _push(socket, arg, [row], account)

        self._reports.emit(account.name, (update.execution, "orders"), deliver)

    def funds(self, change: FundsChange) -> None:
        """Tell what moved in the trading account."""
        if change.wallet != "unified":
            return
        account = change.account
        balance = funds.balance(self._exchange, account, list(change.assets)) if change.assets else None
        for socket, arg in self._subscribed(account, "account"):
            if balance is not None and (
                not arg.get("ccy") or set(arg["ccy"].split(",")) & set(change.assets)
            ):
                _push(socket, arg, [balance], account, eventType="event_update")
        for socket, arg in self._subscribed(account, "positions"):
            held = [each for each in change.positions if _of_position(arg, each)]
            if held:
                _push(socket, arg, [funds.position(self._exchange, account, each) for each in held], account)
        event = _EVENTS.get(change.reason)
        moved = [asset for asset, amount in change.assets.items() if amount]
        if event is None or not (moved or change.positions):
            return
        row = self._both(account, event, moved, change.positions)
        for socket, arg in self._subscribed(account, "balance_and_position"):
            _push(socket, arg, [row], account)

    def _subscribed(self, account: Account, channel: str) -> list[tuple[Socket, Arg]]:
        return [
            (socket, arg)
            for socket in self._open
            if socket.account is account
            for arg in socket.subscriptions(channel)
        ]

    def _both(
        self, account: Account, event: str, assets: Iterable[str], held: Iterable[Position]
    ) -> dict[str, object]:
        now = payloads.ms(self._exchange.clock())
        shown = {asset: funds.balance(self._exchange, account, [asset]) for asset in assets}
        balances = [
            {"cashBal": detail["cashBal"], "ccy": asset, "uTime": now}
            for asset, row in shown.items()
            for detail in row["details"]  # type: ignore[attr-defined]
        ]
        names = (
            "avgPx",
            "ccy",
            "instId",
            "instType",
            "mgnMode",
            "pos",
            "posCcy",
            "posId",
            "posSide",
            "tradeId",
            "uTime",
        )
        rows = [funds.position(self._exchange, account, each) for each in held]
        return {
            "balData": balances,
            "eventType": event,
            "pTime": now,
            "posData": [{name: row[name] for name in names} for row in rows],
            "trades": [],
        }


def _of_position(arg: Arg, held: Position) -> bool:
    return arg["instType"] in ("ANY", "SWAP") and arg.get("instId") in (None, "", held.symbol)


def _push(socket: Socket, arg: Arg, rows: list[dict[str, object]], account: Account, **more: object) -> None:
    socket.connection.send({"arg": {**arg, "uid": payloads.uid(account)}, **more, "data": rows})


class PublicStreams:
    """Prices, books and trades, to whoever is subscribed."""

    def __init__(self, exchange: Exchange, opened: set[Socket]) -> None:
        self._exchange = exchange
        self._open = opened
        self._sequence: dict[tuple[str, str], int] = {}
        self._best: dict[tuple[str, str], Best] = {}
        self._changed: dict[str, set[tuple[str, str]]] = {"tickers": set(), "books": set(), "marks": set()}

    def greet(self, socket: Socket, arg: Arg) -> None:
        channel, symbol = arg["channel"], arg["instId"]
        market = next(each for each in self._exchange.markets.values() if each.symbol == symbol)
        now = self._exchange.clock()
        rows: dict[str, object] | None = None
        action = {}
        if channel == "books":
            action = {"action": "snapshot"}
            rows = {
                **self._levels(market, BOOK_LEVELS),
                "checksum": prices.checksum(market),
                "prevSeqId": -1,
                "seqId": self._sequence.get(market.key, 0),
            }
        elif channel == "books5":
            rows = self._small_book(market)
        elif channel == "bbo-tbt":
            rows = self._best_row(market)
        elif channel == "tickers":
            rows = prices.ticker(market, now)
        elif channel == "mark-price" and market.is_futures:
            rows = prices.mark_price(market, now)
        elif channel == "funding-rate" and market.is_futures:
            rows = prices.funding_rate(market, now)
        if rows is not None:
            socket.connection.send({"arg": arg, **action, "data": [rows]})

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._changed["tickers"].add(market.key)
        for channel in ("trades", "trades-all"):
            self._push(channel, market, lambda: prices.public_trade(market, trade))

    def book(self, market: Market) -> None:
        self._changed["tickers"].add(market.key)
        self._changed["books"].add(market.key)
        levels = (market.book.best(BUY), market.book.best(SELL))
        best: Best = tuple(None if level is None else (level.price, level.quantity) for level in levels)
        if best != self._best.get(market.key):
            self._best[market.key] = best
            self._push("bbo-tbt", market, lambda: self._best_row(market))

    def mark(self, market: Market) -> None:
        self._changed["marks"].add(market.key)

    def flush(self) -> None:
        """Push what goes out on a schedule."""
        now = self._exchange.clock()
        for market in self._take("tickers"):
            self._push("tickers", market, lambda market=market: prices.ticker(market, now))  # type: ignore[misc]
        for market in self._take("books"):
            self._push_changes(market)
            self._push("books5", market, lambda market=market: self._small_book(market))  # type: ignore[misc]
        for market in self._take("marks"):
            self._push("mark-price", market, lambda market=market: prices.mark_price(market, now))  # type: ignore[misc]
            self._push("funding-rate", market, lambda market=market: prices.funding_rate(market, now))  # type: ignore[misc]

    def _take(self, what: str) -> list[Market]:
        changed, self._changed[what] = self._changed[what], set()
        return [self._exchange.markets[key] for key in sorted(changed)]

    def _push_changes(self, market: Market) -> None:
        change = market.book.drain_changes()
        if change is None:
            return
        before = self._sequence.get(market.key, 0)
        self._sequence[market.key] = change.last_update_id
        sides = {
            name: [
                [payloads.num(price), payloads.num(size), "0", "1" if size else "0"] for price, size in levels
            ]
            for name, levels in (("asks", change.asks), ("bids", change.bids))
        }
        row = {
            **sides,
            "ts": payloads.ms(self._exchange.clock()),
            "checksum": prices.checksum(market),
            "prevSeqId": before,
            "seqId": change.last_update_id,
        }
        self._push("books", market, lambda: row, action="update")

    def _small_book(self, market: Market) -> dict[str, object]:
        sequence = self._sequence.get(market.key, 0)
        return {**self._levels(market, SMALL_BOOK_LEVELS), "instId": market.symbol, "seqId": sequence}

    def _best_row(self, market: Market) -> dict[str, object]:
        return {**self._levels(market, 1), "seqId": market.book.update_id}

    def _levels(self, market: Market, most: int) -> dict[str, object]:
        return {
            "asks": prices.levels(market, SELL, most),
            "bids": prices.levels(market, BUY, most),
            "ts": payloads.ms(self._exchange.clock()),
        }

    def _push(
        self, channel: str, market: Market, make: Callable[[], dict[str, object]], **more: object
    ) -> None:
        wanting = [
            (socket, arg)
            for socket in self._open
            for arg in socket.subscriptions(channel)
            if arg["instId"] == market.symbol
        ]
        if not wanting:
            return
        row = make()
        text = encode({"arg": {"channel": channel, "instId": market.symbol}, **more, "data": [row]})
        for socket, _ in wanting:
            socket.connection.send_text(text)
