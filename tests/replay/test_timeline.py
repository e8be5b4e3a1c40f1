"""Everything that concerned an account, in order."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.config import CacheConfig
from oms.messages import codec
from oms.messages.commands import ListLive
from oms.messages.desk import TransferCompleted, TransferInDoubt, TransferRejected, TransferRequested
from oms.messages.events import Event
from oms.messages.frames import decode_frame
from oms.messages.instructions import Instruction
from oms.messages.reports import Report
from replay.asking import wording
from replay.asking.filters import Filters
from replay.asking.span import Span, advance
from replay.asking.timeline import Enough, Line, Timeline, parse_cursor, text_of
from replay.rebuild import new_history
from tests.replay.journal import Maker, busy

GOLDEN = Path(__file__).parents[1] / "golden"


def lines(maker: Maker, account: str = "main", **options: Any) -> list[Line]:
    """The timeline of an account over a whole journal."""
    found: list[Line] = []
    fields = {
        name: options.pop(name) for name in ("symbol", "strategy", "market", "since") if name in options
    }
    history = new_history(CacheConfig(), projections=False)
    visitor = Timeline(history, Filters(account=account, **fields), found.append, **options)
    try:
        for stored in maker.stored:
            advance(history, stored, Span(), visitor)
    except Enough:
        assert len(found) == options["limit"]
    return found


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal of two accounts."""
    return busy(5, 80, frame=9)


def test_it_is_the_accounts_own(maker: Maker) -> None:
    """A line is the account's own or concerns every account, and nothing of the account is left out."""
    found = lines(maker)
    assert {line.account for line in found} == {"main", "_"}
    events = [line.event for line in found if line.event is not None and line.account == "main"]
    wanted = [event for commit, event in _events(maker) if commit.subject.split(".")[2] == "main"]
    assert events == wanted
    commands = [line.command_id for line in found if line.command is not None]
    assert commands == list(
        dict.fromkeys(c.command_id for c, _ in _events(maker) if c.command_id and ".main." in c.subject)
    )


def _events(maker: Maker) -> Iterator[tuple[Any, Any]]:
    for stored in maker.stored:
        for commit in stored.frame.commits:
            for event in commit.events:
                yield commit, event


def test_it_is_in_order_and_each_line_names_its_place(maker: Maker) -> None:
    """Lines are in the journal's order, a command right before its first event, and each has a place of its own."""
    found = lines(maker)
    places = [parse_cursor(line.place) for line in found]
    assert places == sorted(set(places))
    for line, after in pairwise(found):
        if line.command is not None:
            assert after.command_id == line.command_id
            assert after.event is not None


def test_it_is_narrowed_by_symbol_and_strategy(maker: Maker) -> None:
    """Only what is about the symbol or the strategy is left: orders, by what their order is, and nothing of all."""
    for line in lines(maker, symbol="ETHUSDT"):
        assert line.symbol == "ETHUSDT"
    mine = lines(maker, strategy="arb")
    assert {line.strategy for line in mine} == {"arb"}
    assert {line.name for line in mine} >= {"place", "OrderPlaced", "OrderAccepted", "OrderFilled"}
    assert all(not line.strategy for line in lines(maker, strategy=""))


def test_limits_and_kill_switches_that_cover_the_account_are_told() -> None:
    """Of controls an account's timeline has what covers it, and narrowed what is about what is left; other accounts' not."""
    maker = Maker()
    maker.begin()
    maker.cut()
    behind = (maker.sequence, 9_999, 0)
    person = {"by": "ann"}
    maker.command("assign_strategy._.main._._", strategy="arb", capital="1000", **person)
    maker.command("assign_strategy._.sub_arb._._", strategy="dip", capital="1000", **person)
    for subject, scope in (
        ("_._._._", "global"),
        ("_._._._", "account:*"),
        ("_.main._._", "account:main"),
        ("_.sub_arb._._", "account:sub_arb"),
        ("binance._._._", "exchange:binance"),
        ("_._._._", "strategy:arb"),
        ("_._._._", "strategy:dip"),
        ("_._._._", "strategy:"),
        ("binance._.spot.BTCUSDT", "instrument:binance.spot.BTCUSDT"),
    ):
        maker.command(f"set_limits.{subject}", scope=scope, limits={"max_position": "900"}, **person)
    maker.command("kill._.main._._", scope="account:main", **person)
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", **person)
    maker.cut()

    def scopes(**options: Any) -> list[str]:
        found = lines(maker, after=behind, **options)
        return [line.event.scope for line in found if hasattr(line.event, "scope")]

    everywhere = ["global", "account:*", "account:main", "exchange:binance", "strategy:arb", "strategy:"]
    instrument = "instrument:binance.spot.BTCUSDT"
    assert scopes() == [*everywhere, instrument, "account:main"]
    assert scopes(strategy="arb") == ["strategy:arb"]
    assert scopes(symbol="BTCUSDT") == [instrument]
    assert scopes(symbol="ETHUSDT") == []


