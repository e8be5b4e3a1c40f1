"""Properties of futures, over any sequence of what owners, the market and the exchange do."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.simulator import PRESETS, AccountConfig, ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.margin import maintenance_margin
from oms.simulator.markets import Market
from oms.simulator.orders import BUY, FUTURES, SELL, SPOT, Order, OrderRequest, OrderUpdate
from oms.simulator.reasons import Refusal

NAMES = ("a", "b", "c")
FUNDS = {"USDT": Decimal(2_000), "BTC": Decimal("0.1"), "ETH": Decimal(0)}
PRICE = 50_000
ZERO = Decimal(0)

prices = st.integers(-40, 40).map(lambda n: PRICE + n * Decimal("250.5"))
quantities = st.integers(1, 60).map(lambda n: n * Decimal("0.005"))
futures_orders = st.builds(
    OrderRequest,
    market=st.just(FUTURES),
    symbol=st.just("BTCUSDT"),
    side=st.sampled_from((BUY, SELL)),
    type=st.sampled_from(("LIMIT", "LIMIT", "LIMIT", "MARKET", "MARKET", "STOP_LOSS", "TAKE_PROFIT_LIMIT")),
    quantity=quantities,
    price=prices,
    stop_price=prices,
    time_in_force=st.sampled_from(("GTC", "GTC", "GTC", "IOC", "FOK")),
    post_only=st.booleans(),
    reduce_only=st.sampled_from((False, False, True)),
)
spot_orders = st.builds(
    OrderRequest,
    market=st.just(SPOT),
    symbol=st.just("BTCUSDT"),
    side=st.sampled_from((BUY, SELL)),
    type=st.just("LIMIT"),
    quantity=st.integers(1, 20).map(lambda n: n * Decimal("0.002")),
    price=prices,
)
names = st.sampled_from(NAMES)
moves = st.one_of(
    st.tuples(st.just("place"), names, futures_orders),
    st.tuples(st.just("place"), names, futures_orders),
    st.tuples(st.just("place"), names, futures_orders),
    st.tuples(st.just("place"), names, spot_orders),
    st.tuples(st.just("cancel"), names, st.integers(0, 9)),
    st.tuples(st.just("amend"), names, st.tuples(st.integers(0, 9), quantities, prices)),
    st.tuples(st.just("move"), st.none(), prices),
    st.tuples(st.just("move"), st.none(), prices),
    st.tuples(st.just("fund"), st.none(), st.integers(-50, 50).map(lambda n: n * Decimal("0.0003"))),
    st.tuples(st.just("leverage"), names, st.sampled_from((1, 5, 50, 100))),
    st.tuples(st.just("mode"), names, st.sampled_from(("cross", "isolated"))),
    st.tuples(st.just("margin"), names, st.integers(-200, 200).map(Decimal)),
    st.tuples(st.just("liquidate"), names, st.none()),
    st.tuples(st.just("adl"), names, quantities),
    st.tuples(st.just("withdraw"), names, st.integers(1, 2_000).map(Decimal)),
    st.tuples(st.just("halt"), st.none(), st.booleans()),
)


class Watcher:
    """Checks what the exchange tells while it happens, and adds up what was told."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.held: dict[str, Decimal] = defaultdict(Decimal)
        self.liquidated: set[str] = set()

    def order(self, update: OrderUpdate) -> None:
        order, fill = update.order, update.fill
        assert (fill is not None) == (update.execution == "TRADE")
        if order.origin == "liquidation":
            self.liquidated.add(order.account)
        if fill is None or order.market != FUTURES:
            return
        before = self.held[order.account]
        after = before + (fill.quantity if fill.is_buyer else -fill.quantity)
        self.held[order.account] = after
        if order.reduce_only:
            assert abs(after) < abs(before), order
            assert after * before >= 0, order

    def funds(self, change: FundsChange) -> None:
        for asset, delta in change.assets.items():
            self.told[change.account.name, asset] += delta

    def trade(self, market: object, trade: object) -> None:
        return

    book = mark = status = lambda self, market: None


