"""Orders, executions, positions and wallets as the exchange writes them, by REST and on the private stream."""

from __future__ import annotations

import uuid
from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, FundingPayment
from oms.simulator.orders import ADL, BUY, CLIENT, LIQUIDATION, SPOT, ZERO, Fill, Order
from oms.simulator.positions import Position
from oms.simulator.reasons import Reason

NS_PER_MS = 1_000_000
AVERAGE_UNIT = Decimal("0.00000001")
CATEGORY = {"spot": "spot", "futures": "linear"}
# Ids are numbers on spot and UUIDs elsewhere.
_SPOT_IDS = 1_700_000_000_000_000_000
_EXECUTIONS = uuid.UUID("7c1d3f0e-25a1-4c3c-9a0b-0d3f4b7f6a11")

_CREATED = {
    CLIENT: "CreateByUser",
    LIQUIDATION: "CreateByTakeOver_PassThrough",
    ADL: "CreateByAdl_PassThrough",
}
_EXECUTED = {CLIENT: "Trade", LIQUIDATION: "BustTrade", ADL: "AdlTrade"}
_REJECT_REASONS = {
    Reason.WOULD_MATCH: "EC_PostOnlyWillTakeLiquidity",
    Reason.INSUFFICIENT_MARGIN: "EC_Others",
    Reason.INSUFFICIENT_FUNDS: "EC_Others",
}
_CANCEL_TYPES = {Reason.REDUCE_ONLY: "CancelByReduceOnly", Reason.LIQUIDATION: "CancelAllBeforeLiq"}


def amount(value: Decimal) -> str:
    """Write an amount without an exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def ms(ns: int) -> str:
    return str(ns // NS_PER_MS)


def order_id(order: Order | Fill) -> str:
    """Write an order's id as the exchange does for its market."""
    number = order.order_id
    if order.market == SPOT:
        return str(_SPOT_IDS + number)
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def parse_order_id(market: str, text: str) -> int | None:
    """Return the core's number of an id, None for one that cannot be of an order."""
    if market == SPOT:
        number = int(text) - _SPOT_IDS if text.isdecimal() else 0
    else:
        head, _, tail = text.partition("-0000-4000-8000-")
        try:
            number = int(head, 16)
        except ValueError:
            return None
        if tail != f"{number:012x}":
            return None
    return number if 0 < number < 2**62 else None


def client_id(order: Order) -> str:
    return order.client_order_id if order.origin == CLIENT else ""


def status(order: Order) -> str:
    """The exchange's word for the state of an order."""
    if order.is_open:
        if order.is_waiting:
            return "Untriggered"
        return "New" if order.status == "NEW" else "PartiallyFilled"
    if order.status in ("FILLED", "REJECTED"):
        return order.status.capitalize()
    if order.is_waiting:
        return "Deactivated"
    return "PartiallyFilledCanceled" if order.market == SPOT and order.executed else "Cancelled"


def _reject_reason(order: Order) -> str:
    if order.status not in ("CANCELED", "EXPIRED"):
        return "EC_NoError"
    if order.reason is None:
        return "EC_PerCancelRequest"
    if order.reason is Reason.NO_LIQUIDITY:
        return "EC_NoEnoughQtyToFill" if order.time_in_force == "FOK" else "EC_NoImmediateQtyToFill"
    return _REJECT_REASONS.get(order.reason, "EC_NoError")


def _cancel_type(order: Order) -> str:
    if order.status not in ("CANCELED", "EXPIRED"):
        return "UNKNOWN"
    if order.reason is None:
        return "CancelByUser"
    return _CANCEL_TYPES.get(order.reason, "UNKNOWN")


def _direction(order: Order) -> int:
    if not order.stop_price:
        return 0
    return 1 if (order.side == BUY) == order.type.startswith("STOP_LOSS") else 2


