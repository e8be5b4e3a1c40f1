"""Balances: views over the partition's ledgers. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.account`.
"""

from collections.abc import Iterator

from oms.aggregates.account import Account
from oms.aggregates.partition import Partition
from oms.messages.queries import BalanceRow


def balances(partition: Partition) -> Iterator[tuple[Account, str]]:
    """Every ledger with each of its assets, by (exchange, account, market, asset)."""
    for key in sorted(partition.ledgers):
        ledger = partition.ledgers[key]
        for asset in sorted(ledger.balances):
            yield ledger, asset


def balance_row(ledger: Account, asset: str) -> BalanceRow:
    """The row of one asset as it is now."""
    balance = ledger.balances[asset]
    return BalanceRow(
        exchange=ledger.exchange,
        account=ledger.account,
        market=ledger.market,
        asset=asset,
        total=balance.total,
        locked=balance.locked,
        free=balance.free,
    )
