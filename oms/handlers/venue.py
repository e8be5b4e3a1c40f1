"""What connectors say: sessions, instruments, marks, balances and reports about orders."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from oms.aggregates.account import Account, AccountKey
from oms.aggregates.bust import needs_undoing
from oms.aggregates.instrument import listing
from oms.aggregates.money import ZERO
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.partition import Partition, margin_unit
from oms.aggregates.venue import declared
from oms.handlers.instruct import look_up
from oms.handlers.session import account_key, check_amount, listed, of_session
from oms.handlers.terms import decide_statement
from oms.messages import commands as c
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.codes import Code, Refused
from oms.messages.replies import ErrorBody, LivePage, RefusedReport
from oms.messages.subjects import Subject

LIVE_PAGE = 500

# The hot path: a look at a report's class costs a fortieth of holding it against several.
_OF_SYMBOLS: Final = frozenset({r.Funding, r.Terms, r.TermsRefused})
_COUNTING: Final = frozenset({r.Canceled, r.Expired, r.Finished})


def decide_open_session(state: Partition, subject: Subject, command: c.OpenSession) -> list[e.Event]:
    """Hand the account to a session: to a new one for reconciling, to the same one as ready.

    Raises:
        Refused: ACCOUNT_UNKNOWN; SESSION_STALE, SESSION_CLOSED when this session ended before it was ready.
    """
    ledger = state.ledgers.get(account_key(state, subject))
    if command.ready:
        ledger = of_session(state, subject, command.session)
    if ledger is not None and (ledger.session, ledger.ready) == (command.session, command.ready):
        return []
    return [
        e.SessionOpened(
            exchange=subject.exchange,
            account=subject.account,
            market=subject.market,
            session=command.session,
            ready=command.ready,
        )
    ]


def decide_close_session(state: Partition, subject: Subject, command: c.CloseSession) -> list[e.Event]:
    """End a session; one that another has replaced is ended already."""
    ledger = state.ledgers.get(account_key(state, subject))
    if ledger is None or ledger.session != command.session:
        return []
    return [
        e.SessionClosed(
            exchange=subject.exchange,
            account=subject.account,
            market=subject.market,
            session=command.session,
            reason=command.reason,
        )
    ]


def decide_declare_venue(state: Partition, subject: Subject, command: c.DeclareVenue) -> list[e.Event]:
    """Take down what a market can do, where that is new.

    Raises:
        Refused: WALLET_IN_USE when its funds would be in another wallet than before, and there are some.
    """
    told = command.capabilities
    event = e.VenueDeclared(
        exchange=subject.exchange,
        market=subject.market,
        order_types=told.order_types,
        times_in_force=told.times_in_force,
        features=told.features,
        wallet=told.wallet,
    )
    known = state.venues.get((subject.exchange, subject.market))
    if known == declared(event):
        return []
    wallet = subject.market if known is None else known.wallet
    if wallet != event.wallet:
        _check_empty(state, subject, wallet, event.wallet)
    return [event]


def _check_empty(state: Partition, subject: Subject, before: str, after: str) -> None:
    for wallet in state.wallets.values():
        if (wallet.exchange, wallet.wallet) == (subject.exchange, before) and not wallet.empty:
            raise Refused(
                Code.WALLET_IN_USE,
                f"the funds of {subject.exchange}.{subject.market} are in wallet {before!r}, where {wallet.account} has some, and"
                f" cannot be in {after!r} from now on",
            )


def decide_list_instruments(state: Partition, subject: Subject, command: c.ListInstruments) -> list[e.Event]:
    """List what is new or changed.

    Raises:
        Refused: INVALID_COMMAND when terms contradict each other, or a symbol stands there twice.
    """
    found: list[e.Event] = []
    seen: set[str] = set()
    for spec in command.instruments:
        if spec.symbol in seen:
            raise Refused(Code.INVALID_COMMAND, f"{spec.symbol} stands twice in one list")
        seen.add(spec.symbol)
        event = listing(subject.exchange, subject.market, spec)
        known = state.instruments.get((subject.exchange, subject.market, spec.symbol))
        if known is None or any(
            getattr(known, field) != getattr(event, field) for field in event.__struct_fields__
        ):
            found.append(event)
    return found


UNCHANGED_NS: Final = 2 * 10**9
"""A mark that is the same is recorded again, as a newer one, when the one known is older."""


def decide_marks(state: Partition, subject: Subject, command: c.ReportMarks, now: int) -> list[e.Event]:
    """Record the marks that changed, and those whose age says more than their value.

    Raises:
        Refused: INSTRUMENT_UNKNOWN, INVALID_DECIMAL, NOT_POSITIVE.
    """
    changed = {}
    for symbol, mark in command.marks.items():
        instrument = state.instruments.get((subject.exchange, subject.market, symbol))
        if instrument is None:
            raise Refused(
                Code.INSTRUMENT_UNKNOWN, f"{symbol!r} is not listed on {subject.exchange}.{subject.market}"
            )
        check_amount("mark", mark)
        if mark <= 0:
            raise Refused(Code.NOT_POSITIVE, f"mark of {symbol} must be above zero, was {mark}")
        if instrument.mark != mark or now - instrument.mark_at >= UNCHANGED_NS:
            changed[symbol] = mark
    return (
        [e.MarksRecorded(exchange=subject.exchange, market=subject.market, marks=changed)] if changed else []
    )


def decide_balances(state: Partition, subject: Subject, command: c.ReportBalances) -> list[e.Event]:
    """Adopt the venue's totals of the market's wallet where they differ; an asset not named is zero there.

    One that a transfer is moving, or has moved since the totals were read, is left for the next report.

    Raises:
        Refused: SESSION_STALE, SESSION_CLOSED, INVALID_DECIMAL.
    """
    ledger = of_session(state, subject, command.session)
    found: list[e.Event] = []
    wallet = state.funds_seen(ledger.key)
    balances = wallet.balances
    for asset in {**command.totals, **balances}:
        total = command.totals.get(asset, ZERO)
        check_amount(asset, total)
        if not wallet.comparable(asset, command.as_of):
            continue
        known = balances.get(asset)
        delta = total - (ZERO if known is None else known.total)
        if delta:
            found.append(
                e.BalanceAdjusted(
                    exchange=subject.exchange,
                    account=subject.account,
                    market=subject.market,
                    asset=asset,
                    delta=delta,
                    total=total,
                )
            )
    return found


def list_live(state: Partition, subject: Subject, command: c.ListLive, sequence: int) -> LivePage:
    """A page of what the engine believes is open, for a session to reconcile.

    Raises:
        Refused: SESSION_STALE, SESSION_CLOSED.
    """
    ledger = of_session(state, subject, command.session)
    live = state.live.get(ledger.key, {})
    # What is held was never sent: the venue has nothing to say about it.
    rest = sorted(o for o, order in live.items() if o > command.after and not order.awaits)
    more = len(rest) > LIVE_PAGE
    return LivePage(
        orders=[look_up(live[order_id]) for order_id in rest[:LIVE_PAGE]],
        more=more,
        filled_until=dict(ledger.filled_until),
        forgotten_before=ledger.forgotten_before,
        balances={} if more else _totals(state, ledger.key),
        positions={} if more else _open_positions(state, ledger.key),
        moving=[] if more else _moving(state, ledger.key, command.as_of),
        transfers_done=state.transfers_done,
        sequence=sequence,
    )


def _totals(state: Partition, key: AccountKey) -> dict[str, Decimal]:
    balances = state.funds_seen(key).balances
    return {asset: balance.total for asset, balance in balances.items() if balance.total}


def _moving(state: Partition, key: AccountKey, as_of: int) -> list[str]:
    wallet = state.funds_seen(key)
    return [asset for asset in {**wallet.transit, **wallet.moved} if not wallet.comparable(asset, as_of)]


def _open_positions(state: Partition, key: AccountKey) -> dict[str, Decimal]:
    positions = state.positions_of.get(key, {})
    return {symbol: held.quantity for symbol, held in positions.items() if held.quantity}


def decide_reports(
    state: Partition, subject: Subject, command: c.SubmitReports, refused: list[RefusedReport]
) -> Iterator[list[e.Event]]:
    """Decide report after report; the caller applies each list before it asks for the next.

    What is not taken is added to ``refused``.

    Raises:
        Refused: SESSION_STALE, SESSION_CLOSED.
    """
    ledger = of_session(state, subject, command.session)
    for index, report in enumerate(command.reports):
        try:
            events = _decide_report(state, ledger, report)
        except Refused as error:
            refused.append(RefusedReport(index, ErrorBody(error.code, error.message)))
            continue
        if events:
            yield events


def _decide_report(state: Partition, ledger: Account, report: Any) -> list[e.Event]:
    kind = type(report)
    if kind in _OF_SYMBOLS:
        return decide_statement(state, ledger, report)
    order = _order_of(state, ledger, report.order_id)
    if kind is r.Filled:
        return _decide_fill(state, ledger, report, order)
    if kind is r.Busted:
        return _decide_bust(state, ledger, report, order)
    if kind is r.Found:
        return [] if order is not None and not _reuses_id(order, report) else _adopt(state, ledger, report)
    if kind in _COUNTING and report.cumulative is not None:
        check_amount("cumulative", report.cumulative)
    if kind is r.Restated:
        _check_positive(("quantity", report.quantity), ("price", report.price))
    if order is None:
        # Retired: it finished long ago, and only a trade could still matter.
        if report.order_id in state.retired:
            return []
        raise Refused(Code.ORDER_UNKNOWN, f"no order {report.order_id!r}")
    return list(order.decide_report(report))


def _reuses_id(order: Order, report: r.Found) -> bool:
    """Whether someone outside gave an order the client id of an earlier one, as a venue allows once that has ended."""
    return order.strategy == ADOPTED and not order.live and order.venue_order_id != report.venue_order_id


def _order_of(state: Partition, ledger: Account, order_id: str) -> Order | None:
    order = state.orders.get(order_id)
    if order is None:
        adopted = state.venue_ids.get((ledger.key, order_id))
        return None if adopted is None else state.orders.get(adopted)
    if (order.exchange, order.account, order.market) != ledger.key:
        raise Refused(Code.ORDER_UNKNOWN, f"order {order_id} is not of {'.'.join(ledger.key)}")
    return order


def _decide_fill(state: Partition, ledger: Account, report: r.Filled, order: Order | None) -> list[e.Event]:
    """A trade is a fact in any state of its order, and without one; only a repeated or impossible one is not applied."""
    _check_trade(state, ledger, report, order)
    if ledger.knows_trade(report.symbol, report.trade_id, report.side, report.venue_time):
        return []
    return [e.OrderFilled(**_trade(state, ledger, report, order), maker=report.maker)]


def _decide_bust(state: Partition, ledger: Account, report: r.Busted, order: Order | None) -> list[e.Event]:
    """A trade taken back is undone once, whatever has become of its order."""
    _check_trade(state, ledger, report, order)
    lacking = order if order is not None and order.cumulative < report.quantity else None
    # Not this order's: outside, the client id of an earlier one may be used again.
    of = None if lacking is not None else order
    event = e.TradeBusted(**_trade(state, ledger, report, of), reason=report.reason)
    if not needs_undoing(ledger, event):
        return []
    if lacking is not None and lacking.order_id == report.order_id:
        raise Refused(
            Code.TRADE_UNKNOWN,
            f"trade {report.trade_id} of {report.quantity:f} was taken back of order {lacking.order_id}, which has"
            f" traded {lacking.cumulative:f}",
        )
    return [event]


def _check_trade(state: Partition, ledger: Account, report: r.Filled | r.Busted, order: Order | None) -> None:
    listed(state, ledger, report.symbol)
    check_amount("fee", report.fee)
    _check_positive(("quantity", report.quantity), ("price", report.price))
    if report.fee and not report.fee_asset:
        raise Refused(
            Code.INVALID_COMMAND, f"trade {report.trade_id} has a fee of {report.fee:f} in no asset"
        )
    if order is not None and (order.symbol, order.side) != (report.symbol, report.side):
        raise Refused(
            Code.SUBJECT_MISMATCH,
            f"trade {report.trade_id} is a {report.side} of {report.symbol}, order {order.order_id} a {order.side} of {order.symbol}",
        )


def _trade(
    state: Partition, ledger: Account, report: r.Filled | r.Busted, order: Order | None
) -> dict[str, Any]:
    """What a trade says, and whose it is."""
    return {
        "order_id": report.order_id if order is None else order.order_id,
        "exchange": ledger.exchange,
        "account": ledger.account,
        "market": ledger.market,
        "symbol": report.symbol,
        "side": report.side,
        "trade_id": report.trade_id,
        "quantity": report.quantity,
        "price": report.price,
        "fee": report.fee,
        "fee_asset": report.fee_asset,
        "venue_time": report.venue_time,
        "strategy": state.retired.get(report.order_id, ADOPTED) if order is None else order.strategy,
    }


def _check_positive(*amounts: tuple[str, Decimal | None]) -> None:
    for name, amount in amounts:
        if amount is not None:
            check_amount(name, amount)
            if amount <= 0:
                raise Refused(Code.NOT_POSITIVE, f"{name} must be above zero, was {amount:f}")


def _adopt(state: Partition, ledger: Account, report: r.Found) -> list[e.Event]:
    instrument = listed(state, ledger, report.symbol)
    _check_positive(
        ("quantity", report.quantity), ("price", report.price), ("trigger_price", report.trigger_price)
    )
    unit = None
    if not instrument.spot:
        position = state.positions.get((*ledger.key, report.symbol))
        price = report.price or report.trigger_price or instrument.mark or ZERO
        unit = margin_unit(instrument, position, report.side, report.quantity, price)
    return [
        e.OrderAdopted(
            order_id=state.order_id(),
            exchange=ledger.exchange,
            account=ledger.account,
            market=ledger.market,
            symbol=report.symbol,
            side=report.side,
            type=report.type,
            quantity=report.quantity,
            price=report.price,
            trigger_price=report.trigger_price,
            time_in_force=report.time_in_force,
            strategy=ADOPTED,
            client_order_id=report.order_id,
            venue_order_id=report.venue_order_id,
            venue_time=report.venue_time,
            reserve_price=unit,
            reason=report.reason,
        )
    ]
