"""A desk on Bybit, whose spot and futures share one wallet, for everything that is about positions, margin and wallets."""

from decimal import Decimal
from typing import Any

from oms.aggregates.account import Balance
from oms.aggregates.position import Position
from tests.unit.desk import BTC, Desk, check_indexes, check_same

SWAP = {
    **BTC,
    "step": "0.001",
    "tick": "0.1",
    "max_quantity": "100000",
    "taker_fee": "0.001",
    "maker_fee": "-0.0001",
}
CAPABILITIES: dict[str, Any] = {
    "order_types": ["limit", "market", "stop_limit", "stop_market"],
    "times_in_force": ["GTC", "IOC", "FOK"],
    "features": [
        "post_only",
        "reduce_only",
        "amend",
        "amend_in_place",
        "leverage",
        "margin_mode",
        "positions",
    ],
    "wallet": "unified",
}


class FuturesDesk(Desk):
    """``main`` on bybit with 10,000 USDT and 1 BTC in ``unified``; the mark of BTCUSDT is 100."""

    def __init__(self) -> None:
        super().__init__(ready=False)
        self.register("main", "MAIN")
        for market in ("spot", "futures"):
            self.declare(market)
            spec = {**BTC, "tick": "0.1"} if market == "spot" else SWAP
            self.ask(f"list_instruments.bybit._.{market}._", {"instruments": [spec]})
            place = f"bybit.main.{market}._"
            self.ask(f"open_session.{place}", {"session": "s1", "ready": False})
            self.balances({"USDT": "10000", "BTC": "1"}, market)
            self.ask(f"open_session.{place}", {"session": "s1", "ready": True})
            self.mark("100", market)

    def declare(self, market: str, **changed: Any) -> dict[str, Any]:
        return self.reply(f"declare_venue.bybit._.{market}._", {"capabilities": {**CAPABILITIES, **changed}})

    def balances(self, totals: dict[str, str], market: str = "futures") -> dict[str, Any]:
        return self.reply(f"report_balances.bybit.main.{market}._", {"session": "s1", "totals": totals})

    def mark(self, price: str, market: str = "futures") -> None:
        self.ask(f"report_marks.bybit._.{market}._", {"marks": {"BTCUSDT": price}})

    def order(self, side: str, quantity: str, price: str = "100", **fields: Any) -> dict[str, Any]:
        market = fields.pop("market", "futures")
        terms = {"side": side, "type": "limit", "quantity": quantity, "price": price, **fields}
        terms = {name: value for name, value in terms.items() if value is not None}
        return self.reply(f"place.bybit.main.{market}.BTCUSDT", {"command_id": self.next_id(), **terms})

    def say(self, kind: str, market: str = "futures", **fields: Any) -> dict[str, Any]:
        """One report of the session, about an order or a symbol."""
        return self.reply(
            f"report.bybit.main.{market}._", {"session": "s1", "reports": [{"report": kind, **fields}]}
        )

    def trade(self, side: str, quantity: str, price: str, fee: str = "0", **fields: Any) -> dict[str, Any]:
        """A trade of an order, or of none that is known."""
        self.ids += 1
        told = {
            "order_id": "outside",
            "fee_asset": "USDT",
            "trade_id": f"t{self.ids}",
            "venue_time": self.now,
        }
        trade = {"symbol": "BTCUSDT", "side": side, "quantity": quantity, "price": price, "fee": fee}
        return self.say("filled", **{"maker": False, **told, **trade, **fields})

    def fund(self, funding_id: str, amount: str, **fields: Any) -> dict[str, Any]:
        told = {"symbol": "BTCUSDT", "asset": "USDT", "venue_time": self.now, **fields}
        return self.say("funding", funding_id=funding_id, amount=amount, **told)

    def terms(self, leverage: str, margin_mode: str = "cross") -> dict[str, Any]:
        return self.say("terms", symbol="BTCUSDT", leverage=leverage, margin_mode=margin_mode)

    def positions(self, *specs: dict[str, Any]) -> dict[str, Any]:
        return self.reply(
            "report_positions.bybit.main.futures._", {"session": "s1", "positions": list(specs)}
        )

    def last(self) -> list[Any]:
        """The events of the last commit."""
        from oms.messages.frames import decode_frame

        return decode_frame(self.frames[-1]).commits[-1].events

    @property
    def position(self) -> Position:
        return self.state.positions["bybit", "main", "futures", "BTCUSDT"]

    def balance(self, asset: str = "USDT") -> Balance:
        return self.state.wallets["bybit", "main", "unified"].balances[asset]

    def figures(self) -> tuple[Decimal, ...]:
        """Total, locked, margin and free USDT."""
        held = self.balance()
        return held.total, held.locked, held.margin, held.free

    def check(self) -> None:
        """Indexes and sums are right, and the replica is the same."""
        check_indexes(self.state)
        check_same(self.state, self.replica)
