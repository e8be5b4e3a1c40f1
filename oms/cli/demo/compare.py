"""What the demonstration claims, as comparisons of two accounts of the same thing. Pure; an empty list means equal.

Every function returns the differences, each a line that says what was expected and what was found.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.client import Result
from oms.messages import events as e
from oms.messages.commands import PlaceOrder
from oms.messages.frames import Commit
from oms.messages.instructions import venue_client_id
from oms.messages.queries import BalanceRow, OrderRow
from replay.verify import Report

SHOWN: Final = 5
"""Differences of one kind that are spelled out."""

TradeKey = tuple[str, str, str, str]
"""(account, symbol, trade id, side): an account that trades with itself has both sides under one id"""
Trade = tuple[Decimal, Decimal]
"""(quantity, price)"""


@attrs.frozen
class Acknowledged:
    """An order that a client was told is durable, and the command that asked for it."""

    account: str
    command: PlaceOrder
    order_id: str

    @property
    def command_id(self) -> str:
        return self.command.command_id


@attrs.define
class JournalFacts:
    """What the journal's frames say, read directly and not through any state of ours.

    Args:
        orders: (account, command_id) → ids of the orders that commits with it made; more than one would be a fault.
        made: order id → how many events made it.
        client_ids: (account, client order id) that the venue may have been sent, or was found to hold.
        accepted: those of them that the venue has acknowledged.
        trades: every trade applied; more than one under a key would be a fault.
    """

    orders: dict[tuple[str, str], list[str]] = attrs.field(factory=dict)
    made: Counter[str] = attrs.field(factory=Counter)
    client_ids: set[tuple[str, str]] = attrs.field(factory=set)
    accepted: set[tuple[str, str]] = attrs.field(factory=set)
    trades: dict[TradeKey, list[Trade]] = attrs.field(factory=dict)
    _accounts: dict[str, str] = attrs.field(factory=dict)

    def add(self, commit: Commit) -> None:
        """Take in the next commit."""
        for event in commit.events:
            match event:
                case e.OrderPlaced() | e.OrderDenied():
                    self.made[event.order_id] += 1
                    self.orders.setdefault((event.account, commit.command_id), []).append(event.order_id)
                    if isinstance(event, e.OrderPlaced):
                        self._accounts[event.order_id] = event.account
                        self.client_ids.add((event.account, event.order_id))
                case e.OrderAdopted():
                    self.made[event.order_id] += 1
                    self.client_ids.add((event.account, event.client_order_id))
                case e.OrderAmendRequested() if event.order_id in self._accounts:
                    client_id = venue_client_id(event.order_id, event.revision)
                    self.client_ids.add((self._accounts[event.order_id], client_id))
                case e.OrderAccepted() if event.order_id in self._accounts:
                    self.accepted.add((self._accounts[event.order_id], event.order_id))
                case e.OrderFilled():
                    key = (event.account, event.symbol, event.trade_id, event.side.value)
                    self.trades.setdefault(key, []).append((event.quantity, event.price))
                case e.TradeBusted():
                    del self.trades[event.account, event.symbol, event.trade_id, event.side.value]


def acknowledged_are_in_journal(acknowledged: Sequence[Acknowledged], facts: JournalFacts) -> list[str]:
    """Every acknowledged order is in the journal, under its command, once."""
    found = []
    for one in acknowledged:
        orders = facts.orders.get((one.account, one.command_id), [])
        if orders != [one.order_id]:
            found.append(
                f"command {one.command_id} was acknowledged as {one.order_id}, the journal has {orders or 'none'}"
            )
    return found


def nothing_twice(facts: JournalFacts) -> list[str]:
    """No command made two orders, no order was made twice, no trade was applied twice."""
    return [
        *(
            f"command {key[1]} made {len(made)} orders: {made}"
            for key, made in facts.orders.items()
            if key[1] and len(made) > 1
        ),
        *(f"order {order_id} was made {count} times" for order_id, count in facts.made.items() if count > 1),
        *(
            f"trade {key} was applied {len(some)} times"
            for key, some in facts.trades.items()
            if len(some) > 1
        ),
    ]


def engine_remembers(acknowledged: Sequence[Acknowledged], again: Sequence[Result]) -> list[str]:
    """Asked again, the engine gives every acknowledged command its first answer and does nothing."""
    found = []
    for one, answer in zip(acknowledged, again, strict=True):
        if not answer.duplicate or answer.order_id != one.order_id:
            found.append(
                f"command {one.command_id} was acknowledged as {one.order_id}; asked again the engine answered"
                f" {answer.order_id or answer.error} with duplicate {answer.duplicate}"
            )
    return found


def follower_shows(acknowledged: Sequence[Acknowledged], rows: Iterable[OrderRow]) -> list[str]:
    """Every acknowledged order can be queried, with the terms that were asked for."""
    by_id = {row.order_id: row for row in rows}
    found = []
    for one in acknowledged:
        row, asked = by_id.get(one.order_id), one.command
        if row is None:
            found.append(f"order {one.order_id} was acknowledged and cannot be queried")
        elif (row.account, row.symbol, row.side, row.quantity, row.price) != (
            one.account,
            asked.symbol,
            asked.side,
            asked.quantity,
            asked.price,
        ):
            found.append(f"order {one.order_id} was asked for as {asked}, the follower shows {row}")
    return found


def venue_agrees(venue_orders: Sequence[Mapping[str, Any]], facts: JournalFacts) -> list[str]:
    """The venue holds no order that the journal does not know, none twice, and all that it acknowledged."""
    seen = Counter((str(row["account"]), str(row["client_order_id"])) for row in venue_orders)
    return [
        *(f"the venue holds {key[1]} of {key[0]} {count} times" for key, count in seen.items() if count > 1),
        *(f"the venue holds {key[1]} of {key[0]}, which the journal does not know" for key in seen.keys() - facts.client_ids),
        *(f"the journal says that the venue took {key[1]} of {key[0]}, the venue does not hold it" for key in facts.accepted - seen.keys()),
    ]  # fmt: skip


def trades_agree(venue_trades: Iterable[Mapping[str, Any]], facts: JournalFacts) -> list[str]:
    """Venue and journal have the same trades, with the same quantities and prices."""
    venue = {
        (
            str(row["account"]),
            str(row["symbol"]),
            str(row["trade_id"]),
            "buy" if row["is_buyer"] else "sell",
        ): (
            Decimal(row["quantity"]),
            Decimal(row["price"]),
        )
        for row in venue_trades
    }
    ours = {key: some[0] for key, some in facts.trades.items()}
    return [
        *(f"trade {key} is {venue[key]} at the venue and not in the journal" for key in venue.keys() - ours.keys()),
        *(f"trade {key} is {ours[key]} in the journal and not at the venue" for key in ours.keys() - venue.keys()),
        *(f"trade {key} is {venue[key]} at the venue and {ours[key]} in the journal" for key in venue.keys() & ours.keys() if venue[key] != ours[key]),
    ]  # fmt: skip


def balances_agree(
    venue: Mapping[str, Mapping[str, Mapping[str, str]]], rows: Iterable[BalanceRow]
) -> list[str]:
    """Totals by account and asset are the same at the venue and here; what is not listed is zero."""
    theirs = {
        (account, asset): Decimal(amounts["free"]) + Decimal(amounts["locked"])
        for account, assets in venue.items()
        for asset, amounts in assets.items()
    }
    ours = {(row.account, row.asset): row.total for row in rows}
    return [
        f"{key[1]} of {key[0]} is {theirs.get(key, Decimal(0)):f} at the venue and {ours.get(key, Decimal(0)):f} here"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key, Decimal(0)) != ours.get(key, Decimal(0))
    ]


def states_agree(
    live_digest: str, replayed_digest: str, live_models: bytes, replayed_models: bytes
) -> list[str]:
    """State and read models that lived through it are those that a replay from the first frame makes."""
    found = []
    if live_digest != replayed_digest:
        found.append(f"the live state's digest is {live_digest}, the replayed state's {replayed_digest}")
    if live_models != replayed_models:
        found.append("the read models of the follower differ from those of the replay")
    return found


def record_is_proven(report: Report) -> list[str]:
    """Every proof was made, and none failed."""
    made = {
        "frame in the archive": report.archived,
        "check": report.checks,
        "seal": report.seals,
        "receipt": report.receipts,
        "snapshot": report.snapshots,
        "decision": report.decided,
    }
    return [
        *(f"no {name} was held against the journal" for name, count in made.items() if not count),
        *(f"{found.kind} at frame {found.sequence}: {found.message}" for found in report.findings),
    ]
