"""WebSocket connections of either kind: a bounded queue out, and a way to cut them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from aiohttp import WSMsgType, web

# A client that lets this many messages wait is cut off, as Binance does with slow readers.
MAX_WAITING = 10_000
MAX_MESSAGE_BYTES = 1 << 20
PING_INTERVAL_S = 20.0

_encode = msgspec.json.Encoder().encode


def encode(message: object) -> str:
    """Encode a message once, for as many connections as want it."""
    return _encode(message).decode()


class Connection:
    """One WebSocket. Messages go out in the order in which they are sent here, as text or as binary frames."""

    def __init__(self, request: web.BaseRequest, *, binary: bool = False) -> None:
        self._binary = binary
        self._request = request
        self._socket = web.WebSocketResponse(
            heartbeat=PING_INTERVAL_S, compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=1.0
        )
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._writer: asyncio.Task[None] | None = None
        self.overflowed = False

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def open(self) -> None:
        """Answer the upgrade and begin to write."""
        await self._socket.prepare(self._request)
        self._writer = asyncio.create_task(self._write())

    def send(self, message: object) -> None:
        """Queue a message to be encoded; never waits."""
        self.send_text(encode(message))

    def send_text(self, text: str) -> None:
        """Queue a message; never waits. A full queue cuts the connection."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.overflowed = True
            self.cut()

    def cut(self) -> None:
        """Drop the connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def close(self) -> None:
        """Close the connection properly, and stop writing."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self._socket.close()

    async def texts(self) -> AsyncIterator[str]:
        """Yield the messages of the client until it goes."""
        async for message in self._socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data if isinstance(message.data, str) else message.data.decode()

    async def _write(self) -> None:
        try:
            while True:
                text = await self._waiting.get()
                if self._binary:
                    await self._socket.send_bytes(text.encode())
                else:
                    await self._socket.send_str(text)
        except (ConnectionError, RuntimeError):
            # The peer is gone: the reading side ends the connection and forgets it.
            return
