"""Payloads captured from Binance, key by key and type by type against what the simulator says."""

import json
from pathlib import Path

import pytest

from oms.simulator.client import ControlClient

from .conftest import RawClient, UserStream

LIMIT = {
    "symbol": "ETHUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "2900",
}


@pytest.fixture
def captured(shared_data: Path) -> Path:
    return shared_data / "wire" / "binance" / "spot"


def differences(want: object, got: object, place: str = "") -> list[str]:
    """List the keys that `got` lacks, or has with another JSON type, and text that is not formatted alike."""
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return [f"{place}: wanted an object, got {got!r}"]
        found = [f"{place}.{key}: missing" for key in want if key not in got]
        return found + [
            line for key in want if key in got for line in differences(want[key], got[key], f"{place}.{key}")
        ]
    if isinstance(want, list):
        if not isinstance(got, list):
            return [f"{place}: wanted an array, got {got!r}"]
        return differences(want[0], got[0], f"{place}[0]") if want and got else []
    if want is not None and type(want) is not type(got):
        return [f"{place}: wanted a {type(want).__name__}, got {got!r}"]
    return []


async def test_rest_payloads(captured: Path, raw: RawClient, control: ControlClient) -> None:
    """Every captured REST answer has its keys, with their types, in the simulator's."""
    _, full = await raw.signed("POST", "order", **{**LIMIT, "price": "3100"})
    _, resting = await raw.signed("POST", "order", **LIMIT)
    _, order = await raw.signed("GET", "order", symbol="ETHUSDT", orderId=resting["orderId"])
    _, canceled = await raw.signed("DELETE", "order", symbol="ETHUSDT", orderId=resting["orderId"])
    answers = {
        "new_order_full_response": full,
        "order_response": order,
        "cancel_order_response": canceled,
        "account_trades_response": (await raw.signed("GET", "myTrades", symbol="ETHUSDT"))[1],
        "account_response": (await raw.signed("GET", "account"))[1],
        "exchange_info_response": (await raw.get("exchangeInfo"))[1],
        "depth_response": (await raw.get("depth", symbol="ETHUSDT", limit=5))[1],
        "ticker_24hr_response": (await raw.get("ticker/24hr", symbol="ETHUSDT"))[1],
        "ticker_price_response": (await raw.get("ticker/price", symbol="ETHUSDT"))[1],
        "book_ticker_response": (await raw.get("ticker/bookTicker", symbol="ETHUSDT"))[1],
    }
    files = {path.stem: path for path in (captured / "http_json").glob("*.json")}
    assert files.keys() == answers.keys()
    for name, path in files.items():
        found = differences(json.loads(path.read_text()), answers[name], name)
        assert not found, found


async def test_user_data_events(captured: Path, raw: RawClient, user: UserStream) -> None:
    """Every captured execution report has its keys, with their types, in the simulator's."""
    await raw.signed("POST", "order", **{**LIMIT, "price": "3100"})
    await raw.signed("POST", "order", **{**LIMIT, "newClientOrderId": "mine"})
    await raw.signed("DELETE", "order", symbol="ETHUSDT", origClientOrderId="mine")
    events = {}
    while "CANCELED" not in events:
        event = await user.report()
        events[event["x"]] = event
    for name in ("new", "trade", "canceled"):
        want = json.loads((captured / "user_data_json" / f"execution_report_{name}.json").read_text())
        assert not differences(want, events[name.upper()], name)
    assert events["CANCELED"]["C"] == "mine" != events["CANCELED"]["c"]
    assert events["TRADE"]["N"] == "ETH"
    assert events["TRADE"]["n"] == "0.00100000"
