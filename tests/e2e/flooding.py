"""A client that floods its account with orders, as a process of its own: ``python -m tests.e2e.flooding URL SUBJECT PRICE STRATEGY``.

It sends as fast as it can, whatever is answered, with up to a thousand commands on the way, until its standard input ends;
then it waits for what is still unanswered and tells in a line of JSON what became of all that it sent.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from decimal import Decimal

import nats
from nats.aio.msg import Msg

ON_THE_WAY = 1_000
ANSWERED_WITHIN_S = 10.0
PRICES = 500
"""Orders differ in price from those before them, or they were denied as their duplicates."""


async def flood(url: str, subject: str, highest: Decimal, strategy: str) -> None:
    """Send until standard input ends."""
    nc = await nats.connect(url)
    codes: Counter[str] = Counter()
    accepted: dict[str, str] = {}
    room = asyncio.Semaphore(ON_THE_WAY)
    sent, started = 0, time.monotonic()

    async def answered(message: Msg) -> None:
        room.release()
        reply = json.loads(message.data)
        if reply["ok"]:
            accepted[reply["command_id"]] = reply["order_id"]
        else:
            codes[reply["error"]["code"]] += 1

    inbox = nc.new_inbox()
    await nc.subscribe(inbox, cb=answered)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        await room.acquire()
        order = {
            "command_id": f"flood-{sent}",
            "side": "buy",
            "type": "limit",
            "quantity": "0.0005",
            "price": f"{highest - sent % PRICES:f}",
            "strategy": strategy,
            "client_order_id": f"flood-{sent}",
        }
        await nc.publish(subject, json.dumps(order).encode(), reply=inbox)
        sent += 1
    seconds = time.monotonic() - started
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        for _ in range(ON_THE_WAY):
            await room.acquire()
    told = {"sent": sent, "accepted": accepted, "codes": codes, "seconds": seconds}
    print(json.dumps(told))
    await nc.close()


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1], sys.argv[2], Decimal(sys.argv[3]), sys.argv[4]))