def make(name: str) -> tuple[Exchange, Watcher]:
    ticks = iter(range(10**15, 10**18, 10**6))
    watcher = Watcher()
    symbols = PRESETS[f"{name}.spot"][:1] + PRESETS[f"{name}.futures"][:1]
    symbols = tuple(attrs.evolve(symbol, max_stop_orders=3) for symbol in symbols)
    accounts = tuple(AccountConfig(each, f"key{each}", "secret", FUNDS) for each in NAMES)
    exchange = Exchange(ExchangeConfig(name, symbols, accounts), lambda: next(ticks), watcher)
    quote(exchange, Decimal(PRICE), [])
    return exchange, watcher


def quote(exchange: Exchange, price: Decimal, old: list[Order]) -> None:
    """Let the house quote little round a price, on futures and on spot, and set the mark."""
    for market in exchange.markets.values():
        for order in old:
            if (order.market, order.symbol) == market.key:
                exchange.withdraw(market, order)
        for number in (1, 2):
            for side, sign in ((BUY, -1), (SELL, 1)):
                old.append(exchange.quote(side, market, price + sign * number * 50, Decimal("0.05")))
        exchange.finish_quotes(market)
        if market.is_futures:
            exchange.set_mark(market, price)


def clean(request: OrderRequest) -> OrderRequest:
    """Leave out what the type does not have."""
    limit = request.type.endswith("LIMIT")
    stop = request.type.startswith(("STOP", "TAKE"))
    return attrs.evolve(
        request,
        price=request.price if limit else ZERO,
        stop_price=request.stop_price if stop else ZERO,
        time_in_force=request.time_in_force if limit else "GTC",
        post_only=request.post_only and request.type == "LIMIT" and request.time_in_force == "GTC",
    )


def play(exchange: Exchange, quotes: list[Order], kind: str, account: Account | None, what: object) -> None:
    """Make one move; a refusal is an answer like any other."""
    market = exchange.market(FUTURES, "BTCUSDT")
    open_orders = list(account.open.values()) if account else []
    wallet = exchange.rules.wallets[FUTURES]

    def amend() -> None:
        index, quantity, price = what
        if open_orders:
            order = open_orders[index % len(open_orders)]
            exchange.amend(account, order, quantity=quantity, price=price if order.is_limit else None)

    def move() -> None:
        if market.status == "TRADING":
            quote(exchange, what, quotes)
            assert_carried(exchange, market)

    does: dict[str, Callable[[], object]] = {
        "place": lambda: exchange.place(account, clean(what)),
        "cancel": lambda: open_orders and exchange.cancel(account, open_orders[what % len(open_orders)]),
        "amend": amend,
        "move": move,
        "fund": lambda: exchange.settle_funding(market, what),
        "leverage": lambda: exchange.set_leverage(account, "BTCUSDT", what),
        "mode": lambda: exchange.set_margin_mode(account, "BTCUSDT", what),
        "margin": lambda: exchange.adjust_margin(account, "BTCUSDT", what),
        "liquidate": lambda: assert_liquidated(exchange, account),
        "adl": lambda: exchange.deleverage(account, "BTCUSDT", what),
        "withdraw": lambda: exchange.adjust(account, wallet, "USDT", -what),
        "halt": lambda: exchange.set_status(market, "HALTED" if what else "TRADING"),
    }
    try:
        does[kind]()
    except Refusal:
        return


def assert_liquidated(exchange: Exchange, account: Account) -> None:
    """A liquidation leaves no position and no order of the symbol."""
    exchange.liquidate(account, "BTCUSDT")
    assert exchange.position(account, "BTCUSDT").quantity == 0
    assert account.open_count[FUTURES, "BTCUSDT"] == 0


def assert_carried(exchange: Exchange, market: Market) -> None:
    """After a move of the mark price, margin carries every position that is left."""
    for account in market.holders.values():
        position = account.positions[market.symbol]
        if position.mode == "isolated":
            left = position.isolated_margin + position.unrealised(market.mark_price)
            assert left >= maintenance_margin(position, market)
        else:
            margin = exchange.margin(account, "USDT")
            assert margin.equity >= margin.maintenance


