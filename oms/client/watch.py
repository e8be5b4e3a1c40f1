"""Watching: public events as they come, bounded, and never with a silent gap."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.client.errors import OmsError, OmsEventsLost
from oms.messages import public as p
from oms.messages.subjects import ANY

WAITING_EVENTS: Final = 65_536
"""Events that may wait to be read."""

PublicEvent = (
    p.OrderChanged
    | p.TradeHappened
    | p.PositionChanged
    | p.BalanceChanged
    | p.SessionChanged
    | p.AccountReconciled
    | p.AccountKnown
    | p.ClientGuarded
    | p.TransferChanged
    | p.TransferStopped
    | p.LimitsChanged
    | p.LimitReached
    | p.KillSwitchChanged
    | p.TradingDayBegan
    | p.AssetValued
    | p.CapitalAllocated
)
"""What :meth:`oms.client.OmsClient.watch` yields; see :mod:`oms.messages.public`."""


class _Kind(msgspec.Struct):
    event: str


_kind: Final = msgspec.json.Decoder(_Kind).decode
_DECODE: Final[dict[str, Callable[[bytes], PublicEvent]]] = {
    "orders": msgspec.json.Decoder(p.OrderChanged).decode,
    "trades": msgspec.json.Decoder(p.TradeHappened).decode,
    "positions": msgspec.json.Decoder(p.PositionChanged).decode,
}
_ACCOUNTS: Final[dict[str, Callable[[bytes], PublicEvent]]] = {
    **dict.fromkeys(
        ("AccountRegistered", "AccountRenamed", "AccountDisabled", "AccountEnabled", "AccountClosed"),
        msgspec.json.Decoder(p.AccountKnown).decode,
    ),
    **dict.fromkeys(
        ("TransferRequested", "TransferInDoubt", "TransferCompleted", "TransferRejected"),
        msgspec.json.Decoder(p.TransferChanged).decode,
    ),
    "TransferDenied": msgspec.json.Decoder(p.TransferStopped).decode,
    "SessionOpened": msgspec.json.Decoder(p.SessionChanged).decode,
    "SessionClosed": msgspec.json.Decoder(p.SessionChanged).decode,
    "DisconnectGuardSet": msgspec.json.Decoder(p.ClientGuarded).decode,
    "ClientDisconnected": msgspec.json.Decoder(p.ClientGuarded).decode,
    "Reconciled": msgspec.json.Decoder(p.AccountReconciled).decode,
}
_RISK: Final[dict[str, Callable[[bytes], PublicEvent]]] = {
    "LimitsSet": msgspec.json.Decoder(p.LimitsChanged).decode,
    "LimitsOverridden": msgspec.json.Decoder(p.LimitsChanged).decode,
    "OverrideEnded": msgspec.json.Decoder(p.LimitsChanged).decode,
    "LimitCrossed": msgspec.json.Decoder(p.LimitReached).decode,
    "KillSwitchEngaged": msgspec.json.Decoder(p.KillSwitchChanged).decode,
    "KillSwitchReleased": msgspec.json.Decoder(p.KillSwitchChanged).decode,
    "DayRolled": msgspec.json.Decoder(p.TradingDayBegan).decode,
    "ValuationSet": msgspec.json.Decoder(p.AssetValued).decode,
    "StrategyAssigned": msgspec.json.Decoder(p.CapitalAllocated).decode,
}
_balances: Final = msgspec.json.Decoder(p.BalanceChanged).decode


def decode_public(subject: str, payload: bytes) -> PublicEvent:
    """Decode one public event.

    Raises:
        msgspec.DecodeError: it is none.
    """
    stream = subject.partition(".")[0]
    decode = _DECODE.get(stream)
    if decode is None and stream == "risk":
        event = _kind(payload).event
        decode = _RISK.get(event)
        if decode is None:
            raise msgspec.DecodeError(f"{event} is not known here: take a newer client")
    if decode is None:
        decode = _ACCOUNTS.get(_kind(payload).event, _balances)
    return decode(payload)


class Watch:
    """Events of some subjects; an asynchronous iterator that ends only by an exception or :meth:`stop`."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._events: deque[PublicEvent] = deque()
        self._arrived = asyncio.Event()
        self._subscriptions: list[Any] = []
        self._fault: OmsError | None = None

    async def start(self, subjects: list[str]) -> None:
        """Subscribe; what is published from now on arrives."""
        for subject in subjects:
            self._subscriptions.append(await self._nc.subscribe(subject, cb=self._take))
        # Once this returns, the server knows of the subscriptions.
        await self._nc.flush()

    async def stop(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            if not self._nc.is_closed:
                await subscription.unsubscribe()
        self._subscriptions.clear()

    def lost(self, error: OmsError) -> None:
        """Say that events may be missing from here on. Those that arrived before are still read."""
        self._fault = self._fault or error
        self._arrived.set()

    async def _take(self, message: Msg) -> None:
        if self._fault is not None:
            return
        if len(self._events) >= WAITING_EVENTS:
            self.lost(OmsEventsLost(f"more than {WAITING_EVENTS:,} events waited to be read"))
            return
        try:
            event = decode_public(message.subject, message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.lost(OmsError(f"a message on {message.subject} is not a public event: {error}"))
            return
        self._events.append(event)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[PublicEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._fault is not None:
                raise self._fault
            self._arrived.clear()
            await self._arrived.wait()


def watch_subject(stream: str, exchange: str, account: str, market: str, symbol: str) -> str:
    """The subject to subscribe to; ``_`` means any."""
    return ".".join(
        [stream, *("*" if token == ANY else token for token in (exchange, account, market, symbol))]
    )
