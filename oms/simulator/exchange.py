"""The exchange itself, in words of no exchange: orders come in, are checked, matched and settled, and all are told.

No network and no clock of its own: the time is asked for, and what happened goes to a `Listener`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from .config import ExchangeConfig
from .events import Listener
from .ledger import Account, FundingPayment, Transfer
from .margin import Margin
from .markets import Market
from .orders import Fill, Order, OrderRequest
from .positions import MarginMode, Position


class Exchange:
    """All markets and all accounts. Every method finishes what it starts: between calls the state is whole.

    Attributes:
        markets: by (market, symbol), such as ("spot", "BTCUSDT").
        accounts: by name, `house` and `insurance` included.
        keys: accounts by API key.
        assets: all assets, sorted.
    """

    config: ExchangeConfig
    clock: Callable[[], int]
    markets: dict[tuple[str, str], Market]
    accounts: dict[str, Account]
    keys: dict[str, Account]
    assets: list[str]

    def __init__(self, config: ExchangeConfig, clock: Callable[[], int], listener: Listener) -> None:
        raise NotImplementedError

    # Looking

    def market(self, market: str, symbol: str) -> Market:
        """Return a market. Raises `Refusal` NO_SYMBOL."""
        raise NotImplementedError

    def find(
        self,
        account: Account,
        market: str | None,
        symbol: str | None,
        order_id: int | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """Return an order, open or not. Raises `Refusal` NO_SYMBOL or NO_ORDER.

        Market and symbol may both be None for an order id, and where client ids are unique for the account.
        """
        raise NotImplementedError

    def position(self, account: Account, symbol: str) -> Position:
        """Return the account's position in a futures symbol, a flat one when it never had any. NO_SYMBOL."""
        raise NotImplementedError

    def margin(self, account: Account, asset: str) -> Margin:
        """Return the account's margin figures in a settle asset, of the wallet that futures use."""
        raise NotImplementedError

    def initial_margin(self, account: Account, symbol: str) -> Decimal:
        """Return the initial margin of one position alone: |notional| / leverage, or the isolated margin."""
        raise NotImplementedError

    def liquidation_price(self, account: Account, symbol: str) -> Decimal:
        """Return the mark price at which the position is liquidated, all else unchanged; 0 when there is none."""
        raise NotImplementedError

    def withdrawable(self, account: Account, wallet: str, asset: str) -> Decimal:
        """Return how much of an asset may leave a wallet now."""
        raise NotImplementedError

    # Trading

    def check(self, account: Account, request: OrderRequest) -> Market:
        """Raise the `Refusal` for which `place` would refuse, but for funds, position and book; return the market."""
        raise NotImplementedError

    def place(self, account: Account, request: OrderRequest) -> Order:
        """Accept and match an order. Raises `Refusal`; then nothing has changed.

        An order that was accepted may come back closed: filled, EXPIRED, or CANCELED (post-only, where the exchange's
        rules say so); `order.reason` says why.
        """
        raise NotImplementedError

    def cancel(self, account: Account, order: Order, cancel_client_id: str | None = None) -> None:
        """Cancel an open order. Raises `Refusal` ORDER_CLOSED."""
        raise NotImplementedError

    def amend(
        self,
        account: Account,
        order: Order,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change an open order in place; `quantity` is the new total, executed part included.

        It keeps its place in the queue when only the quantity shrinks. A new price may match at once. Raises `Refusal`:
        ORDER_CLOSED, NOT_MODIFIED, AMEND_QUANTITY (not above what is executed), or as `place`; then nothing has changed.
        """
        raise NotImplementedError

    def set_leverage(self, account: Account, symbol: str, leverage: int) -> bool:
        """Set the leverage; return whether that changed it. Raises `Refusal` NO_SYMBOL, LEVERAGE, INSUFFICIENT_MARGIN,
        POSITION_OPEN (less leverage for an open isolated position)."""
        raise NotImplementedError

    def set_margin_mode(self, account: Account, symbol: str, mode: MarginMode) -> bool:
        """Set the margin mode; return whether that changed it. Raises `Refusal` NO_SYMBOL, POSITION_OPEN, ORDERS_OPEN."""
        raise NotImplementedError

    def adjust_margin(self, account: Account, symbol: str, amount: Decimal) -> None:
        """Add to (or take from, when negative) an isolated position's margin. Raises `Refusal` MARGIN_MODE (not
        isolated, or flat), INSUFFICIENT_MARGIN."""
        raise NotImplementedError

    def transfer(self, account: Account, asset: str, amount: Decimal, source: str, target: str) -> Transfer:
        """Move an amount between two wallets. Raises `Refusal` NO_WALLET, NO_ASSET, BAD_AMOUNT, INSUFFICIENT_FUNDS."""
        raise NotImplementedError

    # What its operators do

    def adjust(self, account: Account, wallet: str, asset: str, amount: Decimal) -> None:
        """Deposit (or withdraw, when negative). Raises `Refusal` NO_WALLET, INSUFFICIENT_FUNDS."""
        raise NotImplementedError

    def set_status(self, market: Market, status: str) -> None:
        """Halt (HALTED) or resume (TRADING) a symbol."""
        raise NotImplementedError

    def set_mark(self, market: Market, price: Decimal) -> None:
        """Set mark and index price; accounts whose margin that eats are liquidated."""
        raise NotImplementedError

    def settle_funding(self, market: Market, rate: Decimal | None = None) -> list[FundingPayment]:
        """Let every position pay or receive -quantity × contract size × mark price × rate, `rate` once in place of the
        market's own."""
        raise NotImplementedError

    def liquidate(self, account: Account, symbol: str) -> list[Order]:
        """Close a position as if its margin were gone, with a system order of origin `liquidation`. Cross: all the
        account's cross positions of that settle asset. Its working futures orders are canceled first."""
        raise NotImplementedError

    def deleverage(self, account: Account, symbol: str, quantity: Decimal) -> Order:
        """Close `quantity` of a position against the house at the mark price, with a system order of origin `adl`.
        Raises `Refusal` REDUCE_ONLY when the position is smaller."""
        raise NotImplementedError

    # History, as queries want it

    def fills(self, account: Account, market: str, symbol: str | None = None) -> list[Fill]:
        """Return the fills kept, of one symbol or of all, in the order in which they happened."""
        raise NotImplementedError
