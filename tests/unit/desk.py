"""Desk: a partition driven by messages alone, whose every commit goes through a frame into a second one by replay."""

import json
from decimal import Decimal
from typing import Any

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import Outcome, handle
from oms.messages import codec
from oms.messages.enums import OrderStatus, OrderType, Side
from oms.messages.frames import GENESIS, decode_frame, encode_commit, encode_frame, frame_digest
from tests.limits import BEGIN, BEGIN_SUBJECT

SECOND = 10**9
START = 1_700_000_000 * SECOND

BTC = {
    "symbol": "BTCUSDT",
    "base": "BTC",
    "quote": "USDT",
    "settle": "USDT",
    "tick": "0.01",
    "step": "0.001",
    "min_quantity": "0.001",
    "max_quantity": "1000",
    "min_notional": "5",
}
ETH = {**BTC, "symbol": "ETHUSDT", "base": "ETH", "step": "0.01", "min_quantity": "0.02"}
PERP = {**BTC, "symbol": "BTCPERP", "contract_size": "0.1", "step": "1", "min_quantity": "1"}


def declaration(market: str, **fields: Any) -> dict[str, Any]:
    """A venue that can do everything but amend in place, where ``fields`` do not say otherwise."""
    usual = {
        "order_types": ["limit", "market", "stop_limit", "stop_market"],
        "times_in_force": ["GTC", "IOC", "FOK", "GTD"],
        "features": ["post_only", "reduce_only", "amend"],
        "wallet": market,
    }
    return {"capabilities": {**usual, **fields}}


class Desk:
    """One engine's state and its replica.

    Args:
        ready: open sessions, list instruments and fund the accounts, so that orders can be placed.
    """

    def __init__(self, *, ready: bool = True) -> None:
        self.state = Partition()
        self.replica = Partition()
        self.now = START
        self.sequence = 0
        self.prev = GENESIS
        self.frames: list[bytes] = []
        self.ids = 0
        self.ask(
            "start._._._._", {"instance": "e1", "version": "1", "journal_id": "abcdef", "partition": "0"}
        )
        self.ask(BEGIN_SUBJECT, BEGIN)
        if ready:
            self.register("main", "MAIN")
            self.list("spot", BTC, ETH)
            self.open("main", "spot", {"USDT": "100000", "BTC": "2", "ETH": "20"})
            self.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "50000", "ETHUSDT": "3000"}})

    def ask(self, subject: str, payload: Any) -> Outcome:
        """Handle one message, replay what it committed, and return its outcome. Payloads but bytes become JSON."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.now += 1_000
        sequence = self.sequence + 1
        outcome = handle(self.state, subject, raw, self.now, sequence)
        if outcome.commit is not None:
            self._append([encode_commit(outcome.commit)], sequence)
        codec.encode(outcome.reply)
        codec.encode([instruction for _, instruction in outcome.instructions])
        return outcome

    def _append(self, commits: list[bytes], sequence: int) -> None:
        payload = encode_frame(sequence, self.prev, commits)
        frame = decode_frame(payload)
        assert (frame.sequence, frame.prev) == (sequence, self.prev)
        assert encode_frame(sequence, self.prev, [encode_commit(c) for c in frame.commits]) == payload
        with exactly():
            for commit in frame.commits:
                self.replica.apply(commit, sequence)
        self.frames.append(payload)
        self.sequence = sequence
        self.prev = frame_digest(payload)

    def reply(self, subject: str, payload: Any) -> dict[str, Any]:
        """Like :meth:`ask`; return the reply as its receiver reads it."""
        found: dict[str, Any] = json.loads(codec.encode(self.ask(subject, payload).reply))
        return found

    def digest(self) -> str:
        return image.digest(self.state)

    def seal(self) -> None:
        """Record the digest of the state, as the engine does now and then."""
        self.ask("seal._._._._", {})

    # -- usual messages

    def next_id(self) -> str:
        self.ids += 1
        return f"c{self.ids}"

    def register(self, account: str, kind: str) -> None:
        self.ask(f"register_account._.{account}._._", {"command_id": self.next_id(), "kind": kind})

    def list(self, market: str, *specs: dict[str, Any]) -> dict[str, Any]:
        return self.reply(f"list_instruments.binance._.{market}._", {"instruments": list(specs)})

    def declare(self, market: str = "spot", **fields: Any) -> dict[str, Any]:
        """The venue tells what it can do; see :func:`declaration`."""
        return self.reply(f"declare_venue.binance._.{market}._", declaration(market, **fields))

    def open(self, account: str, market: str, totals: dict[str, str], session: str = "s1") -> None:
        place = f"binance.{account}.{market}._"
        self.ask(f"open_session.{place}", {"session": session, "ready": False})
        self.ask(f"report_balances.{place}", {"session": session, "totals": totals})
        self.ask(f"open_session.{place}", {"session": session, "ready": True})

    def place(self, symbol: str = "BTCUSDT", **fields: Any) -> dict[str, Any]:
        """Place on ``main``'s spot; a limit buy of 1 at 100 unless told otherwise."""
        terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "100", **fields}
        terms = {name: value for name, value in terms.items() if value is not None}
        terms.setdefault("command_id", self.next_id())
        return self.reply(f"place.binance.main.spot.{symbol}", terms)

    def amend(self, order_id: str, **fields: Any) -> dict[str, Any]:
        return self.reply(
            "amend.binance.main.spot._", {"command_id": self.next_id(), "order_id": order_id, **fields}
        )

    def cancel(self, order_id: str) -> dict[str, Any]:
        return self.reply("cancel.binance.main.spot._", {"command_id": self.next_id(), "order_id": order_id})

    def report(self, kind: str, order_id: str, **fields: Any) -> dict[str, Any]:
        """One report of session ``s1`` about an order of ``main``'s spot, with usual values for what is not told."""
        usual = {name: value for name, value in _USUAL[kind].items() if name not in fields}
        report = {"report": kind, "order_id": order_id, **usual, **fields}
        return self.reply("report.binance.main.spot._", {"session": "s1", "reports": [report]})

    def fill(self, order_id: str, quantity: str, price: str = "100", **fields: Any) -> dict[str, Any]:
        """One trade of an order, with the order's own symbol and side and a new trade id."""
        self.ids += 1
        order = self.state.orders.get(order_id)
        terms = {
            "symbol": "BTCUSDT" if order is None else order.symbol,
            "side": "buy" if order is None else order.side.value,
            "trade_id": f"t{self.ids}",
            "venue_time": self.now,
            **fields,
        }
        return self.report("filled", order_id, quantity=quantity, price=price, **terms)

    def locked(self, asset: str) -> Decimal:
        return self.state.wallets["binance", "main", "spot"].balance(asset).locked


