"""Connector: speaks to one market of one exchange, for all accounts that trade there.

It declares what the venue can do, lists the instruments again and again, keeps a session open for each account, and
publishes marks. An account whose session is lost gets a new one after a pause; an account that another connector has taken
is left to it, loudly. The markets of one exchange run in one process, because they may share wallets.
"""

import asyncio
import logging
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

from oms.messages.commands import DeclareVenue, InstrumentSpec, ListInstruments
from oms.tasks import AGAIN_AFTER_CLEANUP_S, end, together
from oms.venues.adapter import Market
from oms.venues.credentials import CredentialsMissing
from oms.venues.errors import Kind, VenueError
from oms.venues.marks import Marks
from oms.venues.reporter import EngineRefused, SessionOver, ask
from oms.venues.session import Session, SessionLost
from oms.venues.settings import Settings
from oms.venues.transfers import Register
from oms.venues.wallet import Wallet

log = logging.getLogger(__name__)

INSTRUMENTS_PER_MESSAGE: Final = 250
STEADY_S: Final = 60.0
"""A session that lasted this long has earned the shortest pause before the next."""


class Wallets(defaultdict[tuple[str, str], Wallet]):
    """Wallets by account and name, made when first asked for."""

    def __init__(self) -> None:
        super().__init__(Wallet)


