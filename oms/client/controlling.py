"""Controls from a program: limits, their overrides, the kill switch, and what assets are worth."""

from collections.abc import Iterable, Mapping

from oms.client import commands as k
from oms.client.asking import ROWS, Asking, Result
from oms.client.errors import OmsRefused
from oms.messages import controls as m
from oms.messages import queries as q
from oms.messages.base import MAX_TEXT
from oms.messages.codes import Refused
from oms.messages.scopes import Scope, parse_scope, scope_tokens
from oms.messages.subjects import ANY

Limits = Mapping[str, k.Number]
"""Control → its value: a number, or text such as ``5s`` or ``off``."""


class Controlling(Asking):
    """What people decide of limits and the kill switch. Every method raises as :meth:`OmsClient.place` does.

    A scope is ``global``, ``exchange:NAME``, ``account:NAME``, ``strategy:NAME`` or ``instrument:EXCHANGE.MARKET.SYMBOL``
    (:mod:`oms.messages.scopes`); for limits also ``exchange:*`` and so on. One that is not written so is refused
    (SCOPE_INVALID) before anything is sent. ``by`` is the person who decides, ``reason`` why; both are recorded.
    """

    async def set_limits(
        self,
        scope: str | Scope,
        limits: Limits,
        *,
        clear: Iterable[str] = (),
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """Set limits of a scope, and take away what it says itself of the controls in ``clear``. All of it, or none."""
        command = m.SetLimits(
            command_id=command_id or k.new_command_id(),
            scope=str(scope),
            limits=_texts(limits),
            clear=list(clear),
            by=by,
            reason=reason,
        )
        return await self._command(self._about("set_limits", scope), command)

    async def override_limits(
        self,
        scope: str | Scope,
        limits: Limits,
        *,
        until: int,
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """Put other values in place of a scope's own until a time (UTC ns); then they end by themselves."""
        command = m.OverrideLimits(
            command_id=command_id or k.new_command_id(),
            scope=str(scope),
            limits=_texts(limits),
            until=until,
            by=by,
            reason=reason,
        )
        return await self._command(self._about("override_limits", scope), command)

    async def end_override(
        self,
        scope: str | Scope,
        controls: Iterable[str] = (),
        *,
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """End a scope's overrides now: those of the controls named, or all."""
        command = m.EndOverride(
            command_id=command_id or k.new_command_id(),
            scope=str(scope),
            controls=list(controls),
            by=by,
            reason=reason,
        )
        return await self._command(self._about("end_override", scope), command)

    async def kill(
        self,
        scope: str | Scope,
        *,
        by: str,
        reason: str = "",
        allow_reduce_only: bool = False,
        command_id: str | None = None,
    ) -> Result:
        """Latch a scope's kill switch and cancel every order in it. Answered once the latch is durable.

        Args:
            reason: cut to what is recorded of it, 256 characters: no kill is refused for what is said of it.
            allow_reduce_only: orders that bring a position nearer to zero are still let through.

        Returns:
            In ``count`` how many orders it asked to cancel.
        """
        command = m.Kill(
            command_id=command_id or k.new_command_id(),
            scope=str(scope),
            by=by,
            reason=reason if len(reason) <= MAX_TEXT else f"{reason[: MAX_TEXT - 1]}…",
            allow_reduce_only=allow_reduce_only,
        )
        return await self._command(self._about("kill", scope), command)

    async def release(
        self, scope: str | Scope, *, by: str, reason: str = "", command_id: str | None = None
    ) -> Result:
        """Release a scope's own kill switch; those of other scopes that cover the same orders stay."""
        command = m.Release(
            command_id=command_id or k.new_command_id(), scope=str(scope), by=by, reason=reason
        )
        return await self._command(self._about("release", scope), command)

    async def set_valuation(
        self,
        asset: str,
        *,
        rate: k.Number | None = None,
        instrument: str = "",
        by: str,
        reason: str = "",
        command_id: str | None = None,
    ) -> Result:
        """Say what a unit of an asset is worth: ``rate`` in USD, or by the mark of ``exchange.market.symbol``."""
        command = m.SetValuation(
            command_id=command_id or k.new_command_id(),
            asset=asset,
            rate=None if rate is None else k.amount(rate),
            instrument=instrument,
            by=by,
            reason=reason,
        )
        return await self._command(self._subject("set_valuation", ANY), command)

    async def limits(
        self,
        *,
        scope: str = "",
        control: str | None = None,
        near: bool = False,
        latched: bool = False,
        rows: int = ROWS,
        account: str | None = None,
        exchange: str = ANY,
        market: str = ANY,
        symbol: str = ANY,
        at_least: int | None = None,
    ) -> q.Answer[q.LimitRow]:
        """Every limit with its use and headroom, by scope. Filters: :class:`oms.messages.queries.ShowLimits`.

        An account, exchange, market or symbol means the scopes that name it; ``_`` for all of them shows every scope.
        """
        return await self._ask(
            self._subject("show_limits", account, exchange, market, symbol),
            q.ShowLimits(scope=scope, control=control, near=near, latched=latched),
            q.Answer[q.LimitRow],
            rows,
            at_least,
        )

    def _about(self, verb: str, scope: str | Scope) -> str:
        try:
            exchange, account, market, symbol = scope_tokens(parse_scope(str(scope)))
        except Refused as refused:
            raise OmsRefused(refused.code, refused.message) from None
        return self._subject(verb, account, exchange, market, symbol)


def _texts(limits: Limits) -> dict[str, str]:
    return {
        control: value if isinstance(value, str) else str(k.plain(k.amount(value)))
        for control, value in limits.items()
    }
