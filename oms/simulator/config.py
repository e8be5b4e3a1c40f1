"""What a simulator is built from. Every class is frozen and refuses values that could not work."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import attrs

from .faults import FaultRule
from .orders import FUTURES, SPOT, ZERO
from .rules import RULES, Rules

# The account that quotes the markets and receives the commissions, and the one that pays what liquidated accounts
# cannot.
HOUSE = "house"
INSURANCE = "insurance"

LEVELS_WORTH = 4_000
LEVEL_VALUE = Decimal(20_000)


def decimals(value: Decimal) -> int:
    """Return how many decimals `value` needs."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def _positive(_: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (isinstance(value, Decimal) and value.is_finite() and value > 0):
        raise ValueError(f"{attribute.name} must be a Decimal above 0, was {value!r}")


def _at_least_zero(_: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (isinstance(value, Decimal) and value.is_finite() and value >= 0):
        raise ValueError(f"{attribute.name} must be a Decimal of at least 0, was {value!r}")


def _fee(_: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (isinstance(value, Decimal) and 0 <= value < 1):
        raise ValueError(f"{attribute.name} must be at least 0 and below 1, was {value!r}")


@attrs.frozen
class SymbolConfig:
    """One symbol: its assets, filters, fees, and the price its walk starts from.

    Prices and `tick` are quote asset a unit of base asset. `ticks`, if given, is a table of (lowest price, tick),
    ascending, that stands in for `tick`, which is then the tick at `start_price`. `quantity`, `step`, `min_quantity`
    and `max_quantity` are in base asset, of futures in contracts of `contract_size` base asset each. `min_notional` is
    the smallest price × quantity × contract size of an order, 0 for none. `max_orders` bounds the open orders of one
    account, `max_stop_orders` its untriggered stop orders. `maker_fee` and `taker_fee` are shares of what is traded.
    `level_value` is what the house offers at each price, in quote asset, about. `prices` is a file of recorded prices
    to play instead of the random walk.

    Of futures alone: `settle` is the asset of margin and profit, `leverage` what a new position has, `max_leverage`
    what it may have, `maintenance_rate` the share of the notional below which margin must not fall, `funding_rate` the
    share that longs pay shorts at each funding.
    """

    symbol: str
    base: str
    quote: str
    start_price: Decimal = attrs.field(validator=_positive)
    market: str = attrs.field(default=SPOT, validator=attrs.validators.in_((SPOT, FUTURES)))
    tick: Decimal = attrs.field(validator=_positive, default=Decimal("0.01"))
    step: Decimal = attrs.field(validator=_positive, default=Decimal("0.00001"))
    min_quantity: Decimal = attrs.field(
        validator=_positive, default=attrs.Factory(lambda self: self.step, takes_self=True)
    )
    max_quantity: Decimal = attrs.field(validator=_positive, default=Decimal(9000))
    min_notional: Decimal = attrs.field(validator=_at_least_zero, default=Decimal(5))
    max_price: Decimal = attrs.field(validator=_positive, default=Decimal(1_000_000))
    ticks: tuple[tuple[Decimal, Decimal], ...] = ()
    max_orders: int = attrs.field(validator=attrs.validators.gt(0), default=200)
    max_stop_orders: int = attrs.field(validator=attrs.validators.gt(0), default=5)
    maker_fee: Decimal = attrs.field(validator=_fee, default=Decimal("0.001"))
    taker_fee: Decimal = attrs.field(validator=_fee, default=Decimal("0.001"))
    level_value: Decimal = attrs.field(
        validator=_positive,
        default=attrs.Factory(lambda self: self.min_notional * LEVELS_WORTH or LEVEL_VALUE, takes_self=True),
    )
    prices: Path | None = None
    settle: str = attrs.Factory(lambda self: self.quote, takes_self=True)
    contract_size: Decimal = attrs.field(validator=_positive, default=Decimal(1))
    leverage: int = attrs.field(validator=attrs.validators.ge(1), default=20)
    max_leverage: int = attrs.field(validator=attrs.validators.ge(1), default=125)
    maintenance_rate: Decimal = attrs.field(validator=_fee, default=Decimal("0.005"))
    funding_rate: Decimal = Decimal("0.0001")

    def __attrs_post_init__(self) -> None:
        if list(self.ticks) != sorted(self.ticks):
            raise ValueError(f"ticks of {self.symbol} must be in ascending order of price, were {self.ticks}")
        if self.tick_at(self.start_price) != self.tick:
            raise ValueError(f"tick of {self.symbol} must be that of its table at {self.start_price}")
        if self.start_price % self.tick:
            raise ValueError(
                f"start_price {self.start_price} of {self.symbol} is not a multiple of tick {self.tick}"
            )
        if self.leverage > self.max_leverage:
            raise ValueError(
                f"leverage of {self.symbol} must be at most {self.max_leverage}, was {self.leverage}"
            )
        if self.market == SPOT and self.contract_size != 1:
            raise ValueError(f"contract_size of {self.symbol} must be 1 on spot, was {self.contract_size}")

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the smallest difference of prices round `price`."""
        if not self.ticks:
            return self.tick
        return next((tick for low, tick in reversed(self.ticks) if price >= low), self.ticks[0][1])

    @property
    def min_price(self) -> Decimal:
        """The lowest price an order may have."""
        return self.tick_at(ZERO)


def _balances(value: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    for asset, amount in value.items():
        if not (isinstance(amount, Decimal) and amount.is_finite() and amount >= 0):
            raise ValueError(f"balance of {asset} must be a Decimal of at least 0, was {amount!r}")
    return MappingProxyType(dict(value))


def _limits(value: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(value))


@attrs.frozen
class AccountConfig:
    """One account with its own key, secret and starting balances, which every wallet of the exchange gets.

    `api_secret` is an HMAC secret or, for Binance, the PEM of an Ed25519 *public* key: it never sees the private one.
    `passphrase` is OKX's. `venue_id` is what the exchange calls the account, `venue_id_of` its name if empty.
    """

    name: str = attrs.field(validator=attrs.validators.min_len(1))
    api_key: str = attrs.field(validator=attrs.validators.min_len(1))
    api_secret: str = attrs.field(validator=attrs.validators.min_len(1), repr=False)
    balances: Mapping[str, Decimal] = attrs.field(converter=_balances, factory=dict)
    passphrase: str = attrs.field(default="", repr=False)
    venue_id: str = ""


def venue_id_of(exchange: str, name: str) -> str:
    """What a simulated exchange calls an account that it was told nothing else of: by e-mail address, UID or name."""
    if exchange == "binance":
        return f"{name}@desk.example"
    if exchange == "bybit":
        return str(100_000_000 + zlib.crc32(name.encode()) % 900_000_000)
    return name


@attrs.frozen
class ExchangeConfig:
    """One exchange: `name` is a key of `RULES` and of `WIRES`.

    `main` is the name of the main account, the first one unless said; the others are its sub-accounts.
    `limits` changes rate limits by the names that the wire gives them. `funding_interval_s` is how often funding is
    settled by the clock while the simulator moves by itself. `history_limit` bounds, for each account, the finished
    orders, funding payments and transfers, and for each symbol the trades that are kept; the oldest go first.
    """

    name: str = attrs.field(validator=attrs.validators.in_(RULES))
    symbols: tuple[SymbolConfig, ...]
    accounts: tuple[AccountConfig, ...] = ()
    faults: tuple[FaultRule, ...] = ()
    limits: Mapping[str, int] = attrs.field(factory=dict, converter=_limits)
    funding_interval_s: int = attrs.field(validator=attrs.validators.gt(0), default=28_800)
    history_limit: int = attrs.field(validator=attrs.validators.gt(0), default=100_000)
    main: str = attrs.Factory(lambda self: self.accounts[0].name if self.accounts else "", takes_self=True)

    def __attrs_post_init__(self) -> None:
        for what, values in (
            ("symbol", [f"{s.market} {s.symbol}" for s in self.symbols]),
            ("account name", [a.name for a in self.accounts]),
            ("api key", [a.api_key for a in self.accounts]),
            ("venue id", [self.venue_id(a) for a in self.accounts]),
        ):
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"each {what} must be given once, was more than once: {sorted(twice)}")
        if self.main and self.main not in (a.name for a in self.accounts):
            raise ValueError(f"main must be the name of an account, was {self.main!r}")
        if not self.symbols:
            raise ValueError("at least one symbol is needed, was none")
        for name in (HOUSE, INSURANCE):
            if name in (a.name for a in self.accounts):
                raise ValueError(f"the account name {name!r} belongs to the exchange: choose another")
        for symbol in self.symbols:
            self._check_symbol(symbol)

    def _check_symbol(self, symbol: SymbolConfig) -> None:
        if symbol.market not in self.rules.wallets:
            raise ValueError(f"{self.name} has no market {symbol.market!r}, which {symbol.symbol} is for")
        places = self.rules.amount_places
        if places is not None and decimals(symbol.tick) + decimals(symbol.step) > places:
            raise ValueError(
                f"tick {symbol.tick} times step {symbol.step} needs more than {places} decimals: "
                "a fill's quote amount could not be exact"
            )

    @property
    def rules(self) -> Rules:
        return RULES[self.name]

    def venue_id(self, account: AccountConfig) -> str:
        """What the exchange calls the account."""
        return account.venue_id or venue_id_of(self.name, account.name)


@attrs.frozen
class SimulatorConfig:
    """All simulated exchanges of one process.

    `port` 0 takes a free port. `ca_path` is where the PEM of the certificate authority is written, if anywhere.
    `step_interval_ms` drives the markets by the clock; 0 means that only `step()` and the control API move them.
    """

    exchanges: tuple[ExchangeConfig, ...]
    host: str = "127.0.0.1"
    port: int = 0
    ca_path: Path | None = None
    seed: int = 1
    step_interval_ms: int = attrs.field(validator=attrs.validators.ge(0), default=0)

    def __attrs_post_init__(self) -> None:
        names = [exchange.name for exchange in self.exchanges]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"at least one exchange is needed and each once, was {names}")
