"""Transfers between the wallets of an account, and between the main account and its sub-accounts."""

from __future__ import annotations

import uuid
from collections import OrderedDict

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Transfer
from oms.simulator.reasons import Refusal

from . import payloads
from .errors import ApiError, of_transfer
from .pages import page, window
from .params import Params
from .queries import WALLETS

# Transfer ids that are remembered; the oldest go first.
MAX_TRANSFERS = 100_000


class Transfers:
    """Transfers with the ids that clients gave them: each id moves funds once."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, Transfer] = OrderedDict()

    def make(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`POST /v5/asset/transfer/inter-transfer`"""
        return self._move(exchange, account, account, params)

    def make_universal(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`POST /v5/asset/transfer/universal-transfer`: a sub-account sends to the main one alone."""
        source, target = (_member(exchange, params, name) for name in ("fromMemberId", "toMemberId"))
        if source is target:
            raise ApiError(131203, "Request parameter error: the members are the same")
        if not account.main and (source is not account or not target.main):
            raise ApiError(131208, "Forbid transfer")
        return self._move(exchange, source, target, params)

    def _move(
        self, exchange: Exchange, source: Account, target: Account, params: Params
    ) -> dict[str, object]:
        transfer_id = params.need("transferId")
        try:
            uuid.UUID(transfer_id)
        except ValueError:
            raise ApiError(131203, "Request parameter error: transferId") from None
        if transfer_id in self._made:
            raise ApiError(131214, "TransferId exist")
        asset, moved = params.need("coin"), params.amount("amount")
        wallets = []
        for name in ("fromAccountType", "toAccountType"):
            wallet = WALLETS.get(params.need(name))
            if wallet is None:
                raise ApiError(131207, "Account not exist")
            wallets.append(wallet)
        try:
            made = exchange.transfer(source, asset, moved, wallets[0], wallets[1], target, transfer_id)
        except Refusal as refusal:
            raise of_transfer(refusal) from None
        self._made[transfer_id] = made
        if len(self._made) > MAX_TRANSFERS:
            self._made.popitem(last=False)
        return {"transferId": transfer_id, "status": "SUCCESS"}

    def listed(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`GET /v5/asset/transfer/query-inter-transfer-list`"""
        return self._list(exchange, account, params, between=False)

    def listed_universal(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`GET /v5/asset/transfer/query-universal-transfer-list`"""
        return self._list(exchange, account, params, between=True)

    def _list(
        self, exchange: Exchange, account: Account, params: Params, *, between: bool
    ) -> dict[str, object]:
        wanted, coin = params.text("transferId"), params.text("coin")
        start, end = window(params, exchange.clock())
        rows = [
            ((made.time_ns, made.transfer_id), _row(exchange, made))
            for made in self._made.values()
            if made.between_accounts is between
            and account.name in (made.source_account, made.target_account)
            and wanted in ("", made.client_id)
            and coin in ("", made.asset)
            and params.text("status", "SUCCESS") == "SUCCESS"
            and start <= made.time_ns <= end
        ]
        part, cursor = page(rows, params, most=50, default=20)
        return {"list": part, "nextPageCursor": cursor}


def _member(exchange: Exchange, params: Params, name: str) -> Account:
    found = exchange.by_venue_id.get(str(params.integer(name, 0)))
    if found is None:
        raise ApiError(131202, f"Invalid memberId: {name}")
    return found


def _row(exchange: Exchange, made: Transfer) -> dict[str, object]:
    names = {wallet: name for name, wallet in WALLETS.items()}
    row: dict[str, object] = {
        "transferId": made.client_id,
        "coin": made.asset,
        "amount": payloads.amount(made.amount),
        "fromAccountType": names[made.source],
        "toAccountType": names[made.target],
        "timestamp": payloads.ms(made.time_ns),
        "status": "SUCCESS",
    }
    if made.between_accounts:
        row["fromMemberId"] = exchange.accounts[made.source_account].venue_id
        row["toMemberId"] = exchange.accounts[made.target_account].venue_id
    return row
