"""Transfers between the wallets of one Binance account: one endpoint of api.binance.com for all of its markets."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

from oms.venues.dialect import Meanings
from oms.venues.errors import Kind, VenueError
from oms.venues.notation import text

WALLETS: Final = {"spot": "MAIN", "futures": "UMFUTURE", "funding": "FUNDING"}
"""Our name → the venue's, of wallets that any two of can exchange funds."""

# fmt: off
REFUSED_TRANSFERS: Final[Meanings] = {
    f"-{code}": (("", Kind.REJECTED),)
    for code in (
        5001, 5002, 5003,        # asset not transferable, insufficient balance, no such asset held
        *range(5004, 5010),      # residual balances, once a day, quantity of zero, product
        5011, 5013,              # no futures account, insufficient balance
    )
}
"""Beside the codes that all of Binance has. -5010, -5012 and -9000 (failed, or pending) may yet have moved something."""
# fmt: on


async def transfer(
    request: Callable[..., Awaitable[str]], asset: str, amount: Decimal, source: str, target: str
) -> str:
    """Move funds once and return the venue's id of it.

    Args:
        request: of the account that asks.

    Raises:
        VenueError: NOT_SENT for wallets that there are not; never AUTH_FATAL: a key that may not transfer may still trade.
    """
    if source not in WALLETS or target not in WALLETS or source == target:
        raise VenueError(
            Kind.NOT_SENT, f"transfers are between two of {', '.join(WALLETS)}: was {source} to {target}"
        )
    params = {"type": f"{WALLETS[source]}_{WALLETS[target]}", "asset": asset, "amount": text(amount)}

    def read(raw: Any) -> str:
        return str(raw["tranId"])

    try:
        # It counts by user id in a pool of its own, 900 of 180,000 a minute, and not in those of the markets.
        return await request("sapiPostAssetTransfer", params, read, weight=0)
    except VenueError as error:
        if error.kind is Kind.AUTH_FATAL:
            raise VenueError(Kind.REJECTED, f"the key may not transfer: {error.reason}") from None
        raise
