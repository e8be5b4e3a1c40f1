"""Floor and cap: what a transfer has to leave in the MAIN account, and what it may bring another to, in USD.

Only what is certain holds up a floor: rates and marks that are older than the global ``max_price_age`` are none. What is under way
counts against both: gone from where it leaves, and there where it arrives.
"""

from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO, fewest_places
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import GLOBAL
from oms.messages.codes import Code, Refused

_TOLD_AT_MOST = 5


@attrs.frozen
class _Known:
    """What is known at a time, in ns UTC, by marks that are at most ``oldest`` ns old; None for any age."""

    state: Partition
    now: int
    oldest: int | None

    def rate(self, asset: str) -> Decimal | None:
        """USD a unit; None where no rate is known, or its mark is too old."""
        risk = self.state.risk
        pricing = risk.rates.pricing(asset, self.state.instruments)
        return None if pricing is not None and self.is_old(pricing) else risk.rates.of(asset)

    def value(self, asset: str, amount: Decimal) -> Decimal:
        """In USD; zero where no rate is known."""
        rate = self.rate(asset)
        return ZERO if rate is None else amount * rate

    def is_old(self, instrument: Instrument) -> bool:
        return self.oldest is not None and self.now - instrument.mark_at > self.oldest

    def why(self, assets: set[str]) -> Refused:
        """Why it is not known what these are worth."""
        unknown = [asset for asset in sorted(assets) if self.state.risk.rates.of(asset) is None]
        if unknown:
            return Refused(
                Code.NO_VALUATION,
                f"what {_named(unknown)} is worth is not known: set a valuation (`oms value`)",
            )
        asset = min(assets)
        pricing = self.state.risk.rates.pricing(asset, self.state.instruments)
        assert pricing is not None
        return Refused(Code.STALE_PRICE, f"{self.age(pricing)}, and values {asset}")

    def age(self, instrument: Instrument) -> str:
        assert self.oldest is not None
        age = self.now - instrument.mark_at
        return f"the mark of {'.'.join(instrument.key)} is {age / 1e9:.3f} s old, limit {self.oldest / 1e9:.3f} s"


def check_floor(state: Partition, main: str, asset: str, amount: Decimal, now: int) -> None:
    """Hold what a transfer would leave in the MAIN account against ``main_floor``: funds, less losses that are open.

    Raises:
        Refused: MAIN_FLOOR, LIMIT_MISSING; NO_REFERENCE_PRICE, NO_VALUATION or STALE_PRICE where a loss, or what is owed, could
            be anything.
    """
    floor = state.risk.limit(GLOBAL, "main_floor", now)
    if floor is None:
        return
    known = _known(state, now)
    left, uncounted = _left(known, main)
    value = known.value(asset, amount)
    if left - value < floor:
        without = (
            f"; {_named(sorted(uncounted))} not counted: {known.why(uncounted).message}" if uncounted else ""
        )
        raise Refused(
            Code.MAIN_FLOOR,
            f"{main} holds {fewest_places(left):f} USD without what is on its way out, and keeps {floor:f}: {fewest_places(value):f} cannot go{without}",
        )


def floor_use(state: Partition, main: str, now: int) -> Decimal:
    """USD that the MAIN account has to hold against its floor.

    Raises:
        Refused: as :func:`check_floor`, where it is not known.
    """
    return _left(_known(state, now), main)[0]


def _known(state: Partition, now: int) -> _Known:
    return _Known(state, now, state.risk.limit(GLOBAL, "max_price_age", now))


def _left(known: _Known, main: str) -> tuple[Decimal, set[str]]:
    """USD without what is on its way out, and the assets that are not counted in it."""
    _check_marks(known, main)
    left, uncounted = _equity(known, main)
    for each in known.state.transfers_under_way.values():
        if each.account == main:
            left -= known.value(each.asset, each.amount)
    return left, uncounted


def _check_marks(known: _Known, account: str) -> None:
    """Whether what is open off spot can be valued: what it has lost could be anything otherwise."""
    held = [
        leaf.instrument
        for (wallet, _), purse in known.state.risk.leaves.purses.items()
        if wallet[1] == account
        for leaf in purse.leaves
        if leaf.position.quantity
    ]
    for instrument in sorted(held, key=lambda each: each.key):
        if instrument.mark is None:
            raise Refused(
                Code.NO_REFERENCE_PRICE,
                f"no mark price of {'.'.join(instrument.key)} is known, and so not what {account} has lost there",
            )
        if known.is_old(instrument):
            raise Refused(
                Code.STALE_PRICE, f"{known.age(instrument)}: what {account} has lost there is not known"
            )


def _equity(known: _Known, account: str) -> tuple[Decimal, set[str]]:
    """USD that the account holds by total in all its wallets, less losses that are open, and the assets whose worth is not known."""
    amounts = {
        (wallet.key, asset): balance.total
        for wallet in known.state.wallets.values()
        if wallet.account == account
        for asset, balance in wallet.balances.items()
    }
    for key, purse in known.state.risk.leaves.purses.items():
        # A gain is no money before it is realised.
        if key[0][1] == account and purse.unrealised < 0:
            amounts[key] = amounts.get(key, ZERO) + purse.unrealised
    held, unknown = ZERO, set()
    for (_, asset), amount in amounts.items():
        if not amount:
            continue
        rate = known.rate(asset)
        if rate is not None:
            held += amount * rate
        else:
            unknown.add(asset)
    owed = {asset for (_, asset), amount in amounts.items() if asset in unknown and amount < 0}
    if owed:
        raise known.why(owed)
    return held, unknown


def check_cap(state: Partition, sub: str, asset: str, amount: Decimal, now: int) -> None:
    """Hold what a transfer would bring an account to against ``sub_cap``: its funds, gains and losses that are open apart.

    Raises:
        Refused: SUB_CAP, LIMIT_MISSING; NO_VALUATION or STALE_PRICE where what it holds could be worth anything.
    """
    cap = state.risk.limit(GLOBAL, "sub_cap", now)
    if cap is None:
        return
    known = _known(state, now)
    held = _held(known, sub, (asset, ZERO))
    value = known.value(asset, amount)
    if held + value > cap:
        raise Refused(
            Code.SUB_CAP,
            f"{sub} holds {fewest_places(held):f} USD with what is on its way in, and may hold {cap:f}: {fewest_places(value):f} is too much",
        )


def cap_use(state: Partition, sub: str, now: int) -> Decimal:
    """USD that an account holds of what it may.

    Raises:
        Refused: as :func:`check_cap`, where it is not known.
    """
    return _held(_known(state, now), sub)


def _held(known: _Known, sub: str, *more: tuple[str, Decimal]) -> Decimal:
    """USD with what is on its way in, and ``more``: (asset, amount)."""
    amounts = [
        (name, balance.total)
        for wallet in known.state.wallets.values()
        if wallet.account == sub
        for name, balance in wallet.balances.items()
        if balance.total
    ]
    coming = (each for each in known.state.transfers_under_way.values() if each.to == sub)
    amounts += [*((each.asset, each.amount) for each in coming), *more]
    unknown = {name for name, _ in amounts if known.rate(name) is None}
    if unknown:
        why = known.why(unknown)
        raise Refused(why.code, f"{why.message}; so it is not known what {sub} would hold")
    return sum((known.value(*each) for each in amounts), ZERO)


def _named(assets: list[str]) -> str:
    return ", ".join(assets[:_TOLD_AT_MOST])
