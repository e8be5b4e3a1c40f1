"""Bust: how a trade that the venue takes back is undone.

Undoing is a trade too: of the other side, at the same price, with the fee given back. So position, funds and profit need
no rules of their own, and add up as they always do; what later trades have made of the position meanwhile stands.
"""

from oms.aggregates.account import Account, trade_key
from oms.messages.codes import Code, Refused
from oms.messages.enums import Side
from oms.messages.events import OrderFilled, TradeBusted


def undoing(event: TradeBusted) -> OrderFilled:
    """The trade that undoes one."""
    told = {name: getattr(event, name) for name in OrderFilled.__struct_fields__}
    side = Side.SELL if event.side is Side.BUY else Side.BUY
    return OrderFilled(**told | {"side": side, "fee": -event.fee})


def bust_key(event: TradeBusted) -> str:
    """What tells a trade taken back from others, and from trades, of its account and market."""
    return f"bust:{trade_key(event)}"


def needs_undoing(ledger: Account, event: TradeBusted) -> bool:
    """Whether the trade was applied and not taken back before.

    Raises:
        Refused: TRADE_UNKNOWN when it was never applied, FILL_TOO_OLD when that can no longer be told.
    """
    if bust_key(event) in ledger.trade_ids:
        return False
    if not ledger.knows_trade(event.symbol, event.trade_id, event.side, event.venue_time):
        raise Refused(
            Code.TRADE_UNKNOWN,
            f"trade {event.trade_id} of {event.symbol} was taken back at the venue and never applied here",
        )
    return True
