"""Binance's universal transfers between spot and USD-M futures."""

import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from oms.simulator import PRESETS, SimulatorConfig
from oms.simulator.wire import Wire

from .conftest import KEY, RawClient, UserStream, binance, sign


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    [exchange] = config.exchanges
    symbols = PRESETS["binance.spot"] + PRESETS["binance.futures"]
    return SimulatorConfig((binance(exchange.accounts, symbols=symbols),), ca_path=config.ca_path)


async def ask(session: aiohttp.ClientSession, method: str, **params: object) -> tuple[int, object]:
    query = urlencode({**params, "timestamp": int(time.time() * 1000)})
    url = URL(f"https://api.binance.com/sapi/v1/asset/transfer?{query}&signature={sign(query)}", encoded=True)
    async with session.request(method, url, headers={"X-MBX-APIKEY": KEY}) as answer:
        return answer.status, await answer.json()


async def test_transfers(
    session: aiohttp.ClientSession, wire: Wire, raw: RawClient, user: UserStream
) -> None:
    """An amount leaves one wallet for the other, is told on the user stream, and is listed newest first."""
    ids = []
    for amount in ("100", "23.5"):
        status, body = await ask(session, "POST", type="MAIN_UMFUTURE", asset="USDT", amount=amount)
        assert status == 200
        ids.append(body["tranId"])
    wallets = wire.exchange.accounts["main"].wallets
    assert wallets["spot"]["USDT"].free == Decimal("99876.5")
    assert wallets["futures"]["USDT"].free == Decimal("100123.5")
    update, position = await user.event(), await user.event()
    assert (update["e"], update["d"]) == ("balanceUpdate", "-100.00000000")
    assert position["B"] == [{"a": "USDT", "f": "99900.00000000", "l": "0.00000000"}]
    _, body = await ask(session, "GET", type="MAIN_UMFUTURE")
    assert body["total"] == 2
    assert [(row["tranId"], row["amount"], row["status"]) for row in body["rows"]] == [
        (ids[1], "23.50000000", "CONFIRMED"),
        (ids[0], "100.00000000", "CONFIRMED"),
    ]
    assert (await ask(session, "GET", type="UMFUTURE_MAIN"))[1] == {"total": 0, "rows": []}


async def test_refused_transfers(session: aiohttp.ClientSession) -> None:
    """What is not there cannot be transferred, and the answer says what was wrong."""
    for params, code in (
        ({"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "100000.1"}, -5013),
        ({"type": "UMFUTURE_MAIN", "asset": "DOGE", "amount": "1"}, -5003),
        ({"type": "UMFUTURE_MAIN", "asset": "USDT"}, -1102),
        ({"type": "MAIN_MARGIN", "asset": "USDT", "amount": "1"}, -1100),
    ):
        status, body = await ask(session, "POST", **params)
        assert (status, body["code"]) == (400, code)
