"""The simulated OKX says no as OKX does: signatures, parameters, limits, and the codes of what it refuses."""

from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from tests.okx import KEY, NEW, SPOT, SWAP, Okx, new, running, send, timestamp

CONFIG = "account/config"


@pytest.fixture
async def okx(tmp_path: Path) -> AsyncIterator[Okx]:
    """The simulator, with room for more transfers than in one second."""
    async with running(tmp_path, limits={"transfer": 100}) as okx:
        yield okx


OTHER = "another time"


@pytest.mark.parametrize(
    "change, late_s, code",
    [
        ({"OK-ACCESS-KEY": None}, 0.0, "50103"),
        ({"OK-ACCESS-PASSPHRASE": None}, 0.0, "50104"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, 0.0, "50105"),
        ({"OK-ACCESS-SIGN": None}, 0.0, "50106"),
        ({"OK-ACCESS-TIMESTAMP": None}, 0.0, "50107"),
        ({"OK-ACCESS-KEY": "nobody"}, 0.0, "50111"),
        ({"OK-ACCESS-TIMESTAMP": "yesterday"}, 0.0, "50112"),
        ({"OK-ACCESS-TIMESTAMP": "2026-01-01T00:00:00"}, 0.0, "50112"),
        ({"OK-ACCESS-SIGN": "AAAA"}, 0.0, "50113"),
        ({"OK-ACCESS-TIMESTAMP": OTHER}, 0.0, "50113"),
        ({"x-simulated-trading": "1"}, 0.0, "50101"),
        ({}, 31.0, "50102"),
        ({}, -31.0, "50102"),
    ],
)
async def test_who_is_not_let_in(okx: Okx, change: dict[str, str | None], late_s: float, code: str) -> None:
    """A request without a fresh signature over exactly what was sent is refused with 401 and a code for what is wrong."""
    # Not the one that was signed, and not too old by the time that this test has its turn.
    now = {name: timestamp(5) for name, value in change.items() if value == OTHER}
    status, answer = await send(okx, "GET", CONFIG, change=change | now, late_s=late_s)
    assert (status, answer["code"]) == (401, code)
    assert answer["data"] == []


async def test_the_signature_covers_query_and_body(okx: Okx) -> None:
    """What is signed is what counts: another query or body is refused."""
    assert (await send(okx, "GET", "account/balance", ccy="BTC"))[1]["code"] == "0"
    stolen = {"OK-ACCESS-SIGN": "x" * 44}
    status, answer = await send(okx, "POST", "trade/order", NEW, change=stolen)
    assert (status, answer["code"]) == (401, "50113")
    assert not okx.main.open


@pytest.mark.parametrize(
    "method, path, raw, change, status, code",
    [
        ("GET", "trade/nothing", None, {}, 404, "404"),
        ("POST", CONFIG, None, {}, 405, "50115"),
        ("POST", "trade/order", b"", {}, 400, "50000"),
        ("POST", "trade/order", b"{", {}, 400, "50002"),
        ("POST", "trade/order", b"[]", {}, 400, "50002"),
        ("POST", "trade/batch-orders", b"{}", {}, 400, "50002"),
        ("POST", "trade/batch-orders", b"[]", {}, 200, "51111"),
        ("POST", "trade/order", b"{}", {"Content-Type": "text/plain"}, 400, "50006"),
        ("POST", "account/set-leverage", b"[]", {}, 400, "50002"),
    ],
)
async def test_requests_that_are_none(
    okx: Okx, method: str, path: str, raw: bytes | None, change: dict[str, str | None], status: int, code: str
) -> None:
    """Paths, methods and bodies that OKX does not have are refused as a whole."""
    got, answer = await send(okx, method, path, raw=raw, change=change)
    assert (got, answer["code"]) == (status, code)


