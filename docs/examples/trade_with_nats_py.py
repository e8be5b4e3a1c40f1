"""Place, show and cancel one order with nats-py alone. Arguments: [URL [ACCOUNT]]."""

import asyncio
import json
import sys
import uuid

import nats

URL = sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:4222"
ACCOUNT = sys.argv[2] if len(sys.argv) > 2 else "sub_arb"


async def ask(nc, verb, **payload):
    subject = f"{verb}.binance.{ACCOUNT}.spot.BTCUSDT"
    answer = json.loads((await nc.request(subject, json.dumps(payload).encode(), timeout=5)).data)
    return answer if answer["ok"] else sys.exit(f"{verb}: {answer['error']}")


async def main():
    async with await nats.connect(URL) as nc:
        order = {"side": "buy", "type": "limit", "quantity": "0.01", "price": "49000.00"}
        placed = await ask(nc, "place", command_id=uuid.uuid4().hex, **order)
        print("placed  ", placed["order_id"], placed["status"], "durable at", placed["sequence"])
        canceled = await ask(nc, "cancel", command_id=uuid.uuid4().hex, order_id=placed["order_id"])
        shown = await ask(nc, "show_orders", order_id=placed["order_id"], at_least=canceled["sequence"])
        print("canceled", shown["rows"][0]["order_id"], shown["rows"][0]["status"])


asyncio.run(main())
