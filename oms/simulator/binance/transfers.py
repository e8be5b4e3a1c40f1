"""Universal transfers between the wallets of spot and of USD-M futures."""

from __future__ import annotations

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import FUTURES, SPOT
from oms.simulator.reasons import Reason, Refusal

from . import errors, payloads
from .limits import Limiter
from .params import Params

_WALLETS = {"MAIN": SPOT, "UMFUTURE": FUTURES}
_NAMES = {wallet: name for name, wallet in _WALLETS.items()}
_TYPE = r"^(MAIN_UMFUTURE|UMFUTURE_MAIN)$"
ROWS_DEFAULT = 10
ROWS_MAX = 100


def transfer(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    source, target = params.need("type", _TYPE).split("_")
    asset = params.need("asset")
    amount = params.decimal("amount")
    params.finish()
    if not amount:
        raise errors.missing("amount")
    try:
        made = exchange.transfer(account, asset, amount, _WALLETS[source], _WALLETS[target])
    except Refusal as refusal:
        raise _of_refusal(refusal) from None
    return {"tranId": made.transfer_id}


def _of_refusal(refusal: Refusal) -> errors.ApiError:
    if refusal.reason is Reason.INSUFFICIENT_FUNDS:
        return errors.ApiError(-5013, "Asset transfer failed: insufficient balance")
    return errors.ApiError(-5003, "You don't have this asset.")


def transfers(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Transfers of one type, newest first, a page of `size` at a time."""
    source, target = params.need("type", _TYPE).split("_")
    start, end = params.integer("startTime"), params.integer("endTime")
    page, size = params.integer("current") or 1, min(params.integer("size") or ROWS_DEFAULT, ROWS_MAX)
    params.finish()
    rows = [
        {
            "asset": made.asset,
            "amount": payloads.amount(made.amount),
            "type": f"{source}_{target}",
            "status": "CONFIRMED",
            "tranId": made.transfer_id,
            "timestamp": payloads.ms(made.time_ns),
        }
        for made in reversed(account.transfers)
        if (_NAMES[made.source], _NAMES[made.target]) == (source, target)
        and (start is None or payloads.ms(made.time_ns) >= start)
        and (end is None or payloads.ms(made.time_ns) <= end)
    ]
    return {"total": len(rows), "rows": rows[(page - 1) * size : page * size]}
