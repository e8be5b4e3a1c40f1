"""``oms replay export``: rows of a span, the same to the digit in every format."""

import csv
import datetime
import decimal
import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import nats
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from oms.aggregates.money import EXACT
from oms.config import CacheConfig
from oms.messages import events as e
from oms.projections.orders import order_row
from oms.projections.trades import trade_row
from replay.asking import export as x
from replay.asking.filters import Filters
from replay.asking.formats import Column, Format, kind_of, sink, whole_file
from replay.asking.moment import Moment, iso, parse_time
from replay.asking.span import Span, SpanRefused, advance, before, walk
from replay.cli.export import export
from replay.history import History
from replay.rebuild import new_history
from replay.source import Source
from tests.replay.journal import Maker, busy


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A small journal with all that trading does."""
    return busy(7, 120, frame=10)


def run(url: str, *options: str) -> Result:
    """Call the command, in a directory without snapshots."""
    return CliRunner().invoke(export, ["--nats", url, "--data-dir", "/nowhere", *options])


def events_of(maker: Maker) -> list[tuple[int, int, int, int, Any]]:
    """(sequence, commit, index, at, event) of all events."""
    return [
        (stored.sequence, number, index, commit.at, event)
        for stored in maker.stored
        for number, commit in enumerate(stored.frame.commits)
        for index, event in enumerate(commit.events)
    ]


def rows_of(maker: Maker, what: x.What, span: Span, filters: Filters | None = None) -> list[dict[str, Any]]:
    """What an export of the span hands to its sink."""
    history = new_history(CacheConfig())
    found: list[dict[str, Any]] = []
    made = x.rows_of(what, history, filters or Filters(), found.append)
    for stored in maker.stored:
        if stored.sequence < span.first:
            history.apply(stored)
        elif not advance(history, stored, span, made):
            break
        if span.last == stored.sequence:
            break
    with decimal.localcontext(EXACT):
        made.finish()
    return found


def state(maker: Maker) -> History:
    """Everything, rebuilt apart."""
    history = new_history(CacheConfig())
    for stored in maker.stored:
        history.apply(stored)
    return history


# -- events


def test_every_field_of_every_event_has_a_column() -> None:
    """No field of any event is left out of the table, and no column's name stands for two things."""
    columns = x.event_columns()
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    for cls in get_args(e.Event):
        assert set(cls.__struct_fields__) <= set(names)


def test_events_have_their_fields_place_and_time(maker: Maker) -> None:
    """Every event is a row with where it stands, when it was, what caused it, all its fields, and its order's place."""
    rows = rows_of(maker, x.What.EVENTS, Span())
    expected = events_of(maker)
    assert len(rows) == len(expected)
    orders = {event.order_id: event for *_, event in expected if isinstance(event, e.OrderPlaced)}
    for row, (sequence, commit, index, at, event) in zip(rows, expected, strict=True):
        assert (row["sequence"], row["commit"], row["index"], row["at"]) == (sequence, commit, index, at)
        assert parse_time(row["at_iso"]) == at
        assert row["event"] == type(event).__name__
        frame = maker.stored[sequence - 1].frame
        assert row["subject"] == frame.commits[commit].subject
        assert (row["command_id"] or "") == frame.commits[commit].command_id
        for name in event.__struct_fields__:
            assert row[name] == getattr(event, name)
        placed = orders.get(getattr(event, "order_id", ""))
        if placed is not None:
            assert (row["account"], row["symbol"], row["strategy"]) == (
                placed.account,
                placed.symbol,
                placed.strategy,
            )


def test_filters_leave_what_is_meant(maker: Maker) -> None:
    """Filters keep exactly the events of that account, symbol and strategy, an acknowledgement by its order's."""
    everything = rows_of(maker, x.What.EVENTS, Span())
    filters = Filters(account="sub_arb", symbol="ETHUSDT", strategy="arb")
    found = rows_of(maker, x.What.EVENTS, Span(), filters)
    assert found == [
        row
        for row in everything
        if (row.get("account"), row.get("symbol"), row.get("strategy")) == ("sub_arb", "ETHUSDT", "arb")
    ]
    assert {"OrderPlaced", "OrderAccepted", "OrderFilled"} <= {row["event"] for row in found}


# -- spans


