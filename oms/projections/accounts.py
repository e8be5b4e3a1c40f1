"""Accounts: views over what the partition knows of each. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.registered`, :mod:`oms.aggregates.account` and :mod:`oms.aggregates.risk`.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal

from oms.aggregates.money import ZERO, fewest_places
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import GLOBAL
from oms.aggregates.risk.totals import Totals
from oms.aggregates.transfer import Transfer
from oms.messages.queries import TRANSFERS_SHOWN, AccountRow, Allocation, TransferRow, VenueState
from oms.projections.limits import latch_row


def account_rows(partition: Partition, names: Collection[str]) -> Iterator[AccountRow]:
    """The rows of some accounts that are registered, by id."""
    equity: dict[str, dict[str, Decimal]] = {name: {} for name in names}
    for wallet in partition.wallets.values():
        if (own := equity.get(wallet.account)) is not None:
            for asset, balance in wallet.balances.items():
                own[asset] = own.get(asset, ZERO) + balance.total
    for ((_, owner, _), asset), purse in partition.risk.leaves.purses.items():
        if (own := equity.get(owner)) is not None:
            own[asset] = own.get(asset, ZERO) + purse.unrealised
    venues: dict[str, list[VenueState]] = {}
    for _, ledger in sorted(partition.ledgers.items()):
        venue = VenueState(exchange=ledger.exchange, market=ledger.market, ready=ledger.ready)
        venues.setdefault(ledger.account, []).append(venue)
    strategies: dict[str, list[Allocation]] = {}
    for strategy in sorted(partition.risk.strategies):
        assigned = partition.risk.strategies[strategy]
        allocation = Allocation(strategy=strategy, capital=assigned.capital)
        strategies.setdefault(assigned.account, []).append(allocation)
    transfers: dict[str, list[Transfer]] = {}
    for transfer in partition.transfers_under_way.values():
        for name in (transfer.account, transfer.to):
            transfers.setdefault(name, []).append(transfer)
    latches = partition.risk.latches
    for name in sorted(names):
        account, scope = partition.accounts[name], f"account:{name}"
        exchanges = dict.fromkeys(f"exchange:{venue.exchange}" for venue in venues.get(name, ()))
        totals = partition.risk.totals.get(scope) or Totals(scope)
        value, unvalued = ZERO, set()
        for asset, amount in equity[name].items():
            rate = partition.risk.rates.of(asset)
            if rate is not None:
                value += amount * rate
            elif amount:
                unvalued.add(asset)
        # Figures are written in one way, however they were summed up.
        yield AccountRow(
            account=name,
            kind=account.kind,
            name=account.name,
            status=account.status,
            venues=venues.get(name, []),
            value=fewest_places(value),
            unvalued=sorted(unvalued),
            exposure=fewest_places(totals.exposure),
            open_orders=totals.open_orders,
            pnl_day=fewest_places(totals.day),
            drawdown=fewest_places(totals.drawdown),
            strategies=strategies.get(name, []),
            latches=[latch_row(latches[each]) for each in (scope, GLOBAL, *exchanges) if each in latches],
            under_way=len(transfers.get(name, ())),
            transfers=[_transfer_row(each) for each in transfers.get(name, ())[:TRANSFERS_SHOWN]],
        )


def _transfer_row(transfer: Transfer) -> TransferRow:
    return TransferRow(
        transfer_id=transfer.transfer_id,
        exchange=transfer.exchange,
        account=transfer.account,
        market=transfer.market,
        to=transfer.to,
        to_market=transfer.to_market,
        asset=transfer.asset,
        amount=transfer.amount,
        status=transfer.status,
        note=transfer.note,
        by=transfer.by,
        requested_at=transfer.requested_at,
    )
