"""The control API: plain JSON under `/control/`, for operators and tests. It knows the truth and forces events.

| request | does |
|---|---|
| GET /control/state | seed, steps, middle prices, connections, usage |
| GET /control/faults | rules that are on, and how often each fired |
| POST /control/faults | switch a rule on: the fields of `FaultRule` |
| DELETE /control/faults[/ID] | switch all rules off, or one |
| GET /control/orders?account=&symbol=&open=true | every order kept, in the order booked |
| POST /control/orders | place as the account's owner would from the exchange's own app: Binance's fields and `account` |
| DELETE /control/orders?account=&symbol=&orderId=(or origClientOrderId=) | cancel likewise |
| GET /control/trades?account=&symbol= | every fill kept |
| GET /control/balances?account= | free and locked of every asset |
| POST /control/balances | `account`, `asset`, `amount`: deposit, or withdraw when negative |
| POST /control/price | `symbol`, `price`: force the middle price; matching happens |
| POST /control/step | `steps`: move the market by hand |
| POST /control/websockets/drop | `which`: `all`, `user` or `market` |

Errors are `{"error": "..."}` with status 400 or 404; a refused order answers as Binance would.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import attrs
import msgspec
from aiohttp import web

from oms.simulator.faults import FaultRule

from . import errors, payloads, trading
from .ledger import Account
from .orders import ZERO
from .params import Params, split_form

if TYPE_CHECKING:
    from .server import Simulator

STEPS_MAX = 100_000

_encode = msgspec.json.Encoder().encode
_Body = dict[str, object]


class ControlError(Exception):
    """A request that makes no sense; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answers `/control/...`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._routes: dict[tuple[str, str], Callable[[dict[str, str], _Body], object]] = {
            ("GET", "state"): self._state,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "orders"): self._list_orders,
            ("POST", "orders"): self._place,
            ("DELETE", "orders"): self._cancel,
            ("GET", "trades"): self._list_trades,
            ("GET", "balances"): self._list_balances,
            ("POST", "balances"): self._adjust,
            ("POST", "price"): self._set_price,
            ("POST", "step"): self._step,
            ("POST", "websockets/drop"): self._drop_websockets,
        }

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        name = path.removeprefix("/control/")
        arguments = dict(split_form(query))
        try:
            if request.method == "DELETE" and name.startswith("faults/"):
                result = self._delete_fault(name.removeprefix("faults/"))
            else:
                route = self._routes.get((request.method, name))
                if route is None:
                    raise ControlError(f"no such control: {request.method} {path}", 404)
                result = route(arguments, await self._body(request))
        except ControlError as error:
            return _json({"error": str(error)}, error.status)
        except errors.ApiError as error:
            return _json(error.body(), error.status)
        return _json(result, 200)

    @staticmethod
    async def _body(request: web.BaseRequest) -> _Body:
        raw = await request.read() if request.can_read_body else b""
        if not raw:
            return {}
        try:
            return msgspec.json.decode(raw, type=_Body)
        except msgspec.DecodeError as error:
            raise ControlError(f"the body must be a JSON object: {error}") from error

    def _account(self, values: dict[str, str] | _Body) -> Account:
        name = values.get("account")
        account = self._simulator.exchange.accounts.get(str(name))
        if account is None:
            raise ControlError(
                f"account must be one of {sorted(self._simulator.exchange.accounts)}, was {name!r}", 404
            )
        return account

    def _accounts(self, arguments: dict[str, str]) -> list[Account]:
        if "account" in arguments:
            return [self._account(arguments)]
        return list(self._simulator.exchange.accounts.values())

    def _state(self, arguments: dict[str, str], body: _Body) -> object:
        simulator = self._simulator
        return {
            "seed": simulator.config.seed,
            "steps": simulator.driver.steps,
            "prices": {symbol: str(simulator.driver.middle(symbol)) for symbol in simulator.exchange.markets},
            "market_connections": len(simulator.market_streams.clients),
            "user_connections": len(simulator.ws_api.sessions),
            "orders_forgotten": sum(a.forgotten_orders for a in simulator.exchange.accounts.values()),
        }

    def _list_faults(self, arguments: dict[str, str], body: _Body) -> object:
        return [
            {"id": active.fault_id, "fired": active.fired, "spent": active.spent, **attrs.asdict(active.rule)}
            for active in self._simulator.faults.active.values()
        ]

    def _add_fault(self, arguments: dict[str, str], body: _Body) -> object:
        try:
            active = self._simulator.faults.add(FaultRule(**body))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ControlError(f"not a fault rule: {error}") from error
        return {"id": active.fault_id}

    def _clear_faults(self, arguments: dict[str, str], body: _Body) -> object:
        removed = len(self._simulator.faults.active)
        self._simulator.faults.clear()
        return {"removed": removed}

    def _delete_fault(self, fault_id: str) -> object:
        if not fault_id.isdecimal() or self._simulator.faults.active.pop(int(fault_id), None) is None:
            raise ControlError(f"no fault rule has the id {fault_id!r}", 404)
        return {"removed": 1}

    def _list_orders(self, arguments: dict[str, str], body: _Body) -> object:
        only_open = arguments.get("open") == "true"
        symbol = arguments.get("symbol")
        return [
            {"account": account.name, **payloads.order_status(order)}
            for account in self._accounts(arguments)
            for name, orders in account.orders.items()
            if symbol in (None, name)
            for order in orders.values()
            if order.is_open or not only_open
        ]

    def _place(self, arguments: dict[str, str], body: _Body) -> object:
        account = self._account(body)
        values = {name: str(value) for name, value in body.items() if name != "account"}
        return trading.place(self._simulator.exchange, self._simulator.limiter, account, Params(values))

    def _cancel(self, arguments: dict[str, str], body: _Body) -> object:
        account = self._account(arguments)
        values = {name: value for name, value in arguments.items() if name != "account"}
        return trading.cancel(self._simulator.exchange, self._simulator.limiter, account, Params(values))

    def _list_trades(self, arguments: dict[str, str], body: _Body) -> object:
        symbol = arguments.get("symbol")
        return [
            {"account": account.name, **payloads.my_trade(fill)}
            for account in self._accounts(arguments)
            for name, fills in account.fills.items()
            if symbol in (None, name)
            for fill in fills
        ]

    def _list_balances(self, arguments: dict[str, str], body: _Body) -> object:
        return {
            account.name: {
                asset: {"free": payloads.amount(balance.free), "locked": payloads.amount(balance.locked)}
                for asset, balance in sorted(account.balances.items())
            }
            for account in self._accounts(arguments)
        }

    def _adjust(self, arguments: dict[str, str], body: _Body) -> object:
        account = self._account(body)
        asset = body.get("asset")
        if not isinstance(asset, str) or not asset:
            raise ControlError(f"asset must be a name, was {asset!r}")
        try:
            self._simulator.exchange.adjust(account, asset, _decimal(body, "amount"))
        except ValueError as error:
            raise ControlError(str(error)) from error
        balance = account.balance(asset)
        return {"free": payloads.amount(balance.free), "locked": payloads.amount(balance.locked)}

    def _set_price(self, arguments: dict[str, str], body: _Body) -> object:
        symbol = str(body.get("symbol"))
        try:
            self._simulator.driver.set_price(symbol, _decimal(body, "price"))
        except ValueError as error:
            raise ControlError(str(error)) from error
        return {"symbol": symbol, "price": str(self._simulator.driver.middle(symbol))}

    def _step(self, arguments: dict[str, str], body: _Body) -> object:
        steps = body.get("steps", 1)
        if not isinstance(steps, int) or not 1 <= steps <= STEPS_MAX:
            raise ControlError(f"steps must be a whole number from 1 to {STEPS_MAX}, was {steps!r}")
        for _ in range(steps):
            self._simulator.driver.step()
        return {"steps": self._simulator.driver.steps}

    def _drop_websockets(self, arguments: dict[str, str], body: _Body) -> object:
        which = body.get("which", "all")
        if which not in ("all", "user", "market"):
            raise ControlError(f"which must be all, user or market, was {which!r}")
        return {"dropped": self._simulator.drop_websockets(which)}


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