def test_a_transfer_is_told_to_both_accounts_to_its_end() -> None:
    """Whatever becomes of a transfer stands in the timeline of the account it leaves and of the one it reaches."""
    recorded = Maker()
    recorded.payloads = (GOLDEN / "journal-4.jsonl").read_bytes().splitlines()
    accounts: dict[str, tuple[str, str]] = {}
    told: dict[str, list[Any]] = {}
    for _, event in _events(recorded):
        if isinstance(event, TransferRequested):
            accounts[event.transfer_id] = event.account, event.to
        if hasattr(event, "transfer_id"):
            told.setdefault(event.transfer_id, []).append(event)
    assert {type(event) for events in told.values() for event in events} == {
        TransferRequested,
        TransferCompleted,
        TransferRejected,
        TransferInDoubt,
    }
    for account in {each for both in accounts.values() for each in both}:
        found = [line.event for line in lines(recorded, account) if hasattr(line.event, "transfer_id")]
        wanted = [e for transfer, events in told.items() if account in accounts[transfer] for e in events]
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))


def test_a_denied_transfer_is_told_to_both_accounts() -> None:
    """Who asked for it, and why it was not made, stands in the timelines of both; a denied amend in that of its account."""
    maker = Maker()
    maker.begin(fund="150")
    order_id = maker.place()
    maker.accept(order_id)
    maker.command("amend.binance.main.spot._", order_id=order_id, quantity="2")
    asked = {"to": "sub_arb", "asset": "USDT", "amount": "1000", "by": "Ada", "reason": "more"}
    maker.command("transfer.binance.main.spot._", **asked)
    maker.cut()
    words = (
        "transfer denied, INSUFFICIENT_FUNDS: needs 1000 USDT, free is 50.0000000; 1000 USDT from binance.main.spot to"
        " binance.sub_arb.spot by Ada: more"
    )
    denied = {"main": ["OrderAmendDenied", "TransferDenied"], "sub_arb": ["TransferDenied"]}
    for account, names in denied.items():
        found = [line for line in lines(maker, account) if line.name.endswith("Denied")]
        assert [line.name for line in found] == names
        assert (found[-1].text, found[-1].account, found[-1].market) == (words, account, "spot")
    [amend] = [line for line in lines(maker, symbol="BTCUSDT") if line.name == "OrderAmendDenied"]
    assert (amend.order_id, amend.symbol) == (order_id, "BTCUSDT")


def test_all_tells_the_rest() -> None:
    """Seals, instruments, marks and what connectors asked are told with ``everything`` alone."""
    maker = Maker()
    maker.begin()
    maker.accept(maker.place())
    maker.ask("seal._._._._")
    maker.cut()
    plain, everything = lines(maker), lines(maker, everything=True)
    places = {line.place for line in plain}
    assert [line for line in everything if line.place in places] == plain
    assert {line.name for line in everything if line.place not in places} == {
        "Sealed",
        "seal",
        "InstrumentListed",
        "list_instruments",
        "MarksRecorded",
        "report_marks",
        "start",
        "begin_controls",
        "open_session",
        "report_balances",
        "report",
    }


@pytest.fixture(scope="module")
def short() -> Maker:
    """A journal that pages of one line each are soon through."""
    return busy(6, 30, frame=5)


@given(limit=st.integers(1, 60), symbol=st.sampled_from(["_", "ETHUSDT"]), everything=st.booleans())
def test_pages_are_the_whole(short: Maker, limit: int, symbol: str, everything: bool) -> None:
    """Pages of any size, each behind the last line of the one before, are together the whole timeline."""
    whole = lines(short, symbol=symbol, everything=everything)
    paged: list[Line] = []
    after = (0, 0, 0)
    while page := lines(short, symbol=symbol, everything=everything, limit=limit, after=after):
        paged += page
        after = parse_cursor(page[-1].place)
    assert paged == whole


def test_a_later_page_is_of_the_time_asked_for_too(maker: Maker) -> None:
    """Behind a line, what came before the time asked for is left out as on the first page."""
    whole = lines(maker)
    since = whole[len(whole) // 2].at
    after = parse_cursor(whole[3].place)
    assert lines(maker, since=since, after=after) == [line for line in whole if line.at >= since]


def test_there_are_words_for_everything() -> None:
    """Every event, report, instruction and command that the journal may hold can be told in a line."""
    assert set(wording._EVENTS) == set(get_args(Event))
    assert set(wording._REPORTS) == set(get_args(Report))
    assert set(wording._INSTRUCTIONS) == set(get_args(Instruction))
    assert set(wording._COMMANDS) == set(codec.COMMANDS.values()) - {ListLive}
    for journal in sorted(GOLDEN.glob("journal-*.jsonl")):
        for payload in journal.read_bytes().splitlines():
            for commit in decode_frame(payload).commits:
                assert all(wording.event(event) for event in commit.events)
                verb = commit.subject.partition(".")[0]
                assert wording.command(verb, bytes(commit.command)) or verb == "seal"


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.x", "1.2.3.4", "-1.2.3", "1..3"])
def test_what_is_no_place_is_refused(text: str) -> None:
    """A place that is none is refused, and says what one looks like."""
    with pytest.raises(ValueError, match=r"12\.3\.1"):
        parse_cursor(text)
    assert parse_cursor(text_of((12, 3, 1))) == (12, 3, 1)
