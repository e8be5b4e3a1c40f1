"""Wallet: funds that one or more sessions of an account share. They are compared while none of the sessions moves them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import attrs


class Member(Protocol):
    """A session's part in a wallet."""

    moves: int
    """Counts what was heard that may move funds."""

    caught_up: bool
    """Whether the session has told what happened before it began."""

    async def catch_up(self) -> int:
        """Tell the engine every trade and payment that it has not been told; return how many there were."""

    def hold(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Tell the engine everything that waits, and nothing more until the block ends."""


@attrs.define(eq=False)
class Wallet:
    """The sessions that share funds, and the turn of the one that compares them.

    Args:
        markets: how many have their funds in it, and a session coming or there.
    """

    markets: int = 0
    members: list[Member] = attrs.field(factory=list)
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    _changes: int = 0

    def join(self, member: Member) -> None:
        """A session begins."""
        self.members.append(member)
        self._changes += 1

    def leave(self, member: Member) -> None:
        """A session ends; what it has not told the engine, the next one does."""
        self.members.remove(member)
        self._changes += 1 + member.moves

    def moves(self) -> int:
        """What was heard by all of them; the same number twice means that nothing was heard, and nobody came or left."""
        return self._changes + sum(member.moves for member in self.members)

    @property
    def caught_up(self) -> bool:
        """Whether every market has a session, and each has told what happened before it began."""
        return len(self.members) >= self.markets and all(member.caught_up for member in self.members)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let no session tell the engine anything until the block ends."""
        async with contextlib.AsyncExitStack() as stack:
            for member in list(self.members):
                await stack.enter_async_context(member.hold())
            yield
