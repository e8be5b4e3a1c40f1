"""Derives public events: from a journal event that was just applied to the messages that tell of it.

One message a stream, so that an event's place in the journal names it there; two for a transfer, which is of two accounts. A
trade is told in four of them. See :mod:`oms.messages.public`.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from oms.aggregates.order import Order
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages import public as p
from oms.messages.subjects import ANY
from oms.projections.balances import balance_row
from oms.projections.orders import order_fields
from oms.projections.positions import position_row
from oms.projections.projections import Projections
from oms.projections.trades import trade_row
from replay.following import public_risk

Put = Callable[[str, str, bytes], None]
"""Takes (stream, subject, payload)."""

_encode = msgspec.json.Encoder().encode


def derive(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    """Make the messages of one event, inside :data:`oms.aggregates.money.EXACT`, right after it was applied."""
    rule = RULES.get(type(event))
    if rule is not None:
        rule(models, event, at, sequence, put)
    elif type(event) not in IGNORED:
        raise AssertionError(f"no public event has a rule for {type(event).__name__}")


def _name(event: Any) -> str:
    return type(event).__name__


def _put_order(order: Order, event: Any, at: int, sequence: int, put: Put) -> None:
    denied = f"{event.code}: {event.message}" if isinstance(event, e.OrderAmendDenied) else ""
    message = p.OrderChanged(
        event=_name(event), sequence=sequence, at=at, denied=denied, **order_fields(order)
    )
    subject = f"orders.{order.exchange}.{order.account}.{order.market}.{order.symbol}"
    put("ORDERS", subject, _encode(message))


def _put_balances(
    models: Projections,
    key: tuple[str, str, str],
    assets: list[str],
    event: Any,
    at: int,
    sequence: int,
    put: Put,
) -> None:
    wallet = models.partition.wallets.get(models.partition.wallet_key(key))
    if wallet is None:
        return
    exchange, account, name = wallet.key
    message = p.BalanceChanged(
        event=_name(event),
        sequence=sequence,
        at=at,
        exchange=exchange,
        account=account,
        wallet=name,
        balances=[balance_row(wallet, asset) for asset in assets if asset in wallet.balances],
    )
    put("ACCOUNTS", f"accounts.{exchange}.{account}.{name}._", _encode(message))


def _order(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    order = models.orders.by_id.get(event.order_id)
    if order is not None:
        _put_order(order, event, at, sequence, put)


def _order_and_funds(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    order = models.orders.by_id.get(event.order_id)
    if order is not None:
        _put_order(order, event, at, sequence, put)
        key = (order.exchange, order.account, order.market)
        _put_balances(models, key, [order.reserve_asset], event, at, sequence, put)


def _traded(
    models: Projections, event: e.OrderFilled | e.TradeBusted, at: int, sequence: int, put: Put
) -> None:
    _order(models, event, at, sequence, put)
    place = f"{event.exchange}.{event.account}.{event.market}.{event.symbol}"
    key = (event.exchange, event.account, event.market)
    instrument = models.partition.instruments[event.exchange, event.market, event.symbol]
    trade = trade_row(models.trades.by_number[models.trades.last], instrument.settle)
    told = p.TradeHappened(event=_name(event), **msgspec.structs.asdict(trade))
    put("TRADES", f"trades.{place}", _encode(told))
    _put_position(models, event, at, sequence, put)
    assets = dict.fromkeys((instrument.base, instrument.quote, instrument.settle, event.fee_asset))
    _put_balances(models, key, list(assets), event, at, sequence, put)


def _put_position(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    instrument = models.partition.instruments[event.exchange, event.market, event.symbol]
    key = (event.exchange, event.account, event.market, event.symbol)
    position = position_row(models.partition.positions[key], instrument)
    changed = p.PositionChanged(
        event=_name(event),
        sequence=sequence,
        at=at,
        reason=event.reason if isinstance(event, e.TermsRefused) else "",
        **msgspec.structs.asdict(position),
    )
    put("POSITIONS", f"positions.{'.'.join(key)}", _encode(changed))


def _position_and_funds(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    _put_position(models, event, at, sequence, put)
    instrument = models.partition.instruments[event.exchange, event.market, event.symbol]
    assets = dict.fromkeys((instrument.settle, getattr(event, "asset", instrument.settle)))
    key = (event.exchange, event.account, event.market)
    _put_balances(models, key, list(assets), event, at, sequence, put)


def _reconciled(models: Projections, event: e.Reconciled, at: int, sequence: int, put: Put) -> None:
    message = p.AccountReconciled(
        event=_name(event), sequence=sequence, at=at, **msgspec.structs.asdict(event)
    )
    put("ACCOUNTS", f"accounts.{event.exchange}.{event.account}.{event.market}._", _encode(message))


def _adjusted(models: Projections, event: e.BalanceAdjusted, at: int, sequence: int, put: Put) -> None:
    key = (event.exchange, event.account, event.market)
    _put_balances(models, key, [event.asset], event, at, sequence, put)


def _opened(models: Projections, event: e.SessionOpened, at: int, sequence: int, put: Put) -> None:
    _put_session(event, event.session, event.ready, "", at, sequence, put)


def _closed(models: Projections, event: e.SessionClosed, at: int, sequence: int, put: Put) -> None:
    _put_session(event, "", False, event.reason, at, sequence, put)


def _put_session(
    event: e.SessionOpened | e.SessionClosed,
    session: str,
    ready: bool,
    reason: str,
    at: int,
    sequence: int,
    put: Put,
) -> None:
    message = p.SessionChanged(
        event=_name(event),
        sequence=sequence,
        at=at,
        exchange=event.exchange,
        account=event.account,
        market=event.market,
        session=session,
        ready=ready,
        reason=reason,
    )
    put("ACCOUNTS", f"accounts.{event.exchange}.{event.account}.{event.market}._", _encode(message))


def _account(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    account = models.partition.accounts[event.account]
    message = p.AccountKnown(
        event=_name(event),
        sequence=sequence,
        at=at,
        account=event.account,
        kind=account.kind,
        name=account.name,
        status=account.status,
        by=getattr(event, "by", ""),
        reason=getattr(event, "reason", ""),
    )
    put("ACCOUNTS", f"accounts.{ANY}.{event.account}.{ANY}.{ANY}", _encode(message))


def _transfer(models: Projections, event: Any, at: int, sequence: int, put: Put) -> None:
    transfer = models.partition.transfers[event.transfer_id]
    for exchange, account, name in (transfer.source_key, transfer.target_key):
        wallet = models.partition.wallets[exchange, account, name]
        message = p.TransferChanged(
            event=_name(event),
            sequence=sequence,
            at=at,
            exchange=exchange,
            account=account,
            wallet=name,
            balances=[balance_row(wallet, transfer.asset)] if transfer.asset in wallet.balances else [],
            transfer_id=transfer.transfer_id,
            status=transfer.status,
            source=transfer.account,
            source_wallet=transfer.wallet,
            target=transfer.to,
            target_wallet=transfer.to_wallet,
            asset=transfer.asset,
            amount=transfer.amount,
            value=transfer.value,
            by=transfer.by,
            reason=transfer.reason,
            venue_transfer_id=transfer.venue_transfer_id,
            note=transfer.note,
        )
        put("ACCOUNTS", f"accounts.{exchange}.{account}.{name}._", _encode(message))


def _transfer_denied(models: Projections, event: d.TransferDenied, at: int, sequence: int, put: Put) -> None:
    partition = models.partition
    exchange, account, wallet = partition.wallet_key((event.exchange, event.account, event.market))
    message = p.TransferStopped(
        event=_name(event),
        sequence=sequence,
        at=at,
        exchange=exchange,
        account=account,
        wallet=wallet,
        target=event.to,
        target_wallet=partition.wallet_key((event.exchange, event.to, event.to_market))[2],
        asset=event.asset,
        amount=event.amount,
        code=event.code,
        message=event.message,
        by=event.by,
        reason=event.reason,
    )
    put("ACCOUNTS", f"accounts.{exchange}.{account}.{wallet}._", _encode(message))


def _guarded(
    models: Projections, event: d.DisconnectGuardSet | d.ClientDisconnected, at: int, sequence: int, put: Put
) -> None:
    message = p.ClientGuarded(event=_name(event), sequence=sequence, at=at, **msgspec.structs.asdict(event))
    put("ACCOUNTS", f"accounts.{ANY}.{event.account}.{ANY}.{ANY}", _encode(message))


RULES: Final[dict[type, Any]] = {
    **public_risk.RULES,
    d.DisconnectGuardSet: _guarded,
    d.ClientDisconnected: _guarded,
    e.AccountRegistered: _account,
    d.AccountRenamed: _account,
    d.AccountDisabled: _account,
    d.AccountEnabled: _account,
    d.AccountClosed: _account,
    d.TransferRequested: _transfer,
    d.TransferInDoubt: _transfer,
    d.TransferCompleted: _transfer,
    d.TransferRejected: _transfer,
    d.TransferDenied: _transfer_denied,
    e.SessionOpened: _opened,
    e.SessionClosed: _closed,
    e.BalanceAdjusted: _adjusted,
    e.Reconciled: _reconciled,
    e.FundingPaid: _position_and_funds,
    # These change what is open, what it holds of the wallet, or may.
    e.PositionAdjusted: _position_and_funds,
    e.PositionStated: _position_and_funds,
    e.TermsSet: _position_and_funds,
    e.TermsRefused: _put_position,
    e.OrderFilled: _traded,
    e.TradeBusted: _traded,
    # These reserve funds, release some, or may.
    e.OrderPlaced: _order_and_funds,
    e.OrderAdopted: _order_and_funds,
    e.OrderAccepted: _order_and_funds,  # of an order that was believed rejected
    e.OrderRejected: _order_and_funds,
    e.OrderCanceled: _order_and_funds,
    e.OrderExpired: _order_and_funds,
    e.OrderAmendRequested: _order_and_funds,
    e.OrderAmended: _order_and_funds,
    e.OrderAmendRejected: _order_and_funds,
    e.OrderRestated: _order_and_funds,
    # These do not.
    e.OrderDenied: _order,
    e.OrderAmendDenied: _order,
    e.OrderCancelRequested: _order,
    e.OrderCancelRejected: _order,
    e.OrderInDoubt: _order,
    e.OrderDoubtResolved: _order,
    e.OrderReleased: _order,
}

IGNORED: Final = frozenset(
    {
        e.JournalCreated,
        e.EngineStarted,
        e.Sealed,
        e.SigningKeyDeclared,
        e.LossAccepted,
        e.VenueDeclared,
        e.InstrumentListed,
        e.MarksRecorded,  # prices are the venue's to tell
        e.TermsRequested,  # its answer has an event of its own, and so has the next
        e.ReconciliationRequested,
        e.CancelAllRequested,  # its cancels have events of their own
    }
)
