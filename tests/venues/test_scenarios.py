"""The order scenarios of :mod:`tests.unit.scenarios`, run at every simulator through its connector.

Rows of a client are commands; rows of a venue are what the simulated exchange does by its own rules, brought about by the other
account or the exchange's own app. What a pending order is between two messages cannot be held still on a wire: those rows are
passed over, and every other one has to be reached.
"""

import asyncio
import secrets
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest

from oms.messages.enums import OrderStatus
from oms.simulator.reasons import Refusal
from tests.unit.scenarios import IN_PLACE, REPLACING, SCENARIOS, Row, on_any_wire, rows

from .conftest import QUICK, until
from .markets import PLACES, Markets, Place

S = OrderStatus
PENDING = frozenset({S.PENDING_NEW, S.PENDING_CANCEL, S.PENDING_REPLACE})
HALTS_SHOW = attrs.evolve(QUICK, instruments_s=0.1)
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())

ENDED_OTHERWISE = {S.EXPIRED: {S.EXPIRED, S.CANCELED, S.REJECTED}}
"""Some exchanges say canceled of what its time in force ended, and Binance futures rejects a FOK that it cannot fill."""
SILENT_ABOUT_HALTS = frozenset({"upbit"})
"""Their lists of markets do not say what is halted."""


@pytest.fixture
def exchanges(place: Place) -> tuple[str, ...]:
    return (place.exchange,)


def _all(in_place: bool) -> Iterator[tuple[str, list[Row]]]:
    for name, text in {**SCENARIOS, **(IN_PLACE if in_place else REPLACING)}.items():
        if on_any_wire(text):
            yield name, rows(text)


def why_not(steps: list[Row], in_place: bool, exchange: str) -> str:
    """Why no exchange can be brought to a scenario by what accounts and operators may do; empty when it can."""
    asked = ""
    for before, row in zip([None, *steps], steps, strict=False):
        word, *rest = row.action.split()
        if row.actor == "client":
            asked = word
            if "GTD" in rest:
                return "it waits for a day"
            continue
        if word == "halt" and exchange in SILENT_ABOUT_HALTS:
            return "the exchange does not say what is halted"
        if word == "bust":
            return "no exchange takes trades back by its interface"
        if word in ("amend-rejected", "reject") and asked in ("amend", "cancel"):
            return "no exchange refuses this at will"
        if word == "reject" and before is not None and before.action.split()[0] != "place":
            return "no exchange refuses what it has accepted at will"
        if word == "cancel-rejected" and row.leaves != "0":
            return "no exchange refuses to cancel what works"
        if word == "cancel-rejected" and row.status != "FILLED":
            return "no exchange refuses to cancel what works"
        if word == "expired" and not {"IOC", "FOK"} & set(steps[0].action.split()):
            return "no exchange ends its day"
        if word == "fill" and any(part.startswith("@") for part in rest):
            return "a resting order trades at its own price"
        if word == "restated" and asked != "amend" and not in_place:
            return "the exchange changes no order in place"
        if word == "restated" and row.leaves == "0":
            return "no exchange reduces an order to what is filled, or below"
        if word == "amended" and row.leaves == "0":
            return "what is placed of an amend cannot be filled before it is placed"
        if word == "restated" and asked == "cancel":
            return "it races a cancel"
        if word == "fill" and row.status == "PENDING_REPLACE" and row.cumulative == row.quantity:
            return "what is filled is not replaced"
        if word == "amended" and asked != "amend":
            return "only we amend"
    return ""


