"""A desk in small: the engine in this process on a real nats-server, and a connector session played by the test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.engine.engine import Engine, EngineSettings
from oms.messages.enums import AccountKind
from tests.limits import CONTROLS_OFF

BTCUSDT = {
    "symbol": "BTCUSDT",
    "base": "BTC",
    "quote": "USDT",
    "settle": "USDT",
    "tick": "0.01",
    "step": "0.00001",
    "min_quantity": "0.00001",
    "max_quantity": "9000",
    "min_notional": "5",
    "maker_fee": "0.001",
    "taker_fee": "0.001",
}
SETTINGS = EngineSettings(
    accounts={"main": AccountKind.MAIN, "sub_arb": AccountKind.SUB}, controls=CONTROLS_OFF
)


@contextlib.asynccontextmanager
async def engine_on(url: str, settings: EngineSettings = SETTINGS) -> AsyncIterator[Engine]:
    """An engine that serves until the block ends; its failure fails the block."""
    nc = await nats.connect(
        url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_silent, allow_reconnect=True
    )
    stop = asyncio.Event()
    engine = Engine(nc, settings)
    running = asyncio.create_task(engine.run(stop))
    ready = asyncio.create_task(engine.ready.wait())
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            running.result()
        yield engine
    finally:
        stop.set()
        ready.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await nc.close()


async def _silent(error: Exception) -> None:
    """Disconnections are what these tests make; the engine's own handling of them is what is looked at."""


class Trader:
    """A client with nothing of ours: JSON over NATS."""

    def __init__(self, nc: Client, account: str = "main") -> None:
        self.nc = nc
        self.account = account

    async def ask(self, subject: str, payload: Any, timeout: float = 5.0) -> Any:
        """Request and decode."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return json.loads((await self.nc.request(subject, raw, timeout=timeout)).data)

    async def place(self, command_id: str, **fields: Any) -> Any:
        """A limit buy of 0.001 at 50,000 where ``fields`` do not say otherwise."""
        terms = {"side": "buy", "type": "limit", "quantity": "0.001", "price": "50000", **fields}
        return await self.ask(
            f"place.binance.{self.account}.spot.BTCUSDT", {"command_id": command_id, **terms}
        )

    async def cancel(self, command_id: str, order_id: str) -> Any:
        """Ask for a cancel."""
        return await self.ask(
            f"cancel.binance.{self.account}.spot.BTCUSDT", {"command_id": command_id, "order_id": order_id}
        )


class Venue(Trader):
    """A connector's session, with every instruction kept."""

    def __init__(self, nc: Client, account: str = "main", session: str = "s1") -> None:
        super().__init__(nc, account)
        self.session = session
        self.instructions: list[dict[str, Any]] = []
        self._beating: asyncio.Task[None] | None = None

    @property
    def place_of(self) -> str:
        return f"binance.{self.account}.spot._"

    async def open(self, usdt: str = "100000", btc: str = "2") -> None:
        """List the instrument, reconcile the balances, become ready, and beat."""
        await self.nc.subscribe(f"instruct.binance.{self.account}.spot.*", cb=self._told)
        await self.nc.flush()
        ok = [
            await self.ask("list_instruments.binance._.spot._", {"instruments": [BTCUSDT]}),
            await self.ask(f"open_session.{self.place_of}", {"session": self.session, "ready": False}),
            await self.ask(
                f"report_balances.{self.place_of}",
                {"session": self.session, "totals": {"USDT": usdt, "BTC": btc}},
            ),
            await self.ask(f"open_session.{self.place_of}", {"session": self.session, "ready": True}),
        ]
        assert all(answer["ok"] for answer in ok), ok
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """Stop beating."""
        if self._beating is not None:
            self._beating.cancel()

    async def report(self, *reports: dict[str, Any]) -> Any:
        """Report in order."""
        return await self.ask(f"report.{self.place_of}", {"session": self.session, "reports": list(reports)})

    async def _beat(self) -> None:
        while True:
            await self.nc.publish(
                f"heartbeat.{self.place_of}", json.dumps({"session": self.session}).encode()
            )
            await asyncio.sleep(0.5)

    async def _told(self, message: Msg) -> None:
        told = json.loads(message.data)
        if told["session"] == self.session:
            self.instructions += told["instructions"]

    async def told(self, kind: str, count: int = 1, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Wait until so many instructions of a kind have come."""
        async with asyncio.timeout(timeout):
            while len(found := [i for i in self.instructions if i["instruction"] == kind]) < count:
                await asyncio.sleep(0.01)
        return found


def accepted(order_id: str, **fields: Any) -> dict[str, Any]:
    """An acknowledgement."""
    return {
        "report": "accepted",
        "order_id": order_id,
        "venue_order_id": "v" + order_id,
        "venue_time": 1,
        **fields,
    }


def filled(
    order_id: str, trade_id: str, quantity: str, price: str = "50000", **fields: Any
) -> dict[str, Any]:
    """A trade without fee where ``fields`` do not say otherwise."""
    return {
        "report": "filled",
        "order_id": order_id,
        "symbol": "BTCUSDT",
        "side": "buy",
        "trade_id": trade_id,
        "quantity": quantity,
        "price": price,
        "fee": "0",
        "fee_asset": "BTC",
        "maker": False,
        "venue_time": 10**15,
        **fields,
    }
