"""What OKX writes of funds and positions."""

from __future__ import annotations

import zlib

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import FUTURES, ZERO
from oms.simulator.positions import Position

from .payloads import ID_BASE, ms, num


def balance(exchange: Exchange, account: Account, assets: list[str] | None = None) -> dict[str, object]:
    """The trading account. `assets` are those to show; otherwise all that are not nought."""
    wallet = account.wallets["unified"]
    shown = [asset for asset, each in wallet.items() if each.total] if assets is None else assets
    now = ms(exchange.clock())
    details = [_asset(exchange, account, asset) for asset in shown]
    return {
        "adjEq": "",
        "availEq": "",
        "borrowFroz": "",
        "details": details,
        "imr": "",
        "isoEq": "0",
        "mgnRatio": "",
        "mmr": "",
        "notionalUsd": "",
        "ordFroz": "",
        "totalEq": "",
        "uTime": now,
        "upl": "",
    }


def _asset(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    held = account.balance("unified", asset)
    margin = exchange.margin(account, asset) if account.positions else None
    isolated = isolated_profit = profit = ZERO
    for position in account.positions.values():
        market = exchange.market(FUTURES, position.symbol)
        if market.config.settle == asset and position.quantity:
            unrealised = position.unrealised(market.mark_price)
            profit += unrealised
            if position.mode == "isolated":
                isolated += position.isolated_margin
                isolated_profit += unrealised
    available = max(ZERO, held.free if margin is None else min(held.free, margin.available))
    cash = held.total - isolated
    return {
        "accAvgPx": "",
        "availBal": num(available),
        "availEq": num(available),
        "borrowFroz": "0",
        "cashBal": num(cash),
        "ccy": asset,
        "crossLiab": "0",
        "disEq": "0",
        "eq": num(held.total + profit),
        "eqUsd": "",
        "fixedBal": "0",
        "frozenBal": num(held.total - available),
        "imr": "0" if margin is None else num(margin.position_margin + margin.order_margin),
        "interest": "0",
        "isoEq": num(isolated + isolated_profit),
        "isoLiab": "0",
        "isoUpl": num(isolated_profit),
        "liab": "0",
        "maxLoan": "",
        "mgnRatio": "",
        "mmr": "0" if margin is None else num(margin.maintenance),
        "notionalLever": "0",
        "ordFrozen": num(held.locked),
        "rewardBal": "0",
        "spotBal": "",
        "spotIsoBal": "0",
        "stgyEq": "0",
        "twap": "0",
        "uTime": ms(account.updated_ns),
        "upl": num(profit),
        "uplLiab": "0",
    }


def position(exchange: Exchange, account: Account, held: Position) -> dict[str, object]:
    market = exchange.market(FUTURES, held.symbol)
    isolated, mark = held.mode == "isolated", market.mark_price
    price = exchange.liquidation_price(account, held.symbol) if held.quantity else ZERO
    margin = exchange.initial_margin(account, held.symbol)
    entry = num(round(held.entry_price, 15)) if held.quantity else ""
    return {
        "adl": "1" if held.quantity else "",
        "availPos": num(held.quantity),
        "avgPx": entry,
        "baseBal": "",
        "bePx": entry,
        "cTime": ms(held.opened_ns),
        "ccy": market.config.settle,
        "closeOrderAlgo": [],
        "fee": "0",
        "fundingFee": "0",
        "idxPx": num(market.index_price),
        "imr": "" if isolated else num(round(margin, 15)),
        "instId": held.symbol,
        "instType": "SWAP",
        "interest": "",
        "last": num(market.last_price),
        "lever": str(held.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPx": num(price) if price else "",
        "margin": num(held.isolated_margin) if isolated else "",
        "markPx": num(mark),
        "mgnMode": held.mode,
        "mgnRatio": "",
        "mmr": num(round(abs(held.notional(mark)) * market.config.maintenance_rate, 15)),
        "notionalUsd": num(abs(held.notional(mark))),
        "optVal": "",
        "pnl": num(held.realised),
        "pos": num(held.quantity),
        "posCcy": "",
        "posId": position_id(account, held),
        "posSide": "net",
        "quoteBal": "",
        "realizedPnl": num(held.realised),
        "tradeId": "",
        "uTime": ms(held.updated_ns),
        "upl": num(held.unrealised(mark)) if held.quantity else "0",
        "uplRatio": "",
        "usdPx": "",
    }


def position_id(account: Account, held: Position) -> str:
    return str(ID_BASE + account.uid * 100_000 + zlib.crc32(f"{held.symbol} {held.mode}".encode()) % 100_000)
