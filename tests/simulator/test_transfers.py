"""Binance's universal transfers: between spot and USD-M futures, and between the main account and its sub-accounts."""

import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import ccxt.pro
import pytest
from yarl import URL

from oms.simulator import PRESETS, FaultRule, SimulatorConfig
from oms.simulator.wire import Wire

from .conftest import KEY, SECRET, RawClient, UserStream, binance, sign


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


OTHER = "other@desk.example"
MOVE = {"fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "12.5"}


def free(wire: Wire, account: str, wallet: str = "spot", asset: str = "USDT") -> Decimal:
    return wire.exchange.accounts[account].wallets[wallet][asset].free


async def test_to_and_from_a_sub_account(exchange: ccxt.pro.binance, wire: Wire, user: UserStream) -> None:
    """ccxt moves funds both ways with the main account's key, the main account's stream tells it, and each is found by its id."""
    exchange.options["fetchCurrencies"] = False
    there = await exchange.sapi_post_sub_account_universaltransfer(
        {**MOVE, "toEmail": OTHER, "clientTranId": "t1"}
    )
    assert there["clientTranId"] == "t1"
    assert (free(wire, "main"), free(wire, "other")) == (Decimal("99987.5"), Decimal("100012.5"))
    update, _ = await user.event(), await user.event()
    assert (update["e"], update["d"]) == ("balanceUpdate", "-12.50000000")
    back = await exchange.sapi_post_sub_account_universaltransfer(
        {
            **MOVE,
            "fromEmail": OTHER,
            "fromAccountType": "USDT_FUTURE",
            "amount": "0.00000001",
            "clientTranId": "t2",
        }
    )
    assert free(wire, "other", "futures") == Decimal("99999.99999999")
    assert free(wire, "main") == Decimal("99987.50000001")
    sent = await exchange.sapi_get_sub_account_universaltransfer({"toEmail": OTHER, "clientTranId": "t1"})
    assert [(row["tranId"], row["status"], row["fromEmail"]) for row in sent["result"]] == [
        (there["tranId"], "SUCCESS", "main@desk.example")
    ]
    got = await exchange.sapi_get_sub_account_universaltransfer({"fromEmail": OTHER})
    assert [(row["tranId"], row["fromAccountType"], row["amount"]) for row in got["result"]] == [
        (back["tranId"], "USDT_FUTURE", "0.00000001")
    ]
    by_main = await exchange.sapi_get_sub_account_universaltransfer()
    assert [row["clientTranId"] for row in by_main["result"]] == ["t1"]


async def universal(
    session: aiohttp.ClientSession, method: str, who: str = "main", **params: object
) -> tuple[int, dict[str, object], dict[str, str]]:
    query = urlencode({**params, "timestamp": int(time.time() * 1000)})
    key, secret = (KEY, SECRET) if who == "main" else ("key-other", "secret-other")
    url = f"https://api.binance.com/sapi/v1/sub-account/universalTransfer?{query}&signature={sign(query, secret)}"
    async with session.request(method, URL(url, encoded=True), headers={"X-MBX-APIKEY": key}) as answer:
        return answer.status, await answer.json(), dict(answer.headers)


async def test_refused_between_accounts(session: aiohttp.ClientSession, wire: Wire) -> None:
    """Funds do not move without being there, to nobody, past a wallet of futures twice, by a sub-account, or twice by one id."""
    assert (await universal(session, "POST", toEmail=OTHER, clientTranId="once", **MOVE))[0] == 200
    before = free(wire, "main")
    for params, code in (
        ({"toEmail": OTHER, "clientTranId": "once"}, -9000),
        ({"toEmail": OTHER, "amount": "100000"}, -5013),
        ({"toEmail": "nobody@desk.example"}, -9000),
        ({}, -9000),
        ({"toEmail": OTHER, "fromAccountType": "USDT_FUTURE", "toAccountType": "USDT_FUTURE"}, -9000),
        ({"toEmail": OTHER, "clientTranId": "no spaces"}, -1100),
    ):
        status, body, _ = await universal(session, "POST", **{**MOVE, **params})
        assert (status, body["code"]) == (400, code), params
    status, body, _ = await universal(session, "POST", "other", fromEmail=OTHER, **MOVE)
    assert (status, body["code"]) == (401, -1002)
    assert free(wire, "main") == before
    assert (await universal(session, "GET", fromEmail=OTHER, toEmail=OTHER))[1]["code"] == -1128


async def test_their_weight_and_faults(session: aiohttp.ClientSession, wire: Wire) -> None:
    """A transfer counts for itself, not with the market's weight; one whose answer is lost has been made."""
    _, _, headers = await universal(session, "POST", toEmail=OTHER, **MOVE)
    assert headers["X-SAPI-USED-UID-WEIGHT-1M"] == "360"
    assert "X-MBX-USED-WEIGHT-1M" not in headers
    label = "POST /sapi/v1/sub-account/universalTransfer"
    wire.faults.add(FaultRule(kind="lost_reply", count=1, endpoint=label))
    with pytest.raises(aiohttp.ClientError):
        await universal(session, "POST", toEmail=OTHER, clientTranId="lost", **MOVE)
    _, body, _ = await universal(session, "GET", toEmail=OTHER, clientTranId="lost")
    assert body["totalCount"] == 1
