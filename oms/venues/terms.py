"""Terms: leverage and margin mode set at the venue, told by what the venue shows afterwards."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from oms.messages import reports as r
from oms.messages.instructions import SetTerms
from oms.venues.adapter import Account
from oms.venues.errors import HARMLESS, Kind, VenueError

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
PAUSE_S: Final = 1.0


async def set_terms(account: Account, asked: SetTerms, report: Callable[[list[r.Report]], None]) -> None:
    """Set what is asked and report what stands. Setting it twice does no harm, so doubt is settled by looking.

    Raises:
        VenueError: AUTH_FATAL.
    """
    if time.time_ns() > asked.deadline:
        report([r.TermsRefused(symbol=asked.symbol, reason="not sent: the deadline has passed")])
        return
    try:
        if asked.margin_mode is not None:
            await account.set_margin_mode(asked.symbol, asked.margin_mode)
        if asked.leverage is not None:
            await account.set_leverage(asked.symbol, asked.leverage)
    except VenueError as error:
        if error.kind in HARMLESS:
            report([r.TermsRefused(symbol=asked.symbol, reason=error.reason)])
            if error.kind is Kind.AUTH_FATAL:
                raise
            # The first of the two may have been done.
            await _tell(account, asked, report, done=False)
            return
        log.warning("terms of %s: %s: looking at what stands", asked.symbol, error)
        await _tell(account, asked, report, done=False)
        return
    await _tell(account, asked, report, done=True)


async def _tell(
    account: Account, asked: SetTerms, report: Callable[[list[r.Report]], None], *, done: bool
) -> None:
    leverage, mode = (asked.leverage, asked.margin_mode) if done else (None, None)
    for attempt in range(ATTEMPTS):
        try:
            shown = [each for each in await account.positions() if each.symbol == asked.symbol]
        except VenueError as error:
            if error.kind is Kind.AUTH_FATAL:
                raise
            log.warning("terms of %s cannot be seen (%s)", asked.symbol, error)
            await asyncio.sleep(PAUSE_S * (attempt + 1))
            continue
        for position in shown:
            leverage, mode = leverage or position.leverage, mode or position.margin_mode
        break
    if leverage is None and mode is None:
        report([r.TermsRefused(symbol=asked.symbol, reason="what stands at the venue cannot be seen")])
        return
    terms = r.Terms(
        symbol=asked.symbol,
        leverage=leverage,
        margin_mode=mode,
        venue_time=time.time_ns(),
    )
    report([terms])
