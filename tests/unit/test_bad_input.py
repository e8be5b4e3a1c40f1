"""Bad input: every kind gets its documented code, and leaves no trace."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms.aggregates import image
from oms.handlers.dispatch import handle
from oms.messages import codec
from oms.messages.codes import Code, Refused
from oms.messages.events import OrderAmendDenied
from tests import strategies as gen
from tests.unit.desk import BTC, Desk, check_same

PLACE = {"command_id": "x", "side": "buy", "type": "limit", "quantity": "1", "price": "100"}
SPOT = "binance.main.spot.BTCUSDT"
VENUE = "binance.main.spot._"


def place(**changes: Any) -> dict[str, Any]:
    """A good place with fields changed, or left out when None."""
    return {name: value for name, value in {**PLACE, **changes}.items() if value is not None}


def text(value: dict[str, Any], old: str, new: str) -> bytes:
    """A message with a piece of its JSON replaced: for what no JSON writer would write."""
    raw = json.dumps(value)
    assert old in raw
    return raw.replace(old, new).encode("utf-8", "surrogatepass")


def reports(**fields: Any) -> dict[str, Any]:
    return {"session": "s1", "reports": [fields]}


FILL = {
    "report": "filled",
    "order_id": "any",
    "symbol": "BTCUSDT",
    "side": "buy",
    "trade_id": "bad",
    "quantity": "1",
    "price": "100",
    "fee": "0",
    "fee_asset": "USDT",
    "maker": False,
    "venue_time": 1,
}
FOUND = {
    "report": "found",
    "order_id": "web",
    "venue_order_id": "v",
    "symbol": "BTCUSDT",
    "side": "buy",
    "type": "limit",
    "quantity": "1",
    "price": "100",
}
ENDED = {"report": "canceled", "order_id": "LIVE", "reason": "", "venue_time": 1}
DEEP = b"[" * 3_900 + b"]" * 3_900

# fmt: off
REFUSED: list[tuple[str, str, str, Any, Code]] = [
    # name, subject, payload, code
    ("not JSON",                 "place", SPOT, b"hello", Code.INVALID_JSON),
    ("nothing at all",           "place", SPOT, b"", Code.INVALID_JSON),
    ("cut short",                "place", SPOT, b'{"command_id":"x"', Code.INVALID_JSON),
    ("two objects",              "place", SPOT, json.dumps(PLACE).encode() + b"{}", Code.INVALID_JSON),
    ("not UTF-8",                "place", SPOT, text(PLACE, '"x"', '"\udc80"'), Code.INVALID_JSON),
    ("nested without end",       "place", SPOT, b'{"x":' + DEEP + b"}", Code.INVALID_COMMAND),
    ("a field nested so",        "place", SPOT, b'{"command_id":"x","side":' + DEEP + b"}", Code.INVALID_COMMAND),
    ("a string",                 "place", SPOT, '"place"', Code.INVALID_COMMAND),
    ("null",                     "place", SPOT, b"null", Code.INVALID_COMMAND),
    ("a field is missing",       "place", SPOT, place(side=None), Code.INVALID_COMMAND),
    ("no command_id",            "place", SPOT, place(command_id=None), Code.INVALID_COMMAND),
    ("an empty command_id",      "place", SPOT, place(command_id=""), Code.INVALID_COMMAND),
    ("a long command_id",        "place", SPOT, place(command_id="x" * 65), Code.INVALID_COMMAND),
    ("an unknown field",         "place", SPOT, place(leverage="5"), Code.INVALID_COMMAND),
    ("a wrong tag",              "place", SPOT, place(command="cancel.1"), Code.INVALID_COMMAND),
    ("a wrong side",             "place", SPOT, place(side="BUY"), Code.INVALID_COMMAND),
    ("a side that is a number",  "place", SPOT, place(side=1), Code.INVALID_COMMAND),
    ("a long strategy",          "place", SPOT, place(strategy="s" * 33), Code.INVALID_COMMAND),
    ("the kept strategy",        "place", SPOT, place(strategy="external"), Code.INVALID_COMMAND),
    ("a time before time",       "place", SPOT, place(time_in_force="GTD", expires_at=-1), Code.INVALID_COMMAND),
    ("a time after time",        "place", SPOT, place(time_in_force="GTD", expires_at=2**63), Code.INVALID_COMMAND),
    ("a time with a point",      "place", SPOT, place(time_in_force="GTD", expires_at=1.5), Code.INVALID_COMMAND),
    ("GTD without a time",       "place", SPOT, place(time_in_force="GTD"), Code.INVALID_COMMAND),
    ("a time without GTD",       "place", SPOT, place(expires_at=2**62), Code.INVALID_COMMAND),
    ("limit without a price",    "place", SPOT, place(price=None), Code.INVALID_COMMAND),
    ("market with a price",      "place", SPOT, place(type="market"), Code.INVALID_COMMAND),
    ("limit with a trigger",     "place", SPOT, place(trigger_price="90"), Code.INVALID_COMMAND),
    ("stop without a trigger",   "place", SPOT, place(type="stop_limit"), Code.INVALID_COMMAND),
    ("market FOK",               "place", SPOT, place(type="market", price=None, time_in_force="FOK"), Code.INVALID_COMMAND),
    ("post-only IOC",            "place", SPOT, place(post_only=True, time_in_force="IOC"), Code.INVALID_COMMAND),
    ("a number for a decimal",   "place", SPOT, place(quantity=2), Code.INVALID_DECIMAL),
    ("a float for a decimal",    "place", SPOT, place(quantity=0.1), Code.INVALID_DECIMAL),
    ("NaN",                      "place", SPOT, place(quantity="NaN"), Code.INVALID_DECIMAL),
    ("signalling NaN",           "place", SPOT, place(price="sNaN"), Code.INVALID_DECIMAL),
    ("Infinity",                 "place", SPOT, place(price="Infinity"), Code.INVALID_DECIMAL),
    ("1e400",                    "place", SPOT, place(quantity="1e400"), Code.INVALID_DECIMAL),
    ("1e400 as a number",        "place", SPOT, text(PLACE, '"1"', "1e400"), Code.INVALID_DECIMAL),
    ("a small exponent",         "place", SPOT, place(quantity="1e2"), Code.INVALID_DECIMAL),
    ("21 digits",                "place", SPOT, place(quantity="1" * 21), Code.INVALID_DECIMAL),
    ("19 places",                "place", SPOT, place(price="1." + "1" * 19), Code.INVALID_DECIMAL),
    ("4,000 digits",             "place", SPOT, place(price="1" * 4_000), Code.INVALID_DECIMAL),
    ("underscores",              "place", SPOT, place(quantity="1_000"), Code.INVALID_DECIMAL),
    ("blanks",                   "place", SPOT, place(quantity=" 1 "), Code.INVALID_DECIMAL),
    ("digits of another script", "place", SPOT, text(PLACE, '"1"', '"\u0663"'), Code.INVALID_DECIMAL),
    ("not a number",             "place", SPOT, place(quantity="ten"), Code.INVALID_COMMAND),
    ("an empty decimal",         "place", SPOT, place(quantity=""), Code.INVALID_COMMAND),
    ("zero",                     "place", SPOT, place(quantity="0"), Code.NOT_POSITIVE),
    ("minus zero",               "place", SPOT, place(quantity="-0"), Code.NOT_POSITIVE),
    ("negative",                 "place", SPOT, place(quantity="-1"), Code.NOT_POSITIVE),
    ("a price of zero",          "place", SPOT, place(price="0.00"), Code.NOT_POSITIVE),
    ("a negative trigger",       "place", SPOT, place(type="stop_limit", trigger_price="-1"), Code.NOT_POSITIVE),
    ("too large",                "place", SPOT, place(client_order_id="x" * 9_000), Code.MESSAGE_TOO_LARGE),
    ("unknown account",          "place", "binance.nobody.spot.BTCUSDT", PLACE, Code.ACCOUNT_UNKNOWN),
    ("no account",               "place", "binance._.spot.BTCUSDT", PLACE, Code.SUBJECT_INVALID),
    ("unknown instrument",       "place", "binance.main.spot.DOGE", PLACE, Code.INSTRUMENT_UNKNOWN),
    ("unknown exchange",         "place", "nowhere.main.spot.BTCUSDT", PLACE, Code.INSTRUMENT_UNKNOWN),
    ("symbols disagree",         "place", SPOT, place(symbol="ETHUSDT"), Code.SUBJECT_MISMATCH),
    ("exchanges disagree",       "place", SPOT, place(exchange="okx"), Code.SUBJECT_MISMATCH),
    ("no symbol anywhere",       "place", VENUE, PLACE, Code.SUBJECT_MISMATCH),
    ("a wildcard for a symbol",  "place", VENUE, place(symbol="_"), Code.SUBJECT_MISMATCH),
    ("a short subject",          "place", "binance.main.spot", PLACE, Code.SUBJECT_INVALID),
    ("a long subject",           "place", "binance.main.spot.BTC.USDT", PLACE, Code.SUBJECT_INVALID),
    ("an empty token",           "place", "binance.main..BTCUSDT", PLACE, Code.SUBJECT_INVALID),
    ("no such verb",             "destroy", SPOT, PLACE, Code.SUBJECT_INVALID),
    ("id used again",            "place", SPOT, place(command_id="used", quantity="2"), Code.COMMAND_ID_REUSED),
    ("id of a place in a cancel", "cancel", VENUE, {"command_id": "used", "order_id": "LIVE"}, Code.COMMAND_ID_REUSED),
    ("cancel of no order",       "cancel", VENUE, {"command_id": "x", "order_id": "nobodys"}, Code.ORDER_UNKNOWN),
    ("cancel of a finished one", "cancel", VENUE, {"command_id": "x", "order_id": "DONE"}, Code.ORDER_FINISHED),
    ("cancel of a denied one",   "cancel", VENUE, {"command_id": "x", "order_id": "DENIED"}, Code.ORDER_FINISHED),
    ("cancel of another's",      "cancel", "binance.sub.spot._", {"command_id": "y", "order_id": "LIVE"}, Code.ORDER_UNKNOWN),
    ("cancel at another place",  "cancel", "binance.main.spot.ETHUSDT", {"command_id": "x", "order_id": "LIVE"}, Code.SUBJECT_MISMATCH),
    ("cancel with a bad id",     "cancel", VENUE, {"command_id": "x", "order_id": "a b"}, Code.INVALID_COMMAND),
    ("cancel all of no symbol",  "cancel_all", "_.main._.BTCUSD", {"command_id": "x"}, Code.INSTRUMENT_UNKNOWN),
    ("so, in the payload",       "cancel_all", "_.main._._", {"command_id": "x", "symbol": "BTCUSD"}, Code.INSTRUMENT_UNKNOWN),
    ("cancel all elsewhere",     "cancel_all", "upbit.main.spot.BTCUSDT", {"command_id": "x"}, Code.INSTRUMENT_UNKNOWN),
    ("cancel all of no market",  "cancel_all", "binance.main.swap._", {"command_id": "x"}, Code.INSTRUMENT_UNKNOWN),
    ("amend of no order",        "amend", VENUE, {"command_id": "x", "order_id": "nobodys", "quantity": "2"}, Code.ORDER_UNKNOWN),
    ("amend below filled",       "amend", VENUE, {"command_id": "x", "order_id": "LIVE", "quantity": "3"}, Code.AMEND_BELOW_FILLED),
    ("amend to what is filled",  "amend", VENUE, {"command_id": "x", "order_id": "LIVE", "quantity": "4"}, Code.AMEND_BELOW_FILLED),
    ("amend to the same",        "amend", VENUE, {"command_id": "x", "order_id": "LIVE", "quantity": "10"}, Code.AMEND_NO_CHANGE),
    ("amend of nothing",         "amend", VENUE, {"command_id": "x", "order_id": "LIVE"}, Code.AMEND_NO_CHANGE),
    ("amend to zero",            "amend", VENUE, {"command_id": "x", "order_id": "LIVE", "quantity": "0"}, Code.NOT_POSITIVE),
    ("amend with NaN",           "amend", VENUE, {"command_id": "x", "order_id": "LIVE", "price": "NaN"}, Code.INVALID_DECIMAL),
    ("amend of an unacknowledged", "amend", VENUE, {"command_id": "x", "order_id": "PENDING", "quantity": "5"}, Code.ORDER_PENDING),
    ("a second main account",    "register_account", "_.other._._", {"command_id": "x", "kind": "MAIN"}, Code.ACCOUNT_LIMIT),
    ("another kind",             "register_account", "_.main._._", {"command_id": "x", "kind": "SUB"}, Code.ACCOUNT_EXISTS),
    ("a wildcard for a name",    "register_account", "_._._._", {"command_id": "x", "kind": "SUB"}, Code.SUBJECT_INVALID),
    ("a name with a wildcard",   "register_account", "_.a*._._", {"command_id": "x", "kind": "SUB"}, Code.SUBJECT_INVALID),
    ("a name with a hyphen",     "register_account", "_.sub-a._._", {"command_id": "x", "kind": "SUB"}, Code.SUBJECT_INVALID),
    ("reports of a stale session", "report", VENUE, {"session": "s0", "reports": [FILL]}, Code.SESSION_STALE),
    ("reports of no session",    "report", "binance.sub.spot._", {"session": "s0", "reports": [FILL]}, Code.SESSION_CLOSED),
    ("reports of no account",    "report", "binance.nobody.spot._", {"session": "s1", "reports": [FILL]}, Code.ACCOUNT_UNKNOWN),
    ("no reports",               "report", VENUE, {"session": "s1", "reports": []}, Code.INVALID_COMMAND),
    ("ready out of the blue",    "open_session", "binance.sub.spot._", {"session": "s1", "ready": True}, Code.SESSION_CLOSED),
    ("live orders of no session", "list_live", "binance.sub.spot._", {"session": "s1"}, Code.SESSION_CLOSED),
    ("half a surrogate",         "close_session", VENUE, text({"session": "s1", "reason": "R"}, "R", "\\ud800"), Code.INVALID_JSON),
    ("a mark of NaN",            "report_marks", "binance._.spot._", {"marks": {"BTCUSDT": "NaN"}}, Code.INVALID_DECIMAL),
    ("a mark of zero",           "report_marks", "binance._.spot._", {"marks": {"BTCUSDT": "0"}}, Code.NOT_POSITIVE),
    ("a mark of nothing listed", "report_marks", "binance._.spot._", {"marks": {"DOGE": "1"}}, Code.INSTRUMENT_UNKNOWN),
    ("a mark with 200 places",   "report_marks", "binance._.spot._", {"marks": {"BTCUSDT": "0." + "1" * 200}}, Code.INVALID_DECIMAL),
    ("a total of 1e400",         "report_balances", VENUE, {"session": "s1", "totals": {"BTC": "1e400"}}, Code.INVALID_DECIMAL),
    ("a total with 200 places",  "report_balances", VENUE, {"session": "s1", "totals": {"BTC": "0." + "1" * 200}}, Code.INVALID_DECIMAL),
    ("a tick of zero",           "list_instruments", "binance._.spot._", {"instruments": [{**BTC, "tick": "0"}]}, Code.INVALID_COMMAND),
    ("a tick of NaN",            "list_instruments", "binance._.spot._", {"instruments": [{**BTC, "tick": "NaN"}]}, Code.INVALID_COMMAND),
    ("minimum above maximum",    "list_instruments", "binance._.spot._", {"instruments": [{**BTC, "min_quantity": "1001"}]}, Code.INVALID_COMMAND),
    ("spot contracts",           "list_instruments", "binance._.spot._", {"instruments": [{**BTC, "contract_size": "2"}]}, Code.INVALID_COMMAND),
    ("spot settled elsewhere",   "list_instruments", "binance._.spot._", {"instruments": [{**BTC, "settle": "BNB"}]}, Code.INVALID_COMMAND),
    ("a symbol twice",           "list_instruments", "binance._.spot._", {"instruments": [BTC, {**BTC, "tick": "1"}]}, Code.INVALID_COMMAND),
]
"""What is refused as a whole. ``LIVE`` is a buy of 10 at 100 with 4 filled, ``DONE`` a filled order, ``PENDING`` one not
acknowledged; the command_id ``used`` was used."""

REFUSED_REPORTS: list[tuple[str, dict[str, Any], Code]] = [
    ("unknown order",            {**ENDED, "order_id": "nobodys"}, Code.ORDER_UNKNOWN),
    ("another's order",          {**ENDED, "order_id": "OTHER"}, Code.ORDER_UNKNOWN),
    ("cumulative NaN",           {**ENDED, "cumulative": "NaN"}, Code.INVALID_DECIMAL),
    ("cumulative 1e400",         {**ENDED, "cumulative": "1e400"}, Code.INVALID_DECIMAL),
    ("finished at NaN",          {"report": "finished", "order_id": "LIVE", "cumulative": "sNaN", "venue_time": 1}, Code.INVALID_DECIMAL),
    ("trade of nothing listed",  {**FILL, "symbol": "DOGE"}, Code.INSTRUMENT_UNKNOWN),
    ("trade of zero",            {**FILL, "quantity": "0"}, Code.NOT_POSITIVE),
    ("trade at a negative price", {**FILL, "price": "-1"}, Code.NOT_POSITIVE),
    ("trade of NaN",             {**FILL, "quantity": "NaN"}, Code.INVALID_DECIMAL),
    ("a fee of Infinity",        {**FILL, "fee": "-Infinity"}, Code.INVALID_DECIMAL),
    ("a fee with 200 places",    {**FILL, "fee": "0." + "1" * 200}, Code.INVALID_DECIMAL),
    ("a fee of 10^20",           {**FILL, "fee": "1" + "0" * 20}, Code.INVALID_DECIMAL),
    ("trade on the other side",  {**FILL, "order_id": "LIVE", "side": "sell"}, Code.SUBJECT_MISMATCH),
    ("trade of another symbol",  {**FILL, "order_id": "LIVE", "symbol": "ETHUSDT"}, Code.SUBJECT_MISMATCH),
    ("found nothing listed",     {**FOUND, "symbol": "DOGE"}, Code.INSTRUMENT_UNKNOWN),
    ("found a quantity of zero", {**FOUND, "quantity": "0"}, Code.NOT_POSITIVE),
    ("found a price of NaN",     {**FOUND, "price": "NaN"}, Code.INVALID_DECIMAL),
    ("found a negative price",   {**FOUND, "price": "-1"}, Code.NOT_POSITIVE),
    ("found a trigger of 1e400", {**FOUND, "trigger_price": "1e400"}, Code.INVALID_DECIMAL),
]

DENIED: list[tuple[str, dict[str, Any], Code]] = [
    ("off the tick",             place(price="100.001"), Code.TICK_SIZE),
    ("a trigger off the tick",   place(type="stop_limit", trigger_price="0.001"), Code.TICK_SIZE),
    ("off the step",             place(quantity="1.0001"), Code.STEP_SIZE),
    ("below the minimum",        place(quantity="0.01", price="3000") | {"symbol": "ETHUSDT"}, Code.QUANTITY_TOO_SMALL),
    ("above the maximum",        place(quantity="1001"), Code.QUANTITY_TOO_LARGE),
    ("below minimum notional",   place(quantity="0.001", price="1"), Code.NOTIONAL_TOO_SMALL),
    ("beyond the funds",         place(quantity="1000", price="100.01"), Code.INSUFFICIENT_FUNDS),
    ("20 digits",                place(price="99999999999999999999"), Code.INSUFFICIENT_FUNDS),
    ("selling what is not there", place(side="sell", quantity="100"), Code.INSUFFICIENT_FUNDS),
    ("reducing the other way",   place(reduce_only=True), Code.REDUCE_ONLY),
    ("expired already",          place(time_in_force="GTD", expires_at=1), Code.EXPIRES_AT_PAST),
    ("no session",               place(exchange="binance"), Code.VENUE_DOWN),
]
# fmt: on


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A desk with one order of each kind that the tables name. No row may change it but by what is recorded."""
    desk = Desk()
    desk.register("sub", "SUB")
    desk.ask("open_session.binance.sub.futures._", {"session": "s1", "ready": False})
    names = {}
    names["LIVE"] = desk.place(quantity="10")["order_id"]
    desk.report("accepted", names["LIVE"])
    desk.fill(names["LIVE"], "4")
    names["DONE"] = desk.place(command_id="used")["order_id"]
    desk.fill(names["DONE"], "1")
    names["DENIED"] = desk.place(quantity="1000")["order_id"]
    names["PENDING"] = desk.place(quantity="1")["order_id"]
    desk.open("sub", "other", {"USDT": "1000"})
    desk.list("other", BTC)
    names["OTHER"] = desk.reply("place.binance.sub.other.BTCUSDT", PLACE)["order_id"]
    desk.names = names  # type: ignore[attr-defined]
    return desk


