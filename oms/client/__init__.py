"""The async Python client: commands, queries and public events over NATS.

async with OmsClient.connect("nats://127.0.0.1:4222", account="sub_arb") as oms:
    placed = await oms.place("BTCUSDT", "buy", "0.5", price="50000")
    for order in (await oms.orders(open=True)).rows:
        print(order.order_id, order.status, order.filled)
"""

from oms.client.client import OmsClient, Result
from oms.client.commands import new_command_id, new_order
from oms.client.errors import OmsError, OmsEventsLost, OmsRefused, OmsTimeout, OmsUnreachable
from oms.client.watch import PublicEvent

__all__ = [
    "OmsClient",
    "OmsError",
    "OmsEventsLost",
    "OmsRefused",
    "OmsTimeout",
    "OmsUnreachable",
    "PublicEvent",
    "Result",
    "new_command_id",
    "new_order",
]
