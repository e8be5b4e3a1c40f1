"""Balances: views over the partition's wallets. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.account`.
"""

from collections.abc import Iterator

from oms.aggregates.account import Wallet
from oms.aggregates.partition import Partition
from oms.messages.queries import BalanceRow


def balances(partition: Partition) -> Iterator[tuple[Wallet, str]]:
    """Every wallet with each of its assets, by (exchange, account, wallet, asset)."""
    for key in sorted(partition.wallets):
        wallet = partition.wallets[key]
        for asset in sorted(wallet.balances):
            yield wallet, asset


def serves(partition: Partition, wallet: Wallet, market: str) -> bool:
    """Whether a market's funds are in this wallet; a wallet's own name means it too."""
    key = (wallet.exchange, wallet.account, market)
    return wallet.key in (key, partition.wallet_key(key))


def balance_row(wallet: Wallet, asset: str) -> BalanceRow:
    """The row of one asset as it is now."""
    balance = wallet.balances[asset]
    return BalanceRow(
        exchange=wallet.exchange,
        account=wallet.account,
        wallet=wallet.wallet,
        asset=asset,
        total=balance.total,
        locked=balance.locked,
        margin=balance.margin,
        free=balance.free,
    )
