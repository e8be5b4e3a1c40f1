"""What OKX writes of prices, books and public trades."""

from __future__ import annotations

import zlib
from itertools import islice, zip_longest

from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, SELL

from .payloads import INST_TYPES, ms, num

_CHECKSUM_LEVELS = 25


def ticker(market: Market, now_ns: int) -> dict[str, object]:
    bid, ask = market.book.best(BUY), market.book.best(SELL)
    worth = num(market.quote_volume)
    return {
        "askPx": "" if ask is None else num(ask.price),
        "askSz": "" if ask is None else num(ask.quantity),
        "bidPx": "" if bid is None else num(bid.price),
        "bidSz": "" if bid is None else num(bid.quantity),
        "high24h": num(market.high),
        "instId": market.symbol,
        "instType": INST_TYPES[market.name],
        "last": num(market.last_price),
        "lastSz": num(market.trades[-1].quantity) if market.trades else "0",
        "low24h": num(market.low),
        "open24h": num(market.open_price),
        "sodUtc0": num(market.open_price),
        "sodUtc8": num(market.open_price),
        "ts": ms(now_ns),
        "vol24h": num(market.volume),
        "volCcy24h": worth,
    }


def levels(market: Market, side: str, most: int) -> list[list[str]]:
    return [
        [num(level.price), num(level.quantity), "0", str(len(level.orders))]
        for level in islice(market.book.levels(side), most)
    ]


def checksum(market: Market) -> int:
    """CRC32 over the best levels, bids and asks in turn, as a signed number."""
    parts: list[str] = []
    sides = (islice(market.book.levels(side), _CHECKSUM_LEVELS) for side in (BUY, SELL))
    for pair in zip_longest(*sides):
        parts += [f"{num(level.price)}:{num(level.quantity)}" for level in pair if level is not None]
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def public_trade(market: Market, trade: PublicTrade) -> dict[str, object]:
    return {
        "count": "1",
        "instId": market.symbol,
        "px": num(trade.price),
        "side": "sell" if trade.is_buyer_maker else "buy",
        "source": "0",
        "sz": num(trade.quantity),
        "tradeId": str(trade.trade_id),
        "ts": ms(trade.time_ns),
    }


def mark_price(market: Market, now_ns: int) -> dict[str, object]:
    return {
        "instId": market.symbol,
        "instType": INST_TYPES[market.name],
        "markPx": num(market.mark_price),
        "ts": ms(now_ns),
    }


def funding_rate(market: Market, now_ns: int) -> dict[str, object]:
    return {
        "formulaType": "withRate",
        "fundingRate": num(market.funding_rate),
        "fundingTime": ms(market.next_funding_ns),
        "impactValue": "",
        "instId": market.symbol,
        "instType": "SWAP",
        "interestRate": "",
        "maxFundingRate": "0.0075",
        "method": "current_period",
        "minFundingRate": "-0.0075",
        "nextFundingRate": "",
        "nextFundingTime": ms(market.next_funding_ns),
        "premium": "",
        "settFundingRate": num(market.funding_rate),
        "settState": "settled",
        "ts": ms(now_ns),
    }
