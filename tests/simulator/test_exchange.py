"""The neutral exchange, case by case: what the rules of each exchange make of the same request."""

from decimal import Decimal as D

import attrs
import pytest

from oms.simulator import KRW_TICKS, PRESETS, AccountConfig, ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import BUY, FUTURES, SELL, SPOT, Order, OrderRequest, OrderUpdate
from oms.simulator.reasons import Reason, Refusal

FUNDS = {"USDT": D(10_000), "BTC": D(1), "KRW": D(100_000_000)}
BTC = {
    "binance": "BTCUSDT",
    "bybit": "BTCUSDT",
    "okx": "BTC-USDT",
    "upbit": "KRW-BTC",
}


class Log:
    """Keeps what the exchange tells."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, str, str]] = []
        self.changes: list[FundsChange] = []

    def order(self, update: OrderUpdate) -> None:
        self.updates.append((update.order.account, update.execution, update.order.status))

    def funds(self, change: FundsChange) -> None:
        self.changes.append(change)

    trade = lambda self, market, trade: None  # noqa: E731
    book = mark = status = lambda self, market: None


def make(name: str, **changes: object) -> tuple[Exchange, Account, Account, Log]:
    """An exchange with an empty book and the accounts a and b; `changes` are of its futures symbols."""
    log = Log()
    symbols = PRESETS[f"{name}.spot"]
    if f"{name}.futures" in PRESETS:
        symbols += tuple(attrs.evolve(symbol, **changes) for symbol in PRESETS[f"{name}.futures"])
    accounts = tuple(AccountConfig(each, f"key{each}", "secret", FUNDS) for each in "ab")
    ticks = iter(range(10**15, 10**18, 10**6))
    exchange = Exchange(ExchangeConfig(name, symbols, accounts), lambda: next(ticks), log)
    return exchange, exchange.accounts["a"], exchange.accounts["b"], log


def perp(side: str, quantity: str, price: str = "", **more: object) -> OrderRequest:
    """An order of Binance's and Bybit's BTCUSDT perpetual."""
    kind = "LIMIT" if price else "MARKET"
    return OrderRequest(FUTURES, "BTCUSDT", side, kind, D(quantity), price=D(price or 0), **more)


def spot(name: str, side: str, quantity: str, price: str = "", **more: object) -> OrderRequest:
    kind = "LIMIT" if price else "MARKET"
    return OrderRequest(SPOT, BTC[name], side, kind, D(quantity), price=D(price or 0), **more)


def refused(reason: Reason, action: object, *arguments: object, **more: object) -> None:
    with pytest.raises(Refusal) as refusal:
        action(*arguments, **more)
    assert refusal.value.reason is reason, refusal.value


def give_liquidity(exchange: Exchange, price: str, quantity: str = "100") -> None:
    """Let the house quote both sides next to a price of the perpetual, and set the mark."""
    market = exchange.market(FUTURES, "BTCUSDT")
    for side, offset in ((BUY, -D("0.1")), (SELL, D("0.1"))):
        exchange.quote(side, market, D(price) + offset, D(quantity))
    exchange.finish_quotes(market)
    exchange.set_mark(market, D(price))


def sweep_house(exchange: Exchange) -> None:
    """Take the house's quotes off the perpetual's book."""
    market = exchange.market(FUTURES, "BTCUSDT")
    for side in (BUY, SELL):
        for level in list(market.book.levels(side)):
            for order in list(level.orders.values()):
                exchange.withdraw(market, order)


# Positions


def test_average_cost_realised_and_turning_round() -> None:
    """Entry is the average cost; closing realises against it; a trade through zero opens at its own price."""
    exchange, a, b, _ = make("binance", taker_fee=D(0), maker_fee=D(0))
    position = exchange.position(a, "BTCUSDT")
    for side, quantity, price, held, entry, realised in (
        (BUY, "0.1", "50000", "0.1", "50000", "0"),
        (BUY, "0.2", "50300", "0.3", "50200", "0"),
        (SELL, "0.1", "50500", "0.2", "50200", "30"),
        (SELL, "0.3", "50000", "-0.1", "50000", "-10"),
        (BUY, "0.1", "49000", "0", "0", "90"),
    ):
        exchange.place(b, perp(SELL if side == BUY else BUY, quantity, price))
        exchange.place(a, perp(side, quantity))
        assert (position.quantity, position.entry_price, position.realised) == (
            D(held),
            D(entry),
            D(realised),
        )
    assert a.balance("futures", "USDT").total == 10_090
    assert b.balance("futures", "USDT").total == 9_910
    assert a.balance("spot", "USDT").total == 10_000


def test_contracts_have_a_size() -> None:
    """On OKX a contract is 0.01 BTC: notional, commission, margin and profit follow."""
    exchange, a, b, _ = make("okx", leverage=10)
    order = OrderRequest(FUTURES, "BTC-USDT-SWAP", BUY, "LIMIT", D(10), price=D(50_000))
    exchange.place(b, order)
    sold = exchange.place(a, attrs.evolve(order, side=SELL, type="MARKET", price=D(0)))
    assert sold.executed_quote == 5_000
    assert sold.fills[0].commission == D("2.5")
    market = exchange.market(FUTURES, "BTC-USDT-SWAP")
    exchange.set_mark(market, D(49_000))
    margin = exchange.margin(a, "USDT")
    assert (margin.unrealised, margin.position_margin, margin.balance) == (100, 490, D("9997.5"))
    assert margin.available == D("9997.5") + 100 - 490


def test_orders_reserve_margin_on_the_side_that_adds_more() -> None:
    """Bids and asks of one symbol do not add up, and an order that only closes needs nothing."""
    exchange, a, _, _ = make("binance", leverage=10)
    exchange.place(a, perp(BUY, "0.1", "49000"))
    assert exchange.margin(a, "USDT").order_margin == 490
    exchange.place(a, perp(SELL, "0.1", "51000"))
    assert exchange.margin(a, "USDT").order_margin == 510
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "0.1"))
    exchange.cancel(a, next(order for order in a.open.values() if order.side == BUY))
    # The ask closes the position and no more.
    assert exchange.margin(a, "USDT").order_margin == 0
    exchange.adjust(a, "futures", "USDT", -exchange.withdrawable(a, "futures", "USDT"))
    sell = exchange.place(a, perp(SELL, "0.05"))
    assert sell.status == "FILLED"
    exchange.adjust(a, "futures", "USDT", D(8_000))
    refused(Reason.INSUFFICIENT_MARGIN, exchange.place, a, perp(BUY, "3"))
    refused(Reason.INSUFFICIENT_MARGIN, exchange.place, a, perp(SELL, "3", "50500"))


def test_leverage_and_margin_mode() -> None:
    """Leverage may rise at will and fall as far as margin carries; the mode changes while nothing is open."""
    exchange, a, _, log = make("binance")
    assert exchange.set_leverage(a, "BTCUSDT", 50)
    assert not exchange.set_leverage(a, "BTCUSDT", 50)
    refused(Reason.LEVERAGE, exchange.set_leverage, a, "BTCUSDT", 126)
    assert exchange.set_margin_mode(a, "BTCUSDT", "isolated")
    assert [change.reason for change in log.changes] == ["LEVERAGE", "MARGIN_MODE"]
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "1"))
    position = exchange.position(a, "BTCUSDT")
    assert position.isolated_margin == D("1000.002")
    refused(Reason.POSITION_OPEN, exchange.set_margin_mode, a, "BTCUSDT", "cross")
    refused(Reason.POSITION_OPEN, exchange.set_leverage, a, "BTCUSDT", 20)
    exchange.adjust_margin(a, "BTCUSDT", D(500))
    assert position.isolated_margin == D("1500.002")
    refused(Reason.INSUFFICIENT_MARGIN, exchange.adjust_margin, a, "BTCUSDT", D(-501))
    exchange.place(a, perp(SELL, "1"))
    assert position.isolated_margin == 0
    exchange.place(a, perp(BUY, "0.1", "40000"))
    refused(Reason.ORDERS_OPEN, exchange.set_margin_mode, a, "BTCUSDT", "cross")
    exchange.set_leverage(a, "ETHUSDT", 1)
    exchange.place(
        a, OrderRequest(FUTURES, "ETHUSDT", BUY, "LIMIT", D(1), price=D(2_900), client_order_id="eth")
    )
    exchange.set_leverage(a, "ETHUSDT", 20)
    exchange.adjust(a, "futures", "USDT", -exchange.withdrawable(a, "futures", "USDT"))
    refused(Reason.INSUFFICIENT_MARGIN, exchange.set_leverage, a, "ETHUSDT", 19)
    assert exchange.position(a, "ETHUSDT").leverage == 20
    refused(Reason.NO_SYMBOL, exchange.set_leverage, a, "NOPE", 1)


def test_reduce_only() -> None:
    """It is refused with nothing to reduce, cut to the position, and ends when the position does."""
    exchange, a, _, log = make("binance")
    refused(Reason.REDUCE_ONLY, exchange.place, a, perp(SELL, "0.1", "51000", reduce_only=True))
    refused(Reason.REDUCE_ONLY, exchange.place, a, spot("binance", SELL, "0.1", "51000", reduce_only=True))
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "0.3"))
    refused(Reason.REDUCE_ONLY, exchange.place, a, perp(BUY, "0.1", "49000", reduce_only=True))
    log.updates.clear()
    resting = exchange.place(a, perp(SELL, "0.5", "51000", reduce_only=True))
    assert (resting.quantity, resting.status) == (D("0.3"), "NEW")
    assert log.updates == [("a", "NEW", "NEW"), ("a", "AMENDED", "NEW")]
    exchange.place(a, perp(SELL, "0.1"))
    assert resting.quantity == D("0.2")
    exchange.place(a, perp(SELL, "0.4"))
    assert (resting.status, resting.reason) == ("EXPIRED", Reason.REDUCE_ONLY)
    assert exchange.position(a, "BTCUSDT").quantity == D("-0.2")


def test_a_reduce_only_stop_waits_for_its_position() -> None:
    """A waiting reduce-only stop is looked at when it triggers: then it closes what is there, or ends."""
    exchange, a, _, _ = make("binance")
    give_liquidity(exchange, "50000")
    stop = OrderRequest(
        FUTURES, "BTCUSDT", SELL, "STOP_LOSS", D("0.5"), stop_price=D(49_000), reduce_only=True
    )
    alone, kept = exchange.place(a, stop), exchange.place(a, stop)
    exchange.place(a, perp(BUY, "0.2"))
    sweep_house(exchange)
    exchange.cross(exchange.market(FUTURES, "BTCUSDT"), D(48_900), D("0.001"))
    give_liquidity(exchange, "48900")
    assert (alone.status, alone.executed) == ("FILLED", D("0.2"))
    assert (kept.status, kept.reason) == ("EXPIRED", Reason.REDUCE_ONLY)


# Liquidation, ADL, funding


def test_cross_liquidation() -> None:
    """At the liquidation price orders are canceled and the positions closed; just before it nothing happens."""
    exchange, a, _, log = make("binance")
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "3"))
    working = exchange.place(a, perp(BUY, "0.01", "20000"))
    price = exchange.liquidation_price(a, "BTCUSDT")
    assert 46_000 < price < 47_000
    market = exchange.market(FUTURES, "BTCUSDT")
    sweep_house(exchange)
    exchange.set_mark(market, price + 1)
    assert exchange.position(a, "BTCUSDT").quantity == 3
    exchange.quote(BUY, market, D("46600"), D(1))
    log.updates.clear()
    log.changes.clear()
    exchange.set_mark(market, price - 1)
    assert (working.status, working.reason) == ("CANCELED", Reason.LIQUIDATION)
    assert exchange.position(a, "BTCUSDT").quantity == 0
    # One through the book, the rest with the insurance fund.
    assert [execution for _, execution, _ in log.updates] == ["CANCELED", "NEW", "TRADE", "TRADE"]
    assert exchange.insurance.positions["BTCUSDT"].quantity == 2
    assert [change.reason for change in log.changes] == ["LIQUIDATION"]
    fills = a.fills[FUTURES, "BTCUSDT"]
    assert [fill.origin for fill in fills] == ["client", "liquidation", "liquidation"]
    assert not a.open


def test_the_insurance_fund_pays_what_the_account_cannot() -> None:
    """After a jump past bankruptcy the wallet is left with nothing, and the fund has paid the rest."""
    exchange, a, _, _ = make("binance")
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "3"))
    sweep_house(exchange)
    give_liquidity(exchange, "40000")
    assert a.balance("futures", "USDT").total == 0
    assert exchange.insurance.balance("futures", "USDT").total < -19_000


def test_isolated_liquidation_takes_its_margin_alone() -> None:
    """An isolated position costs at most its margin; the rest of the wallet is not touched."""
    exchange, a, _, _ = make("binance")
    exchange.set_margin_mode(a, "BTCUSDT", "isolated")
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(SELL, "1"))
    margin, held = exchange.position(a, "BTCUSDT").isolated_margin, a.balance("futures", "USDT").total
    assert 52_000 < exchange.liquidation_price(a, "BTCUSDT") < 52_500
    sweep_house(exchange)
    give_liquidity(exchange, "60000")
    assert exchange.position(a, "BTCUSDT").quantity == 0
    assert a.balance("futures", "USDT").total == held - margin


def test_deleveraging() -> None:
    """ADL closes a part at the mark price with a system order that its owner is told of."""
    exchange, a, _, log = make("binance")
    give_liquidity(exchange, "50000")
    exchange.place(a, perp(BUY, "0.3"))
    exchange.set_mark(exchange.market(FUTURES, "BTCUSDT"), D(50_500))
    refused(Reason.REDUCE_ONLY, exchange.deleverage, a, "BTCUSDT", D("0.4"))
    order = exchange.deleverage(a, "BTCUSDT", D("0.1"))
    assert (order.origin, order.status, order.fills[0].price) == ("adl", "FILLED", 50_500)
    assert exchange.position(a, "BTCUSDT").quantity == D("0.2")
    assert log.changes[-1].reason == "ADL"


def test_funding() -> None:
    """Longs pay shorts quantity × mark × rate, each is told its payment, and the next funding is an interval later."""
    exchange, a, b, log = make("binance")
    exchange.place(b, perp(SELL, "0.2", "50000"))
    exchange.place(a, perp(BUY, "0.2", "50000"))
    market = exchange.market(FUTURES, "BTCUSDT")
    exchange.set_mark(market, D(51_000))
    held = [account.balance("futures", "USDT").total for account in (a, b)]
    log.changes.clear()
    payments = exchange.settle_funding(market, D("0.001"))
    assert {payment.amount for payment in payments} == {D("-10.2"), D("10.2")}
    assert [account.balance("futures", "USDT").total for account in (a, b)] == [
        held[0] - D("10.2"),
        held[1] + D("10.2"),
    ]
    assert [(c.account.name, c.reason, c.payment.amount) for c in log.changes] == [
        ("b", "FUNDING", D("10.2")),
        ("a", "FUNDING", D("-10.2")),
    ]
    assert market.next_funding_ns % (28_800 * 10**9) == 0
    # The house's own position pays too.
    give_liquidity(exchange, "51000")
    exchange.place(a, perp(SELL, "0.1"))
    house = exchange.house.balance("futures", "USDT").total
    exchange.settle_funding(market, D("0.001"))
    assert exchange.house.balance("futures", "USDT").total == house - D("5.1")
    exchange.settle_due_funding()
    assert len(a.funding_payments) == 2


# Amends


def test_a_smaller_quantity_keeps_the_queue_and_anything_else_does_not() -> None:
    """Reducing the quantity in place keeps an order's turn; more quantity or another price sends it to the end."""
    exchange, a, b, log = make("bybit")
    first = exchange.place(a, spot("bybit", BUY, "0.02", "40000"))
    second = exchange.place(a, spot("bybit", BUY, "0.02", "40000"))
    exchange.amend(a, first, quantity=D("0.01"))
    assert a.balance("unified", "USDT").locked == 1_200
    exchange.place(b, spot("bybit", SELL, "0.01"))
    assert (first.status, second.executed) == ("FILLED", 0)
    third = exchange.place(a, spot("bybit", BUY, "0.02", "40000"))
    exchange.amend(a, second, quantity=D("0.03"))
    exchange.place(b, spot("bybit", SELL, "0.01"))
    assert (third.executed, second.executed) == (D("0.01"), 0)
    exchange.amend(a, third, price=D(41_000))
    assert a.balance("unified", "USDT").locked == 1_200 + 410
    assert ("a", "AMENDED", "PARTIALLY_FILLED") in log.updates