def test_a_span_by_time_ends_within_frames(maker: Maker) -> None:
    """A span by time has exactly the commits of that time, though it starts and ends within frames."""
    expected = events_of(maker)
    for first, last in ((5, len(expected) - 5), (40, 41), (0, 10)):
        since, until = expected[first][3], expected[last][3]
        rows = rows_of(maker, x.What.EVENTS, Span(since=since, until=until))
        assert [row["at"] for row in rows] == [one[3] for one in expected if since <= one[3] <= until]


def test_the_state_at_the_end_of_a_span_is_that_of_its_last_commit(maker: Maker) -> None:
    """Orders of a span that ends within a frame stand as they did then, and not as the rest of the frame made them."""
    for stored in maker.stored[3:9]:
        until = stored.frame.commits[len(stored.frame.commits) // 2].at
        history = new_history(CacheConfig())
        for one in maker.stored:
            if not history.apply(one, until=until):
                break
        assert history.part
        assert history.projections is not None
        with decimal.localcontext(EXACT):
            then = {
                o.order_id: msgspec.structs.asdict(order_row(o))
                for o in history.projections.orders.newest_first()
            }
        found = rows_of(maker, x.What.ORDERS, Span(until=until))
        assert {row["order_id"]: row for row in found} == then


async def test_a_walk_from_within_a_frame_is_the_same(url: str, maker: Maker) -> None:
    """From archive or journal, a walk that starts and ends inside frames gives the rows and the state of a walk through all."""
    expected = events_of(maker)
    since, until = expected[41][3], expected[-9][3]
    span = Span(since=since, until=until)
    nc = await nats.connect(url)
    source = Source(nc)
    history = await before(source, None, span)
    assert history.part
    found: list[dict[str, Any]] = []
    await walk(source, history, span, x.rows_of(x.What.EVENTS, history, Filters(), found.append))
    await nc.close()
    assert found == rows_of(maker, x.What.EVENTS, span)
    with pytest.raises(SpanRefused, match="ends at sequence"):
        await before_closed(url, Span(first=maker.sequence + 1))


async def before_closed(url: str, span: Span) -> None:
    """Ask for the state before a span on a connection of its own."""
    nc = await nats.connect(url)
    try:
        await before(Source(nc), None, span)
    finally:
        await nc.close()


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    """A span that ends before it starts is refused, by sequence and by time."""
    for start, end in ((Moment(sequence=9), Moment(sequence=8)), (Moment(time=9), Moment(time=8))):
        with pytest.raises(SpanRefused, match="must not end before it starts"):
            Span.between(start, end)


# -- orders, trades, positions, balances


def test_trades_and_orders_are_the_rows_of_the_queries(maker: Maker) -> None:
    """Trades and orders of the whole history are the rows that the read models have."""
    history = state(maker)
    models = history.projections
    assert models is not None
    with decimal.localcontext(EXACT):
        trades = [msgspec.structs.asdict(trade_row(t, "USDT")) for t in models.trades.by_number.values()]
        orders = {o.order_id: msgspec.structs.asdict(order_row(o)) for o in models.orders.newest_first()}
    assert rows_of(maker, x.What.TRADES, Span()) == trades
    found = rows_of(maker, x.What.ORDERS, Span())
    assert len(found) == len(orders)
    assert {row["order_id"]: row for row in found} == orders


def test_orders_are_those_that_changed_in_the_span(maker: Maker) -> None:
    """Orders of a span are those with an event in it, each once."""
    first, last = 5, 7
    changed = {
        event.order_id
        for sequence, *_, event in events_of(maker)
        if first <= sequence <= last and hasattr(event, "order_id")
    }
    found = rows_of(maker, x.What.ORDERS, Span(first=first, last=last))
    assert sorted(row["order_id"] for row in found) == sorted(changed)


def test_orders_leave_memory_as_the_read_models_let_them_go() -> None:
    """Orders that the read models let go are written then, and every order is written once."""
    maker = busy(3, 1_500, frame=10, step=10**11)
    history = new_history(CacheConfig(max_size=50, default_ttl=10**9))
    found: list[dict[str, Any]] = []
    made = x.rows_of(x.What.ORDERS, history, Filters(), found.append)
    early = 0
    for stored in maker.stored:
        advance(history, stored, Span(), made)
        early = max(early, len(found))
    with decimal.localcontext(EXACT):
        made.finish()
    assert early > 200
    ids = [row["order_id"] for row in found]
    assert len(ids) == len(set(ids)) == 1_500


def test_a_trade_too_late_for_its_order_is_told() -> None:
    """A trade of an order that all memory has let go is counted, so that its order's row is not taken for the truth."""
    maker = Maker(step=1_000_000)
    maker.begin()
    order_id = maker.place()
    maker.accept(order_id)
    order = maker.state.orders[order_id]
    maker.report({"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": maker.clock})
    maker.cut()
    maker.clock += 3 * 86_400 * 10**9
    maker.place()
    maker.cut()
    assert order_id not in maker.state.orders
    maker.report(
        {"report": "filled", "order_id": order_id, "symbol": order.symbol, "side": order.side}
        | {"trade_id": "late", "quantity": "1", "price": "100", "fee": "0", "fee_asset": "USDT"}
        | {"maker": True, "venue_time": maker.clock}
    )
    maker.cut()
    history = new_history(CacheConfig())
    made = x.rows_of(x.What.ORDERS, history, Filters(), lambda row: None)
    for stored in maker.stored:
        advance(history, stored, Span(), made)
    assert made.lost == 1


def test_positions_and_balances_are_those_at_the_end(url: str, maker: Maker) -> None:
    """Positions and balances are the state at --to; a --from makes no sense for them."""
    result = run(url, "--what", "balances", "--format", "jsonl", "--to", str(maker.sequence))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    wallet = maker.state.wallets["binance", "main", "spot"]
    assert {row["asset"]: Decimal(row["total"]) for row in rows if row["account"] == "main"} == {
        asset: balance.total for asset, balance in wallet.balances.items()
    }
    positions = list(csv.DictReader(io.StringIO(run(url, "--what", "positions").stdout)))
    held = {position.quantity for position in maker.state.positions.values()}
    assert {Decimal(row["quantity"]) for row in positions} == held
    assert run(url, "--what", "positions", "--from", "2").exit_code == 2


# -- formats


def test_formats_say_the_same_to_the_digit(url: str, maker: Maker, tmp_path: Path) -> None:
    """CSV, JSON lines and Parquet of every kind hold the same rows, decimals by the digit, times by the nanosecond."""
    for what in x.What:
        columns = x.COLUMNS[what]()
        texts = list(csv.DictReader(io.StringIO(run(url, "--what", what.value).stdout)))
        lines = [
            json.loads(line)
            for line in run(url, "--what", what.value, "--format", "jsonl").stdout.splitlines()
        ]
        path = tmp_path / f"{what}.parquet"
        result = run(url, "--what", what.value, "--format", "parquet", "-o", str(path))
        assert result.exit_code == 0, result.stderr
        table = parquet.read_table(path)
        assert len(texts) == len(lines) == table.num_rows > 0
        for column in columns:
            cells = table.column(column.name)
            if column.kind == "time":
                assert str(cells.type) == "timestamp[ns, tz=UTC]"
                cells = cells.cast("int64")
            for text, line, cell in zip(texts, lines, cells.to_pylist(), strict=True):
                same(column, text[column.name], line.get(column.name), cell)


def same(column: Column, text: str, line: Any, cell: Any) -> None:
    """Hold one cell of the three formats against each other."""
    if line is None:
        assert text == ""
        assert cell is None
    elif column.kind == "amount":
        assert text == line
        assert type(cell) is Decimal
        assert Decimal(line) == cell
    elif column.kind == "json":
        assert json.loads(text) == json.loads(cell) == line
    elif column.kind == "bool":
        assert text == ("true" if line else "false")
        assert cell is line
    else:
        assert text == str(line)
        assert cell == line


@pytest.mark.parametrize("form", list(Format))
def test_the_widest_amounts_survive(form: Format, tmp_path: Path) -> None:
    """Amounts of 20 and 18 digits, products of 76, and the last nanosecond come back as they went in."""
    wide = Decimal("99999999999999999999.999999999999999999")
    with decimal.localcontext(EXACT):
        product = wide * wide
    columns = [
        Column("quantity", "amount"),
        Column("cost", "exact"),
        Column("at", "time"),
        Column("text", "text"),
        Column("marks", "json"),
    ]
    text = 'a "quoted", ünïcode\nline'
    path = tmp_path / "file"
    with whole_file(path) as file:
        made = sink(form, columns, file)
        made.write({"quantity": wide, "cost": product, "at": 2**63 - 1, "text": text})
        made.write(
            {
                "quantity": Decimal("-0.000000000000000001"),
                "cost": Decimal("1E+3"),
                "at": 0,
                "marks": {"X": Decimal("1E+3")},
            }
        )
        made.close()
    rows: list[dict[str, Any]]
    if form is Format.PARQUET:
        table = parquet.read_table(path)
        rows = table.set_column(2, "at", table.column("at").cast("int64")).to_pylist()
    elif form is Format.CSV:
        with path.open(newline="") as file_:
            rows = list(csv.DictReader(file_))
    else:
        rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    assert Decimal(rows[0]["quantity"]) == wide
    assert (rows[0]["cost"], int(rows[0]["at"]), rows[0]["text"]) == (f"{product:f}", 2**63 - 1, text)
    assert Decimal(rows[1]["quantity"]) == Decimal("-1e-18")
    assert (rows[1]["cost"], rows[1].get("text") or None) == ("1000", None)
    marks = rows[1]["marks"]
    assert (json.loads(marks) if isinstance(marks, str) else marks) == {"X": "1000"}


def test_parquet_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows are held than one row group has."""
    monkeypatch.setattr("replay.asking.formats.ROWS_PER_GROUP", 10)
    path = tmp_path / "file"
    with whole_file(path) as file:
        made = sink(Format.PARQUET, [Column("sequence", "int")], file)
        for number in range(25):
            made.write({"sequence": number})
        made.close()
    read = parquet.ParquetFile(path)
    assert [read.metadata.row_group(i).num_rows for i in range(read.num_row_groups)] == [10, 10, 5]
    assert read.read().column("sequence").to_pylist() == list(range(25))


def test_a_type_without_a_column_is_refused() -> None:
    """A field of a type that no column has is refused, and never written as something else."""
    with pytest.raises(TypeError, match="a column cannot be"):
        kind_of("quantity", float)


# -- the command


def test_half_a_file_is_never_left(url: str, tmp_path: Path) -> None:
    """An export that fails leaves neither its file nor a part of it, and what was there before stays."""
    path = tmp_path / "events.csv"
    path.write_text("before")
    result = run(url, "-o", str(path), "--account", "nobody")
    assert result.exit_code == 1
    assert "no account 'nobody'" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["events.csv"]
    assert path.read_text() == "before"


def test_from_and_to_by_sequence_and_by_iso_time(url: str, maker: Maker) -> None:
    """--from and --to take sequences and times, both included."""
    expected = events_of(maker)
    rows = list(csv.DictReader(io.StringIO(run(url, "--from", "3", "--to", "4").stdout)))
    assert {row["sequence"] for row in rows} == {"3", "4"}
    since, until = iso(expected[50][3]), iso(expected[60][3])
    rows = list(csv.DictReader(io.StringIO(run(url, "--from", since, "--to", until).stdout)))
    assert [row["at_iso"] for row in rows] == [
        iso(one[3]) for one in expected if expected[50][3] <= one[3] <= expected[60][3]
    ]
    assert datetime.datetime.fromisoformat(rows[0]["at_iso"][:26] + "Z").tzinfo is not None


def test_a_reader_that_has_had_enough_ends_it_quietly(url: str) -> None:
    """``| head`` ends an export without a word."""
    command = [sys.executable, "-m", "replay", "export", "--nats", url, "--data-dir", "/nowhere"]
    export_ = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert export_.stdout is not None
    export_.stdout.close()
    assert export_.wait(60) == 1
    assert export_.stderr is not None
    with export_.stderr as errors:
        assert errors.read() == b""


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "parquet"),
        ("--format", "xlsx"),
        ("--what", "secrets"),
        ("--from", "9", "--to", "8"),
        ("--what", "positions", "--strategy", "arb"),
        ("--what", "balances", "--strategy", "arb"),
        ("--what", "balances", "--symbol", "BTCUSDT"),
    ],
)
def test_wrong_usage_exits_2(url: str, options: tuple[str, ...]) -> None:
    """Options that make no sense exit 2."""
    assert run(url, *options).exit_code == 2


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path) -> None:
    """Without pyarrow the error says what to install, and csv works."""
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from replay.asking.formats import *\n"
        "import io\n"
        "sink(Format.CSV, [], io.BytesIO())\n"
        "try: sink(Format.PARQUET, [], io.BytesIO())\n"
        "except FormatMissing as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout == "parquet needs pyarrow: pip install 'mexoms[parquet]'\n", found.stderr