class Run:
    """One scenario at one venue."""

    def __init__(self, markets: Markets, place: Place, steps: list[Row]) -> None:
        self.markets, self.place, self.steps = markets, place, steps
        self.order_id = ""
        self.last: tuple[str, dict[str, Any]] = ("", {})
        self.done: set[int] = set()
        self.halted = False

    def units(self, text: str) -> Decimal:
        return Decimal(text) * self.place.unit

    def price(self, text: str) -> Decimal:
        return self.place.price + (Decimal(text) - 100) * self.place.tick

    async def run(self) -> None:
        try:
            for index, row in enumerate(self.steps):
                if index not in self.done:
                    await getattr(self, f"_{row.actor}")(index, row)
                await self._check(index, row)
        finally:
            await self._tidy()

    async def _tidy(self) -> None:
        halted = self.halted
        self._set_status("TRADING")
        if halted:
            # A list that was read while it was halted may still be on its way.
            await asyncio.sleep(0.5)
        key = (self.place.exchange, self.place.market, self.place.symbol)
        await until(lambda: self.markets.state.instruments[key].trading, what="trading again")
        place = (self.place.exchange, "main", self.place.market)

        def gone() -> bool:
            # An amend under way may place another order after the first is canceled.
            self._cancel_everything()
            return not self.markets.state.live.get(place)

        await until(gone, 30, "no live order")

    def _cancel_everything(self) -> None:
        venue = self.markets.venue(self.place)
        for name in ("main", "sub_arb"):
            for order in list(venue.accounts[name].all_orders()):
                if order.is_open:
                    venue.cancel(venue.accounts[name], order)

    async def _check(self, index: int, row: Row) -> None:
        at_once = {"IOC", "FOK"} & set(self.steps[0].action.split())
        if row.status in PENDING or (at_once and index < len(self.steps) - 1):
            return
        statuses = ENDED_OTHERWISE.get(OrderStatus(row.status), {OrderStatus(row.status)})

        def reached() -> bool:
            order = self.markets.order(self.order_id)
            return (
                order.status in statuses
                and order.cumulative == self.units(row.cumulative)
                and order.quantity == self.units(row.quantity)
                and order.leaves == self.units(row.leaves)
                and not order.in_doubt
            )

        try:
            await until(reached, 8)
        except AssertionError:
            raise AssertionError(f"row {index} {row} is {self.markets.order(self.order_id)}") from None

    # -- rows

    async def _client(self, index: int, row: Row) -> None:
        word, *rest = row.action.split()
        price = next((self.price(part[1:]) for part in rest if part[0] == "@"), None)
        if word == "again":
            verb, fields = self.last
            answer = await self.markets.ask(verb, self.place, **fields)
            assert answer.get("duplicate"), answer
            return
        if word == "place":
            await self._place(index, self.units(rest[0]), price, rest)
            return
        if word == "another":
            answer = await self.markets.ask(
                "place", self.place, side="buy", type="limit",
                quantity=f"{10 * self.place.unit:f}", price=f"{self.place.price:f}",
            )  # fmt: skip
        else:
            self._fill_first(index)
            fields: dict[str, Any] = {"order_id": self.order_id, "command_id": f"{self.order_id}-{index}"}
            if rest == ["unknown"]:
                fields["order_id"] = "m0000000000000ff"
            elif word == "amend":
                fields["quantity"] = f"{self.units(rest[0]):f}"
                if price is not None:
                    fields["price"] = f"{price:f}"
            self.last = (word, fields)
            answer = await self.markets.ask(word, self.place, **fields)
        if row.code:
            assert answer["error"]["code"] == row.code, answer
        elif not answer["ok"]:
            # The fill that races it may have been faster.
            assert answer["error"]["code"] == "ORDER_FINISHED", answer

    async def _place(self, index: int, quantity: Decimal, price: Decimal | None, rest: list[str]) -> None:
        following = [each.action.split() for each in self.steps[index + 1 :]]
        fields: dict[str, Any] = {
            "side": "buy",
            "type": "limit",
            "quantity": f"{quantity:f}",
            "price": f"{price:f}",
            "command_id": secrets.token_hex(8),
        }
        tif = next((part for part in rest if part in ("IOC", "FOK")), None)
        if tif is not None:
            fields["time_in_force"] = tif
            assert price is not None
            for action in following:
                if action[0] == "fill":
                    self.markets.trade(self.place, self.units(action[1]), price, tif="GTC")
        refuse = any(action[0] == "reject" for action in following)
        if refuse:
            self._set_status("HALTED")
        self.last = ("place", fields)
        answer = await self.markets.ask("place", self.place, **fields)
        assert answer["ok"], answer
        self.order_id = answer["order_id"]
        if refuse:
            await self.markets.becomes(self.order_id, S.REJECTED)
            self._set_status("TRADING")

    def _fill_first(self, index: int) -> None:
        """Fills that race this command happen before it gets there."""
        for at in range(index + 1, len(self.steps)):
            word, *rest = self.steps[at].action.split()
            if self.steps[at].actor == "client":
                return
            if word == "fill":
                self._fill(self.units(rest[0]))
                self.done.add(at)
            elif word in ("amended", "restated"):
                return

    def _standing(self) -> Any:
        (order,) = [each for each in self.markets.at_venue(self.place, self.order_id) if each.is_open]
        return order

    def _fill(self, quantity: Decimal) -> None:
        self.markets.trade(self.place, quantity, self._standing().price)

    def _set_status(self, status: Any) -> None:
        venue = self.markets.venue(self.place)
        self.halted |= status == "HALTED"
        venue.set_status(venue.market(self.place.market, self.place.symbol), status)

    async def _venue(self, index: int, row: Row) -> None:
        word, *rest = row.action.split()
        venue = self.markets.venue(self.place)
        main = venue.accounts["main"]
        asked = self.last[0]
        at_once = "time_in_force" in self.last[1]
        if word == "fill" and not at_once:
            await until(lambda: self.markets.at_venue(self.place, self.order_id))
            self._fill(self.units(rest[0]))
        elif word == "cancelled" and asked != "cancel":
            venue.cancel(main, self._standing())
        elif word == "restated" and asked != "amend":
            price = next((self.price(part[1:]) for part in rest if part[0] == "@"), None)
            venue.amend(main, self._standing(), quantity=self.units(rest[0]), price=price)
        elif word in ("halt", "resume"):
            self._set_status("HALTED" if word == "halt" else "TRADING")
            key = (self.place.exchange, self.place.market, self.place.symbol)
            trading = word == "resume"
            await until(lambda: self.markets.state.instruments[key].trading is trading, what=word)


@every_place
@pytest.mark.timeout(240)
async def test_scenarios(markets: Markets, place: Place) -> None:
    """Every scenario that the exchange can be brought to ends as the table says, and funds agree afterwards."""
    await markets.connect(place.venue, settings=HALTS_SHOW)
    in_place = markets.running[0][0].connectors[place.venue].amends_in_place
    ran, failed = [], []
    for name, steps in _all(in_place):
        if why_not(steps, in_place, place.exchange):
            continue
        markets.alone(place)
        ran.append(name)
        try:
            await Run(markets, place, steps).run()
        except (AssertionError, ValueError, Refusal) as error:
            failed.append(f"{name}: {error!r}")
    assert failed == [], "\n".join(failed)
    assert len(ran) >= 20, ran
    await until(lambda: not markets.differences(), what="the same funds here and there")
    await asyncio.sleep(0)
