"""Watch: what time makes due. Orders that wait too long, GTD orders past their time, sessions and clients gone silent."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import Final

import msgspec

from oms.aggregates.account import AccountKey
from oms.aggregates.guard import Guard, GuardKey
from oms.aggregates.partition import Partition
from oms.aggregates.transfer import Transfer
from oms.handlers.instruct import look_up, look_up_transfer
from oms.messages.enums import TransferStatus
from oms.messages.heartbeat import Heartbeat
from oms.messages.instructions import Instruction
from oms.messages.subjects import ANY, parse_subject

ANSWER_WITHIN_NS: Final = 15 * 10**9
"""An order that the venue has not answered for this long is in doubt: longer than any connector waits for a venue."""
LOOK_UP_AGAIN_NS: Final = 10 * 10**9
"""An order still in doubt is looked up again this often."""
LOOK_UP_PAUSE_NS: Final = 2 * 10**9
"""An order that falls in doubt again and again is not looked up more often than this."""
HELD_AT_MOST_NS: Final = 5 * 10**9
"""An order that has waited for others of ours to end for so long is given up: what it was placed on is no longer so."""
SILENT_AFTER_S: Final = 5.0
"""A session without a heartbeat for this long is closed; heartbeats come every second."""
LISTENING_STEP_S: Final = 0.5
"""A pause between two looks at the clients counts no more than this: while the engine stands still it hears nobody."""
STOOD_STILL_NS: Final = 5 * 10**9
"""After a pause of more than that between two looks marks get old anew: what was told in it is only now being read."""
AT_ONCE: Final = 1_000
"""Orders taken up in one round, so that a flood of them never holds up commands."""


_decode = msgspec.json.Decoder(Heartbeat).decode


class Watch:
    """Reads the state and the clock; what is due, the engine asks of itself as commands."""

    def __init__(self, state: Partition) -> None:
        self._state = state
        self._heard: dict[str, float] = {}
        self._looked_up: dict[str, int] = {}
        self._transfers_looked_up: dict[str, int] = {}
        self._guarded: dict[GuardKey, tuple[Guard, float]] = {}
        self._listened_s = 0.0
        self._looked_at: float | None = None
        self._listening_since = self._listened_at = 0

    def heard(self, subject: str, payload: bytes) -> None:
        """Note a heartbeat of a session that is open, or of a client that is guarded; anything else is nobody's."""
        _, *key, client = parse_subject(subject)
        if key[0] == ANY:
            guard = self._state.guards.get((key[1], client))
            if guard is not None:
                self._guarded[guard.key] = (guard, self._listened_s)
            return
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

    def listening_since(self, now: int) -> int:
        """Since when the engine has looked without standing still, UTC ns; ``now`` the first time."""
        if now - self._listened_at > STOOD_STILL_NS:
            self._listening_since = now
        self._listened_at = now
        return self._listening_since

    def silent_clients(self, monotonic: float) -> list[Guard]:
        """Guards of clients that were silent for too long; the time of one counts from when this engine first saw it so."""
        if self._looked_at is not None:
            self._listened_s += min(monotonic - self._looked_at, LISTENING_STEP_S)
        self._looked_at = monotonic
        now = self._listened_s
        guarded = {}
        for key, guard in self._state.guards.items():
            known, heard = self._guarded.get(key, (guard, now))
            # Whoever arms a guard anew has been heard.
            guarded[key] = (guard, heard if known is guard else now)
        self._guarded = guarded
        late = (guard for guard, heard in guarded.values() if (now - heard) * 1_000 > guard.timeout_ms)
        return list(islice(late, AT_ONCE))

    def unanswered_by_account(self) -> list[tuple[AccountKey, list[str]]]:
        """Every order that waits for the venue."""
        return self._by_account(self._state.unanswered)

    def overdue(self, now: int) -> list[tuple[AccountKey, list[str]]]:
        """Orders that have waited too long. They stand oldest first, so the look ends at the first that has not."""
        waiting = self._state.unanswered
        late = takewhile(lambda order_id: now - waiting[order_id] > ANSWER_WITHIN_NS, waiting)
        return self._by_account(islice(late, AT_ONCE))

    def held_too_long(self, now: int) -> list[tuple[AccountKey, list[str]]]:
        """Orders that are still held, and were placed too long ago."""
        since = self._state.holds.since
        late = takewhile(lambda order_id: now - since[order_id] > HELD_AT_MOST_NS, since)
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

    def put_off(self, order_id: str, now: int) -> None:
        """Look an order up with those of :meth:`look_ups_again` at the earliest: what is asked of it now answers its doubt."""
        self._looked_up[order_id] = now

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

    def unanswered_transfers(self) -> list[str]:
        """Every transfer that waits for the venue and is not in doubt."""
        return [each.transfer_id for each in self._waiting_transfers()]

    def overdue_transfers(self, now: int) -> list[str]:
        """Those of them that have waited too long."""
        return [
            each.transfer_id
            for each in self._waiting_transfers()
            if now - each.requested_at > ANSWER_WITHIN_NS
        ]

    def _waiting_transfers(self) -> Iterator[Transfer]:
        under_way = self._state.transfers_under_way.values()
        return (each for each in under_way if each.status is TransferStatus.REQUESTED)

    def transfer_look_ups(self, now: int) -> Iterator[tuple[AccountKey, str, Instruction]]:
        """Look-ups to repeat for transfers in doubt, where a session is ready to make them."""
        under_way = self._state.transfers_under_way
        last = self._transfers_looked_up = {
            each: at for each, at in self._transfers_looked_up.items() if each in under_way
        }
        for transfer_id, transfer in under_way.items():
            if (
                transfer.status is TransferStatus.IN_DOUBT
                and now - last.get(transfer_id, transfer.updated_at) > LOOK_UP_AGAIN_NS
            ):
                key, instruction = look_up_transfer(self._state, transfer)
                ledger = self._state.ledgers[key]
                if ledger.ready:
                    last[transfer_id] = now
                    yield key, ledger.session, instruction

    def _by_account(self, order_ids: Iterable[str]) -> list[tuple[AccountKey, list[str]]]:
        found: dict[AccountKey, list[str]] = defaultdict(list)
        for order_id in order_ids:
            order = self._state.orders[order_id]
            found[order.exchange, order.account, order.market].append(order_id)
        return list(found.items())
