"""The control API: plain JSON under `/control/{exchange}/`, for operators and tests. It knows the truth and forces events.

| request | does |
|---|---|
| GET state | seed, steps, middle prices, connections |
| GET faults | rules that are on, and how often each fired |
| POST faults | switch a rule on: the fields of `FaultRule` |
| DELETE faults[/ID] | switch all rules off, or one |
| GET orders?account=&market=&symbol=&open=true | every order kept, in the order booked |
| POST orders | place as the account's owner would from the exchange's own app: `account` and the fields of `OrderRequest` |
| PATCH orders | amend likewise: `account`, `order_id`, and `quantity` or `price` |
| DELETE orders?account=&order_id= | cancel likewise |
| GET trades?account=&market=&symbol= | every fill kept |
| GET balances?account= | free and locked of every asset in every wallet |
| POST balances | `account`, `wallet`, `asset`, `amount`: deposit, or withdraw when negative |
| POST transfers | `account`, `asset`, `amount`, `source`, `target`: between two wallets |
| GET positions?account= | every position of futures, flat ones included |
| POST price | `market`, `symbol`, `price`: force the middle price; matching happens |
| POST mark | `symbol`, `price`: force the mark price until the market moves; liquidations happen |
| POST status | `market`, `symbol`, `status`: HALTED or TRADING |
| GET funding?account= | every funding payment kept |
| POST funding | `symbol`, `rate` (the symbol's own when left out): settle now |
| POST liquidate | `account`, `symbol`: as if the margin were gone |
| POST adl | `account`, `symbol`, `quantity`: deleverage at the mark price |
| POST step | `steps`: move the markets by hand |
| DELETE keys?account= | take an account's key away; what is connected stays so |
| POST websockets/drop | `which`: `all`, `user` or `market` |

`market` is `spot` when left out. Amounts are text. Errors are `{"error": "..."}` with status 400 or 404, and `reason` where
the exchange refused.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import attrs
import msgspec
from aiohttp import web

from . import showing
from .faults import FaultRule
from .ledger import Account
from .markets import Market
from .orders import FUTURES, SPOT, ZERO, Order, OrderRequest
from .query import split_form
from .reasons import Refusal

if TYPE_CHECKING:
    from .server import Simulator
    from .wire import Wire

STEPS_MAX = 100_000

_encode = msgspec.json.Encoder().encode
_Body = dict[str, object]
_Route = Callable[["Wire", dict[str, str], _Body], object]


class ControlError(Exception):
    """A request that makes no sense; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answers `/control/...`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._routes: dict[tuple[str, str], _Route] = {
            ("GET", "state"): self._state,
            ("GET", "faults"): _list_faults,
            ("POST", "faults"): _add_fault,
            ("DELETE", "faults"): _clear_faults,
            ("GET", "orders"): _list_orders,
            ("POST", "orders"): _place,
            ("PATCH", "orders"): _amend,
            ("DELETE", "orders"): _cancel,
            ("GET", "trades"): _list_trades,
            ("GET", "balances"): _list_balances,
            ("POST", "balances"): _adjust,
            ("POST", "transfers"): _transfer,
            ("GET", "positions"): _list_positions,
            ("POST", "price"): _set_price,
            ("POST", "mark"): _set_mark,
            ("POST", "status"): _set_status,
            ("GET", "funding"): _list_funding,
            ("POST", "funding"): _settle_funding,
            ("POST", "liquidate"): _liquidate,
            ("POST", "adl"): _deleverage,
            ("POST", "step"): _step,
            ("DELETE", "keys"): _revoke_key,
            ("POST", "websockets/drop"): _drop_websockets,
        }

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        exchange, _, name = path.removeprefix("/control/").partition("/")
        arguments = dict(split_form(query))
        try:
            wire = self._simulator.exchanges.get(exchange)
            if wire is None:
                raise ControlError(
                    f"exchange must be one of {sorted(self._simulator.exchanges)}, was {exchange!r}", 404
                )
            if request.method == "DELETE" and name.startswith("faults/"):
                result = _delete_fault(wire, name.removeprefix("faults/"))
            else:
                route = self._routes.get((request.method, name))
                if route is None:
                    raise ControlError(f"no such control: {request.method} {path}", 404)
                result = route(wire, arguments, await self._body(request))
        except ControlError as error:
            return _json({"error": str(error)}, error.status)
        except Refusal as refusal:
            return _json({"error": refusal.message, "reason": refusal.reason}, 400)
        return _json(result, 200)

    @staticmethod
    async def _body(request: web.BaseRequest) -> _Body:
        raw = await request.read() if request.body_exists else b""
        if not raw:
            return {}
        try:
            return msgspec.json.decode(raw, type=_Body)
        except msgspec.DecodeError as error:
            raise ControlError(f"the body must be a JSON object: {error}") from error

    def _state(self, wire: Wire, arguments: dict[str, str], body: _Body) -> object:
        exchange = wire.exchange
        connections = wire.connections()
        return {
            "seed": self._simulator.config.seed,
            "steps": wire.driver.steps,
            "prices": {
                market: {
                    symbol: str(wire.driver.middle(symbol, market))
                    for kind, symbol in exchange.markets
                    if kind == market
                }
                for market in wire.exchange.rules.wallets
            },
            "market_connections": connections["market"],
            "user_connections": connections["user"],
            "orders_forgotten": sum(account.forgotten_orders for account in exchange.accounts.values()),
        }


