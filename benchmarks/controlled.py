"""A desk in process with every control on in every scope: accounts with a strategy each, on spot and futures.

It is driven by messages alone, as an engine's state is, with a clock of its own that no limit on a rate is met by.
"""

from decimal import Decimal
from typing import Any, Final

from benchmarks.desk import INSTRUMENT, encoded
from benchmarks.limits import controls_on, message
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import Outcome, handle
from oms.messages.controls import BeginControls

START: Final = 1_700_000_000 * 10**9
STEP_NS: Final = 10**6
"""Between two messages: 1,000 a second, which is below every limit on a rate."""
EXCHANGE: Final = "binance"
MARKETS: Final = ("spot", "futures")
MARK: Final = Decimal(45_000)
FUNDS: Final = {"USDT": "1000000000000", "BTC": "1000000000"}
CAPABILITIES: Final = {
    "order_types": ["limit", "market"],
    "times_in_force": ["GTC", "IOC"],
    "features": ["post_only", "reduce_only", "amend", "leverage", "margin_mode", "positions"],
}


def account_name(number: int) -> str:
    """The first is the main account."""
    return f"sub_{number:03d}" if number else "main"


def strategy_of(account: str) -> str:
    """The one strategy that trades on an account."""
    return f"of_{account}"


class ControlledDesk:
    """Accounts with funds and ready sessions, and symbols with a mark of 45,000.

    Args:
        accounts: how many, the main account among them.
        symbols: on either market, by name.
        controls: in place of every control on.
    """

    def __init__(
        self, accounts: int, symbols: tuple[str, ...] = ("BTCUSDT",), controls: BeginControls | None = None
    ) -> None:
        self.state = Partition()
        self.now = START
        self.accounts = [account_name(number) for number in range(accounts)]
        self.symbols = symbols
        self._made = 0
        start = {"instance": "bench", "version": "0", "journal_id": "mbench", "partition": "0"}
        self.ask("start._._._._", start)
        if controls is None:
            controls = controls_on({strategy_of(account): account for account in self.accounts})
        self.ask("begin_controls._._._._", message(controls))
        for account in self.accounts:
            kind = {"command_id": "r", "kind": "MAIN" if account == "main" else "SUB"}
            self.ask(f"register_account._.{account}._._", kind)
        for market in MARKETS:
            self._open(market)

    def _open(self, market: str) -> None:
        place = f"{EXCHANGE}._.{market}._"
        self.ask(f"declare_venue.{place}", {"capabilities": {**CAPABILITIES, "wallet": market}})
        listed = [{**INSTRUMENT, "symbol": symbol} for symbol in self.symbols]
        self.ask(f"list_instruments.{place}", {"instruments": listed})
        self.mark(MARK, market)
        for account in self.accounts:
            place = f"{EXCHANGE}.{account}.{market}._"
            self.ask(f"open_session.{place}", {"session": "bench", "ready": False})
            self.ask(f"report_balances.{place}", {"session": "bench", "totals": FUNDS})
            self.ask(f"open_session.{place}", {"session": "bench", "ready": True})

    def ask(self, subject: str, fields: dict[str, Any]) -> Outcome:
        """Handle a message that has to be taken, in the next moment.

        Raises:
            RuntimeError: it was refused, or an order in it denied.
        """
        outcome = handle(self.state, subject, encoded(fields), self.tick(), 1)
        if not outcome.reply.ok:
            raise RuntimeError(f"{subject} was refused: {outcome.reply}")
        return outcome

    def tick(self) -> int:
        """The next moment, UTC ns."""
        self.now += STEP_NS
        return self.now

    def mark(self, price: Decimal, market: str) -> None:
        """The mark of every symbol on a market."""
        self.ask(
            f"report_marks.{EXCHANGE}._.{market}._", {"marks": dict.fromkeys(self.symbols, f"{price:f}")}
        )

    def orders(self, count: int, markets: tuple[str, ...] = MARKETS) -> list[tuple[str, dict[str, Any]]]:
        """Subject and fields of so many orders, over accounts, then symbols, then markets: buys below the mark and sells above
        it, none like any of the thousands before it."""
        found = []
        for number in range(self._made, self._made + count):
            turn, who = divmod(number, len(self.accounts))
            turn, what = divmod(turn, len(self.symbols))
            account, market = self.accounts[who], markets[turn % len(markets)]
            away = 1 + number % 4_999
            side, price = ("buy", MARK - away) if number // 2 % 2 else ("sell", MARK + away)
            fields = {
                "command_id": f"bench-{number:032d}",
                "side": side,
                "type": "limit",
                "quantity": "0.001",
                "price": f"{price:f}",
                "strategy": strategy_of(account),
            }
            found.append((f"place.{EXCHANGE}.{account}.{market}.{self.symbols[what]}", fields))
        self._made += count
        return found

    def rest(self, count: int) -> None:
        """Place so many orders, which stay open."""
        for subject, fields in self.orders(count):
            self.ask(subject, fields)

    def hold(self, market: str = "futures") -> None:
        """Have every account hold a position in every symbol, with a price at which it is liquidated."""
        for account in self.accounts:
            place = f"{EXCHANGE}.{account}.{market}._"
            for number, symbol in enumerate(self.symbols):
                fields = {
                    "report": "filled",
                    "order_id": "outside",
                    "symbol": symbol,
                    "side": "buy",
                    "quantity": "0.01",
                    "price": f"{MARK}",
                    "fee": "0.1",
                    "fee_asset": "USDT",
                    "maker": False,
                    "trade_id": f"h{number}",
                    "venue_time": self.now,
                }
                self.ask(f"report.{place}", {"session": "bench", "reports": [fields]})
            held = [
                {
                    "symbol": symbol,
                    "quantity": "0.01",
                    "entry_price": f"{MARK}",
                    "liquidation_price": "30000",
                    "leverage": "3",
                    "margin_mode": "cross",
                }
                for symbol in self.symbols
            ]
            self.ask(f"report_positions.{place}", {"session": "bench", "positions": held})
