"""What a simulator is built from. Every class is frozen and refuses values that could not work."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import attrs

from oms.simulator.faults import FaultRule

# Amounts on Binance's wire have this many decimals.
PLACES = 8


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _positive(_: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (isinstance(value, Decimal) and value.is_finite() and value > 0):
        raise ValueError(f"{attribute.name} must be a Decimal above 0, was {value!r}")


@attrs.frozen
class SymbolConfig:
    """One market: its assets, filters and the price its walk starts from.

    `tick`, `step`, `min_notional` and `start_price` are in the units Binance uses: quote asset a unit of base,
    base, quote, quote. `max_orders` bounds the open orders of one account (MAX_NUM_ORDERS), `max_algo_orders`
    its untriggered stop orders. `prices` is a file of recorded prices to play instead of the random walk.
    """

    symbol: str
    base: str
    quote: str
    start_price: Decimal = attrs.field(validator=_positive)
    tick: Decimal = attrs.field(validator=_positive, default=Decimal("0.01"))
    step: Decimal = attrs.field(validator=_positive, default=Decimal("0.00001"))
    min_notional: Decimal = attrs.field(validator=_positive, default=Decimal(5))
    max_quantity: Decimal = attrs.field(validator=_positive, default=Decimal(9000))
    max_price: Decimal = attrs.field(validator=_positive, default=Decimal(1_000_000))
    max_orders: int = attrs.field(validator=attrs.validators.gt(0), default=200)
    max_algo_orders: int = attrs.field(validator=attrs.validators.gt(0), default=5)
    prices: Path | None = None

    def __attrs_post_init__(self) -> None:
        if self.symbol != self.base + self.quote:
            raise ValueError(
                f"symbol must be base + quote, was {self.symbol!r} for {self.base!r} and {self.quote!r}"
            )
        if _decimals(self.tick) + _decimals(self.step) > PLACES:
            raise ValueError(
                f"tick {self.tick} times step {self.step} needs more than {PLACES} decimals: "
                "a fill's quote amount could not be exact"
            )
        if self.start_price % self.tick:
            raise ValueError(
                f"start_price {self.start_price} of {self.symbol} is not a multiple of tick {self.tick}"
            )


BTCUSDT = SymbolConfig("BTCUSDT", "BTC", "USDT", start_price=Decimal(50_000))
ETHUSDT = SymbolConfig("ETHUSDT", "ETH", "USDT", start_price=Decimal(3_000), step=Decimal("0.0001"))


def _balances(value: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    for asset, amount in value.items():
        if not (isinstance(amount, Decimal) and amount.is_finite() and amount >= 0):
            raise ValueError(f"balance of {asset} must be a Decimal of at least 0, was {amount!r}")
    return MappingProxyType(dict(value))


@attrs.frozen
class AccountConfig:
    """One account with its own key, secret and starting balances.

    `api_secret` is an HMAC secret, or the PEM of an Ed25519 *public* key: Binance never sees the private one.
    """

    name: str = attrs.field(validator=attrs.validators.min_len(1))
    api_key: str = attrs.field(validator=attrs.validators.min_len(1))
    api_secret: str = attrs.field(validator=attrs.validators.min_len(1), repr=False)
    balances: Mapping[str, Decimal] = attrs.field(converter=_balances, factory=dict)


@attrs.frozen
class RateLimits:
    """Request weight a minute for each client address, and new orders of each account. Binance's defaults."""

    weight_per_minute: int = attrs.field(validator=attrs.validators.gt(0), default=6_000)
    orders_per_10s: int = attrs.field(validator=attrs.validators.gt(0), default=100)
    orders_per_day: int = attrs.field(validator=attrs.validators.gt(0), default=200_000)


@attrs.frozen
class SimulatorConfig:
    """A whole simulated exchange.

    `port` 0 takes a free port. `ca_path` is where the PEM of the certificate authority is written, if anywhere.
    `step_interval_ms` drives the market by the clock; 0 means that only `step()` and the control API move it.
    `history_limit` bounds, for each account, the finished orders and (for each symbol) the trades that are kept;
    the oldest go first. `commission` is what maker and taker each pay of the asset they receive.
    """

    host: str = "127.0.0.1"
    port: int = 0
    ca_path: Path | None = None
    seed: int = 1
    symbols: tuple[SymbolConfig, ...] = (BTCUSDT, ETHUSDT)
    accounts: tuple[AccountConfig, ...] = ()
    step_interval_ms: int = attrs.field(validator=attrs.validators.ge(0), default=0)
    rate_limits: RateLimits = RateLimits()
    faults: tuple[FaultRule, ...] = ()
    commission: Decimal = Decimal("0.001")
    history_limit: int = attrs.field(validator=attrs.validators.gt(0), default=100_000)

    def __attrs_post_init__(self) -> None:
        for what, values in (
            ("symbol", [s.symbol for s in self.symbols]),
            ("account name", [a.name for a in self.accounts]),
            ("api key", [a.api_key for a in self.accounts]),
        ):
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"each {what} must be given once, was more than once: {sorted(twice)}")
        if not self.symbols:
            raise ValueError("at least one symbol is needed, was none")
        if HOUSE in (a.name for a in self.accounts):
            raise ValueError(f"the account name {HOUSE!r} belongs to the market maker: choose another")
        if not 0 <= self.commission < 1:
            raise ValueError(f"commission must be at least 0 and below 1, was {self.commission}")


# The account that quotes the market and receives the commissions.
HOUSE = "house"
