"""Answers: from a question and the history to rows. Pure: no I/O, and nothing is changed.

A question looks through at most :data:`MAX_LOOKED_AT` orders or trades, so that a filter that hits nothing cannot hold
the follower up; the answer then says ``more``, with a ``next`` that goes on where it stopped.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.books import BookKey
from oms.aggregates.money import ZERO
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.aggregates.risk.controls import CONTROLS, unknown
from oms.aggregates.risk.latches import Latch
from oms.messages import queries as q
from oms.messages.codes import Code, Refused
from oms.messages.controls import CAPITAL, Level
from oms.messages.scopes import ScopeKind, parse_scope, scope_tokens
from oms.messages.subjects import ANY, Subject
from oms.projections.accounts import account_rows
from oms.projections.balances import balance_row, balances, serves
from oms.projections.limits import latch_row, limit_rows
from oms.projections.orders import order_row
from oms.projections.pnl import Earned
from oms.projections.positions import position_row, positions
from oms.projections.projections import Projections
from oms.projections.trades import trade_row
from replay.following.heartbeats import Heartbeats
from replay.following.known import check_names

MAX_LOOKED_AT: Final = 50_000
OPEN_DAY: Final = "open"

Paged = Iterator[tuple[str, Any]]
"""(cursor, row); a None for a row ends the page at that cursor."""


def covers(subject: Subject, exchange: str, account: str, market: str, symbol: str = ANY) -> bool:
    """Whether a subject means this place; ``_`` in it means any, and so does ``_`` for a symbol that does not apply."""
    return (
        subject.exchange in (ANY, exchange)
        and subject.account in (ANY, account)
        and subject.market in (ANY, market)
        and (symbol == ANY or subject.symbol in (ANY, symbol))
    )


def answer(
    models: Projections, subject: Subject, query: Any, sequence: int, now: int
) -> q.Answer[msgspec.Raw]:
    """Answer any question but ``show_status``, inside :data:`oms.aggregates.money.EXACT`.

    Args:
        now: UTC ns; what is used of limits within a second or a minute hangs on it.

    Raises:
        Refused: INVALID_COMMAND when ``after`` is not from an answer to this kind of question; ACCOUNT_UNKNOWN,
            INSTRUMENT_UNKNOWN, LIMIT_UNKNOWN, SCOPE_UNKNOWN for a name that is not known.
    """
    check_names(models.partition, subject)
    if isinstance(query, q.ShowPnl):
        rows, totals = pnl(models, subject, query)
        taken, more, after = q.page(rows, query.limit)
        return q.PnlAnswer(sequence=sequence, rows=taken, more=more, next=after, totals=totals)
    if isinstance(query, q.ShowLimits):
        found = limits(models, subject, query, now)
    else:
        found = _ROWS[type(query)](models, subject, query)
    taken, more, after = q.page(found, query.limit)
    return q.Answer(sequence=sequence, rows=taken, more=more, next=after)


# -- orders and trades, newest first


def _orders(models: Projections, subject: Subject, query: q.ShowOrders) -> Paged:
    if query.order_id is not None:
        one = models.orders.by_id.get(query.order_id)
        found: Iterable[Order] = () if one is None else (one,)
    elif query.open:
        found = models.orders.open_newest_first(
            subject.exchange, subject.account, subject.market, before=query.after
        )
    else:
        found = models.orders.newest_first(before=query.after)
    for looked_at, order in enumerate(found, 1):
        if (
            covers(subject, order.exchange, order.account, order.market, order.symbol)
            and (query.open is None or order.live is query.open)
            and (query.status is None or order.status is query.status)
            and (query.strategy is None or order.strategy == query.strategy)
            and order.updated_at >= query.since
        ):
            yield order.order_id, order_row(order)
        if looked_at == MAX_LOOKED_AT:
            yield order.order_id, None


def _trades(models: Projections, subject: Subject, query: q.ShowTrades) -> Paged:
    if query.after and not (query.after.isascii() and query.after.isdigit()):
        raise Refused(Code.INVALID_COMMAND, f"after must be next of an answer, was {query.after!r}")
    instruments = models.partition.instruments
    found = models.trades.newest_first(before=int(query.after) if query.after else None)
    for looked_at, trade in enumerate(found, 1):
        fill = trade.fill
        if trade.at < query.since:
            return
        if (
            covers(subject, fill.exchange, fill.account, fill.market, fill.symbol)
            and (query.strategy is None or fill.strategy == query.strategy)
            and (query.order_id is None or fill.order_id == query.order_id)
        ):
            settle = instruments[fill.exchange, fill.market, fill.symbol].settle
            yield str(trade.number), trade_row(trade, settle)
        if looked_at == MAX_LOOKED_AT:
            yield str(trade.number), None


# -- positions and balances, by key


def _positions(models: Projections, subject: Subject, query: q.ShowPositions) -> Paged:
    for position, instrument in positions(models.partition):
        place = (position.exchange, position.account, position.market, position.symbol)
        cursor = ".".join(place)
        if (
            covers(subject, *place)
            and cursor > query.after
            and (query.open is None or bool(position.quantity) is query.open)
        ):
            yield (
                cursor,
                position_row(position, instrument),
            )


def _balances(models: Projections, subject: Subject, query: q.ShowBalances) -> Paged:
    partition = models.partition
    for wallet, asset in balances(partition):
        cursor = ".".join((*wallet.key, asset))
        if (
            covers(subject, wallet.exchange, wallet.account, subject.market)
            and (subject.market == ANY or serves(partition, wallet, subject.market))
            and cursor > query.after
            and query.asset in (None, asset)
        ):
            yield cursor, balance_row(wallet, asset)


# -- controls and accounts


def limits(
    models: Projections, subject: Subject, query: q.ShowLimits, now: int
) -> Iterator[tuple[str, q.LimitRow]]:
    """Limits from the widest scope on, with their cursors; ``now`` in UTC ns.

    Raises:
        Refused: LIMIT_UNKNOWN, SCOPE_UNKNOWN.
    """
    if query.control is not None and query.control not in (*CONTROLS, q.KILL_SWITCH, CAPITAL):
        raise unknown(query.control)
    begins = any(f"{kind.value}:".startswith(query.scope) for kind in ScopeKind)
    found: dict[str, q.LimitRow] = {}
    for row in limit_rows(models.partition, models.statements, now):
        scope = parse_scope(row.scope)
        begins = begins or row.scope.startswith(query.scope)
        cursor = f"{_KINDS.index(scope.kind)}{row.scope} {row.control}"
        if (
            all(asked in (ANY, own) for asked, own in zip(subject[1:], scope_tokens(scope), strict=True))
            and cursor > query.after
            and row.scope.startswith(query.scope)
            and query.control in (None, row.control)
            and (not query.near or row.level is not Level.CLEAR)
            and (not query.latched or row.latch is not None)
        ):
            found[cursor] = row
    if not begins:
        raise Refused(
            Code.SCOPE_UNKNOWN,
            f"no scope begins with {query.scope!r}: there are global, exchange:NAME, account:NAME, strategy:NAME and "
            "instrument:EXCHANGE.MARKET.SYMBOL",
        )
    yield from sorted(found.items())


def _accounts(models: Projections, subject: Subject, query: q.ShowAccounts) -> Paged:
    partition = models.partition
    names = [name for name in partition.accounts if subject.account in (ANY, name) and name > query.after]
    yield from ((row.account, row) for row in account_rows(partition, set(sorted(names)[: query.limit + 1])))


_KINDS: Final = list(ScopeKind)
_ROWS: Final[dict[type, Any]] = {
    q.ShowOrders: _orders,
    q.ShowTrades: _trades,
    q.ShowPositions: _positions,
    q.ShowBalances: _balances,
    q.ShowAccounts: _accounts,
}

# -- P&L


@attrs.define(slots=True)
class _Sum:
    """Figures of one row in the making. ``unrealised`` is of the marked ones."""

    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    trades: int = 0
    adjustments: int = 0
    unrealised: Decimal = ZERO
    other_fees: dict[str, Decimal] = attrs.field(factory=dict)
    unmarked: set[str] = attrs.field(factory=set)

    def earn(self, one: Earned) -> None:
        self.realised += one.realised
        self.fees += one.fees
        self.funding += one.funding
        self.trades += one.trades
        self.adjustments += one.adjustments
        for asset, fee in one.other_fees.items():
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee

    def value(self, symbol: str, unrealised: Decimal | None) -> None:
        if unrealised is None:
            self.unmarked.add(symbol)
        else:
            self.unrealised += unrealised


_Group = tuple[str, str, str, str, str, str, str]
"""(exchange, account, market, symbol, strategy, day, settle)"""


def pnl(models: Projections, subject: Subject, query: q.ShowPnl) -> tuple[Paged, list[q.PnlRow]]:
    """P&L rows by their key, and the totals of all of them by settlement asset."""
    groups: dict[_Group, _Sum] = {}
    totals: dict[str, _Sum] = {}
    by_day, open_too = "day" in query.by, query.day is None
    books: dict[BookKey, tuple[_Group, Position]] = {
        key: (_group(models.partition, key, query.by), book)
        for key, book in models.pnl.books.items()
        if covers(subject, *key[:4]) and query.strategy in (None, key[4])
    }
    for day, earned in models.pnl.days.items():
        if query.day in (None, day):
            for key, one in earned.items():
                if key in books:
                    group = _on(books[key][0], day if by_day else ANY)
                    for total in (groups.setdefault(group, _Sum()), totals.setdefault(group[6], _Sum())):
                        total.earn(one)
    if open_too:
        for key, (group, book) in books.items():
            # The row of what is open is there only for what is open, when days are told apart.
            if by_day and not book.quantity:
                continue
            group = _on(group, OPEN_DAY if by_day else ANY)
            unrealised = book.unrealised(models.partition.instruments[key[0], key[2], key[3]])
            for total in (groups.setdefault(group, _Sum()), totals.setdefault(group[6], _Sum())):
                total.value(key[3], unrealised)
    rows = (
        (cursor, _pnl_row(group, groups[group], open_too))
        for group in sorted(groups)
        if (cursor := ".".join(group)) > query.after
    )
    return rows, [
        _pnl_row((ANY, ANY, ANY, ANY, ANY, ANY, settle), totals[settle], open_too)
        for settle in sorted(totals)
    ]


def _group(partition: Partition, key: BookKey, by: list[q.Dimension]) -> _Group:
    exchange, account, market, symbol, strategy = key
    settle = partition.instruments[exchange, market, symbol].settle
    tell_symbol = "symbol" in by
    return (
        exchange if tell_symbol else ANY,
        account if "account" in by else ANY,
        market if tell_symbol else ANY,
        symbol if tell_symbol else ANY,
        strategy if "strategy" in by else ANY,
        ANY,
        settle,
    )


def _on(group: _Group, day: str) -> _Group:
    return (*group[:5], day, group[6])


def _pnl_row(group: _Group, total: _Sum, open_too: bool) -> q.PnlRow:
    exchange, account, market, symbol, strategy, day, settle = group
    unrealised: Any = msgspec.UNSET
    net: Any = msgspec.UNSET
    if open_too:
        unrealised = None if total.unmarked else total.unrealised
        net = None if unrealised is None else total.realised + unrealised - total.fees + total.funding
    return q.PnlRow(
        exchange=exchange,
        account=account,
        market=market,
        symbol=symbol,
        strategy=strategy,
        day=day,
        settle=settle,
        realised=total.realised,
        fees=total.fees,
        funding=total.funding,
        trades=total.trades,
        adjustments=total.adjustments,
        unrealised=unrealised,
        net=net,
        other_fees=total.other_fees,
        unmarked=sorted(total.unmarked),
    )


# -- status


def status(models: Projections, subject: Subject, heartbeats: Heartbeats, **known: Any) -> q.StatusRow:
    """The status row; ``known`` is what the follower knows of journal, snapshots and public events.

    Raises:
        Refused: ACCOUNT_UNKNOWN, INSTRUMENT_UNKNOWN for a name that is not known.
    """
    state = models.partition
    check_names(state, subject)
    latches = _latches(state, subject.account)
    return q.StatusRow(
        journal_id=state.journal_id,
        partition=state.partition,
        engine=state.engine,
        at=state.at,
        orders=len(models.orders.by_id),
        open_orders=sum(len(live) for live in state.live.values()),
        in_doubt=len(state.doubtful),
        unanswered=len(state.unanswered),
        trades=models.trades.last,
        instruments=len(state.instruments),
        accounts={
            name: account.kind for name, account in state.accounts.items() if subject.account in (ANY, name)
        },
        sessions=[
            q.SessionRow(
                exchange=ledger.exchange,
                account=ledger.account,
                market=ledger.market,
                session=ledger.session,
                ready=ledger.ready,
                live_orders=len(state.live.get(ledger.key, ())),
                reconciled_at=ledger.reconciled_at,
                differences=ledger.differences,
                health=heartbeats.of(ledger.key, ledger.session),
            )
            for key, ledger in sorted(state.ledgers.items())
            if covers(subject, *key)
        ],
        latched=len(latches),
        latches=[latch_row(latch) for latch in latches[: q.LATCHES_SHOWN]],
        **known,
    )


def _latches(state: Partition, account: str) -> list[Latch]:
    """Engaged kill switches, the widest first, and then the oldest; those of accounts other than this one left out."""
    found = [
        (_KINDS.index(scope.kind), latch.at, latch.scope, latch)
        for latch in state.risk.latches.values()
        if (scope := parse_scope(latch.scope)).kind is not ScopeKind.ACCOUNT or account in (ANY, scope.name)
    ]
    return [each[-1] for each in sorted(found, key=lambda each: each[:3])]
