"""Leverage, margin mode, and transfers between the account's two wallets."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Transfer
from oms.simulator.orders import FUTURES
from oms.simulator.reasons import Refusal

from .errors import ApiError, bad_param, of, of_transfer
from .params import Params
from .queries import MODES, WALLETS, margin_mode, transfer_row

# Transfer ids that are remembered; the oldest go first.
MAX_TRANSFERS = 100_000


def set_leverage(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/position/set-leverage`: whole numbers alone are simulated."""
    if params.category() != "linear":
        raise bad_param("category")
    buy, sell = params.amount("buyLeverage"), params.amount("sellLeverage")
    if buy != sell or buy < 1 or buy % 1:
        raise ApiError(10001, "buy leverage invalid")
    try:
        changed = exchange.set_leverage(account, params.need("symbol"), int(buy))
    except Refusal as refusal:
        raise of(refusal, "linear") from None
    if not changed:
        raise ApiError(110043, "Set leverage not modified")
    return {}


def set_margin_mode(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/account/set-margin-mode`: for the whole account, while it has no positions and no orders."""
    names = {name: mode for mode, name in MODES.items()}
    name = params.need("setMarginMode")
    if name not in names:
        raise bad_param("setMarginMode")
    mode = names[name]
    if margin_mode(account) == mode:
        return {"reasons": []}
    busy = any(position.quantity for position in account.positions.values())
    busy = busy or any(order.market == FUTURES for order in account.open.values())
    if busy:
        reason = {
            "reasonCode": "3400101",
            "reasonMsg": "Please ensure that there are no positions and orders.",
        }
        raise ApiError(3400045, "Set margin mode failed", result={"reasons": [reason]})
    for market, symbol in exchange.markets:
        if market == FUTURES:
            exchange.set_margin_mode(account, symbol, mode)
    return {"reasons": []}


class Transfers:
    """Transfers with the ids that clients gave them: each id moves funds once."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, str], Transfer] = OrderedDict()

    def make(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`POST /v5/asset/transfer/inter-transfer`"""
        transfer_id = params.need("transferId")
        try:
            uuid.UUID(transfer_id)
        except ValueError:
            raise ApiError(131203, "Request parameter error: transferId") from None
        if (account.name, transfer_id) in self._made:
            raise ApiError(131214, "TransferId exist")
        asset, moved = params.need("coin"), params.amount("amount")
        wallets = []
        for name in ("fromAccountType", "toAccountType"):
            wallet = WALLETS.get(params.need(name))
            if wallet is None:
                raise ApiError(131207, "Account not exist")
            wallets.append(wallet)
        try:
            transfer = exchange.transfer(account, asset, Decimal(moved), *wallets)
        except Refusal as refusal:
            raise of_transfer(refusal) from None
        self._made[account.name, transfer_id] = transfer
        if len(self._made) > MAX_TRANSFERS:
            self._made.popitem(last=False)
        return {"transferId": transfer_id, "status": "SUCCESS"}

    def list(self, exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
        """`GET /v5/asset/transfer/query-inter-transfer-list`"""
        wanted, coin = params.text("transferId"), params.text("coin")
        rows = [
            transfer_row(transfer_id, transfer)
            for (name, transfer_id), transfer in reversed(self._made.items())
            if name == account.name and wanted in ("", transfer_id) and coin in ("", transfer.asset)
        ]
        limit = params.integer("limit", 20, 1, 50)
        return {"list": rows[:limit], "nextPageCursor": ""}
