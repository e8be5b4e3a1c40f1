"""Watch: what time makes due. Orders that wait too long, GTD orders past their time, sessions gone silent."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import Final

import msgspec

from oms.aggregates.account import AccountKey
from oms.aggregates.partition import Partition
from oms.handlers.instruct import look_up
from oms.messages.heartbeat import Heartbeat
from oms.messages.instructions import Instruction
from oms.messages.subjects import parse_subject

ANSWER_WITHIN_NS: Final = 15 * 10**9
"""An order that the venue has not answered for this long is in doubt: longer than any connector waits for a venue."""
LOOK_UP_AGAIN_NS: Final = 10 * 10**9
"""An order still in doubt is looked up again this often."""
LOOK_UP_PAUSE_NS: Final = 2 * 10**9
"""An order that falls in doubt again and again is not looked up more often than this."""
SILENT_AFTER_S: Final = 5.0
"""A session without a heartbeat for this long is closed; heartbeats come every second."""
AT_ONCE: Final = 1_000
"""Orders taken up in one round, so that a flood of them never holds up commands."""


_decode = msgspec.json.Decoder(Heartbeat).decode


class Watch:
    """Reads the state and the clock; what is due, the engine asks of itself as commands."""

    def __init__(self, state: Partition) -> None:
        self._state = state
        self._heard: dict[str, float] = {}
        self._looked_up: dict[str, int] = {}

    def heard(self, subject: str, payload: bytes) -> None:
        """Note a heartbeat of a session that is open; anything else is nobody's."""
        _, *key, _ = parse_subject(subject)
        try:
            session = _decode(payload).session
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        ledger = self._state.ledgers.get((key[0], key[1], key[2]))
        if ledger is not None and ledger.session == session:
            self._heard[session] = time.monotonic()

    def silent_sessions(self, monotonic: float) -> list[tuple[AccountKey, str]]:
        """Open sessions whose heartbeat stopped; one never heard counts from when this engine first saw it."""
        open_now = {ledger.session for ledger in self._state.ledgers.values() if ledger.session}
        self._heard = {s: self._heard.get(s, monotonic) for s in open_now}
        return [
            (ledger.key, ledger.session)
            for ledger in self._state.ledgers.values()
            if ledger.session and monotonic - self._heard[ledger.session] > SILENT_AFTER_S
        ]

    def unanswered_by_account(self) -> list[tuple[AccountKey, list[str]]]:
        """Every order that waits for the venue."""
        return self._by_account(self._state.unanswered)

    def overdue(self, now: int) -> list[tuple[AccountKey, list[str]]]:
        """Orders that have waited too long. They stand oldest first, so the look ends at the first that has not."""
        waiting = self._state.unanswered
        late = takewhile(lambda order_id: now - waiting[order_id] > ANSWER_WITHIN_NS, waiting)
        return self._by_account(islice(late, AT_ONCE))

    def expired(self, now: int) -> list[tuple[AccountKey, list[str]]]:
        """GTD orders past their time that nobody has asked to cancel yet."""
        orders = self._state.orders
        due = (
            order_id
            for order_id, expires_at in self._state.expiring.items()
            if expires_at <= now and orders[order_id].cancel_requested is None and orders[order_id].leaves
        )
        return self._by_account(islice(due, AT_ONCE))

    def may_look_up(self, order_id: str, now: int) -> bool:
        """Whether an order that falls in doubt is looked up at once, and not with those of :meth:`look_ups_again`."""
        last = self._looked_up.get(order_id)
        if last is not None and now - last < LOOK_UP_PAUSE_NS:
            return False
        self._looked_up[order_id] = now
        return True

    def look_ups_again(self, now: int) -> Iterator[tuple[AccountKey, str, Instruction]]:
        """Look-ups to repeat for orders in doubt, where a session is ready to make them."""
        doubtful = self._state.doubtful
        self._looked_up = {
            o: at for o, at in self._looked_up.items() if o in doubtful or now - at < LOOK_UP_PAUSE_NS
        }
        found = 0
        for order_id, since in doubtful.items():
            if now - self._looked_up.get(order_id, since) <= LOOK_UP_AGAIN_NS:
                continue
            order = self._state.orders[order_id]
            key = (order.exchange, order.account, order.market)
            ledger = self._state.ledgers[key]
            # Those of accounts that nobody serves hold up no others, however many.
            if ledger.ready:
                self._looked_up[order_id] = now
                yield key, ledger.session, look_up(order)
                found += 1
                if found == AT_ONCE:
                    return

    def _by_account(self, order_ids: Iterable[str]) -> list[tuple[AccountKey, list[str]]]:
        found: dict[AccountKey, list[str]] = defaultdict(list)
        for order_id in order_ids:
            order = self._state.orders[order_id]
            found[order.exchange, order.account, order.market].append(order_id)
        return list(found.items())