def check(exchange: Exchange) -> None:
    """What must hold between any two moves."""
    market = exchange.market(FUTURES, "BTCUSDT")
    assert sum(a.positions["BTCUSDT"].quantity for a in exchange.accounts.values() if a.positions) == 0
    for account in exchange.accounts.values():
        position = exchange.position(account, "BTCUSDT")
        assert position.cost >= 0
        assert (position.cost == 0) == (position.quantity == 0)
        assert position.mode == "isolated" or position.isolated_margin == 0
        if account.unlimited:
            continue
        assert (account.name in market.holders) == (position.quantity != 0)
        resting = {BUY: ZERO, SELL: ZERO}
        for order in account.open.values():
            assert order.status in ("NEW", "PARTIALLY_FILLED")
            book = exchange.markets[order.market, order.symbol]
            assert (order in book.book) != (order.order_id in book.waiting)
            if order.market == SPOT or order.is_waiting:
                continue
            if order.reduce_only:
                assert order.leaves <= abs(position.quantity)
                assert (order.side == SELL) == (position.quantity > 0)
            else:
                resting[order.side] += order.price * order.leaves
        reducing = {each.order_id for each in account.open.values() if each.reduce_only}
        assert account.reducing.get("BTCUSDT", {}).keys() == reducing
        counted = account.resting.get("BTCUSDT")
        if counted is not None:
            assert {BUY: counted.bids, SELL: counted.asks} == resting
    bid, ask = market.book.best(BUY), market.book.best(SELL)
    assert bid is None or ask is None or bid.price < ask.price


def worth(exchange: Exchange, asset: str) -> Decimal:
    """What all accounts hold together, positions at cost."""
    held = sum(
        balances[asset].total
        for account in exchange.accounts.values()
        for balances in account.wallets.values()
        if asset in balances
    )
    if asset != "USDT":
        return held
    costs = [
        position.cost.copy_sign(position.quantity)
        for account in exchange.accounts.values()
        for position in account.positions.values()
    ]
    return held - sum(costs)


@pytest.mark.parametrize("name", ["binance", "bybit"])
@given(sequence=st.lists(moves, max_size=40))
def test_nothing_is_made_or_lost(name: str, sequence: list[tuple[str, str | None, object]]) -> None:
    """Money is constant but for withdrawals, positions sum to zero, margins and orders fit, all that moved was told."""
    exchange, watcher = make(name)
    quotes: list[Order] = []
    wallet = exchange.rules.wallets[FUTURES]
    before = {asset: worth(exchange, asset) for asset in ("USDT", "BTC")}
    for kind, who, what in sequence:
        account = exchange.accounts[who] if who else None
        free = account.balance(wallet, "USDT").free if account else ZERO
        watcher.liquidated.clear()
        play(exchange, quotes, kind, account, what)
        if kind == "withdraw" and account is not None:
            taken = free - account.balance(wallet, "USDT").free
            assert taken in (0, what)
            before["USDT"] -= taken
        check(exchange)
        assert {asset: worth(exchange, asset) for asset in before} == before
        for liquidated in watcher.liquidated:
            assert not exchange.accounts[liquidated].open_count[FUTURES, "BTCUSDT"]
    for each in NAMES:
        account = exchange.accounts[each]
        for asset, at_first in FUNDS.items():
            total = sum(balances[asset].total for balances in account.wallets.values())
            assert total == at_first * len(account.wallets) + watcher.told[each, asset]


@given(sequence=st.lists(moves, max_size=40))
def test_a_wallet_is_its_bookings(sequence: list[tuple[str, str | None, object]]) -> None:
    """A futures wallet is deposits + realised − commissions + funding, and more only by what the insurance fund paid."""
    exchange, watcher = make("binance")
    quotes: list[Order] = []
    liquidated: set[str] = set()
    for kind, who, what in sequence:
        if kind != "withdraw":
            play(exchange, quotes, kind, exchange.accounts[who] if who else None, what)
        liquidated |= watcher.liquidated
    for each in NAMES:
        account = exchange.accounts[each]
        fills = exchange.fills(account, FUTURES)
        position = exchange.position(account, "BTCUSDT")
        assert sum((fill.realised for fill in fills), ZERO) == position.realised
        expected = FUNDS["USDT"] + sum(fill.realised - fill.commission for fill in fills)
        expected += sum(payment.amount for payment in account.funding_payments)
        held = account.balance("futures", "USDT").total
        assert held >= expected if each in liquidated else held == expected
        bought = sum((f.quantity if f.is_buyer else -f.quantity for f in fills), ZERO)
        assert bought == position.quantity == watcher.held[each]
