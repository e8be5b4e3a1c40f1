"""Any trades, orders, funding, terms and statements of a venue: money is conserved, and every running total is its recomputation."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.messages.events import FundingPaid, OrderFilled, PositionAdjusted
from oms.messages.frames import decode_frame
from oms.projections.projections import Projections
from tests import strategies as gen
from tests.unit.desk import check_same
from tests.unit.futures_desk import SWAP, FuturesDesk

ZERO = Decimal(0)
SYMBOLS = {"BTCUSDT": Decimal(1), "BTC-USDT-SWAP": Decimal("0.01")}
SYMBOL = st.sampled_from(list(SYMBOLS))
QUANTITY = st.sampled_from(["1", "2", "3", "0.5", "0.001", "7"])
PRICE = gen.decimals("80", "120", 1)
FEE = gen.decimals("-0.05", "0.2", 4)
LEVERAGE = st.sampled_from(["1", "2", "3", "7", "10", "125"])
MODE = st.sampled_from(["cross", "isolated"])
STRATEGY = st.sampled_from(["", "alpha", "beta"])
PICK = st.integers(0, 40)


class Machine(RuleBasedStateMachine):
    """One account with spot and futures in one wallet."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = FuturesDesk()
        self.payments: list[dict[str, Any]] = []

    @initialize()
    def set_up(self) -> None:
        spec = {**SWAP, "symbol": "BTC-USDT-SWAP", "contract_size": "0.01", "step": "0.001"}
        self.desk.ask("list_instruments.bybit._.futures._", {"instruments": [spec]})
        self.desk.ask("report_marks.bybit._.futures._", {"marks": {"BTC-USDT-SWAP": "100"}})

    def symbols_orders(self) -> list[str]:
        return [i for i, order in self.desk.state.orders.items() if order.market == "futures"]

    @rule(
        symbol=SYMBOL, side=gen.SIDES, quantity=QUANTITY, price=PRICE, only=st.booleans(), strategy=STRATEGY
    )
    def place(self, symbol: str, side: str, quantity: str, price: str, only: bool, strategy: str) -> None:
        terms = {"side": side, "type": "limit", "quantity": quantity, "price": price, "strategy": strategy}
        free = self.desk.balance().free
        locked = self.desk.balance().locked
        reply = self.desk.reply(
            f"place.bybit.main.futures.{symbol}",
            {"command_id": self.desk.next_id(), **terms, "reduce_only": only},
        )
        if reply["ok"]:
            assert self.desk.balance().locked - locked <= max(free, ZERO)
            self.desk.say("accepted", order_id=reply["order_id"], venue_order_id="v", venue_time=1)

    @precondition(lambda self: self.symbols_orders())
    @rule(pick=PICK, price=PRICE, fee=FEE, part=st.sampled_from(["all", "half", "more"]))
    def fill(self, pick: int, price: str, fee: str, part: str) -> None:
        ids = self.symbols_orders()
        order = self.desk.state.orders[ids[pick % len(ids)]]
        leaves = order.quantity - order.cumulative
        amount = {"all": leaves, "half": leaves / 2, "more": leaves + 1}[part]
        if amount > 0:
            told = {"symbol": order.symbol, "order_id": order.order_id}
            assert self.desk.trade(order.side, f"{amount:f}", price, fee, **told)["count"] == 1

    @precondition(lambda self: self.symbols_orders())
    @rule(pick=PICK, what=st.sampled_from(["canceled", "restated", "amend"]), quantity=QUANTITY, price=PRICE)
    def change(self, pick: int, what: str, quantity: str, price: str) -> None:
        ids = self.symbols_orders()
        order_id = ids[pick % len(ids)]
        if what == "canceled":
            self.desk.say("canceled", order_id=order_id, reason="", venue_time=self.desk.now)
            return
        if what == "amend":
            asked = {"command_id": self.desk.next_id(), "order_id": order_id}
            self.desk.reply("amend.bybit.main.futures._", {**asked, "quantity": quantity, "price": price})
            if pick % 2:
                return
        told = {"quantity": quantity, "price": price, "venue_time": self.desk.now}
        self.desk.say("restated", order_id=order_id, **told)

    @rule(
        symbol=SYMBOL,
        side=gen.SIDES,
        quantity=QUANTITY,
        price=PRICE,
        fee=FEE,
        asset=st.sampled_from(["USDT", "BNB"]),
    )
    def trade(self, symbol: str, side: str, quantity: str, price: str, fee: str, asset: str) -> None:
        """A trade of an order that nobody knows: a liquidation, the exchange's own app."""
        self.desk.trade(side, quantity, price, fee, symbol=symbol, fee_asset=asset)

    @rule(side=gen.SIDES, quantity=QUANTITY, price=PRICE, fee=FEE)
    def trade_spot(self, side: str, quantity: str, price: str, fee: str) -> None:
        self.desk.trade(side, quantity, price, fee, market="spot")

    @rule(symbol=SYMBOL, amount=gen.decimals("-3", "3", 6), asset=st.sampled_from(["USDT", "USDT", "BNB"]))
    def fund(self, symbol: str, amount: str, asset: str) -> None:
        told = {"funding_id": f"f{len(self.payments)}", "amount": amount, "symbol": symbol, "asset": asset}
        assert self.desk.fund(**told)["count"] == 1
        self.payments.append(told)

    @precondition(lambda self: self.payments)
    @rule(pick=PICK)
    def fund_again(self, pick: int) -> None:
        before = self.desk.digest()
        assert self.desk.fund(**self.payments[pick % len(self.payments)])["count"] == 0
        assert self.desk.digest() == before

    @rule(symbol=SYMBOL, leverage=LEVERAGE, mode=MODE)
    def terms(self, symbol: str, leverage: str, mode: str) -> None:
        self.desk.say("terms", symbol=symbol, leverage=leverage, margin_mode=mode)

    @rule(
        symbol=SYMBOL,
        same=st.booleans(),
        quantity=st.sampled_from(["-3", "0", "2"]),
        entry=st.none() | PRICE,
        margin=st.none() | gen.decimals("0", "500", 1),
        leverage=st.none() | LEVERAGE,
        mode=st.none() | MODE,
        both=st.booleans(),
    )
    def state(
        self,
        symbol: str,
        same: bool,
        quantity: str,
        entry: str | None,
        margin: str | None,
        leverage: str | None,
        mode: str | None,
        both: bool,
    ) -> None:
        """The venue shows its positions; one that is not named is flat there."""
        held = {p.symbol: p for p in self.desk.state.positions.values() if p.market == "futures"}
        others = [s for s in held if s != symbol and held[s].quantity and both]
        kept = held[symbol].quantity if same and symbol in held else Decimal(quantity)
        told = {"entry_price": entry, "margin": margin, "leverage": leverage, "margin_mode": mode}
        spec = {"symbol": symbol, "quantity": f"{kept:f}"} | {k: v for k, v in told.items() if v is not None}
        rest = [{"symbol": s, "quantity": f"{held[s].quantity:f}"} for s in others]
        if abs(kept) < 10**18 and all(len(r["quantity"]) < 18 for r in [spec, *rest]):
            reply = self.desk.positions(spec, *rest)
            assert reply["ok"], reply
            found = self.desk.state.positions.get(("bybit", "main", "futures", symbol))
            assert (ZERO if found is None else found.quantity) == kept
            assert self.desk.positions(spec, *rest)["count"] == 0, "told again, it is no news"

    @rule(total=gen.decimals("0", "20000", 1), market=st.sampled_from(["spot", "futures"]))
    def balances(self, total: str, market: str) -> None:
        held = {
            a: f"{b.total:f}" for a, b in self.desk.state.wallets["bybit", "main", "unified"].balances.items()
        }
        if all(len(text.partition(".")[2]) <= 18 for text in held.values()):
            assert self.desk.balances({**held, "USDT": total}, market)["ok"]
            assert self.desk.balance().total == Decimal(total)

    @rule(mark=PRICE)
    def mark(self, mark: str) -> None:
        self.desk.mark(mark)

    @rule()
    def restart(self) -> None:
        """The engine goes on from an image of its state."""
        loaded = image.load(image.dump(self.desk.state))
        check_same(self.desk.state, loaded)
        self.desk.state = loaded

    @invariant()
    def totals_are_recomputed(self) -> None:
        with exactly():
            self.desk.check()

    @invariant()
    def margin_is_cost_by_leverage(self) -> None:
        """Not by the code's own formula: margin × leverage is the cost, to the rounding of one division."""
        for position in self.desk.state.positions.values():
            if position.market == "spot" or not position.quantity:
                assert position.margin == 0
            elif position.margin_mode == "isolated" and position.stated_margin is not None:
                assert position.margin == position.stated_margin
            else:
                with exactly():
                    off = position.margin * (position.leverage or 1) - abs(position.cost)
                assert abs(off) <= Decimal("1e-15"), position

    def teardown(self) -> None:
        """Replayed from the first frame: cash is conserved event by event, and books add up to positions."""
        state = Partition()
        models = Projections(state, 10_000, 10**18)
        cash: dict[str, Decimal] = {}
        for payload in self.desk.frames:
            frame = decode_frame(payload)
            with exactly():
                for commit in frame.commits:
                    for event in commit.events:
                        before = _totals(state)
                        profit = _profit(event, state)
                        state.evolve(event, commit.at)
                        models.evolve(event, commit.at, frame.sequence)
                        if isinstance(event, PositionAdjusted):
                            _adjusted(event, profit, state, models)
                            cash[event.symbol] = cash.get(event.symbol, ZERO) + event.realised
                        _moved(event, before, state, models, cash)
                    state.finish(commit, frame.sequence)
        with exactly():
            _books_are_positions(state, models)
        check_same(state, self.desk.state)


