"""What Upbit's wire refuses, and in which words."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oms.simulator.upbit.payloads import order_uuid
from tests.upbit import BTC, KEY, NEW, OTHER_KEY, OTHER_SECRET, PRICE, Upbit, new, running, send, token


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path) as upbit:
        yield upbit


async def test_token_has_to_be_there_be_signed_and_fit(upbit: Upbit) -> None:
    """A request without a token, with a broken one, of an unknown key, of a wrong secret or for another query is refused."""
    other = token("market=KRW-BTC")
    for jwt, status, name in (
        (None, 401, "no_authorization_token"),
        ("a.b", 401, "jwt_verification"),
        ("a.b.c", 401, "jwt_verification"),
        (token("market=KRW-ETH", key="nobody"), 401, "invalid_access_key"),
        (token("market=KRW-ETH", secret="w" * 40), 401, "jwt_verification"),
        (token(), 401, "invalid_query_payload"),
        (other, 401, "invalid_query_payload"),
        (token("market=KRW-ETH", query_hash_alg="SHA256"), 401, "invalid_query_payload"),
    ):
        found, answer, _ = await send(upbit, "GET", "orders/chance", bearer=jwt, market="KRW-ETH")
        assert (found, answer["error"]["name"]) == (status, name), jwt


async def test_token_is_good_once(upbit: Upbit) -> None:
    """A nonce that was taken is refused, whatever it is for; a request that was not taken leaves it good."""
    jwt = token()
    assert (await send(upbit, "GET", "accounts", bearer=jwt))[0] == 200
    status, answer, _ = await send(upbit, "GET", "accounts", bearer=jwt)
    assert (status, answer["error"]["name"]) == (401, "nonce_used")


@pytest.mark.parametrize(
    "changes, status, name",
    [
        ({"side": "buy"}, 400, "validation_error"),
        ({"side": None}, 400, "validation_error"),
        ({"ord_type": None}, 400, "validation_error"),
        ({"price": None}, 400, "create_bid_error"),
        ({"ord_type": "market"}, 400, "create_bid_error"),
        ({"ord_type": "market", "side": "ask"}, 400, "create_ask_error"),
        ({"ord_type": "best", "volume": None}, 400, "create_bid_error"),
        ({"time_in_force": "gtc"}, 400, "create_bid_error"),
        ({"time_in_force": "post_only", "smp_type": "reduce"}, 400, "create_bid_error"),
        ({"volume": "many"}, 400, "validation_error"),
        ({"volume": "-1"}, 400, "validation_error"),
        ({"volume": "NaN"}, 400, "validation_error"),
        ({"market": "KRW-NONE"}, 404, "market_does_not_exist"),
        ({"price": "69000500"}, 400, "invalid_price_bid"),
        ({"price": "69000500", "side": "ask"}, 400, "invalid_price_ask"),
        ({"volume": "0.001000001"}, 400, "invalid_volume_bid"),
        ({"volume": "0.00007"}, 400, "under_min_total_bid"),
        ({"volume": "14.5"}, 400, "over_max_total_bid"),
        ({"volume": "5.00000001", "side": "ask"}, 400, "insufficient_funds_ask"),
        ({"volume": "14.49275361", "price": "69000000"}, 400, "insufficient_funds_bid"),
    ],
)
async def test_orders_that_are_refused(upbit: Upbit, changes: dict[str, Any], status: int, name: str) -> None:
    """Each order that cannot be is refused with its own name, and changes nothing."""
    found, answer, _ = await new(upbit, **changes)
    assert (found, answer["error"]["name"]) == (status, name), answer
    assert not upbit.main.open
    assert not any(balance.locked for balance in upbit.main.wallets["spot"].values())


async def test_halted_market_takes_no_order_and_lets_go(upbit: Upbit) -> None:
    """While trading is suspended orders are refused and can be canceled."""
    order = upbit.place("main")
    upbit.wire.exchange.set_status(upbit.wire.exchange.market("spot", BTC), "HALTED")
    assert (await new(upbit))[1]["error"]["name"] == "market_offline"
    assert (await send(upbit, "DELETE", "order", uuid=order_uuid(order.order_id)))[0] == 200
    assert (await send(upbit, "GET", "orders/chance", market=BTC))[1]["market"]["state"] == "suspended"


async def test_identifier_is_used_up_even_by_a_refused_order(upbit: Upbit) -> None:
    """An identifier is good once, for ever: after a taken order, a canceled one, and a refused one."""
    assert (await new(upbit, identifier="one"))[0] == 201
    assert (await new(upbit, identifier="two", volume="0.00007"))[0] == 400
    for identifier in ("one", "two"):
        status, answer, _ = await new(upbit, identifier=identifier)
        assert (status, answer["error"]["name"]) == (400, "validation_error")
        assert "identifier" in answer["error"]["message"]
    assert len(upbit.main.open) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_orders_that_are_not_there(upbit: Upbit, method: str) -> None:
    """An order that nobody knows, or of another account, is not found; a name is needed."""
    other = upbit.place("other", client_order_id="theirs")
    for params in (
        {"uuid": "9ca023a5-851b-4fec-9f0a-48cd83c2eaae"},
        {"uuid": "nonsense"},
        {"uuid": order_uuid(10**6)},
        {"uuid": order_uuid(other.order_id)},
        {"identifier": "theirs"},
    ):
        status, answer, _ = await send(upbit, method, "order", **params)
        assert (status, answer["error"]["name"]) == (404, "order_not_found")
    assert (await send(upbit, method, "order"))[1]["error"]["name"] == "validation_error"
    assert other.is_open


async def test_ended_order_cannot_be_canceled(upbit: Upbit) -> None:
    """A cancel of what is filled or canceled finds nothing to cancel; one of what is being canceled is taken again."""
    filled = upbit.place("main", price=PRICE + 10**6, client_order_id="filled")
    assert not filled.is_open
    assert (await send(upbit, "DELETE", "order", identifier="filled"))[0] == 404
    upbit.wire.cancel_delay_s = 0.2
    upbit.place("main", client_order_id="resting")
    for _ in range(2):
        status, answer, _ = await send(upbit, "DELETE", "order", identifier="resting")
        assert (status, answer["state"]) == (200, "wait")


async def test_quotations_refuse_with_numbers(upbit: Upbit) -> None:
    """Public requests that cannot be answered name the HTTP status, as Upbit's do."""
    for path, params, status in (
        ("ticker", {}, 400),
        ("ticker", {"markets": "KRW-NONE"}, 404),
        ("orderbook", {"markets": "KRW-BTC,KRW-NONE"}, 404),
        ("trades/ticks", {}, 400),
        ("trades/ticks", {"market": "KRW-NONE"}, 404),
        ("ticker/all", {}, 400),
        ("nothing/here", {}, 404),
    ):
        found, answer, _ = await send(upbit, "GET", path, bearer=None, **params)
        assert (found, answer["error"]["name"]) == (status, status), path


