"""A port where nothing listens, and an engine of one function."""

import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.messages.base import ClientCommand
from oms.messages.codec import COMMANDS
from oms.messages.queries import QUERIES

Answer = Callable[[str, Any], Any]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def heard() -> list[tuple[str, Any]]:
    """(subject, payload) of every request that came."""
    return []


@pytest.fixture
def serve(nc: Client, heard: list[tuple[str, Any]]) -> Callable[[Answer], Awaitable[None]]:
    """Answer every verb of clients with what a function of subject and payload returns; None: not at all."""

    async def start(answer: Answer) -> None:
        async def reply(message: Msg) -> None:
            payload = json.loads(message.data)
            heard.append((message.subject, payload))
            found = answer(message.subject, payload)
            if found is not None:
                await message.respond(json.dumps(found).encode())

        commands = [verb for verb, kind in COMMANDS.items() if issubclass(kind, ClientCommand)]
        for verb in (*commands, *QUERIES):
            await nc.subscribe(f"{verb}.*.*.*.*", cb=reply)
        await nc.flush()

    return start
