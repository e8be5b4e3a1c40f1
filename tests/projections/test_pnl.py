"""P&L against figures computed by hand, and its sums against each other."""

import decimal
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates.money import EXACT
from oms.config import CacheConfig
from oms.messages import queries as q
from oms.messages.subjects import Subject
from oms.projections import pnl
from replay.following.answers import answer
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import START, Maker, busy

D = Decimal
EVERYTHING = Subject("show_pnl", "_", "_", "_", "_")
DAY_NS = 86_400 * 10**9
FIRST_DAY = pnl.utc_day(START)


def history(maker: Maker) -> History:
    """Everything the maker's frames say."""
    maker.cut()
    made = new_history(CacheConfig())
    for stored in maker.stored:
        made.apply(stored)
    return made


def show(made: History, subject: Subject = EVERYTHING, **fields: Any) -> q.PnlAnswer[q.PnlRow]:
    """Ask as a client does, all fields decoded."""
    assert made.projections is not None
    with decimal.localcontext(EXACT):
        found = answer(made.projections, subject, q.ShowPnl(limit=500, **fields), made.sequence, 0)
    return msgspec.json.decode(msgspec.json.encode(found), type=q.PnlAnswer[q.PnlRow])


def trade(
    maker: Maker, side: str, quantity: str, price: str, *fee: str, strategy: str = "", account: str = "main"
) -> None:
    """Place, accept and fill in one."""
    order_id = maker.place(account, side=side, quantity=quantity, price=price, strategy=strategy)
    maker.accept(order_id, account)
    maker.fill(order_id, quantity, price, *fee, account=account)


def marked(maker: Maker, price: str) -> None:
    """Set the mark of BTCUSDT."""
    maker.ask("report_marks.binance._.spot._", marks={"BTCUSDT": price})


def test_long_closed_in_part_with_fees_in_quote() -> None:
    """2 at 100, 1 sold at 130, marked at 110: realised 30, unrealised 10, fees as paid, net what is left."""
    maker = Maker()
    maker.begin()
    trade(maker, "buy", "2", "100", "0.2", "USDT")
    trade(maker, "sell", "1", "130", "0.13", "USDT")
    marked(maker, "110")
    (row,) = show(history(maker)).rows
    assert (row.realised, row.unrealised, row.fees, row.net) == (D(30), D(10), D("0.33"), D("39.67"))
    assert (row.trades, row.settle, row.other_fees) == (2, "USDT", {})


def test_short_turned_long() -> None:
    """1 sold at 100, 3 bought at 90: 10 realised on the one, 2 open from 90."""
    maker = Maker()
    maker.begin()
    trade(maker, "sell", "1", "100")
    trade(maker, "buy", "3", "90")
    marked(maker, "95")
    (row,) = show(history(maker)).rows
    assert (row.realised, row.unrealised) == (D(10), D(10))


def test_fee_in_base_reduces_what_is_held() -> None:
    """1 bought at 100 with a fee of 0.001 BTC holds 0.999 that cost 99.9, and paid 0.1."""
    maker = Maker()
    maker.begin()
    trade(maker, "buy", "1", "100", "0.001", "BTC")
    marked(maker, "200")
    (row,) = show(history(maker)).rows
    assert (row.realised, row.fees, row.unrealised) == (D(0), D("0.1"), D("99.9"))
    assert row.net == D("99.8")


def test_fee_in_another_asset_is_listed_by_asset() -> None:
    """A fee in BNB is not valued and not dropped; nor is a rebate."""
    maker = Maker()
    maker.begin()
    trade(maker, "buy", "1", "100", "0.002", "BNB")
    trade(maker, "sell", "1", "100", "0.003", "BNB")
    trade(maker, "buy", "1", "100", "-0.001", "XYZ")
    found = show(history(maker))
    assert found.rows[0].fees == 0
    assert found.rows[0].other_fees == {"BNB": D("0.005"), "XYZ": D("-0.001")}
    assert found.totals[0].other_fees == found.rows[0].other_fees