def test_amends_that_are_refused_change_nothing() -> None:
    """No change, too small a quantity, bad terms, too few funds and closed orders are refused, with the order as it was."""
    exchange, a, b, _ = make("bybit")
    order = exchange.place(a, spot("bybit", BUY, "0.1", "40000"))
    exchange.place(b, spot("bybit", SELL, "0.04"))
    for reason, terms in (
        (Reason.NOT_MODIFIED, {"quantity": D("0.1"), "price": D(40_000)}),
        (Reason.AMEND_QUANTITY, {"quantity": D("0.04")}),
        (Reason.LOT_SIZE, {"quantity": D("0.1000001")}),
        (Reason.PRICE_TICK, {"price": D("40000.01")}),
        (Reason.INSUFFICIENT_FUNDS, {"quantity": D(1)}),
    ):
        refused(reason, exchange.amend, a, order, **terms)
        assert (order.quantity, order.price, order.locked) == (D("0.1"), 40_000, 2_400)
        assert order in exchange.market(SPOT, "BTCUSDT").book
    exchange.cancel(a, order)
    refused(Reason.ORDER_CLOSED, exchange.amend, a, order, quantity=D("0.2"))
    refused(Reason.ORDER_CLOSED, exchange.cancel, a, order)
    future = exchange.place(a, perp(BUY, "0.1", "40000"))
    refused(Reason.INSUFFICIENT_MARGIN, exchange.amend, a, future, quantity=D("3"))
    assert exchange.margin(a, "USDT").order_margin == 400


