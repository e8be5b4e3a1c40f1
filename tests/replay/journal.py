"""Makes journals for tests: real commands through the real handlers, and their commits as stored frames."""

import json
import random
from decimal import Decimal
from typing import Any

import msgspec
from nats.aio.client import Client

from oms.aggregates.partition import Partition
from oms.handlers.dispatch import Outcome, handle
from oms.journal.reader import StoredFrame, check_frame
from oms.journal.stream import SUBJECT, ensure_journal
from oms.messages.frames import GENESIS, encode_commit, encode_frame, frame_digest
from tests.limits import BEGIN, BEGIN_SUBJECT

START = 1_790_000_000_000_000_000
SYMBOLS = {"BTCUSDT": "BTC", "ETHUSDT": "ETH"}
PLACE = "binance.{account}.spot.{symbol}"
_encode = msgspec.json.encode


class Maker:
    """Decides commands on a state of its own, and cuts what follows into frames.

    Args:
        clock: UTC ns of the first command; every command moves it by ``step``.
    """

    def __init__(self, clock: int = START, step: int = 1_000_000) -> None:
        self.state = Partition()
        self.clock = clock
        self.step = step
        self.payloads: list[bytes] = []
        self.head = GENESIS
        self._open: list[bytes] = []
        self._trades = 0
        self._ids = 0

    @property
    def sequence(self) -> int:
        """Of the last frame cut."""
        return len(self.payloads)

    @property
    def stored(self) -> list[StoredFrame]:
        """The frames as the journal's reader would give them."""
        found: list[StoredFrame] = []
        for sequence, payload in enumerate(self.payloads, 1):
            found.append(check_frame(sequence, payload, sequence, found[-1].digest if found else GENESIS))
        return found

    def ask(self, subject: str, **fields: Any) -> Outcome:
        """Decide one command; its commits go into the open frame."""
        self.clock += self.step
        outcome = handle(self.state, subject, _encode(fields), self.clock, self.sequence + 1)
        if outcome.commit is not None:
            self._open.append(encode_commit(outcome.commit))
        return outcome

    def command(self, subject: str, **fields: Any) -> Outcome:
        """As :meth:`ask`, with a command id of its own."""
        self._ids += 1
        return self.ask(subject, command_id=f"c{self._ids}", **fields)

    def cut(self) -> None:
        """End the open frame, when there is anything in it."""
        if not self._open:
            return
        payload = encode_frame(self.sequence + 1, self.head, self._open)
        self.payloads.append(payload)
        self.head = frame_digest(payload)
        self._open = []

    def begin(self, accounts: tuple[str, ...] = ("main", "sub_arb"), fund: str = "1000000000") -> None:
        """An engine's start, accounts, instruments, marks, ready sessions and funds."""
        self.ask("start._._._._", instance="e1", version="0", journal_id="mtest1", partition="0")
        self.ask(BEGIN_SUBJECT, **BEGIN)
        specs = [
            {
                "symbol": symbol,
                "base": base,
                "quote": "USDT",
                "settle": "USDT",
                "tick": "0.01",
                "step": "0.00001",
            }
            | {"min_quantity": "0.00001", "max_quantity": "9000"}
            for symbol, base in SYMBOLS.items()
        ]
        self.ask("list_instruments.binance._.spot._", instruments=specs)
        self.ask("report_marks.binance._.spot._", marks={"BTCUSDT": "50000", "ETHUSDT": "3000"})
        for account in accounts:
            self.command(f"register_account._.{account}._._", kind="MAIN" if account == "main" else "SUB")
            at = f"binance.{account}.spot._"
            self.ask(f"open_session.{at}", session="s1", ready=False)
            self.ask(f"report_balances.{at}", session="s1", totals={"USDT": fund, "BTC": fund, "ETH": fund})
            self.ask(f"open_session.{at}", session="s1", ready=True)
        self.cut()

    def place(self, account: str = "main", symbol: str = "BTCUSDT", **fields: Any) -> str:
        """Place an order (a limit buy of 1 at 100 unless told otherwise) and return its id."""
        terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "100"} | fields
        outcome = self.command("place." + PLACE.format(account=account, symbol=symbol), **terms)
        return outcome.reply.order_id  # type: ignore[union-attr,return-value]

    def report(self, *reports: dict[str, Any], account: str = "main") -> Outcome:
        """Tell what the venue said."""
        return self.ask(f"report.binance.{account}.spot._", session="s1", reports=list(reports))

    def fill(
        self,
        order_id: str,
        quantity: str,
        price: str,
        fee: str = "0",
        fee_asset: str = "USDT",
        account: str = "main",
    ) -> Outcome:
        """Tell one trade of an order that is still held."""
        self._trades += 1
        order = self.state.orders[order_id]
        return self.report(
            {"report": "filled", "order_id": order_id, "symbol": order.symbol, "side": order.side}
            | {"trade_id": f"t{self._trades}", "quantity": quantity, "price": price, "fee": fee}
            | {"fee_asset": fee_asset, "maker": True, "venue_time": self.clock},
            account=account,
        )

    def bust(self, order_id: str, filled: Outcome) -> Outcome:
        """Tell that a trade, as :meth:`fill` told it, was taken back."""
        assert filled.commit is not None
        told = json.loads(bytes(filled.commit.command))["reports"][0]
        del told["maker"]
        account = filled.commit.subject.split(".")[2]
        return self.report({**told, "report": "busted", "reason": "mispriced"}, account=account)

    def accept(self, order_id: str, account: str = "main") -> Outcome:
        """Tell that the venue took the order."""
        return self.report(
            {
                "report": "accepted",
                "order_id": order_id,
                "venue_order_id": f"v{order_id}",
                "venue_time": self.clock,
            },
            account=account,
        )