def test_a_turned_position_shown_without_an_entry_is_told_once() -> None:
    """What was shown of a short position goes with it: the long one in its place, told again, is no news."""
    desk = FuturesDesk()
    shown = {"symbol": "BTCUSDT", "quantity": "-3", "entry_price": "80.0", "liquidation_price": "150"}
    assert desk.positions(shown)["count"] == 2
    turned = {"symbol": "BTCUSDT", "quantity": "2"}
    assert desk.positions(turned)["count"] == 2
    assert (desk.position.stated_entry, desk.position.liquidation_price) == (None, None)
    before = desk.digest()
    assert desk.positions(turned)["count"] == 0
    assert desk.digest() == before
    desk.check()


def _totals(state: Partition) -> dict[str, Decimal]:
    return {
        asset: balance.total
        for wallet in state.wallets.values()
        for asset, balance in wallet.balances.items()
    }


def _profit(event: Any, state: Partition) -> Decimal | None:
    """What trading of an adjusted symbol came to, what is open at the mark; None for other events, and before any trade."""
    if not isinstance(event, PositionAdjusted):
        return None
    position = state.positions.get((event.exchange, event.account, event.market, event.symbol))
    if position is None:
        return ZERO
    instrument = state.instruments[event.exchange, event.market, event.symbol]
    assert instrument.mark is not None
    worth = position.quantity * instrument.mark * instrument.contract_size
    return position.realised + worth - position.cost


