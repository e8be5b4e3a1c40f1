"""Reaching a simulator: a session for unmodified ccxt, and a client of the control API."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

LOOPBACK = "127.0.0.1"
TIMEOUT_S = 10.0


class _Loopback(AbstractResolver):
    """Resolves every host to the simulator, whatever port was asked for."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=LOOPBACK,
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        return


def _connector(ca_path: Path, port: int) -> aiohttp.TCPConnector:
    context = ssl.create_default_context(cafile=str(ca_path))
    # Each account keeps a private stream: with aiohttp's bound of 100 the hundredth would wait for ever.
    return aiohttp.TCPConnector(ssl=context, resolver=_Loopback(port), use_dns_cache=False, limit=0)


def ccxt_session(ca_path: Path, port: int) -> aiohttp.ClientSession:
    """Return a session that reaches the simulator under every host name, with its certificate verified.

    Give it to ccxt as `ccxt.pro.binance({"session": session, ...})`. Call it in a running event loop, and close
    the session yourself: ccxt leaves a session that it did not make open.
    """
    return aiohttp.ClientSession(connector=_connector(ca_path, port))


class ControlRefused(Exception):
    """The control API refused a request: `status` and the answer's `body`."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class ControlClient:
    """The control API of one exchange as methods; see `oms.simulator.control` for what each does.

    Use it as an async context manager. Refusals raise `ControlRefused`, a simulator that is not there
    `aiohttp.ClientError`.
    """

    def __init__(self, ca_path: Path, port: int, exchange: str = "binance") -> None:
        self._base = f"https://localhost:{port}/control/{exchange}/"
        self._session = aiohttp.ClientSession(
            connector=_connector(ca_path, port), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self, method: str, name: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> object:
        """Send any control request and return what it answers."""
        async with self._session.request(method, self._base + name, json=body, params=query) as response:
            answer = await response.json()
            if response.status != 200:
                raise ControlRefused(response.status, answer)
            return answer

    async def state(self) -> dict[str, object]:
        return _object(await self.request("GET", "state"))

    async def faults(self) -> list[dict[str, object]]:
        return _rows(await self.request("GET", "faults"))

    async def add_fault(self, kind: str, **fields: object) -> int:
        """Switch a fault on and return its id; `fields` are those of `FaultRule`."""
        answer = _object(await self.request("POST", "faults", {"kind": kind, **fields}))
        return int(str(answer["id"]))

    async def clear_faults(self) -> None:
        await self.request("DELETE", "faults")

    async def orders(self, **query: str) -> list[dict[str, object]]:
        """Every order kept; `query` may have `account`, `market`, `symbol` and `open`."""
        return _rows(await self.request("GET", "orders", query=query))

    async def trades(self, **query: str) -> list[dict[str, object]]:
        """Every fill kept; `query` may have `account`, `market` and `symbol`."""
        return _rows(await self.request("GET", "trades", query=query))

    async def balances(self) -> dict[str, object]:
        """By account, wallet and asset: `free` and `locked`."""
        return _object(await self.request("GET", "balances"))

    async def positions(self) -> dict[str, object]:
        """By account and symbol."""
        return _object(await self.request("GET", "positions"))

    async def funding_payments(self, **query: str) -> list[dict[str, object]]:
        """Every funding payment kept; `query` may have `account`."""
        return _rows(await self.request("GET", "funding", query=query))

    async def deposit(self, account: str, asset: str, amount: str, **wallet: str) -> None:
        """Deposit, or withdraw a negative amount; `wallet` names another wallet than the first."""
        body = {"account": account, "asset": asset, "amount": amount, **wallet}
        await self.request("POST", "balances", body)

    async def set_price(self, symbol: str, price: str, market: str = "spot") -> None:
        await self.request("POST", "price", {"market": market, "symbol": symbol, "price": price})

    async def set_mark(self, symbol: str, price: str) -> None:
        await self.request("POST", "mark", {"symbol": symbol, "price": price})

    async def set_status(self, symbol: str, status: str, market: str = "spot") -> None:
        """Halt (`HALTED`) or resume (`TRADING`) a symbol."""
        await self.request("POST", "status", {"market": market, "symbol": symbol, "status": status})

    async def settle_funding(self, symbol: str, **rate: str) -> None:
        """Settle funding now, at `rate` where it is given."""
        await self.request("POST", "funding", {"symbol": symbol, **rate})

    async def liquidate(self, account: str, symbol: str) -> list[dict[str, object]]:
        """Liquidate a position, and return the orders that did."""
        return _rows(await self.request("POST", "liquidate", {"account": account, "symbol": symbol}))

    async def deleverage(self, account: str, symbol: str, quantity: str) -> dict[str, object]:
        """Deleverage a position, and return the order that did."""
        body = {"account": account, "symbol": symbol, "quantity": quantity}
        return _object(await self.request("POST", "adl", body))

    async def step(self, steps: int = 1) -> None:
        await self.request("POST", "step", {"steps": steps})

    async def place(self, account: str, **fields: str | bool) -> dict[str, object]:
        """Place an order from the exchange's own app; `fields` are those of `OrderRequest`."""
        return _object(await self.request("POST", "orders", {"account": account, **fields}))

    async def amend(self, account: str, order_id: int, **terms: str) -> dict[str, object]:
        """Amend an order from the exchange's own app: `quantity`, `price`, `stop_price`."""
        body = {"account": account, "order_id": order_id, **terms}
        return _object(await self.request("PATCH", "orders", body))

    async def cancel(self, account: str, order_id: int) -> dict[str, object]:
        """Cancel an order from the exchange's own app."""
        query = {"account": account, "order_id": str(order_id)}
        return _object(await self.request("DELETE", "orders", query=query))

    async def revoke_key(self, account: str) -> None:
        """Take an account's key away; what is connected stays so."""
        await self.request("DELETE", "keys", query={"account": account})

    async def drop_websockets(self, which: str = "all") -> int:
        answer = _object(await self.request("POST", "websockets/drop", {"which": which}))
        return int(str(answer["dropped"]))


def _object(answer: object) -> dict[str, object]:
    if not isinstance(answer, dict):
        raise TypeError(f"the control API must answer with an object, was {answer!r}")
    return answer


def _rows(answer: object) -> list[dict[str, object]]:
    if not isinstance(answer, list):
        raise TypeError(f"the control API must answer with an array, was {answer!r}")
    return answer