_TIMED = {"reason": "", "venue_time": 1}
_USUAL: dict[str, dict[str, Any]] = {
    "accepted": {"venue_order_id": "v1", "venue_time": 1},
    "rejected": _TIMED,
    "filled": {"fee": "0", "fee_asset": "USDT", "maker": False},
    "canceled": _TIMED,
    "expired": _TIMED,
    "cancel_rejected": _TIMED,
    "amended": {"venue_order_id": "v2", "venue_time": 1, "revision": 1},
    "amend_rejected": _TIMED,
    "in_doubt": {"reason": "timeout"},
    "absent": {"reason": "not found"},
    "finished": {"venue_time": 1},
    "restated": {"venue_time": 1, "price": "100"},
    "busted": {"fee": "0", "fee_asset": "USDT"},
    "found": {
        "venue_order_id": "v9",
        "symbol": "BTCUSDT",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "price": "100",
    },
}

UNANSWERED = {OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}


def check_indexes(state: Partition) -> None:
    """Every index and running total is exactly what a look at all orders and positions would find."""
    orders = state.orders
    of_accounts = {(*k, symbol): p for k, held in state.positions_of.items() for symbol, p in held.items()}
    assert of_accounts.keys() == state.positions.keys()
    assert all(state.positions[key] is position for key, position in of_accounts.items())
    live = {i for i, order in orders.items() if order.live}
    assert {i for found in state.live.values() for i in found} == live
    for key, found in state.live.items():
        assert all((o.exchange, o.account, o.market) == key and orders[i] is o for i, o in found.items())
    doubtful = {i for i in live if orders[i].in_doubt}
    assert set(state.doubtful) == doubtful
    held = {i for i in live if orders[i].awaits}
    assert set(state.unanswered) == {i for i in live - doubtful - held if orders[i].status in UNANSWERED}
    assert state.expiring == {i: orders[i].expires_at for i in live if orders[i].expires_at is not None}
    assert set(state.finished) == set(orders) - live
    assert list(state.finished.values()) == sorted(state.finished.values())
    assert not set(state.retired) & set(orders)
    assert set(state.venue_ids.values()) <= {i for i, o in orders.items() if o.strategy == "external"}
    taken: dict[str, dict[tuple[str, ...], Decimal]] = {"reducing": {}, "closing": {}}
    for order in orders.values():
        closes = order.reduce_only or (order.market != "spot" and not order.reserve_price)
        will_close = order.amend is not None and (closes or order.amend.reserve_price == 0)
        if (closes or will_close) and order.live:
            asked = order.leaves if closes else Decimal(0)
            if order.amend is not None:
                asked = max(asked, order.amend.quantity - order.cumulative)
            counted = taken["reducing" if order.reduce_only else "closing"]
            key = (order.exchange, order.account, order.market, order.symbol)
            counted[key] = counted.get(key, Decimal(0)) + asked
    for name, counted in taken.items():
        kept = {k: getattr(p, name) for k, p in state.positions.items() if getattr(p, name)}
        assert kept == {k: v for k, v in counted.items() if v}, name
    check_funds(state)
    check_own_book(state)


