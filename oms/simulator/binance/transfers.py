"""Universal transfers: between the wallets of spot and of USD-M futures, and between the main account and its sub-accounts."""

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
_TYPES = {"SPOT": SPOT, "USDT_FUTURE": FUTURES}
_TYPE_NAMES = {wallet: name for name, wallet in _TYPES.items()}
_CLIENT_ID = r"^[a-zA-Z0-9_-]{1,64}$"
ROWS_DEFAULT = 10
ROWS_MAX = 100
SUB_ROWS_MAX = 500
WEEK_MS = 7 * 86_400_000


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
        if not made.between_accounts
        and (_NAMES[made.source], _NAMES[made.target]) == (source, target)
        and (start is None or payloads.ms(made.time_ns) >= start)
        and (end is None or payloads.ms(made.time_ns) <= end)
    ]
    return {"total": len(rows), "rows": rows[(page - 1) * size : page * size]}


def between_accounts(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Move funds between two accounts. A client id moves them once; used again it is refused, in words of our own:
    Binance says only that it has to be unique."""
    source, target = (_party(exchange, account, params.text(name)) for name in ("fromEmail", "toEmail"))
    wallets = [_TYPES.get(params.need(name)) for name in ("fromAccountType", "toAccountType")]
    client_id = params.text("clientTranId", _CLIENT_ID) or ""
    asset, amount = params.need("asset"), params.decimal("amount")
    params.finish()
    if not account.main:
        raise errors.not_authorized()
    if not amount:
        raise errors.missing("amount")
    if None in wallets or SPOT not in wallets or source is target:
        raise errors.ApiError(-9000, "Unsupported operation")
    if client_id and any(made.client_id == client_id for made in exchange.between_accounts):
        raise errors.ApiError(-9000, "clientTranId has been used")
    try:
        made = exchange.transfer(source, asset, amount, str(wallets[0]), str(wallets[1]), target, client_id)
    except Refusal as refusal:
        raise _of_refusal(refusal) from None
    return {"tranId": made.transfer_id, "clientTranId": client_id}


def _party(exchange: Exchange, account: Account, email: str | None) -> Account:
    if email is None:
        return account
    found = exchange.by_venue_id.get(email)
    if found is None:
        raise errors.ApiError(-9000, "the sub-account does not exist")
    return found


def list_between_accounts(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Transfers of one sender, the main account unless said, or to one receiver; newest first."""
    sender, receiver = params.text("fromEmail"), params.text("toEmail")
    client_id = params.text("clientTranId")
    start, end = params.integer("startTime"), params.integer("endTime")
    page, size = params.integer("page") or 1, params.limit(SUB_ROWS_MAX, SUB_ROWS_MAX)
    params.finish()
    if not account.main:
        raise errors.not_authorized()
    if sender is not None and receiver is not None:
        raise errors.bad_combination()
    if start is None and end is None:
        start = payloads.ms(exchange.clock()) - WEEK_MS
    by = (lambda made: made.target_account) if receiver is not None else (lambda made: made.source_account)
    wanted = _party(exchange, account, sender if receiver is None else receiver).name
    rows = [
        {
            "tranId": made.transfer_id,
            "fromEmail": exchange.accounts[made.source_account].venue_id,
            "toEmail": exchange.accounts[made.target_account].venue_id,
            "asset": made.asset,
            "amount": payloads.amount(made.amount),
            "createTimeStamp": payloads.ms(made.time_ns),
            "fromAccountType": _TYPE_NAMES[made.source],
            "toAccountType": _TYPE_NAMES[made.target],
            "status": "SUCCESS",
            "clientTranId": made.client_id,
        }
        for made in reversed(exchange.between_accounts)
        if by(made) == wanted
        and client_id in (None, made.client_id)
        and (start is None or payloads.ms(made.time_ns) >= start)
        and (end is None or payloads.ms(made.time_ns) <= end)
    ]
    return {"result": rows[(page - 1) * size : page * size], "totalCount": len(rows)}