def test_an_amend_may_match() -> None:
    """A new price that reaches the other side matches at once; a post-only order ends instead."""
    exchange, a, b, _ = make("bybit")
    exchange.place(b, spot("bybit", SELL, "0.05", "45000"))
    order = exchange.place(a, spot("bybit", BUY, "0.1", "40000"))
    exchange.amend(a, order, price=D(45_000))
    assert (order.executed, order.fills[0].is_maker) == (D("0.05"), False)
    exchange.place(b, spot("bybit", SELL, "0.05", "46000"))
    shy = exchange.place(a, spot("bybit", BUY, "0.01", "40000", post_only=True))
    exchange.amend(a, shy, price=D(46_000))
    assert (shy.status, shy.reason, shy.executed) == ("CANCELED", Reason.WOULD_MATCH, 0)


# What exchanges differ in


def test_client_ids() -> None:
    """Binance takes an id again after its order closed, Bybit and OKX not, Upbit not even after a refusal."""
    for name, again in (("binance", True), ("bybit", False), ("okx", False), ("upbit", False)):
        exchange, a, _, _ = make(name)
        price = "40000000" if name == "upbit" else "40000"
        request = spot(name, BUY, "0.01", price, client_order_id="mine")
        first = exchange.place(a, request)
        refused(Reason.DUPLICATE_CLIENT_ID, exchange.place, a, request)
        exchange.cancel(a, first)
        if again:
            assert exchange.place(a, request) is not first
        else:
            refused(Reason.DUPLICATE_CLIENT_ID, exchange.place, a, request)
            assert exchange.find(a, None, None, client_order_id="mine") is first
    refused(
        Reason.INSUFFICIENT_FUNDS,
        exchange.place,
        a,
        attrs.evolve(request, quantity=D(9), client_order_id="x"),
    )
    refused(Reason.DUPLICATE_CLIENT_ID, exchange.place, a, attrs.evolve(request, client_order_id="x"))


