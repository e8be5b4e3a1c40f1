"""What accounts ask for and change of their funds, positions and settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, Transfer
from oms.simulator.orders import FUTURES, ZERO
from oms.simulator.reasons import Refusal

from . import funds, payloads
from .errors import ApiError, missing, parameter, setting_leverage, transferring
from .queries import Query, Rows, market_of, need
from .state import LONG_SHORT_MODE, MODES, NET_MODE, PORTFOLIO_LEVEL, State
from .trading import Trading

WALLETS = {"6": "funding", "18": "unified"}


class Accounts:
    """Answers with the `data` of OKX's answers."""

    def __init__(self, exchange: Exchange, state: State, trading: Trading) -> None:
        self._exchange = exchange
        self._state = state
        self._trading = trading

    # Funds

    def balance(self, account: Account, query: Query) -> Rows:
        assets = query["ccy"].split(",") if query.get("ccy") else None
        if assets is not None and not set(assets) <= set(self._exchange.assets):
            raise ApiError(51012, "Token doesn't exist.")
        return [funds.balance(self._exchange, account, assets)]

    def funding_balances(self, account: Account, query: Query) -> Rows:
        return [
            {
                "availBal": payloads.num(held.free),
                "bal": payloads.num(held.total),
                "ccy": asset,
                "frozenBal": "0",
            }
            for asset, held in account.wallets["funding"].items()
            if held.total and query.get("ccy", asset) == asset
        ]

    def currencies(self, account: Account, query: Query) -> Rows:
        return [
            {
                "canDep": True,
                "canInternal": True,
                "canWd": True,
                "ccy": asset,
                "chain": f"{asset}-{asset}",
                "ctAddr": "",
                "depQuotaFixed": "",
                "fee": "0.1",
                "mainNet": True,
                "maxFee": "0.1",
                "maxWd": "1000000",
                "minDep": "0.0001",
                "minFee": "0.1",
                "minWd": "1",
                "name": asset,
                "needTag": False,
                "wdTickSz": "8",
            }
            for asset in self._exchange.assets
        ]

    def transfer(self, account: Account, fields: Mapping[str, object]) -> Rows:
        """Within an account, or by the main account's key between it and a sub-account.

        A client id moves funds once; used again it is refused, in words of our own: OKX says nothing about it.
        """
        kind, asset, source, target = (str(fields.get(name) or "") for name in ("type", "ccy", "from", "to"))
        client_id = str(fields.get("clientId") or "")
        try:
            amount = Decimal(str(fields.get("amt") or "0"))
        except ArithmeticError:
            raise parameter("amt") from None
        if client_id and not (client_id.isascii() and client_id.isalnum() and len(client_id) <= 32):
            raise parameter("clientId")
        if client_id and self._by_client_id(account, client_id) is not None:
            raise ApiError(58124, "Your transfer request is being processed: its clientId was used.")
        sender, receiver = self._parties(account, kind, fields)
        if sender is receiver and source == target:
            raise ApiError(58123, "The From parameter cannot be the same as the To parameter.")
        try:
            made = self._exchange.transfer(
                sender,
                asset,
                amount,
                WALLETS.get(source, source),
                WALLETS.get(target, target),
                receiver,
                client_id,
            )
        except Refusal as refusal:
            raise transferring(refusal) from None
        return [_transfer(made)]

    def _parties(self, account: Account, kind: str, fields: Mapping[str, object]) -> tuple[Account, Account]:
        if kind in ("", "0"):
            return account, account
        if kind not in ("1", "2"):
            raise parameter("type")
        if not account.main:
            raise ApiError(58128, "Sub-account API Key does not support current transfer 'type' parameter.")
        sub = self._exchange.by_venue_id.get(str(fields.get("subAcct") or ""))
        if sub is None or sub is account:
            raise ApiError(58115, "Sub-account does not exist.")
        return (account, sub) if kind == "1" else (sub, account)

    def _by_client_id(self, account: Account, client_id: str) -> Transfer | None:
        return next((made for made in reversed(account.transfers) if made.client_id == client_id), None)

    def transfer_state(self, account: Account, query: Query) -> Rows:
        client_id, transfer_id = query.get("clientId"), query.get("transId")
        if not (client_id or transfer_id):
            raise missing("transId or clientId")
        for made in reversed(account.transfers):
            if client_id == made.client_id or str(payloads.ID_BASE + made.transfer_id) == transfer_id:
                other = made.source_account if made.target_account == account.name else made.target_account
                kind = "0"
                if made.between_accounts:
                    kind = "1" if made.source_account == self._exchange.config.main else "2"
                sub = self._exchange.accounts[other].venue_id if made.between_accounts else ""
                return [{**_transfer(made), "state": "success", "type": kind, "subAcct": sub, "instId": ""}]
        raise parameter("clientId" if client_id else "transId")

    # Positions and settings

    def positions(self, account: Account, query: Query) -> Rows:
        if query.get("instType") not in (None, "", "SWAP"):
            return []
        wanted = query["instId"].split(",") if query.get("instId") else None
        return [
            funds.position(self._exchange, account, held)
            for held in account.positions.values()
            if held.quantity and (wanted is None or held.symbol in wanted)
        ]

    def config(self, account: Account, query: Query) -> Rows:
        settings = self._state.settings(account)
        return [
            {
                "acctLv": settings.acct_lv,
                "acctStpMode": "cancel_maker",
                "autoLoan": False,
                "ctIsoMode": "automatic",
                "enableSpotBorrow": False,
                "feeType": "0",
                "greeksType": "PA",
                "ip": "",
                "kycLv": "3",
                "label": account.name,
                "level": "Lv1",
                "levelTmp": "",
                "mainUid": payloads.uid(self._exchange.accounts[self._exchange.config.main]),
                "mgnIsoMode": "automatic",
                "opAuth": "0",
                "perm": "read_only,trade",
                "posMode": settings.pos_mode,
                "roleType": "0",
                "spotOffsetType": "",
                "type": "0",
                "uid": payloads.uid(account),
            }
        ]

    def set_position_mode(self, account: Account, fields: Mapping[str, object]) -> Rows:
        mode = str(fields.get("posMode") or "")
        if mode not in (NET_MODE, LONG_SHORT_MODE):
            raise parameter("posMode")
        if any(held.quantity for held in account.positions.values()) or account.open:
            raise ApiError(
                59000, "Settings failed. Close any open positions or orders before modifying settings."
            )
        self._state.settings(account).pos_mode = mode
        return [{"posMode": mode}]

    def set_account_level(self, account: Account, fields: Mapping[str, object]) -> Rows:
        level = str(fields.get("acctLv") or "")
        if level not in ("1", "2", "3", "4"):
            raise parameter("acctLv")
        if any(held.quantity for held in account.positions.values()) or account.open:
            raise ApiError(
                59000, "Settings failed. Close any open positions or orders before modifying settings."
            )
        self._state.settings(account).acct_lv = level
        return [{"acctLv": level}]

    def leverage(self, account: Account, query: Query) -> Rows:
        mode = _mode(query.get("mgnMode"))
        if mode == "cross" and self._state.settings(account).acct_lv == PORTFOLIO_LEVEL:
            raise ApiError(59111, "Leverage query isn't supported in portfolio margin account mode")
        return [
            _leverage(symbol, mode, self._leverage(account, symbol, mode))
            for symbol in need(query, "instId").split(",")
        ]

    def set_leverage(self, account: Account, fields: Mapping[str, object]) -> Rows:
        mode = _mode(fields.get("mgnMode"))
        symbol, text = str(fields.get("instId") or ""), str(fields.get("lever") or "")
        if not text:
            raise missing("lever")
        try:
            wanted = Decimal(text)
        except ArithmeticError:
            raise parameter("lever") from None
        if wanted != wanted.to_integral_value():
            raise parameter("lever")
        leverage = int(wanted)
        try:
            market = self._exchange.market(FUTURES, symbol)
            if not 1 <= leverage <= market.config.max_leverage:
                raise ApiError(59102, "Leverage exceeds the maximum limit. Please lower the leverage.")
            if self._exchange.position(account, symbol).mode == mode:
                self._exchange.set_leverage(account, symbol, leverage)
        except Refusal as refusal:
            raise setting_leverage(refusal) from None
        self._state.settings(account).leverages[symbol, mode] = leverage
        return [_leverage(symbol, mode, leverage)]

    def _leverage(self, account: Account, symbol: str, mode: str) -> int:
        try:
            market = self._exchange.market(FUTURES, symbol)
        except Refusal as refusal:
            raise setting_leverage(refusal) from None
        position = self._exchange.position(account, symbol)
        if position.mode == mode:
            return position.leverage
        return self._state.settings(account).leverages.get((symbol, mode), market.config.leverage)

    def adjust_margin(self, account: Account, fields: Mapping[str, object]) -> Rows:
        symbol, kind = str(fields.get("instId") or ""), str(fields.get("type") or "")
        try:
            amount = Decimal(str(fields.get("amt") or "0"))
        except ArithmeticError:
            raise parameter("amt") from None
        if kind not in ("add", "reduce"):
            raise parameter("type")
        try:
            self._exchange.adjust_margin(account, symbol, amount if kind == "add" else -amount)
        except Refusal as refusal:
            raise ApiError(59301, f"Margin adjustment failed ({refusal.message}).") from None
        return [{"amt": payloads.num(amount), "ccy": "", "instId": symbol, "posSide": "net", "type": kind}]

    def fees(self, account: Account, query: Query) -> Rows:
        kind = market_of(need(query, "instType"))
        config = next((each for each in self._exchange.config.symbols if each.market == kind), None)
        maker = ZERO if config is None else -config.maker_fee
        taker = ZERO if config is None else -config.taker_fee
        return [
            {
                "category": "1",
                "instType": query["instType"],
                "level": "Lv1",
                "maker": payloads.num(maker),
                "makerU": payloads.num(maker),
                "taker": payloads.num(taker),
                "takerU": payloads.num(taker),
                "ts": payloads.ms(self._exchange.clock()),
            }
        ]

    def close_position(self, account: Account, fields: Mapping[str, object]) -> Rows:
        symbol, mode = str(fields.get("instId") or ""), _mode(fields.get("mgnMode"))
        held = account.positions.get(symbol)
        if held is None or not held.quantity or held.mode != mode:
            raise ApiError(51023, "Position doesn't exist.")
        order = {
            "instId": symbol,
            "tdMode": mode,
            "side": "sell" if held.quantity > 0 else "buy",
            "ordType": "market",
            "sz": payloads.num(abs(held.quantity)),
            "reduceOnly": "true",
            "clOrdId": fields.get("clOrdId") or "",
        }
        self._trading.place(account, order)
        return [{"clOrdId": order["clOrdId"], "instId": symbol, "posSide": "net", "tag": ""}]


def _leverage(symbol: str, mode: str, leverage: int) -> dict[str, object]:
    return {"ccy": "", "instId": symbol, "lever": str(leverage), "mgnMode": mode, "posSide": "net"}


def _transfer(made: Transfer) -> dict[str, object]:
    codes = {name: code for code, name in WALLETS.items()}
    return {
        "amt": payloads.num(made.amount),
        "ccy": made.asset,
        "clientId": made.client_id,
        "from": codes[made.source],
        "to": codes[made.target],
        "transId": str(payloads.ID_BASE + made.transfer_id),
    }


def _mode(value: object) -> str:
    if value not in MODES:
        raise parameter("mgnMode")
    return str(value)