@pytest.mark.parametrize(
    "path, query, code",
    [
        ("public/instruments", {}, "50014"),
        ("public/instruments", {"instType": "SHARES"}, "51000"),
        ("market/ticker", {"instId": "NO-NE"}, "51001"),
        ("market/books", {"instId": SPOT, "sz": "401"}, "51000"),
        ("public/funding-rate", {"instId": SPOT}, "51000"),
        ("trade/order", {"instId": SPOT}, "51003"),
        ("trade/order", {"clOrdId": "x"}, "50014"),
        ("trade/order", {"instId": "NO-NE", "clOrdId": "x"}, "51001"),
        ("trade/order", {"instId": SPOT, "ordId": "x"}, "51000"),
        ("trade/order", {"instId": SPOT, "clOrdId": "x"}, "51603"),
        ("trade/orders-history", {}, "50014"),
        ("trade/orders-pending", {"limit": "101"}, "51000"),
        ("trade/orders-pending", {"after": "x"}, "51000"),
        ("trade/fills-history", {}, "50014"),
        ("account/leverage-info", {"instId": SWAP, "mgnMode": "both"}, "51000"),
        ("account/leverage-info", {"instId": SPOT, "mgnMode": "cross"}, "51001"),
        ("account/balance", {"ccy": "NONE"}, "51012"),
        ("asset/transfer-state", {"transId": "1"}, "51000"),
    ],
)
async def test_queries_that_make_no_sense(okx: Okx, path: str, query: dict[str, str], code: str) -> None:
    """A query without what it needs, or for what is not there, has the code that says so."""
    _, answer = await send(okx, "GET", path, **query)
    assert (answer["code"], answer["data"]) == (code, [])


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"instId": "NO-NE"}, "51001"),
        ({"instId": None}, "51000"),
        ({"side": "hold"}, "51000"),
        ({"ordType": "stop"}, "51000"),
        ({"ordType": "optimal_limit_ioc"}, "51000"),
        ({"tdMode": "cross"}, "51000"),
        ({"px": None}, "51204"),
        ({"px": "0"}, "51000"),
        ({"px": "4e4"}, "51000"),
        ({"px": "40000.01"}, "51150"),
        ({"px": "2000000"}, "51006"),
        ({"sz": None}, "51000"),
        ({"sz": "-1"}, "51000"),
        ({"sz": "0.000001"}, "51020"),
        ({"sz": "0.010000001"}, "51121"),
        ({"sz": "9001"}, "51005"),
        ({"sz": "10"}, "51008"),
        ({"clOrdId": "with-hyphen"}, "51000"),
        ({"clOrdId": "x" * 33}, "51000"),
        ({"ordType": "market", "side": "sell", "tgtCcy": "quote_ccy"}, "51000"),
        ({"instId": SWAP, "tdMode": "cash"}, "51000"),
        ({"instId": SWAP, "tdMode": "cross", "posSide": "long"}, "51000"),
        ({"instId": SWAP, "tdMode": "cross", "sz": "100001"}, "51101"),
        ({"instId": SWAP, "tdMode": "cross", "sz": "90000"}, "51008"),
        ({"instId": SWAP, "tdMode": "cross", "ordType": "market", "reduceOnly": "true"}, "51169"),
    ],
)
async def test_orders_that_are_refused(okx: Okx, changes: dict[str, str | None], code: str) -> None:
    """A refused order has its code in its row, and nothing has changed."""
    row = await new(okx, **changes)
    assert (row["sCode"], row["ordId"]) == (code, "")
    assert row["sMsg"]
    assert not okx.main.open
    assert not okx.main.fills


async def test_orders_in_one_request_are_refused_each_for_itself(okx: Okx) -> None:
    """Of several orders the good ones are placed; the whole says whether all, some or none were."""
    orders = [{**NEW, "clOrdId": "A1"}, {**NEW, "clOrdId": "A1"}, {**NEW, "clOrdId": "A2", "px": "0.01"}]
    _, answer = await send(okx, "POST", "trade/batch-orders", orders)
    assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51016", "51006"])
    _, answer = await send(okx, "POST", "trade/batch-orders", orders[1:])
    assert (answer["code"], answer["msg"]) == ("1", "All operations failed")
    cancels = [{"instId": SPOT, "clOrdId": "A1"}, {"instId": SPOT, "clOrdId": "A9"}]
    _, answer = await send(okx, "POST", "trade/cancel-batch-orders", cancels)
    assert [row["sCode"] for row in answer["data"]] == ["0", "51400"]


async def test_cancels_and_amends_that_are_refused(okx: Okx) -> None:
    """What is closed or not there cannot be changed; new terms are checked as a new order's are."""
    await new(okx, clOrdId="A1", ordType="post_only")
    order = {"instId": SPOT, "clOrdId": "A1"}

    async def amend(**fields: str) -> str:
        _, answer = await send(okx, "POST", "trade/amend-order", {**order, **fields})
        return str(answer["data"][0]["sCode"])

    assert await amend() == "51500"
    assert await amend(newPx="40000.05") == "51150"
    assert await amend(newSz="100") == "51008"
    assert await amend(newPx="50100") == "51511"
    assert await amend(newPx="40000") == "0"
    assert await amend(newSz="0.02", reqId="r1") == "0"
    (standing,) = okx.main.open.values()
    assert (standing.quantity, standing.price) == (D("0.02"), D(40_000))
    assert await amend(newPx="50100", cxlOnFail="true") == "51511"
    assert not okx.main.open
    assert await amend(newPx="41000") == "51503"
    _, answer = await send(okx, "POST", "trade/cancel-order", order)
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "51400")
    _, answer = await send(okx, "POST", "trade/cancel-order", {"instId": SPOT})
    assert answer["data"][0]["sCode"] == "51003"