def test_an_order_without_a_client_id() -> None:
    """Binance makes one up, the others leave it empty; either way several can be open."""
    for name in BTC:
        exchange, a, _, _ = make(name)
        price = "40000000" if name == "upbit" else "40000"
        orders = [exchange.place(a, spot(name, BUY, "0.01", price)) for _ in range(2)]
        assert all(bool(order.client_order_id) == (name == "binance") for order in orders)
        for order in orders:
            exchange.cancel(a, order)


@pytest.mark.parametrize(
    "name, market, status",
    [
        ("binance", SPOT, None),
        ("binance", FUTURES, "EXPIRED"),
        ("bybit", SPOT, "CANCELED"),
        ("bybit", FUTURES, "CANCELED"),
        ("upbit", SPOT, "CANCELED"),
    ],
)
def test_post_only(name: str, market: str, status: str | None) -> None:
    """A post-only order that would match is refused, or accepted and ended, as the exchange does."""
    exchange, a, b, log = make(name)
    price = "40000000" if name == "upbit" else "40000"
    request = attrs.evolve(spot(name, SELL, "0.01", price), market=market)
    exchange.place(b, request)
    request = attrs.evolve(request, side=BUY, post_only=True)
    if status is None:
        refused(Reason.WOULD_MATCH, exchange.place, a, request)
    else:
        order = exchange.place(a, request)
        assert (order.status, order.reason, order.executed) == (status, Reason.WOULD_MATCH, 0)
        assert log.updates[-2:] == [("a", "NEW", "NEW"), ("a", status, status)]
    assert not a.open
    assert a.balance(exchange.rules.wallets[market], "USDT").locked == 0


