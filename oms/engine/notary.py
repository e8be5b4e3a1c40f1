"""Notary: writes outside the journal what became durable in it. The mark at once, receipts in one background thread."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from oms.engine.batch import Seal
from oms.journal.evidence import Evidence
from oms.journal.receipts import ReceiptsFailed, Sealing

WAITING_MAX: Final = 64
"""Seals that may wait for their receipts; beyond it replies wait too."""
STALL_S: Final = 30.0
"""How long the disk may take for one lot of receipts."""


class Notary:
    """Attests for one life of the engine, from :meth:`start` to :meth:`close`.

    Args:
        evidence: opened, and compared with the journal.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._waiting: asyncio.Queue[Sealing | None] = asyncio.Queue(WAITING_MAX)
        self.working: asyncio.Task[None] = asyncio.create_task(self._work())
        """Ends before :meth:`close` only by its failure."""

    async def durable(self, sequence: int, head: str, seal: Seal | None) -> None:
        """Note a frame that is durable, before anybody is told so.

        Raises:
            ReceiptsFailed: what must be written cannot be.
        """
        self._evidence.durable(sequence, head)
        if seal is not None:
            sealing = Sealing(
                sequence=sequence, head=head, digest=seal.digest, commit=seal.commit, at=seal.at
            )
            await self._hand_over(sealing)

    async def close(self) -> None:
        """Write the receipts that wait, and end.

        Raises:
            ReceiptsFailed: they were not all written.
        """
        await self._hand_over(None)
        async with _in_time():
            await asyncio.shield(self.working)

    async def _hand_over(self, sealing: Sealing | None) -> None:
        if self.working.done():
            await self.working
        if not self._waiting.full():
            self._waiting.put_nowait(sealing)
            return
        putting = asyncio.create_task(self._waiting.put(sealing))
        try:
            async with _in_time():
                await asyncio.wait((putting, self.working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self.working.done():
            await self.working

    async def _work(self) -> None:
        closing = False
        while not closing:
            lot = [await self._waiting.get()]
            while not self._waiting.empty():
                lot.append(self._waiting.get_nowait())
            sealings = [each for each in lot if each is not None]
            closing = len(sealings) < len(lot)
            if sealings:
                await asyncio.to_thread(self._evidence.receipts.append, sealings)
                self._evidence.receipted(sealings[-1].sequence)


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(STALL_S):
            yield
    except TimeoutError:
        raise ReceiptsFailed(
            f"receipts were not on disk within {STALL_S:g} s: the engine stops; see what holds the disk up"
        ) from None
