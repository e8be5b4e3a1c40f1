"""Hypothesis generators for what crosses the wire: amounts, instruments, commands, reports, and broken messages.

Messages are plain dicts in wire form (decimals as strings), so that what is tested is what a sender can write.
"""

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

SIDES = st.sampled_from(["buy", "sell"])
TYPES = st.sampled_from(["limit", "limit", "limit", "market", "stop_limit", "stop_market"])


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[str]:
    """Wire amounts from ``low`` to ``high`` on a grid of that many places."""
    scale = 10**places
    whole = st.integers(int(Decimal(low) * scale), int(Decimal(high) * scale))
    return whole.map(lambda units: format(Decimal(f"{units}E-{places}"), "f"))


def amounts(*, signed: bool = False) -> st.SearchStrategy[Decimal]:
    """Any amount the core takes: up to 20 digits before and 18 after the point; above zero unless ``signed``."""
    top = 10**38 - 1
    fine = st.integers(-top if signed else 1, top).map(lambda units: Decimal(f"{units}E-18"))
    return fine | st.integers(-(10**6) if signed else 1, 10**6).map(Decimal)


def instruments(symbol: str = "BTCUSDT", *, market: str = "spot") -> st.SearchStrategy[dict[str, Any]]:
    """Terms of an instrument that do not contradict each other."""
    steps = st.sampled_from(["1", "0.1", "0.01", "0.5", "0.00001", "0.000000000000000001", "10"])
    return st.fixed_dictionaries(
        {
            "symbol": st.just(symbol),
            "base": st.just("BTC"),
            "quote": st.just("USDT"),
            "settle": st.just("USDT"),
            "tick": steps,
            "step": steps,
            "min_quantity": decimals("0", "1", 6),
            "max_quantity": decimals("1", "99999999999999999999", 0),
            "min_notional": decimals("0", "10", 2),
            "contract_size": st.just("1") if market == "spot" else steps,
        }
    )


def places(
    *, quantities: st.SearchStrategy[str], prices: st.SearchStrategy[str], now: int
) -> st.SearchStrategy[dict[str, Any]]:
    """Places whose fields go together; whether funds and position allow them is another matter. No command_id."""

    def shape(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        priced = kind in ("limit", "stop_limit")
        terms: dict[str, Any] = {
            "type": st.just(kind),
            "side": SIDES,
            "quantity": quantities,
            "strategy": st.sampled_from(["", "alpha", "beta"]),
        }
        terms |= {"price": prices} if priced else {}
        terms |= {"trigger_price": prices} if kind.startswith("stop") else {}
        optional: dict[str, Any] = {
            "reduce_only": st.sampled_from([False, False, False, True]),
            "client_order_id": st.just("mine"),
        }
        forces = ["GTC", "IOC", "FOK"] if priced else ["GTC", "IOC"]
        plain = {**terms, "time_in_force": st.sampled_from(forces)}
        dated = {
            **terms,
            "time_in_force": st.just("GTD"),
            "expires_at": st.integers(now - 10**9, now + 10**13),
        }
        found = st.fixed_dictionaries(plain, optional=optional)
        if priced:
            found |= st.fixed_dictionaries(dated, optional=optional)
        if kind == "limit":
            found |= st.fixed_dictionaries(
                {**terms, "time_in_force": st.just("GTC"), "post_only": st.just(True)}
            )
        return found

    return TYPES.flatmap(shape)


REVISIONS = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
_TIMED: dict[str, Any] = {"reason": st.just("r"), "venue_time": st.integers(0, 9)}
_CUMULATIVE: dict[str, Any] = {"cumulative": decimals("0", "3", 3)}


def _report(kind: str, fields: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"report": st.just(kind), **fields}, optional=optional)


REPORTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _report(
        "accepted", {"venue_order_id": st.sampled_from(["v1", "v2"]), "venue_time": st.integers(0, 9)}, {}
    ),
    _report(
        "accepted",
        {"venue_order_id": st.just("v3"), "venue_time": st.just(1), "revision": REVISIONS},
        {},
    ),
    _report("rejected", _TIMED, {"revision": REVISIONS}),
    _report("canceled", _TIMED, {"revision": REVISIONS, **_CUMULATIVE}),
    _report("expired", _TIMED, {"revision": REVISIONS, **_CUMULATIVE}),
    _report("cancel_rejected", _TIMED, {}),
    _report(
        "amended",
        {"venue_order_id": st.just("v4"), "venue_time": st.just(1), "revision": REVISIONS},
        {},
    ),
    _report("amend_rejected", _TIMED, {"revision": REVISIONS}),
    _report("in_doubt", {"reason": st.just("timeout")}, {}),
    _report("absent", {"reason": st.just("gone")}, {"revision": REVISIONS}),
    _report("finished", {"venue_time": st.just(1), **_CUMULATIVE}, {}),
    _report(
        "restated",
        {
            "quantity": decimals("0.5", "4", 1),
            "price": st.none() | decimals("90", "110", 0),
            "venue_time": st.integers(0, 9),
        },
        {"revision": REVISIONS, "reason": st.just("stp")},
    ),
)
"""Any report about an order but trades and findings; without its ``order_id``."""

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "-0",
            "NaN",
            "sNaN",
            "Infinity",
            "1e400",
            "1E+5",
            "1e-400",
            "1_000",
            " 1 ",
            "0." + "1" * 200,
            "1" * 200,
            "0x10",
            "\u0661",
            "\x00",
            "_",
            ">",
            "external",
            "GTC",
            "place.9",
        ]
    ),
    st.text(max_size=80),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)
"""Values that hardly belong anywhere."""


@st.composite
def mutated(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    """The bytes of a message with one or more faults: fields changed, left out, added, doubled, or bytes damaged."""
    fields = dict(message)
    for _ in range(draw(st.integers(1, 3))):
        fault = draw(st.sampled_from(["change", "drop", "add", "bytes", "none"]))
        names = list(fields)
        if fault == "change" and names:
            fields[draw(st.sampled_from(names))] = draw(JUNK)
        elif fault == "drop" and names:
            del fields[draw(st.sampled_from(names))]
        elif fault == "add":
            fields[draw(st.text(max_size=12))] = draw(JUNK)
        elif fault == "bytes":
            raw = bytearray(json.dumps(fields).encode())
            for _ in range(draw(st.integers(1, 4))):
                at = draw(st.integers(0, len(raw) - 1))
                raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
                if not raw:
                    return b""
            return bytes(raw)
    return json.dumps(fields).encode()