def test_commission_in_the_quote_asset() -> None:
    """On Upbit both sides pay in KRW, and a buy reserves it with its cost."""
    exchange, a, b, _ = make("upbit")
    buy = exchange.place(a, spot("upbit", BUY, "0.1", "70000000"))
    assert buy.locked == D("7003500")
    exchange.place(b, spot("upbit", SELL, "0.04"))
    assert buy.locked == D("4202100")
    assert a.balance("spot", "BTC").total == D("1.04")
    assert a.balance("spot", "KRW").total == D(100_000_000) - D("2801400")
    assert b.balance("spot", "KRW").total == D(100_000_000) + D("2798600")
    exchange.cancel(a, buy)
    assert a.balance("spot", "KRW").locked == 0


def test_buying_for_an_amount() -> None:
    """A market buy by quote amount takes whole steps while the amount lasts, and is filled when no step fits any more."""
    exchange, a, b, _ = make("upbit")
    for quantity, price in (("0.01", "70000000"), ("0.05", "80000000")):
        exchange.place(b, spot("upbit", SELL, quantity, price))
    request = spot("upbit", BUY, "0", quote_quantity=D(1_000_000))
    order = exchange.place(a, request)
    assert (order.status, order.executed, order.executed_quote) == ("FILLED", D("0.01375"), D(1_000_000))
    assert order.quantity == order.executed
    rest = exchange.place(a, attrs.evolve(request, quote_quantity=D(5_000_000)))
    assert (rest.status, rest.executed) == ("EXPIRED", D("0.04625"))
    assert a.balance("spot", "KRW").locked == 0
    refused(Reason.MIN_NOTIONAL, exchange.place, a, attrs.evolve(request, quote_quantity=D(4_999)))