class Connector:
    """All accounts of one market, on a NATS connection that it does not own.

    Args:
        nc: a connected client that reconnects without end.
        venue: ``exchange.market``.
        market: the adapter; the connector opens and closes it.
        accounts: names of the accounts to serve.
        wallets: of the exchange, by account and wallet; shared with the exchange's other markets.
        register: of the exchange's transfers; shared likewise.
    """

    def __init__(
        self,
        nc: Client,
        venue: str,
        market: Market,
        accounts: Sequence[str],
        settings: Settings | None = None,
        wallets: Wallets | None = None,
        register: Register | None = None,
    ) -> None:
        self._nc = nc
        self._exchange, self._market_name = venue.split(".")
        self._venue = venue
        self._market = market
        self._accounts = tuple(accounts)
        self._settings = settings or Settings()
        self._wallets = Wallets() if wallets is None else wallets
        self._register = Register() if register is None else register
        self._listed: dict[str, InstrumentSpec] = {}
        self._marks = Marks(nc, venue, market, self._settings, self._pauses)
        for name in self._accounts:
            self._wallet(name).markets += 1
        self.sessions: dict[str, Session] = {}
        """The session of each account, while it has one."""

    def _wallet(self, name: str) -> Wallet:
        return self._wallets[name, self._market.capabilities.wallet]

    @property
    def ready(self) -> bool:
        """Whether every account has a session that is ready."""
        return all(name in self.sessions and self.sessions[name].ready.is_set() for name in self._accounts)

    @property
    def amends_in_place(self) -> bool:
        """Whether the venue changes an order itself."""
        return self._market.amends_in_place

    def rekey(self, account: str) -> None:
        """The account's key was changed: end its session, so that the next one takes the new key."""
        session = self.sessions.get(account)
        if session is not None:
            session.end("the key was changed")

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, or until every account is another connector's."""
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            await end([working, stopping], AGAIN_AFTER_CLEANUP_S)
            await self._market.close()

    async def _work(self) -> None:
        place = f"{self._exchange}._.{self._market_name}._"
        for pause in self._pauses():
            try:
                instruments = await self._market.open()
                break
            except VenueError as error:
                log.error("%s: %s: trying again in %.1f s", self._venue, error, pause)
                await asyncio.sleep(pause)
        declared = DeclareVenue(capabilities=self._market.capabilities)
        await ask(self._nc, f"declare_venue.{place}", declared)
        await self._list(instruments)
        accounts = (self._serve(name) for name in self._accounts)
        serving = asyncio.create_task(together(accounts, AGAIN_AFTER_CLEANUP_S))
        marks = asyncio.create_task(self._marks.run())
        listing = asyncio.create_task(self._list_again())
        try:
            done, _ = await asyncio.wait([serving, marks, listing], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end([marks, listing])
            await end([serving], AGAIN_AFTER_CLEANUP_S)

    async def _list_again(self) -> None:
        """Tell the engine what has changed: a halt, a listing, other terms."""
        while True:
            await asyncio.sleep(self._settings.instruments_s)
            try:
                await self._list(await self._market.open())
            except VenueError as error:
                log.error("%s: %s", self._venue, error)
            except Exception:
                # What is listed anew may be unlike everything before: what is traded already goes on.
                log.exception("%s: what is listed cannot be read", self._venue)

    async def _list(self, instruments: list[InstrumentSpec]) -> None:
        listed = {each.symbol: each for each in instruments if _sayable(each)}
        if len(listed) < len(instruments):
            count = len(instruments) - len(listed)
            log.warning("%s: %d instruments have names that no subject can hold", self._venue, count)
        # What is not listed any more is not traded any more.
        gone = [
            msgspec.structs.replace(each, trading=False)
            for symbol, each in self._listed.items()
            if symbol not in listed
        ]
        self._listed = listed
        self._marks.listed({symbol: each.trading for symbol, each in listed.items()})
        told = [*listed.values(), *gone]
        for start in range(0, len(told), INSTRUMENTS_PER_MESSAGE):
            await self._tell_listed(told[start : start + INSTRUMENTS_PER_MESSAGE])
        log.info("%s: %d instruments", self._venue, len(listed))

    async def _tell_listed(self, part: list[InstrumentSpec]) -> None:
        """List these; one that the engine refuses is not traded, and keeps no other from it."""
        subject = f"list_instruments.{self._exchange}._.{self._market_name}._"
        try:
            await ask(self._nc, subject, ListInstruments(instruments=part))
        except EngineRefused as refused:
            if len(part) == 1:
                log.error("%s: %s is not listed: %s", self._venue, part[0].symbol, refused)
                return
            half = len(part) // 2
            await self._tell_listed(part[:half])
            await self._tell_listed(part[half:])

    def _pauses(self) -> Iterator[float]:
        pause = self._settings.backoff_s
        while True:
            yield pause * random.uniform(0.5, 1.5)  # jitter: accounts must not return as one
            pause = min(pause * 2, self._settings.backoff_max_s)

    # -- accounts

    async def _serve(self, name: str) -> None:
        """Keep a session open for one account until another connector has it."""
        place = f"{self._exchange}.{name}.{self._market_name}"
        pauses = self._pauses()
        while True:
            started = asyncio.get_running_loop().time()
            try:
                session = Session(
                    self._nc,
                    place,
                    self._market.account(name),
                    self._market,
                    self._wallet(name),
                    self._settings,
                    partial(self._market.limits_left, name),
                    self._register,
                )
                self.sessions[name] = session
                await session.run()
            except SessionOver as over:
                if over.replaced:
                    log.critical("%s: another connector serves it: this one stops (%s)", place, over)
                    self._wallet(name).markets -= 1
                    return
                log.error("%s: the engine closed the session (%s)", place, over)
            except (SessionLost, VenueError, EngineRefused, CredentialsMissing) as error:
                log.error("%s: %s: %s", place, type(error).__name__, error)
                # A session that ends because of a refused order says so in its reason.
                if Kind.AUTH_FATAL in str(error) and await self._market.refresh_key(name):
                    log.warning("%s: there is another key", place)
                    pauses = self._pauses()
            except (nats.errors.Error, OSError) as error:
                log.error("%s: NATS failed (%r)", place, error)
            except Exception:
                # A defect met by one account must not stop the others: its next session starts from the venue's truth.
                log.exception("%s: the session failed", place)
            finally:
                self.sessions.pop(name, None)
            if asyncio.get_running_loop().time() - started > STEADY_S:
                pauses = self._pauses()
            pause = next(pauses)
            log.warning("%s: a new session in %.1f s", place, pause)
            await asyncio.sleep(pause)


_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch


def _sayable(each: InstrumentSpec) -> bool:
    """Whether its names can be tokens of a subject. Binance lists some in Chinese."""
    return all(_TOKEN(name) for name in (each.symbol, each.base, each.quote, each.settle))
