"""What a comparison tells the engine can be told, whatever the venue shows: one odd row must not keep an account from trading."""

from decimal import Decimal

import pytest

from oms.messages.codec import MAX_LIST_BYTES, decode_command, encode
from oms.messages.commands import ReportBalances, ReportReconciliation
from oms.venues.adapter import VenuePosition
from oms.venues.reconcile import MAX_DIFFERENCES, Comparison, _positions, _sayable


@pytest.mark.parametrize(
    "shown, told",
    [
        ("10000050000.123456789", "10000050000.123456789"),
        ("99999999999999999999.5", "99999999999999999999.5"),
        ("0.1234567890123456785", "0.123456789012345678"),
        ("100.00", "100"),
    ],
    ids=["a short by a large wallet", "the largest", "more places than an amount has", "no idle zeros"],
)
def test_a_price_is_rounded_whatever_its_size(shown: str, told: str) -> None:
    """The liquidation price of a small short in a large wallet has more digits than a default context takes."""
    position = VenuePosition(symbol="BTCUSDT", quantity=Decimal("-0.001"), liquidation_price=Decimal(shown))
    (spec,) = _positions("s1", [position]).positions
    assert f"{spec.liquidation_price}" == told


def test_the_longest_list_of_differences_fits() -> None:
    """The engine takes a reconciliation with as many differences, as long, as one may list."""
    comparison = Comparison()
    for number in range(MAX_DIFFERENCES + 3):
        comparison.differ("order", f"{number}" + "k" * 200, "e" * 400, "f" * 400)
    assert comparison.more == 3
    command = ReportReconciliation(
        session="s" * 32,
        request_id="r" * 64,
        started_at=comparison.started_at,
        orders=10_000,
        trades=0,
        balances=0,
        positions=0,
        differences=comparison.differences,
        more=comparison.more,
    )
    raw = encode(command)
    assert len(raw) <= MAX_LIST_BYTES
    assert decode_command("report_reconciliation", raw) == command


def test_an_asset_that_no_message_can_name_is_left_out() -> None:
    """There are coins with Chinese names: who holds one trades all others."""
    totals = {"USDT": Decimal(5), "币安人生": Decimal(7), "A.B": Decimal(1)}
    command = ReportBalances(session="s1", totals=_sayable("binance.main.spot", totals))
    assert decode_command("report_balances", encode(command)).totals == {"USDT": Decimal(5)}