def order_row(order: Order) -> dict[str, object]:
    """An order. By REST the category stands beside the list, on the stream in the row."""
    limit = order.is_limit
    by_quote = bool(order.quote_quantity)
    average = ""
    if order.executed:
        average = amount((order.executed_quote / order.executed).quantize(AVERAGE_UNIT))
    fees = sum((fill.commission for fill in order.fills), ZERO)
    return {
        "symbol": order.symbol,
        "orderId": order_id(order),
        "orderLinkId": client_id(order),
        "blockTradeId": "",
        "side": "Buy" if order.side == BUY else "Sell",
        "orderType": "Limit" if limit else "Market",
        "cancelType": _cancel_type(order),
        "price": amount(order.price) if limit else "0",
        "qty": amount(order.quote_quantity if by_quote else order.quantity),
        "orderIv": "",
        "timeInForce": "PostOnly" if order.post_only else order.time_in_force if limit else "IOC",
        "orderStatus": status(order),
        "rejectReason": _reject_reason(order),
        "lastPriceOnCreated": "",
        "isLeverage": "0" if order.market == SPOT else "",
        "reduceOnly": order.reduce_only,
        "leavesQty": "0" if by_quote else amount(order.leaves),
        "leavesValue": "0" if by_quote else amount(order.leaves * order.price),
        "cumExecQty": amount(order.executed),
        "cumExecValue": amount(order.executed_quote),
        "cumExecFee": amount(fees),
        "avgPrice": average,
        "feeCurrency": order.fills[0].commission_asset if order.fills else "",
        "positionIdx": 0,
        "createdTime": ms(order.created_ns),
        "updatedTime": ms(order.updated_ns),
        "triggerPrice": amount(order.stop_price) if order.stop_price else "",
        "triggerBy": "LastPrice" if order.stop_price else "",
        "triggerDirection": _direction(order),
        "stopOrderType": _stop_type(order),
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
        # Spot has no such field.
        **({} if order.market == SPOT else {"tpslMode": ""}),
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "ocoTriggerBy": "",
        "createType": _CREATED[order.origin],
        "marketUnit": "" if limit or order.market != SPOT else "quoteCoin" if by_quote else "baseCoin",
    }


def _stop_type(order: Order) -> str:
    if not order.stop_price:
        return ""
    return "tpslOrder" if order.market == SPOT else "Stop"


def execution_row(order: Order | None, fill: Fill) -> dict[str, object]:
    """A trade of the account. `order` is None when it is kept no more."""
    limit = order is not None and order.is_limit
    return {
        "symbol": fill.symbol,
        "orderId": order_id(fill),
        "orderLinkId": "" if order is None else client_id(order),
        "side": "Buy" if fill.is_buyer else "Sell",
        "orderPrice": amount(order.price) if order is not None and limit else "0",
        "orderQty": "0" if order is None else amount(order.quantity),
        "leavesQty": "0" if order is None else amount(order.leaves),
        "createType": _CREATED[fill.origin],
        "orderType": "Limit" if limit else "Market",
        "stopOrderType": "" if order is None else _stop_type(order),
        "execFee": amount(fill.commission),
        "feeCurrency": fill.commission_asset,
        "execId": str(
            uuid.uuid5(_EXECUTIONS, f"{fill.market} {fill.symbol} {fill.trade_id} {fill.order_id}")
        ),
        "execPrice": amount(fill.price),
        "execQty": amount(fill.quantity),
        "execPnl": amount(fill.realised),
        "execType": _EXECUTED[fill.origin],
        "execValue": amount(fill.quote),
        "execTime": ms(fill.time_ns),
        "isMaker": fill.is_maker,
        "isLeverage": "0",
        "feeRate": "",
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "extraFees": "",
        "seq": fill.trade_id,
    }


def funding_row(payment: FundingPayment) -> dict[str, object]:
    """A funding payment, as an execution. Its fee is what was paid."""
    return {
        "symbol": payment.symbol,
        "orderId": funding_id(payment),
        "orderLinkId": "",
        "side": "Sell" if payment.quantity > 0 else "Buy",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execFee": amount(-payment.amount),
        "feeCurrency": payment.asset,
        "execId": funding_id(payment),
        "execPrice": amount(payment.mark_price),
        "execQty": amount(abs(payment.quantity)),
        "execType": "Funding",
        "execValue": amount(abs(payment.quantity) * payment.mark_price),
        "execTime": ms(payment.time_ns),
        "isMaker": False,
        "feeRate": amount(payment.rate),
        "markPrice": amount(payment.mark_price),
        "indexPrice": "",
        "closedSize": "0",
        "seq": payment.payment_id,
    }


def funding_id(payment: FundingPayment) -> str:
    return str(uuid.uuid5(_EXECUTIONS, f"funding {payment.payment_id}"))