async def test_body_that_is_no_json(upbit: Upbit) -> None:
    """A body that is neither a form nor an object is refused and not guessed at."""
    for body in (b"{", b"[]", b"null"):
        headers = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"}
        async with upbit.session.post(
            "https://api.upbit.com/v1/orders", data=body, headers=headers
        ) as response:
            assert response.status == 400
            assert (await response.json())["error"]["name"] == "validation_error"


async def test_limits_are_by_group_and_second(tmp_path: Path) -> None:
    """Each group has its own count a second, told in Remaining-Req; beyond it is 429, and the next second is free again."""
    async with running(tmp_path, limits={"order": 3, "default": 5}) as upbit:
        await_second()
        answers = [await new(upbit) for _ in range(4)]
        assert [status for status, _, _ in answers] == [201, 201, 201, 429]
        assert [headers["Remaining-Req"] for _, _, headers in answers] == [
            f"group=order; min=180; sec={left}" for left in (2, 1, 0, 0)
        ]
        assert answers[-1][1]["error"]["name"] == "too_many_requests"
        status, _, headers = await send(upbit, "GET", "accounts")
        assert (status, headers["Remaining-Req"]) == (200, "group=default; min=300; sec=4")
        assert len(upbit.main.open) == 3
        # Of another account nothing is used.
        body = {**NEW, "identifier": "x"}
        text = "&".join(f"{name}={value}" for name, value in body.items())
        jwt = token(text, key=OTHER_KEY, secret=OTHER_SECRET)
        assert (await send(upbit, "POST", "orders", bearer=jwt, body=body))[0] == 201
        await_second()
        assert (await new(upbit))[0] == 201


def await_second() -> None:
    """Wait for a second to begin, so that what follows fits into it."""
    time.sleep(1.001 - time.time() % 1)


async def test_private_stream_needs_a_token(upbit: Upbit) -> None:
    """Without a good token there is no private stream."""
    for jwt in (None, "nonsense", token(secret="w" * 40)):
        headers = {} if jwt is None else {"Authorization": f"Bearer {jwt}"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await upbit.session.ws_connect("wss://api.upbit.com/websocket/v1/private", headers=headers)
        assert refused.value.status == 401
    good = {"Authorization": f"Bearer {token()}"}
    async with upbit.session.ws_connect("wss://api.upbit.com/websocket/v1/private", headers=good) as socket:
        await socket.send_str("PING")
        assert await socket.receive_bytes(timeout=5) == b'{"status":"UP"}'
    assert KEY not in str(upbit.wire.connections())