def _named(desk: Desk, payload: Any) -> bytes:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if isinstance(payload, str):
        raw = payload.encode()
    for name, order_id in desk.names.items():  # type: ignore[attr-defined]
        raw = raw.replace(f'"{name}"'.encode(), f'"{order_id}"'.encode())
    return raw


@pytest.mark.parametrize("verb, place, payload, code", [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_refused_without_a_trace(desk: Desk, verb: str, place: str, payload: Any, code: Code) -> None:
    """The documented code, no commit, and the state byte for byte as before."""
    before = image.dump(desk.state)
    outcome = desk.ask(f"{verb}.{place}", _named(desk, payload))
    assert outcome.commit is None
    assert not outcome.instructions
    assert not outcome.reply.ok
    assert outcome.reply.error.code is code, outcome.reply.error  # type: ignore[union-attr]
    assert outcome.reply.error.message  # type: ignore[union-attr]
    assert image.dump(desk.state) == before


@pytest.mark.parametrize("report, code", [pytest.param(*row[1:], id=row[0]) for row in REFUSED_REPORTS])
def test_refused_report(desk: Desk, report: dict[str, Any], code: Code) -> None:
    """A bad report is refused by itself, with its place in the list; the good ones beside it are taken."""
    before = image.dump(desk.state)
    known = {"report": "in_doubt", "order_id": "DONE", "reason": ""}
    raw = _named(desk, {"session": "s1", "reports": [known, report, known]})
    outcome = desk.ask(f"report.{VENUE}", raw)
    assert [(one.index, one.error.code) for one in outcome.reply.refused] == [(1, code)]  # type: ignore[union-attr]
    assert outcome.commit is None
    assert image.dump(desk.state) == before


def test_escaped_key_hides_no_bad_amount(desk: Desk) -> None:
    """A key spelled with an escape is the same key: its amount is held to the same rule."""
    before = image.dump(desk.state)
    raw = json.dumps(reports(**{**FOUND, "price": "NaN"})).replace('"price"', '"pr\\u0069ce"').encode()
    reply = desk.ask(f"report.{VENUE}", raw).reply
    assert reply.refused[0].error.code is Code.INVALID_DECIMAL  # type: ignore[union-attr]
    assert image.dump(desk.state) == before


AMENDS_DENIED = {
    "off the step": ({"quantity": "5.0001"}, Code.STEP_SIZE),
    "off the tick": ({"price": "99.999"}, Code.TICK_SIZE),
    "beyond the funds": ({"price": "90000"}, Code.INSUFFICIENT_FUNDS),
    "beyond the maximum": ({"quantity": "1001"}, Code.QUANTITY_TOO_LARGE),
    "of both": ({"quantity": "1001", "price": "99"}, Code.QUANTITY_TOO_LARGE),
    "without a session": ({"quantity": "5"}, Code.VENUE_DOWN),
    "of a disabled account": ({"quantity": "5"}, Code.ACCOUNT_DISABLED),
    "under a kill switch": ({"quantity": "5"}, Code.KILL_SWITCH),
}
BEFORE = {
    Code.VENUE_DOWN: ("close_session." + VENUE, {"session": "s1", "reason": ""}),
    Code.ACCOUNT_DISABLED: ("disable_account._.main._._", {"command_id": "d", "by": "ann"}),
    Code.KILL_SWITCH: ("kill._.main._._", {"command_id": "k", "scope": "account:main", "by": "ann"}),
}


@pytest.mark.parametrize("asked, code", AMENDS_DENIED.values(), ids=AMENDS_DENIED)
def test_a_denied_amend_is_recorded(asked: dict[str, str], code: Code) -> None:
    """What our own controls deny is recorded as OrderAmendDenied, with what was asked for; the order is what it was."""
    desk = Desk()
    order_id = desk.place(quantity="10")["order_id"]
    desk.report("accepted", order_id)
    if code in BEFORE:
        desk.ask(*BEFORE[code])
    order = image._encode(desk.state.orders[order_id])
    funds = image._encode(desk.state.wallets["binance", "main", "spot"])
    outcome = desk.ask(f"amend.{VENUE}", {"command_id": "x", "order_id": order_id, **asked})
    assert outcome.commit is not None
    [event] = outcome.commit.events
    assert isinstance(event, OrderAmendDenied)
    assert (event.order_id, event.code, event.message) == (order_id, code, outcome.reply.error.message)  # type: ignore[union-attr]
    told = {name: amount for name in ("quantity", "price") if (amount := getattr(event, name)) is not None}
    assert told == {name: Decimal(amount) for name, amount in asked.items()}
    assert outcome.reply.error.code is code  # type: ignore[union-attr]
    assert not outcome.instructions
    assert image._encode(desk.state.orders[order_id]) == order
    assert image._encode(desk.state.wallets["binance", "main", "spot"]) == funds
    check_same(desk.state, desk.replica)


@pytest.mark.parametrize("payload, code", [pytest.param(*row[1:], id=row[0]) for row in DENIED])
def test_denied_is_recorded(payload: dict[str, Any], code: Code) -> None:
    """What our own controls deny is recorded as OrderDenied, and nothing else changes: no funds, no order."""
    desk = Desk()
    if code is Code.VENUE_DOWN:
        desk.ask(f"close_session.{VENUE}", {"session": "s1", "reason": ""})
    symbol = payload.pop("symbol", "BTCUSDT")
    funds = image._encode(desk.state.wallets["binance", "main", "spot"])
    outcome = desk.ask(f"place.binance.main.spot.{symbol}", payload)
    assert [type(event).__name__ for event in outcome.commit.events] == ["OrderDenied"]  # type: ignore[union-attr]
    assert outcome.reply.error.code is code  # type: ignore[union-attr]
    assert outcome.reply.status == "DENIED"
    assert not outcome.instructions
    assert not desk.state.orders
    assert image._encode(desk.state.wallets["binance", "main", "spot"]) == funds
    check_same(desk.state, desk.replica)


@pytest.mark.parametrize(
    "payload, code",
    [
        (b"[]", Code.BULK_EMPTY),
        (b"[" + b"{}," * 1_000 + b"{}]", Code.BULK_TOO_LARGE),
        (b"[{}", Code.INVALID_JSON),
        (b"[" * 500_000, Code.INVALID_JSON),
        (b" \n[[[" + DEEP + b"]]]", Code.INVALID_JSON),
        (b" " * (1024 * 1024 + 1), Code.MESSAGE_TOO_LARGE),
    ],
)
def test_bad_bulk(payload: bytes, code: Code) -> None:
    """A bulk that cannot be taken apart is refused as a whole."""
    with pytest.raises(Refused) as caught:
        codec.split(payload)
    assert caught.value.code is code


MESSAGES: list[tuple[str, dict[str, Any]]] = [
    (f"place.{SPOT}", PLACE),
    (f"place.{SPOT}", place(type="stop_limit", trigger_price="99", time_in_force="GTD", expires_at=2**62)),
    (f"amend.{VENUE}", {"command_id": "x", "order_id": "LIVE", "quantity": "11", "price": "99"}),
    (f"cancel.{VENUE}", {"command_id": "x", "order_id": "LIVE"}),
    (f"cancel_all.{VENUE}", {"command_id": "x", "symbol": "BTCUSDT"}),
    ("register_account._.sub2._._", {"command_id": "x", "kind": "SUB"}),
    ("list_instruments.binance._.spot._", {"instruments": [BTC]}),
    (f"open_session.{VENUE}", {"session": "s1", "ready": True}),
    (f"report_balances.{VENUE}", {"session": "s1", "totals": {"BTC": "1"}}),
    ("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "1"}}),
    (f"list_live.{VENUE}", {"session": "s1", "after": ""}),
    ("doubt._._._._", {"order_ids": ["LIVE", "PENDING"], "reason": ""}),
    ("expire._._._._", {"order_ids": ["LIVE", "nobodys"]}),
]


def _hold(desk: Desk, subject: str, raw: bytes) -> None:
    """Handle on a copy; whatever comes of it, a refusal leaves no trace and a commit replays to the same state."""
    state, replica = image.load(image.dump(desk.state)), image.load(image.dump(desk.state))
    trial = Desk.__new__(Desk)
    trial.__dict__ = {**desk.__dict__, "state": state, "replica": replica, "frames": []}
    outcome = trial.ask(subject, raw)
    if outcome.commit is None:
        check_same(state, desk.state)
    check_same(state, replica)


@settings(max_examples=settings.default.max_examples * 8)
@given(data=st.data())
def test_fuzzed_messages(desk: Desk, data: st.DataObject) -> None:
    """Valid messages of every verb with faults in them: always an answer, and never a trace of what was refused."""
    subject, message = data.draw(st.sampled_from(MESSAGES))
    raw = _named(desk, data.draw(gen.mutated(message)))
    if data.draw(st.booleans()):
        tokens = subject.split(".")
        at = data.draw(st.integers(0, len(tokens) - 1))
        tokens[at] = data.draw(st.text(max_size=9) | st.sampled_from(["_", "*", ">", "", "binance", "sub"]))
        subject = ".".join(tokens)
    _hold(desk, subject, raw)


@settings(max_examples=settings.default.max_examples * 8)
@given(data=st.data(), report=st.sampled_from([FILL, FOUND, {**ENDED, "cumulative": "5"}]) | gen.REPORTS)
def test_fuzzed_reports(desk: Desk, data: st.DataObject, report: dict[str, Any]) -> None:
    """Valid reports with faults in them, about orders in every state: the same."""
    order_id = data.draw(st.sampled_from(["LIVE", "DONE", "DENIED", "PENDING", "OTHER", "nobodys"]))
    raw = data.draw(gen.mutated({**report, "order_id": order_id}))
    _hold(desk, f"report.{VENUE}", _named(desk, b'{"session":"s1","reports":[' + raw + b"]}"))


@given(raw=st.binary(max_size=300), verb=st.sampled_from([*codec.COMMANDS, "show_orders", "x"]))
def test_random_bytes(desk: Desk, raw: bytes, verb: str) -> None:
    """Bytes that are no message at all are refused by every verb."""
    before = desk.digest()
    outcome = handle(desk.state, f"{verb}.{SPOT}", raw, desk.now, desk.sequence + 1)
    assert not outcome.reply.ok
    assert desk.digest() == before


@pytest.mark.parametrize("around", ["\t{}", "{}\n", " \r\n{}\t "])
def test_space_around_a_command_is_no_part_of_it(around: str) -> None:
    """What is recorded of it reads back byte for byte, so that deciding it again makes the same commit."""
    desk = Desk()
    raw = around.replace("{}", json.dumps({"command_id": "x", **PLACE})).encode()
    assert desk.ask(f"place.{SPOT}", raw).reply.ok


def test_a_fee_in_no_asset_is_refused() -> None:
    """A trade whose fee names no asset is refused whole: booked, it would make a balance that nobody has."""
    desk = Desk()
    order_id = desk.place()["order_id"]
    before = desk.digest()
    reply = desk.fill(order_id, "1", fee="0.1", fee_asset="")
    assert reply["refused"][0]["error"]["code"] == "INVALID_COMMAND"
    assert desk.digest() == before


def test_a_name_does_not_end_in_a_line_break() -> None:
    """A symbol becomes part of a subject, where a line break is the end of it: it is refused, and so is an asset."""
    desk = Desk()
    before = desk.digest()
    assert desk.list("spot", {**BTC, "symbol": "BTCUSDT\n"})["error"]["code"] == "INVALID_COMMAND"
    body = {"command_id": "v1", "asset": "BTC\n", "rate": "1", "by": "ann"}
    assert desk.reply("set_valuation._._._._", body)["error"]["code"] == "INVALID_COMMAND"
    assert desk.digest() == before
