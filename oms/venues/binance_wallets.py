"""Transfers between a Binance main account and its sub-accounts: one endpoint of api.binance.com for all of its markets."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from oms.messages.desk import TransferState
from oms.venues.adapter import Move, VenueTransfer
from oms.venues.dialect import Meanings
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Priority
from oms.venues.notation import at_ms, text
from oms.venues.pools import TRANSFER, TRANSFERS

WALLETS: Final = {"spot": "SPOT", "futures": "USDT_FUTURE"}
"""Our name → the venue's. One of the two sides of a transfer has to be SPOT, whichever account's."""

STATES: Final = {
    "SUCCESS": TransferState.DONE,
    "FAILURE": TransferState.REJECTED,
    "PROCESS": TransferState.PENDING,
    "INIT": TransferState.PENDING,
}

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


async def ask_to_move(
    request: Callable[..., Awaitable[VenueTransfer]], move: Move, deadline: int
) -> VenueTransfer:
    """Move funds once. The answer says that it is taken; that it is done, :func:`find_move` says.

    Args:
        request: of the account that asks.

    Raises:
        VenueError: NOT_SENT for wallets that nothing goes between.
    """
    wallets = (move.source.wallet, move.target.wallet)
    if not set(wallets) <= WALLETS.keys() or "spot" not in wallets:
        why = f"Binance moves funds to or from spot, out of {', '.join(WALLETS)}: was {' to '.join(wallets)}"
        raise VenueError(Kind.NOT_SENT, why)
    params = {
        "fromEmail" if move.target.main else "toEmail": move.other.named,
        "fromAccountType": WALLETS[move.source.wallet],
        "toAccountType": WALLETS[move.target.wallet],
        "clientTranId": move.reference,
        "asset": move.asset,
        "amount": text(move.amount),
    }

    def read(raw: Any) -> VenueTransfer:
        return VenueTransfer(venue_transfer_id=str(raw["tranId"]), state=TransferState.PENDING)

    # Its weight is counted for itself, not with that of the markets.
    return await request(
        "sapiPostSubAccountUniversalTransfer",
        params,
        read,
        weight=0,
        group=TRANSFER,
        priority=Priority.ORDER,
        deadline=deadline,
    )


async def find_move(request: Callable[..., Awaitable[VenueTransfer | None]], move: Move) -> VenueTransfer:
    """A transfer of the last seven days, by its client id.

    Raises:
        VenueError: NOT_FOUND, the venue shows none.
    """
    # Without either address it lists what the main account sent; with both it refuses.
    params = {
        "fromEmail" if move.target.main else "toEmail": move.other.named,
        "clientTranId": move.reference,
    }

    def read(raw: Any) -> VenueTransfer | None:
        for row in raw["result"]:
            if row["clientTranId"] == move.reference:
                return VenueTransfer(
                    venue_transfer_id=str(row["tranId"]),
                    state=STATES[row["status"]],
                    time=at_ms(row["createTimeStamp"]),
                    reason=f"the venue says {row['status']}",
                )
        return None

    found = await request("sapiGetSubAccountUniversalTransfer", params, read, weight=0, group=TRANSFERS)
    if found is None:
        raise VenueError(Kind.NOT_FOUND, "the venue shows no such transfer")
    return found
