"""The desk from a program: accounts, strategies, transfers, and orders that go when this client vanishes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import nats.errors
from nats.aio.client import Client

from oms.client import commands as k
from oms.client.asking import ROWS, Asking, Result
from oms.messages import commands as c
from oms.messages import desk as d
from oms.messages import queries as q
from oms.messages.enums import AccountKind
from oms.tasks import end

BEATS_WITHIN_TIMEOUT: Final = 4
"""A beat or two may be late, or lost, before the engine takes the client for gone."""


class Desk(Asking):
    """Accounts and what belongs to them. Every method raises as :meth:`OmsClient.place` does.

    ``by`` is the person who decides, ``reason`` why; both are recorded.
    """

    async def register_account(
        self, account: str, kind: AccountKind | str, *, command_id: str | None = None
    ) -> Result:
        """Register an account: one MAIN, and up to 200 SUB and STRATEGY."""
        command = c.RegisterAccount(command_id=command_id or k.new_command_id(), kind=AccountKind(kind))
        return await self._command(self._subject("register_account", account), command)

    async def rename_account(
        self, account: str, name: str, *, by: str = "", command_id: str | None = None
    ) -> Result:
        """Give an account another name for people; its id stays."""
        command = d.RenameAccount(command_id=command_id or k.new_command_id(), name=name, by=by)
        return await self._command(self._subject("rename_account", account), command)

    async def disable_account(
        self, account: str, *, by: str, reason: str = "", command_id: str | None = None
    ) -> Result:
        """Let an account place and amend nothing. What works goes on, and can be cancelled."""
        command = d.DisableAccount(command_id=command_id or k.new_command_id(), by=by, reason=reason)
        return await self._command(self._subject("disable_account", account), command)

    async def enable_account(
        self, account: str, *, by: str, reason: str = "", command_id: str | None = None
    ) -> Result:
        """Let a disabled account trade again."""
        command = d.EnableAccount(command_id=command_id or k.new_command_id(), by=by, reason=reason)
        return await self._command(self._subject("enable_account", account), command)

    async def close_account(
        self, account: str, *, by: str, reason: str = "", command_id: str | None = None
    ) -> Result:
        """Close an account for good; it must have nothing open, held or under way."""
        command = d.CloseAccount(command_id=command_id or k.new_command_id(), by=by, reason=reason)
        return await self._command(self._subject("close_account", account), command)

    async def assign_strategy(
        self,
        strategy: str,
        account: str,
        capital: k.Number | None,
        *,
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """Bind a strategy to an account and give it capital in USD; None takes it from the account."""
        command = d.AssignStrategy(
            command_id=command_id or k.new_command_id(),
            strategy=strategy,
            capital=None if capital is None else k.amount(capital),
            by=by,
            reason=reason,
        )
        return await self._command(self._subject("assign_strategy", account), command)

    async def transfer(
        self,
        exchange: str,
        source: str,
        to: str,
        asset: str,
        amount: k.Number,
        *,
        market: str = "spot",
        to_market: str = "",
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """Move funds between the MAIN account and another on one exchange, from a market's wallet to ``to_market``'s.

        The answer says that it was asked for; what the venue makes of it is a public event of the accounts.
        """
        command = d.TransferFunds(
            command_id=command_id or k.new_command_id(),
            to=to,
            asset=asset,
            amount=k.amount(amount),
            to_market=to_market,
            by=by,
            reason=reason,
        )
        return await self._command(self._subject("transfer", source, exchange, market), command)

    async def accounts(
        self, *, rows: int = ROWS, account: str | None = None, at_least: int | None = None
    ) -> q.Answer[q.AccountRow]:
        """Accounts by name, with what they are worth, have open and earned today."""
        return await self._ask(
            self._subject("show_accounts", account), q.ShowAccounts(), q.Answer[q.AccountRow], rows, at_least
        )

    # -- cancel on disconnect

    async def cancel_on_disconnect(
        self,
        client: str,
        timeout_ms: int,
        *,
        strategy: str = "",
        account: str | None = None,
        command_id: str | None = None,
    ) -> Result:
        """Have orders cancelled once no beat of ``client`` is heard for ``timeout_ms``; 0 disarms. Beats: :meth:`guarded`.

        Args:
            strategy: only its orders are cancelled; empty: all of the account's.
        """
        command = d.CancelOnDisconnect(
            command_id=command_id or k.new_command_id(),
            client=client,
            strategy=strategy,
            timeout_ms=timeout_ms,
        )
        return await self._command(self._subject("cancel_on_disconnect", account), command)

    @contextlib.asynccontextmanager
    async def guarded(
        self, client: str, timeout_ms: int, *, strategy: str = "", account: str | None = None
    ) -> AsyncIterator["Beating"]:
        """Arm :meth:`cancel_on_disconnect` and beat for as long as the ``async with`` block lasts.

            async with oms.guarded("desk-1", 5_000) as beating:
                ...

        Left in order, it disarms and the orders stay. Left by an exception, or when the program or its host dies, the
        silence cancels them. A guard that has acted is gone until it is armed again: ``beating.lost`` is set when no beat
        could be sent for the whole timeout.
        """
        account = self.account if account is None else account
        beating = Beating(self.nc, self._subject("heartbeat", account, symbol=client), timeout_ms / 1_000)
        await self.cancel_on_disconnect(client, timeout_ms, strategy=strategy, account=account)
        running = asyncio.create_task(beating.run())
        try:
            yield beating
        finally:
            await end([running])
        if not beating.lost.is_set():
            await self.cancel_on_disconnect(client, 0, account=account)


class Beating:
    """Beats of one client.

    Args:
        timeout_s: how long silence may last.

    Attributes:
        lost: no beat could be sent for the whole timeout, and none is sent any more: the orders are cancelled.
    """

    def __init__(self, nc: Client, subject: str, timeout_s: float) -> None:
        self._nc = nc
        self._subject = subject
        self._timeout_s = timeout_s
        self.lost = asyncio.Event()

    async def run(self) -> None:
        """Beat until the beats are lost."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while loop.time() - heard < self._timeout_s:
            try:
                await self._nc.publish(self._subject, b"")
                heard = loop.time()
            except (nats.errors.Error, OSError):
                # No connection now; there may be one before the time is over.
                pass
            await asyncio.sleep(self._timeout_s / BEATS_WITHIN_TIMEOUT)
        self.lost.set()