def check_own_book(state: Partition) -> None:
    """The best own price of each side is that of all orders that may trade, and who waits for whom is what they say."""
    held = {i: order.placed_at for i, order in state.orders.items() if order.awaits}
    assert state.holds.since == held
    assert list(state.holds.since) == sorted(held)
    best: dict[tuple[tuple[str, str, str], Side], Decimal] = {}
    for order in state.orders.values():
        if order.type is OrderType.LIMIT and order.may_trade:
            key, better = ((order.exchange, order.market, order.symbol), order.side), max
            if order.side is Side.SELL:
                better = min
            for price in (order.price, None if order.amend is None else order.amend.price):
                if price is not None:
                    best[key] = better(best.get(key, price), price)
    for key in ((i, side) for i in state.instruments for side in Side):
        assert state.own_book.best(*key) == best.get(key), key


def check_funds(state: Partition) -> None:
    """What is locked and held as margin of each wallet is the sum over orders, transfers under way and positions."""
    locked: dict[tuple[str, ...], Decimal] = {}
    margin: dict[tuple[str, ...], Decimal] = {}
    for order in state.orders.values():
        key = (*state.wallet_key((order.exchange, order.account, order.market)), order.reserve_asset)
        locked[key] = locked.get(key, Decimal(0)) + order.required
        assert order.reserved == order.required, order
    for transfer in state.transfers_under_way.values():
        key = (*transfer.source_key, transfer.asset)
        locked[key] = locked.get(key, Decimal(0)) + transfer.amount
    for (exchange, account, market, symbol), position in state.positions.items():
        instrument = state.instruments[exchange, market, symbol]
        assert position.margin == (Decimal(0) if instrument.spot else position.required_margin), position
        key = (*state.wallet_key((exchange, account, market)), instrument.settle)
        margin[key] = margin.get(key, Decimal(0)) + position.margin
    for kept, sums in (("locked", locked), ("margin", margin)):
        found = {
            (*wallet.key, asset): amount
            for wallet in state.wallets.values()
            for asset, balance in wallet.balances.items()
            if (amount := getattr(balance, kept))
        }
        assert found == {key: amount for key, amount in sums.items() if amount}, kept


def check_same(state: Partition, other: Partition) -> None:
    """Two states are the same: in digest, in image, in what is derived from them."""
    digest = image.digest(state)
    assert digest == image.digest(other), image.differences(state, other)
    assert (state.digest(), other.digest()) == (digest, digest), (
        "the digest that is kept up is not that of the state"
    )
    assert image.dump(state) == image.dump(other)
    assert {k: set(v) for k, v in state.live.items() if v} == {k: set(v) for k, v in other.live.items() if v}
    assert state.expiring == other.expiring
    assert state.venue_ids == other.venue_ids