def _account(wire: Wire, values: dict[str, str] | _Body) -> Account:
    name = values.get("account")
    account = wire.exchange.accounts.get(str(name))
    if account is None:
        raise ControlError(f"account must be one of {sorted(wire.exchange.accounts)}, was {name!r}", 404)
    return account


def _accounts(wire: Wire, arguments: dict[str, str]) -> list[Account]:
    if "account" in arguments:
        return [_account(wire, arguments)]
    return list(wire.exchange.accounts.values())


def _market(wire: Wire, body: _Body, default: str = SPOT) -> Market:
    return wire.exchange.market(str(body.get("market", default)), str(body.get("symbol")))


def _wanted(arguments: dict[str, str], market: str, symbol: str) -> bool:
    return arguments.get("market", market) == market and arguments.get("symbol", symbol) == symbol


def _list_faults(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    return [
        {"id": active.fault_id, "fired": active.fired, "spent": active.spent, **attrs.asdict(active.rule)}
        for active in wire.faults.active.values()
    ]


def _add_fault(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    try:
        active = wire.faults.add(FaultRule(**body))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ControlError(f"not a fault rule: {error}") from error
    return {"id": active.fault_id}


def _clear_faults(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    removed = len(wire.faults.active)
    wire.faults.clear()
    return {"removed": removed}


def _delete_fault(wire: Wire, fault_id: str) -> object:
    if not fault_id.isdecimal() or wire.faults.active.pop(int(fault_id), None) is None:
        raise ControlError(f"no fault rule has the id {fault_id!r}", 404)
    return {"removed": 1}


def _list_orders(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    only_open = arguments.get("open") == "true"
    return [
        showing.order(order)
        for account in _accounts(wire, arguments)
        for order in account.all_orders()
        if _wanted(arguments, order.market, order.symbol) and (order.is_open or not only_open)
    ]


def _place(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account = _account(wire, body)
    fields: dict[str, object] = {"market": SPOT, "type": "LIMIT" if "price" in body else "MARKET", **body}
    del fields["account"]
    for name in ("quantity", "price", "stop_price", "quote_quantity"):
        if name in fields:
            fields[name] = _decimal(fields, name)
    fields.setdefault("quantity", ZERO)
    try:
        request = OrderRequest(**fields)  # type: ignore[arg-type]
    except TypeError as error:
        raise ControlError(f"not an order: {error}") from error
    return showing.order(wire.exchange.place(account, request))


def _own_order(wire: Wire, values: dict[str, str] | _Body) -> tuple[Account, Order]:
    account, order_id = _account(wire, values), str(values.get("order_id"))
    if not order_id.isdecimal():
        raise ControlError(f"order_id must be a whole number, was {order_id!r}")
    return account, wire.exchange.find(account, None, None, int(order_id))


def _amend(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account, order = _own_order(wire, body)
    terms = {name: _decimal(body, name) for name in ("quantity", "price", "stop_price") if name in body}
    wire.exchange.amend(account, order, **terms)
    return showing.order(order)


def _cancel(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account, order = _own_order(wire, arguments)
    wire.exchange.cancel(account, order)
    return showing.order(order)


def _list_trades(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    return [
        showing.fill(account, fill)
        for account in _accounts(wire, arguments)
        for (market, symbol), fills in account.fills.items()
        if _wanted(arguments, market, symbol)
        for fill in fills
    ]


def _list_balances(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    return {
        account.name: {wallet: showing.balances(account, wallet) for wallet in account.wallets}
        for account in _accounts(wire, arguments)
    }


def _adjust(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account, asset = _account(wire, body), _asset(body)
    wallet = str(body.get("wallet", wire.exchange.rules.all_wallets[0]))
    wire.exchange.adjust(account, wallet, asset, _decimal(body, "amount"))
    return showing.balances(account, wallet)[asset]


def _transfer(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    source, target = str(body.get("source")), str(body.get("target"))
    made = wire.exchange.transfer(
        _account(wire, body), _asset(body), _decimal(body, "amount"), source, target
    )
    return {"transfer_id": made.transfer_id}


def _list_positions(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    return {
        account.name: {
            symbol: showing.position(wire.exchange, account, symbol) for symbol in account.positions
        }
        for account in _accounts(wire, arguments)
    }


def _set_price(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    symbol, market = str(body.get("symbol")), str(body.get("market", SPOT))
    try:
        wire.driver.set_price(symbol, _decimal(body, "price"), market)
    except ValueError as error:
        raise ControlError(str(error)) from error
    return {"symbol": symbol, "price": str(wire.driver.middle(symbol, market))}


def _set_mark(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    market, price = _market(wire, body, FUTURES), _decimal(body, "price")
    if not market.is_futures or price < 0:
        raise ControlError(f"a mark price is above 0 and of futures, was {price} for {market.symbol}")
    wire.exchange.set_mark(market, price)
    return {"symbol": market.symbol, "price": showing.amount(market.mark_price)}


def _set_status(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    market, status = _market(wire, body), body.get("status")
    if status == "TRADING":
        wire.exchange.set_status(market, "TRADING")
    elif status == "HALTED":
        wire.exchange.set_status(market, "HALTED")
    else:
        raise ControlError(f"status must be TRADING or HALTED, was {status!r}")
    return {"symbol": market.symbol, "status": market.status}


def _list_funding(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    return [
        showing.payment(account, payment)
        for account in _accounts(wire, arguments)
        for payment in account.funding_payments
    ]


def _settle_funding(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    market = _market(wire, body, FUTURES)
    if not market.is_futures:
        raise ControlError(f"funding is of futures, was of {market.symbol} on {market.name}")
    rate = _decimal(body, "rate") if "rate" in body else None
    return {"payments": len(wire.exchange.settle_funding(market, rate))}


def _liquidate(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    orders = wire.exchange.liquidate(_account(wire, body), str(body.get("symbol")))
    return [showing.order(order) for order in orders]


def _deleverage(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account, symbol = _account(wire, body), str(body.get("symbol"))
    return showing.order(wire.exchange.deleverage(account, symbol, _decimal(body, "quantity")))


def _step(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    steps = body.get("steps", 1)
    if not isinstance(steps, int) or not 1 <= steps <= STEPS_MAX:
        raise ControlError(f"steps must be a whole number from 1 to {STEPS_MAX}, was {steps!r}")
    for _ in range(steps):
        wire.driver.step()
    return {"steps": wire.driver.steps}


def _revoke_key(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    account = _account(wire, arguments)
    wire.exchange.revoke(account)
    return {"account": account.name}


def _drop_websockets(wire: Wire, arguments: dict[str, str], body: _Body) -> object:
    which = body.get("which", "all")
    if which not in ("all", "user", "market"):
        raise ControlError(f"which must be all, user or market, was {which!r}")
    return {"dropped": wire.drop_websockets(str(which))}


def _asset(body: _Body) -> str:
    asset = body.get("asset")
    if not isinstance(asset, str) or not asset:
        raise ControlError(f"asset must be a name, was {asset!r}")
    return asset


def _decimal(body: _Body, name: str) -> Decimal:
    """Read an amount of at most eight decimals, sent as text or as a whole number."""
    value = body.get(name)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ControlError(f"{name} must be a decimal as text, was {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ControlError(f"{name} must be a decimal, was {value!r}") from None
    if not number.is_finite() or number != number.quantize(Decimal("1E-8")) or number == ZERO:
        raise ControlError(f"{name} must be finite, not 0 and have at most 8 decimals, was {value!r}")
    return number


def _json(value: object, status: int) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json")