def test_ticks_by_price() -> None:
    """Upbit's tick grows with the price; each price is held against its own."""
    exchange, a, _, _ = make("upbit")
    config = exchange.market(SPOT, "KRW-BTC").config
    assert [config.tick_at(D(price)) for price in ("0.000001", "99.9", "100", "9999", "2000000")] == [
        D("0.00000001"),
        D("0.1"),
        D(1),
        D(5),
        D(1_000),
    ]
    assert config.tick_at(D(0)) == KRW_TICKS[0][1]
    exchange.place(a, spot("upbit", BUY, "0.1", "600500"))
    refused(Reason.PRICE_TICK, exchange.place, a, spot("upbit", BUY, "0.1", "600100"))
    refused(Reason.PRICE_TICK, exchange.place, a, spot("upbit", BUY, "0.1", "60000500"))


def test_wallets_and_transfers() -> None:
    """A transfer moves what is free, margin aside, between wallets that exist, and is remembered."""
    exchange, a, _, log = make("binance", leverage=1)
    made = exchange.transfer(a, "USDT", D(4_000), "spot", "futures")
    assert a.transfers[0] is made
    assert (a.balance("spot", "USDT").free, a.balance("futures", "USDT").free) == (6_000, 14_000)
    assert [(change.wallet, change.reason) for change in log.changes] == [
        ("spot", "TRANSFER"),
        ("futures", "TRANSFER"),
    ]
    exchange.place(a, perp(BUY, "0.2", "50000"))
    assert exchange.withdrawable(a, "futures", "USDT") == 4_000
    refused(Reason.INSUFFICIENT_FUNDS, exchange.transfer, a, "USDT", D(4_001), "futures", "spot")
    refused(Reason.NO_WALLET, exchange.transfer, a, "USDT", D(1), "spot", "savings")
    refused(Reason.NO_WALLET, exchange.transfer, a, "USDT", D(1), "spot", "spot")
    refused(Reason.NO_ASSET, exchange.transfer, a, "DOGE", D(1), "spot", "futures")
    refused(Reason.BAD_AMOUNT, exchange.transfer, a, "USDT", D(-1), "spot", "futures")