def test_realised_and_fees_fall_on_the_utc_day_of_the_commit() -> None:
    """A trade just before midnight and one at midnight stand on two days; what is open on none."""
    midnight = (START // DAY_NS + 1) * DAY_NS
    maker = Maker(step=1)
    maker.begin()
    maker.clock = midnight - 10
    trade(maker, "buy", "2", "100", "1", "USDT")
    maker.clock = midnight - 4
    order_id = maker.place(side="sell", quantity="1", price="150")
    maker.accept(order_id)
    maker.clock = midnight - 1
    maker.fill(order_id, "1", "150", "2", "USDT")
    marked(maker, "120")
    made = history(maker)
    next_day = pnl.utc_day(midnight)
    days = {row.day: row for row in show(made, by=["day"]).rows}
    assert set(days) == {FIRST_DAY, next_day, "open"}
    assert (days[FIRST_DAY].realised, days[FIRST_DAY].fees) == (D(0), D(1))
    assert (days[next_day].realised, days[next_day].fees) == (D(50), D(2))
    assert (days["open"].realised, days["open"].unrealised) == (D(0), D(20))
    (asked,) = show(made, by=["day"], day=next_day).rows
    assert asked.realised == 50
    assert asked.unrealised is msgspec.UNSET


def test_strategies_net_apart_and_their_sum_is_the_accounts() -> None:
    """One strategy long and one short of the same account: the account is flat, and the sums agree."""
    maker = Maker()
    maker.begin()
    trade(maker, "buy", "1", "100", strategy="a")
    trade(maker, "sell", "1", "120", strategy="b")
    marked(maker, "110")
    made = history(maker)
    rows = {row.strategy: row for row in show(made).rows}
    assert (rows["a"].realised, rows["a"].unrealised) == (D(0), D(10))
    assert (rows["b"].realised, rows["b"].unrealised) == (D(0), D(10))
    position = made.partition.positions["binance", "main", "spot", "BTCUSDT"]
    assert (position.quantity, position.realised) == (D(0), D(20))
    assert show(made, by=[]).totals[0].net == 20


def test_unknown_mark_is_told_and_not_taken_for_zero() -> None:
    """What is open in a symbol without a mark makes the sum unknown, and the symbol is named."""
    maker = Maker()
    maker.begin()
    terms = {"base": "SOL", "quote": "USDT", "settle": "USDT", "tick": "0.01", "step": "1"}
    spec = {"symbol": "SOLUSDT", "min_quantity": "1", "max_quantity": "9000"} | terms
    maker.ask("list_instruments.binance._.spot._", instruments=[spec])
    order_id = maker.place(symbol="SOLUSDT", quantity="1", price="100")
    maker.accept(order_id)
    maker.fill(order_id, "1", "100")
    total = show(history(maker)).totals[0]
    assert (total.unrealised, total.net, total.unmarked) == (None, None, ["SOLUSDT"])


@given(
    seed=st.integers(0, 10**6),
    by=st.lists(st.sampled_from(["account", "strategy", "symbol", "day"]), unique=True),
)
def test_rows_add_up_to_the_totals_whatever_is_told_apart(seed: int, by: list[Any]) -> None:
    """Rows by any dimensions add up to the same totals, exactly, and to the partition's own cash flows."""
    made = history(busy(seed, 60, step=3_600 * 10**9))
    found, total = show(made, by=by), show(made, by=[]).totals
    assert found.totals == total
    with decimal.localcontext(EXACT):
        for name in ("realised", "fees", "unrealised", "net", "trades"):
            assert sum(getattr(row, name) for row in found.rows) == sum(
                getattr(row, name) for row in total
            ), name
        positions = made.partition.positions.values()
        assert sum(p.fees for p in positions) == sum(row.fees for row in total)
        # realised - cost is the cash that flowed, however the trades are netted
        held = made.partition.books.by_key.values()
        assert sum(b.realised - b.cost for b in held) == sum(p.realised - p.cost for p in positions)
        others: dict[str, Decimal] = {}
        for row in found.rows:
            for asset, fee in row.other_fees.items():
                others[asset] = others.get(asset, D(0)) + fee
        assert others == (total[0].other_fees if total else {})


def test_old_days_become_one_and_nothing_is_lost(monkeypatch: Any) -> None:
    """Beyond the bound the oldest days are summed into "earlier"; the totals stay."""
    monkeypatch.setattr(pnl, "MAX_DAYS", 3)
    maker = Maker()
    maker.begin()
    for _ in range(6):
        trade(maker, "buy", "1", "100", "1", "USDT")
        trade(maker, "sell", "1", "110", "0.1", "BNB")
        maker.clock += DAY_NS
    found = show(history(maker), by=["day"])
    assert [row.day for row in found.rows][-1] == "earlier"
    assert len(found.rows) == 4
    assert found.rows[-1].realised == 30
    assert (found.totals[0].realised, found.totals[0].fees) == (D(60), D(6))
    assert found.totals[0].other_fees == {"BNB": D("0.6")}
