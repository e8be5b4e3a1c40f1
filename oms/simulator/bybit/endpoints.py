"""Every request there is: where it is, what it does, and what it counts for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from oms.simulator.limits import Pool

from . import public, queries, settings, trading
from .params import CATEGORIES, Params
from .transfers import Transfers

ADDRESS = "ip_5s"


@attrs.frozen
class Endpoint:
    """One request.

    `group` is the rate limit it counts for, with `{category}` in it where that is told apart; empty for those that
    need no key.
    """

    method: str
    path: str
    handler: Callable[..., dict[str, object]]
    group: str = ""

    @property
    def label(self) -> str:
        """What fault rules call it."""
        return f"{self.method} {self.path}"

    def pool(self, params: Params) -> str:
        """The rate limit that a request counts for."""
        category = params.text("category", "linear")
        return self.group.format(category=category if category in CATEGORIES else "linear")


def table(transfers: Transfers) -> dict[tuple[str, str], Endpoint]:
    """Return the endpoints by method and path."""
    rows: list[tuple[str, str, Callable[..., Any], str]] = [
        ("GET", "/v5/market/time", public.server_time, ""),
        ("GET", "/v5/market/instruments-info", public.instruments, ""),
        ("GET", "/v5/market/tickers", public.tickers, ""),
        ("GET", "/v5/market/orderbook", public.orderbook, ""),
        ("GET", "/v5/market/recent-trade", public.recent_trades, ""),
        ("POST", "/v5/order/create", trading.create, "{category}.create"),
        ("POST", "/v5/order/amend", trading.amend, "{category}.amend"),
        ("POST", "/v5/order/cancel", trading.cancel, "{category}.cancel"),
        ("POST", "/v5/order/cancel-all", trading.cancel_all, "{category}.cancel_all"),
        ("GET", "/v5/order/realtime", queries.realtime, "realtime"),
        ("GET", "/v5/order/history", queries.history, "history"),
        ("GET", "/v5/execution/list", queries.executions, "executions"),
        ("GET", "/v5/position/list", queries.positions, "positions"),
        ("POST", "/v5/position/set-leverage", settings.set_leverage, "leverage"),
        ("GET", "/v5/account/wallet-balance", queries.wallet_balance, "wallet"),
        ("GET", "/v5/account/info", queries.account_info, "account"),
        ("GET", "/v5/account/fee-rate", queries.fee_rate, "account"),
        ("GET", "/v5/account/transaction-log", queries.transaction_log, "transactions"),
        ("POST", "/v5/account/set-margin-mode", settings.set_margin_mode, "margin_mode"),
        ("GET", "/v5/asset/transfer/query-account-coins-balance", queries.coin_balances, "account"),
        ("POST", "/v5/asset/transfer/inter-transfer", transfers.make, "transfer"),
        ("GET", "/v5/asset/transfer/query-inter-transfer-list", transfers.listed, "transfer"),
        ("POST", "/v5/asset/transfer/universal-transfer", transfers.make_universal, "universal_transfer"),
        (
            "GET",
            "/v5/asset/transfer/query-universal-transfer-list",
            transfers.listed_universal,
            "universal_transfers",
        ),
        ("GET", "/v5/user/query-api", queries.api_key, "account"),
    ]
    return {(method, path): Endpoint(method, path, handler, group) for method, path, handler, group in rows}


# Requests a second of each account, as the exchange lists them for the default level, and those of an address.
POOLS = (
    Pool(ADDRESS, 600, 5),
    *(Pool(f"spot.{kind}", 20, 1) for kind in ("create", "amend", "cancel", "cancel_all")),
    *(Pool(f"linear.{kind}", 10, 1) for kind in ("create", "amend", "cancel", "cancel_all")),
    *(Pool(name, 50, 1) for name in ("realtime", "history", "executions", "positions", "wallet")),
    *(Pool(name, 10, 1) for name in ("account", "leverage", "margin_mode", "transactions", "transfer")),
    Pool("universal_transfer", 5, 1),
    Pool("universal_transfers", 2, 1),
)
