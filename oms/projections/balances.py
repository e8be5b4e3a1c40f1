"""Balances: views over the partition's ledgers. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.account`.
"""

from collections.abc import Iterator

from oms.aggregates.account import Account, Balance
from oms.aggregates.partition import Partition


def balances(partition: Partition) -> Iterator[tuple[Account, str, Balance]]:
    """Every balance with its ledger and asset, by (exchange, account, market, asset); empty ones included."""
    for key in sorted(partition.ledgers):
        ledger = partition.ledgers[key]
        for asset in sorted(ledger.balances):
            yield ledger, asset, ledger.balances[asset]