def test_a_unified_wallet_is_one() -> None:
    """On Bybit margin of futures and locks of spot are of the same money, and neither can be spent twice."""
    exchange, a, _, _ = make("bybit", leverage=1)
    exchange.place(a, perp(BUY, "0.1", "50000"))
    refused(Reason.INSUFFICIENT_FUNDS, exchange.place, a, spot("bybit", BUY, "0.2", "40000"))
    exchange.place(a, spot("bybit", BUY, "0.1", "40000"))
    refused(Reason.INSUFFICIENT_MARGIN, exchange.place, a, perp(BUY, "0.05", "50000"))
    assert exchange.margin(a, "USDT").available == 1_000
    assert set(a.wallets) == {"unified", "funding"}


def test_a_halted_symbol() -> None:
    """While halted orders and amends are refused, cancels are not, and other symbols trade."""
    exchange, a, _, _ = make("binance")
    order = exchange.place(a, spot("binance", BUY, "0.01", "40000"))
    market = exchange.market(SPOT, "BTCUSDT")
    exchange.set_status(market, "HALTED")
    refused(Reason.NOT_TRADING, exchange.place, a, spot("binance", BUY, "0.01", "40000"))
    refused(Reason.NOT_TRADING, exchange.amend, a, order, quantity=D("0.02"))
    exchange.place(a, perp(BUY, "0.01", "40000"))
    exchange.cancel(a, order)
    exchange.set_status(market, "TRADING")
    exchange.place(a, spot("binance", BUY, "0.01", "40000"))


def test_orders_are_found() -> None:
    """By id alone, by id and client id that belong together, and not under another symbol."""
    exchange, a, b, _ = make("okx")
    order = exchange.place(a, spot("okx", BUY, "0.01", "40000", client_order_id="x"))
    found: list[Order] = [
        exchange.find(a, None, None, order.order_id),
        exchange.find(a, SPOT, "BTC-USDT", order.order_id, "x"),
        exchange.find(a, SPOT, "BTC-USDT", None, "x"),
        exchange.find(a, None, None, None, "x"),
    ]
    assert all(each is order for each in found)
    refused(Reason.NO_ORDER, exchange.find, a, SPOT, "ETH-USDT", order.order_id)
    refused(Reason.NO_ORDER, exchange.find, a, SPOT, "ETH-USDT", None, "x")
    refused(Reason.NO_ORDER, exchange.find, a, SPOT, "BTC-USDT", order.order_id, "y")
    refused(Reason.NO_ORDER, exchange.find, b, None, None, order.order_id)
    refused(Reason.NO_ORDER, exchange.find, a, SPOT, "BTC-USDT")
    refused(Reason.NO_SYMBOL, exchange.find, a, SPOT, "NOPE", order.order_id)