async def test_deadlines(okx: Okx) -> None:
    """An order or amend that comes after its own deadline is discarded; a cancel has none."""
    for path in ("trade/order", "trade/amend-order", "trade/batch-orders"):
        body: Any = [NEW] if "batch" in path else NEW
        _, answer = await send(okx, "POST", path, body, change={"expTime": "1597026383085"})
        assert answer["code"] == "50036"
    _, answer = await send(okx, "POST", "trade/order", NEW, change={"expTime": "soon"})
    assert answer["code"] == "51000"
    assert not okx.main.open
    okx.place(client_order_id="A1")
    cancel = {"instId": SPOT, "clOrdId": "A1"}
    _, answer = await send(okx, "POST", "trade/cancel-order", cancel, change={"expTime": "1597026383085"})
    assert answer["data"][0]["sCode"] == "0"


async def test_settings_that_cannot_be(okx: Okx) -> None:
    """Leverage, modes and transfers have codes of their own."""

    async def post(path: str, **fields: str) -> str:
        return str((await send(okx, "POST", path, fields))[1]["code"])

    assert await post("account/set-leverage", instId=SWAP, lever="101", mgnMode="cross") == "59102"
    assert await post("account/set-leverage", instId=SWAP, lever="2.5", mgnMode="cross") == "51000"
    assert await post("account/set-leverage", instId=SWAP, mgnMode="cross") == "50014"
    assert await post("account/set-leverage", instId=SPOT, lever="2", mgnMode="cross") == "51001"
    assert await post("trade/close-position", instId=SWAP, mgnMode="cross") == "51023"
    money = {"ccy": "USDT", "amt": "1", "from": "18", "to": "6"}
    assert await post("asset/transfer", **{**money, "to": "18"}) == "58123"
    assert await post("asset/transfer", **{**money, "ccy": "NONE"}) == "51012"
    assert await post("asset/transfer", **{**money, "amt": "0"}) == "58114"
    assert await post("asset/transfer", **{**money, "amt": "1000000"}) == "58350"
    assert await post("asset/transfer", **{**money, "from": "1"}) == "58129"
    okx.buy(SWAP, "1")
    assert await post("account/set-position-mode", posMode="long_short_mode") == "59000"
    assert await post("account/set-account-level", acctLv="3") == "59000"
    row = await new(okx, instId=SWAP, tdMode="isolated", sz="1")
    assert (row["sCode"], "tdMode" in row["sMsg"]) == ("51000", True)


async def test_limits(tmp_path: Path) -> None:
    """Each endpoint counts for itself: orders by account and instrument, the public ones by address."""
    limits = {"order": 2, "public": 3}
    async with running(tmp_path, limits=limits) as okx:
        # No window of the clock may end in between.
        for name, pool in okx.wire.limits.pools.items():
            okx.wire.limits.pools[name] = type(pool)(pool.name, pool.limit, 86_400)
        for expected in (200, 200, 200, 429):
            status, answer = await send(okx, "GET", "public/time", change={"OK-ACCESS-KEY": None})
            assert status == expected
        assert (answer["code"], answer["msg"]) == ("50011", "Too Many Requests")
        for expected in (200, 200, 429):
            assert (await send(okx, "POST", "trade/order", NEW))[0] == expected
        assert (await send(okx, "POST", "trade/order", {**NEW, "instId": "ETH-USDT", "px": "2000"}))[0] == 200
        assert (await send(okx, "POST", "trade/cancel-order", {"instId": SPOT, "ordId": "1"}))[0] == 200
        assert len(okx.main.open) == 3


async def test_canceled_orders_without_a_fill_are_forgotten(okx: Okx) -> None:
    """After two hours OKX knows nothing of an order that was canceled unfilled, and still everything of one that traded."""
    row = await new(okx, clOrdId="A1")
    await send(okx, "POST", "trade/cancel-order", {"instId": SPOT, "ordId": row["ordId"]})
    traded = okx.buy(SPOT, "0.01")
    assert (await send(okx, "GET", "trade/order", instId=SPOT, clOrdId="A1"))[1]["code"] == "0"
    for order in okx.main.all_orders():
        order.updated_ns -= 3 * 3_600 * 10**9
    assert (await send(okx, "GET", "trade/order", instId=SPOT, clOrdId="A1"))[1]["code"] == "51603"
    _, history = await send(okx, "GET", "trade/orders-history", instType="SPOT")
    assert [int(order["ordId"]) % 10**9 for order in history["data"]] == [traded.order_id]
    assert KEY in okx.exchange.keys
