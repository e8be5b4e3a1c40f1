"""Transfers from a client's command to the venue and back, through engine, connectors and simulated exchanges as they are."""

from decimal import Decimal

import msgspec
import pytest

from .conftest import until
from .markets import PLACES, Markets, Place

D = Decimal
BOTH = ("main", "sub_arb")
ASKING = {
    "binance": "POST /sapi/v1/sub-account/universalTransfer",
    "bybit": "POST /v5/asset/transfer/universal-transfer",
    "okx": "POST /api/v5/asset/transfer",
}


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return ("binance", "bybit", "okx")


async def move(markets: Markets, place: Place, source: str, target: str, amount: str) -> str:
    fields = {
        "command_id": f"{source} {amount}",
        "to": target,
        "asset": "USDT",
        "amount": amount,
        "by": "kim",
    }
    subject = f"transfer.{place.exchange}.{source}.{place.market}._"
    reply = await markets.nc.request(subject, msgspec.json.encode(fields), timeout=5)
    answer = msgspec.json.decode(reply.data)
    assert answer["ok"], answer
    transfer_id: str = answer["transfer_id"]
    return transfer_id


async def ended(markets: Markets, transfer_id: str) -> str:
    """What became of it."""
    await until(lambda: transfer_id not in markets.state.transfers_under_way, 15, f"{transfer_id} to end")
    return str(markets.state.transfers[transfer_id].status)


def agree(markets: Markets) -> bool:
    return not any(markets.differences(account) for account in BOTH)


@pytest.mark.parametrize("venue", ["binance.spot", "bybit.futures", "okx.spot"])
async def test_a_desk_moves_funds(markets: Markets, venue: str) -> None:
    """Funds go out and back, one answer is lost on the way, and in the end engine and venue hold the same, to the last digit."""
    place = PLACES[venue]
    await markets.connect(venue, accounts=BOTH)
    wallet = markets.venue(place).rules.wallets[place.market]
    held = {name: markets.venue(place).accounts[name].wallets[wallet]["USDT"] for name in BOTH}
    before = {name: each.free for name, each in held.items()}
    assert await ended(markets, await move(markets, place, "main", "sub_arb", "12.5")) == "completed"
    markets.fault(place, "lost_reply", count=1, endpoint=ASKING[place.exchange])
    assert await ended(markets, await move(markets, place, "sub_arb", "main", "0.5")) == "completed"
    assert held["main"].free == before["main"] - 12
    assert held["sub_arb"].free == before["sub_arb"] + 12
    await until(lambda: agree(markets), 10, "engine and venue to hold the same")
