"""In what exchanges differ, as a table: the core reads it, so that no wire has to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import attrs

from .orders import FUTURES, SPOT

# open: a client order id is free again once its order is closed. kept: unique among the orders kept, open or not.
# ever: never to be used again, not even after a refused order.
ClientIds = Literal["open", "kept", "ever"]
# What becomes of a post-only order that would match: refused; accepted, then expired; accepted, then canceled.
PostOnly = Literal["reject", "expire", "cancel"]


@attrs.frozen
class Rules:
    """How one exchange works.

    `wallets` says which wallet each market's funds are in, `more_wallets` which others there are. `client_id_scope`:
    client order ids are unique for each symbol or for the whole account. `fee_in_quote`: spot commission is always
    paid in the quote asset and reserved with a buy; otherwise it is taken from what was received. `fee_unit`: what
    commissions are rounded down to. `makes_client_ids`: an order sent without a client id gets one, otherwise it has
    the empty text. `amount_places`, if given, is how many decimals tick × step may have.
    """

    wallets: Mapping[str, str]
    client_ids: ClientIds
    client_id_scope: Literal["symbol", "account"]
    post_only: Mapping[str, PostOnly]
    more_wallets: tuple[str, ...] = ()
    fee_in_quote: bool = False
    fee_unit: Decimal = Decimal("0.00000001")
    makes_client_ids: bool = False
    amount_places: int | None = None

    @property
    def all_wallets(self) -> tuple[str, ...]:
        return (*dict.fromkeys(self.wallets.values()), *self.more_wallets)


_UNIFIED = {SPOT: "unified", FUTURES: "unified"}

RULES: Mapping[str, Rules] = {
    "binance": Rules(
        wallets={SPOT: "spot", FUTURES: "futures"},
        client_ids="open",
        client_id_scope="symbol",
        post_only={SPOT: "reject", FUTURES: "expire"},
        makes_client_ids=True,
        amount_places=8,
    ),
    "bybit": Rules(
        wallets=_UNIFIED,
        client_ids="kept",
        client_id_scope="account",
        post_only={SPOT: "cancel", FUTURES: "cancel"},
        more_wallets=("funding",),
    ),
    "okx": Rules(
        wallets=_UNIFIED,
        client_ids="kept",
        client_id_scope="account",
        post_only={SPOT: "cancel", FUTURES: "cancel"},
        more_wallets=("funding",),
    ),
    "upbit": Rules(
        wallets={SPOT: "spot"},
        client_ids="ever",
        client_id_scope="account",
        post_only={SPOT: "cancel"},
        fee_in_quote=True,
        fee_unit=Decimal("1E-18"),
    ),
}
