"""An account's private connections to OKX: spot, and linear USDT swaps, which are counted in contracts.

The margin mode is not a setting of a symbol at OKX but said with each order: see :meth:`OkxFuturesAccount.set_margin_mode`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from oms.messages.enums import MarginMode, OrderType, Side
from oms.messages.instructions import Submit
from oms.venues.adapter import VenueFunding, VenuePosition
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Limiter
from oms.venues.notation import NS_PER_MS, at_ms, optional, text
from oms.venues.okx_account import OkxAccount, rows_of
from oms.venues.okx_payloads import MARGIN, SPOT, SWAP, Raw, read_funding, read_positions

LEVERAGES_AT_ONCE: Final = 20


class OkxSpotAccount(OkxAccount):
    """One account's private connection to OKX spot. See :class:`oms.venues.adapter.Account`."""

    def check(self, config: Raw) -> None:
        # Where assets are margin for each other, what is bought and sold there may be borrowed, and is said so.
        mixed = config["acctLv"] in ("3", "4")
        self._mode = "cross" if mixed else "cash"
        self.types = (SPOT, MARGIN) if mixed else (SPOT,)

    def trade_mode(self, symbol: str) -> str:
        return self._mode

    def new_order(self, order: Submit) -> dict[str, Any]:
        if order.reduce_only:
            raise VenueError(Kind.NOT_SENT, "spot orders reduce no position")
        params = super().new_order(order)
        if order.type is not OrderType.MARKET:
            return params
        if order.side is Side.BUY and self._mode == "cross":
            why = "OKX may take a market buy's quantity for its value in this account mode: use a limit IOC"
            raise VenueError(Kind.NOT_SENT, why)
        # Otherwise a buy's quantity is its value, and OKX makes the order smaller where funds do not suffice.
        return {**params, "tgtCcy": "base_ccy", "banAmend": True}


class OkxFuturesAccount(OkxAccount):
    """One account's private connection to OKX's linear USDT swaps. See :class:`oms.venues.adapter.Account`.

    Args:
        modes: the margin mode of each symbol, as far as it is known; kept from session to session.
    """

    def __init__(
        self,
        exchange: Any,
        public: Any,
        limiter: Limiter,
        accept_window_s: float,
        modes: dict[str, MarginMode],
    ) -> None:
        super().__init__(exchange, public, limiter, accept_window_s)
        self._modes = modes
        self.types = (SWAP,)

    def check(self, config: Raw) -> None:
        if config["posMode"] != "net_mode":
            why = f"the account is in position mode {config['posMode']}: set it to net_mode at OKX"
            raise VenueError(Kind.REJECTED, why)
        if config["acctLv"] == "1":
            raise VenueError(Kind.REJECTED, "the account is in spot mode: set it to futures mode at OKX")

    def mine(self, raw: Raw) -> bool:
        return raw["instType"] == SWAP and raw["instId"].endswith("-USDT-SWAP")

    def trade_mode(self, symbol: str) -> str:
        return str(self._modes.get(symbol, MarginMode.CROSS))

    def new_order(self, order: Submit) -> dict[str, Any]:
        params = super().new_order(order)
        return {**params, "reduceOnly": True} if order.reduce_only else params

    async def pending(self, symbol: str | None) -> list[Raw]:
        rows = await super().pending(symbol)
        for row in rows:
            # Before a position tells, its orders do.
            self._modes.setdefault(row["instId"], MarginMode(row["tdMode"]))
        return rows

    async def positions(self) -> list[VenuePosition]:
        found = read_positions(await self._positions({}))
        open_there = {position.symbol for position in found}
        return found + await self._flat([symbol for symbol in self._modes if symbol not in open_there])

    async def _positions(self, which: Mapping[str, Any]) -> list[Raw]:
        params = {"instType": SWAP, **which}
        rows = [
            row for row in await self.ask("privateGetAccountPositions", params, rows_of) if self.mine(row)
        ]
        for row in rows:
            if Decimal(row["pos"] or 0):
                self._modes[row["instId"]] = MarginMode(row["mgnMode"])
        return rows

    async def _flat(self, symbols: list[str]) -> list[VenuePosition]:
        """The terms of symbols without a position."""
        found: list[VenuePosition] = []
        for mode in MarginMode:
            asked = [symbol for symbol in symbols if self._modes[symbol] is mode]
            for i in range(0, len(asked), LEVERAGES_AT_ONCE):
                found += await self._terms(asked[i : i + LEVERAGES_AT_ONCE], mode)
        return found

    async def _terms(self, symbols: list[str], mode: MarginMode) -> list[VenuePosition]:
        params = {"instId": ",".join(symbols), "mgnMode": str(mode)}
        try:
            rows = await self.ask("privateGetAccountLeverageInfo", params, rows_of)
        except VenueError as error:
            if error.kind is not Kind.REJECTED:
                raise
            # Portfolio margin has no leverage to tell.
            rows = [{"instId": symbol, "lever": ""} for symbol in symbols]
        return [
            VenuePosition(
                symbol=row["instId"],
                quantity=Decimal(0),
                leverage=optional(row["lever"]),
                margin_mode=mode,
            )
            for row in rows
        ]

    async def funding_since(self, since: int) -> list[VenueFunding]:
        rows = await self.history("bills", since, {"type": "8"})
        payments = [read_funding(row) for row in rows if at_ms(row["ts"]) >= since - NS_PER_MS]
        return sorted(payments, key=lambda payment: (payment.time, int(payment.funding_id)))

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        mode = self._modes.setdefault(symbol, MarginMode.CROSS)
        params = {"instId": symbol, "lever": text(leverage), "mgnMode": str(mode)}
        await self.ask("privatePostAccountSetLeverage", params, rows_of)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Place the symbol's orders in this mode from now on: OKX itself keeps none, it is said with each order.

        It is what the position or the open orders have, where there are any, and cross for a connector that was not told
        otherwise.

        Raises:
            VenueError: NOT_SENT, a position or an order of the other mode is open: the two would stand side by side.
        """
        for row in await self._positions({"instId": symbol}):
            if Decimal(row["pos"] or 0) and row["mgnMode"] != mode:
                raise VenueError(
                    Kind.NOT_SENT, f"a {row['mgnMode']} position of {symbol} is open: close it first"
                )
        for row in await self.pending(symbol):
            if row["tdMode"] != mode:
                raise VenueError(
                    Kind.NOT_SENT, f"a {row['tdMode']} order of {symbol} is open: cancel it first"
                )
        self._modes[symbol] = mode