def busy(seed: int, orders: int, frame: int = 40, maker: Maker | None = None, step: int = 1_000_000) -> Maker:
    """A journal of ``orders`` orders with accepts, fills, cancels, rejections and denials, ``frame`` commands a frame."""
    chance = random.Random(seed)
    maker = Maker(step=step) if maker is None else maker
    if not maker.payloads:
        maker.begin()
    live: list[tuple[str, str]] = []
    for number in range(orders):
        account = chance.choice(("main", "sub_arb"))
        symbol = chance.choice(("BTCUSDT", "ETHUSDT"))
        side = chance.choice(("buy", "sell"))
        price = Decimal(chance.randrange(9_000, 11_000)) / 100
        quantity = "20000" if chance.random() < 0.03 else str(chance.randrange(1, 50))
        order_id = maker.place(
            account,
            symbol,
            side=side,
            price=f"{price:.2f}",
            quantity=quantity,
            strategy=chance.choice(("", "arb", "mm")),
        )
        if quantity != "20000":
            if chance.random() < 0.05:
                maker.report(
                    {"report": "rejected", "order_id": order_id, "reason": "no", "venue_time": maker.clock},
                    account=account,
                )
            else:
                maker.accept(order_id, account)
                live.append((order_id, account))
        if live and chance.random() < 0.8:
            order_id, account = live[chance.randrange(len(live))]
            order = maker.state.orders.get(order_id)
            if order is not None and order.leaves:
                part = order.leaves if chance.random() < 0.6 else Decimal("0.5")
                fee = chance.choice(
                    (("0", "USDT"), ("0.01", "USDT"), ("0.001", order.symbol[:3]), ("0.002", "BNB"))
                )
                maker.fill(order_id, str(part), str(order.price), *fee, account=account)
        if live and chance.random() < 0.3:
            order_id, account = live.pop(chance.randrange(len(live)))
            order = maker.state.orders.get(order_id)
            if order is not None and order.leaves:
                maker.command(f"cancel.binance.{account}.spot.{order.symbol}", order_id=order_id)
                maker.report(
                    {
                        "report": "canceled",
                        "order_id": order_id,
                        "reason": "asked",
                        "venue_time": maker.clock,
                    },
                    account=account,
                )
        if number % frame == frame - 1:
            maker.cut()
    maker.cut()
    return maker


async def write(nc: Client, payloads: list[bytes]) -> None:
    """Append frames as they are to the real journal."""
    js = nc.jetstream()
    await ensure_journal(js)
    for payload in payloads:
        await js.publish(SUBJECT, payload)