def _adjusted(event: PositionAdjusted, before: Decimal | None, state: Partition, models: Projections) -> None:
    """What is gone takes no loss with it and leaves none; what has joined brings no profit."""
    after = _profit(event, state)
    assert before is not None
    assert after is not None
    key = (event.exchange, event.account, event.market, event.symbol)
    size = state.instruments[key[0], key[2], key[3]].contract_size
    mark = state.instruments[key[0], key[2], key[3]].mark
    assert mark is not None
    if abs(event.quantity) < abs(event.expected) and event.quantity * event.expected >= 0:
        assert after == before
    elif event.quantity * event.expected > 0:
        assert after <= before
    else:
        # Only what was opened is at the venue's entry price.
        assert after - before == event.quantity * (mark - event.entry_price) * size
    made = [state.positions[key].realised - state.positions[key].cost]
    made.append(sum((b.realised - b.cost for name, b in models.pnl.books.items() if name[:4] == key), ZERO))
    assert made[0] == made[1]


def _moved(
    event: Any, before: dict[str, Decimal], state: Partition, models: Projections, cash: dict[str, Decimal]
) -> None:
    """The wallet moves by what is realised, fees and funding, and by nothing else that happens to a position."""
    if isinstance(event, PositionAdjusted):
        assert _totals(state) == before
    if not isinstance(event, OrderFilled | FundingPaid) or event.market == "spot":
        return
    change = _totals(state).get("USDT", ZERO) - before.get("USDT", ZERO)
    cash[event.symbol] = cash.get(event.symbol, ZERO) + change
    position = state.positions[event.exchange, event.account, event.market, event.symbol]
    assert cash[event.symbol] == position.realised - position.fees + position.funding


def _books_are_positions(state: Partition, models: Projections) -> None:
    for key, position in state.positions.items():
        books = [book for name, book in models.pnl.books.items() if name[:4] == key]
        assert sum((b.quantity for b in books), ZERO) == position.quantity
        assert sum((b.fees for b in books), ZERO) == position.fees
        assert sum((b.funding for b in books), ZERO) == position.funding
        made = sum((b.realised - b.cost for b in books), ZERO)
        assert made == position.realised - position.cost
        earned = [one for day in models.pnl.days.values() for name, one in day.items() if name[:4] == key]
        assert sum((one.funding for one in earned), ZERO) == position.funding
        assert sum((one.realised for one in earned), ZERO) == sum((b.realised for b in books), ZERO)
        other = {asset for book in books for asset in book.other_fees}
        for asset in other | set(position.other_fees):
            told = sum((b.other_fees.get(asset, ZERO) for b in books), ZERO)
            assert told == position.other_fees.get(asset, ZERO)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=settings.default.max_examples * 2, stateful_step_count=40)
TestMachine = pytest.mark.timeout(600)(TestMachine)
