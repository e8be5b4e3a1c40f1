"""What the private and the public streams have in common: operations, their answers, and who is connected."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from aiohttp import web

from oms.simulator.connections import Connection

MAX_ARGS_CHARACTERS = 21_000


class Client:
    """One WebSocket and the topics it wants."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.conn_id = secrets.token_hex(10)
        self.topics: set[str] = set()

    def answer(self, op: str, request: Mapping[str, object], success: bool, message: str) -> None:
        """Answer an operation."""
        told: dict[str, object] = {
            "success": success,
            "ret_msg": message,
            "op": op,
            "conn_id": self.conn_id,
        }
        if request.get("req_id") is not None:
            told["req_id"] = str(request["req_id"])
        self.connection.send(told)


def parse(text: str) -> dict[str, object]:
    """Return an operation, an empty one when it cannot be read."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def topics_of(request: Mapping[str, object]) -> list[str]:
    """Return the topics of a subscription, none when they are not such."""
    args = request.get("args")
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        return []
    return args if sum(map(len, args)) <= MAX_ARGS_CHARACTERS else []


async def open_client(request: web.BaseRequest) -> Client:
    """Answer the upgrade."""
    connection = Connection(request)
    await connection.open()
    return Client(connection)