def log_row(payment: FundingPayment) -> dict[str, object]:
    """A funding payment in the transaction log. There, what was received is positive."""
    return {
        "id": f"{payment.payment_id}_{payment.symbol}_{payment.time_ns // NS_PER_MS}",
        "symbol": payment.symbol,
        "category": "linear",
        "side": "Sell" if payment.quantity > 0 else "Buy",
        "transactionTime": ms(payment.time_ns),
        "type": "SETTLEMENT",
        "transSubType": "",
        "qty": amount(abs(payment.quantity)),
        "size": amount(payment.quantity),
        "currency": payment.asset,
        "tradePrice": amount(payment.mark_price),
        "funding": amount(payment.amount),
        "fee": "0",
        "cashFlow": "0",
        "change": amount(payment.amount),
        "cashBalance": "",
        "feeRate": amount(payment.rate),
        "bonusChange": "",
        "tradeId": funding_id(payment),
        "orderId": funding_id(payment),
        "orderLinkId": "",
        "extraFees": "",
    }


def position_row(
    exchange: Exchange, account: Account, position: Position, *, streamed: bool = False
) -> dict[str, object]:
    """A position. In a unified account the row does not say the margin mode."""
    market = exchange.market("futures", position.symbol)
    size = abs(position.quantity)
    isolated = position.mode == "isolated"
    margin = exchange.initial_margin(account, position.symbol)
    entry = position.entry_price
    liquidation = exchange.liquidation_price(account, position.symbol)
    return {
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": position.symbol,
        "side": "" if not size else "Buy" if position.quantity > 0 else "Sell",
        "size": amount(size),
        "entryPrice" if streamed else "avgPrice": amount(entry) if size else "0",
        "positionValue": amount(position.cost) if size else "",
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if size else 0,
        "leverage": str(position.leverage),
        "positionBalance": amount(position.isolated_margin) if isolated else "0",
        "markPrice": amount(market.mark_price),
        "liqPrice": amount(liquidation) if size and liquidation else "",
        "bustPrice": "",
        "positionIM": amount(margin),
        "positionMM": amount(abs(position.notional(market.mark_price)) * market.config.maintenance_rate),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "tpslMode": "Full",
        "sessionAvgPrice": "",
        "unrealisedPnl": amount(position.unrealised(market.mark_price)),
        "curRealisedPnl": amount(position.realised),
        "cumRealisedPnl": amount(position.realised),
        "createdTime": ms(max(position.opened_ns, 0)),
        "updatedTime": ms(max(position.updated_ns, 0)),
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "isReduceOnly": False,
        "seq": max(position.updated_ns, 0) // NS_PER_MS,
    }


def wallet_row(exchange: Exchange, account: Account) -> dict[str, object]:
    """The unified wallet, with what each coin is worth at the last spot price."""
    coins, total, margin_total, equity_total, initial = [], ZERO, ZERO, ZERO, ZERO
    for asset, balance in sorted(account.wallets["unified"].items()):
        margin = exchange.margin(account, asset)
        price = _usd_price(exchange, asset)
        equity = balance.total + margin.unrealised
        total += balance.total * price
        equity_total += equity * price
        margin_total += max(ZERO, exchange.withdrawable(account, "unified", asset)) * price
        initial += (margin.position_margin + margin.order_margin) * price
        coins.append(
            {
                "coin": asset,
                "equity": amount(equity),
                "usdValue": amount(equity * price),
                "walletBalance": amount(balance.total),
                "locked": amount(balance.locked),
                "borrowAmount": "0",
                "accruedInterest": "0",
                "availableToWithdraw": "",
                "availableToBorrow": "",
                "totalOrderIM": amount(margin.order_margin),
                "totalPositionIM": amount(margin.position_margin),
                "totalPositionMM": amount(margin.maintenance),
                "unrealisedPnl": amount(margin.unrealised),
                "cumRealisedPnl": "0",
                "bonus": "0",
                "collateralSwitch": True,
                "marginCollateral": True,
                "spotBorrow": "0",
                "spotHedgingQty": "0",
            }
        )
    return {
        "accountType": "UNIFIED",
        "accountIMRate": "",
        "accountMMRate": "",
        "accountLTV": "",
        "totalEquity": amount(equity_total),
        "totalWalletBalance": amount(total),
        "totalMarginBalance": amount(equity_total),
        "totalAvailableBalance": amount(margin_total),
        "totalPerpUPL": amount(equity_total - total),
        "totalInitialMargin": amount(initial),
        "totalMaintenanceMargin": "",
        "coin": coins,
    }


def _usd_price(exchange: Exchange, asset: str) -> Decimal:
    for market in exchange.markets.values():
        if market.config.base == asset and market.config.quote == "USDT" and not market.is_futures:
            return market.last_price
    return Decimal(1) if asset in ("USDT", "USDC") else ZERO
