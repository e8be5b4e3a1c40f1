"""The configuration: one frozen tree, its defaults, and the YAML file that changes them.

`configs/config.yaml` is the same tree with a comment a key. What is not understood is refused with its place.
Durations are nanoseconds, amounts `Decimal`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import yaml

from oms import _config_risk as r
from oms import _config_values as v
from oms._config_values import ConfigError
from oms._config_yaml import parse_yaml
from oms.messages.enums import AccountKind

EXCHANGES = ("binance", "bybit", "okx", "upbit")
MARKETS = ("spot", "futures")
SUPPORTED_VENUES = (
    "binance.spot",
    "binance.futures",
    "bybit.spot",
    "bybit.futures",
    "okx.spot",
    "okx.futures",
    "upbit.spot",
)

WITHOUT_TEST_NET = ("upbit.spot",)
SUB_ACCOUNTS_MAX = 200
FILE_BYTES_MAX = 256 * 1024
_SECRET_PATH = r"[A-Za-z0-9_-][A-Za-z0-9_./-]{0,199}"


@attrs.frozen(kw_only=True)
class RateLimits:
    """What we allow ourselves at a venue, for each account."""

    weight_per_minute: int = v.key(v.integer(1, 1_000_000), 1_200)
    orders_per_second: int = v.key(v.integer(1, 100_000), 10)
    orders_per_day: int = v.key(v.integer(1, 100_000_000), 200_000)


@attrs.frozen(kw_only=True)
class OwnRateLimits:
    """What we allow one account at a venue; what is left out is as for every other."""

    weight_per_minute: int | None = v.key(v.optional(v.integer(1, 1_000_000)), None)
    orders_per_second: int | None = v.key(v.optional(v.integer(1, 100_000)), None)
    orders_per_day: int | None = v.key(v.optional(v.integer(1, 100_000_000)), None)


@attrs.frozen(kw_only=True)
class VenueConfig:
    """One market of one exchange. `test_net` counts where the simulator does not stand in for the venue."""

    enabled: bool = v.key(v.boolean, False)
    test_net: bool = v.key(v.boolean, True)
    rate_limits: RateLimits = v.key(v.section(RateLimits), RateLimits)


@attrs.frozen(kw_only=True)
class NatsConfig:
    """Where nats-server is, and whether `oms up` runs it (`embedded`, on `port`; 0 takes a free one)."""

    url: str = v.key(v.urls(("nats", "tls")), "nats://127.0.0.1:4222", show=v.without_password)
    embedded: bool = v.key(v.boolean, True)
    port: int = v.key(v.integer(0, 65_535), 4222)
    monitor_url: str | None = v.key(v.optional(v.urls(("http", "https"))), None)
    allow_unsynced: bool = v.key(v.boolean, False)

    @property
    def servers(self) -> list[str]:
        """The addresses in `url`, as nats-py takes them."""
        return [url.strip() for url in self.url.split(",")]


def _address(value: object, place: str) -> str:
    # A refused address is not repeated: it may hold a password.
    if not isinstance(value, str) or not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]{1,200}/?", value):
        raise ConfigError(
            place,
            "must be an address such as https://vault.desk:8200, without user and password, was another",
        )
    return value


def _encryption(value: object, place: str) -> str:
    # YAML 1.1 reads a bare `off` as false.
    return "off" if value is False else str(v.choice(("off", "vault"))(value, place))


@attrs.frozen(kw_only=True)
class StorageConfig:
    """Where state lies on this host, how long it is kept, and whether archives and snapshots are encrypted."""

    data_dir: Path = v.key(v.path, lambda: Path("data"))
    snapshot_interval: int = v.key(v.duration("1s"), v.UNITS_NS["h"], dump=v.from_ns)
    retention_days: int = v.key(v.integer(1, 3_650), 30)
    encryption: str = v.key(_encryption, "off")


@attrs.frozen(kw_only=True)
class VaultConfig:
    """Where the storage keys (`path`) and the exchange keys are. How to log in is never here: the environment says it."""

    address: str | None = v.key(v.optional(_address), None)
    mount: str = v.key(v.text(_SECRET_PATH, "a mount such as secret"), "secret")
    path: str = v.key(v.text(_SECRET_PATH, "a path such as mexoms/storage"), "mexoms/storage")
    poll: int = v.key(v.duration("1s"), 30 * v.UNITS_NS["s"], dump=v.from_ns)


@attrs.frozen(kw_only=True)
class CacheConfig:
    """Bounds of the read models: how long and how many finished orders and trades stay in memory."""

    default_ttl: int = v.key(v.duration("1s"), v.UNITS_NS["d"], dump=v.from_ns)
    max_size: int = v.key(v.integer(1, 100_000_000), 100_000)


@attrs.frozen(kw_only=True)
class ReconcileConfig:
    """How often a session holds what the engine believes against the venue: open orders, trades, balances and positions."""

    orders: int = v.key(v.duration("1s"), v.UNITS_NS["m"], dump=v.from_ns)
    fills: int = v.key(v.duration("1s"), 30 * v.UNITS_NS["s"], dump=v.from_ns)
    funds: int = v.key(v.duration("1s"), v.UNITS_NS["m"], dump=v.from_ns)


@attrs.frozen(kw_only=True)
class AuditConfig:
    """What becomes of a difference between the follower's state and the engine's seals."""

    on_difference: str = v.key(v.choice(("alert", "kill")), "alert")


@attrs.frozen(kw_only=True)
class AccountConfig:
    """One account of the desk and the venues it trades on, each `exchange.market`.

    `venue_ids`: what the exchanges call it, by exchange, where funds go between accounts. `rate_limits`: by venue, where it is
    allowed more or less than the other accounts.
    """

    kind: AccountKind = v.key(v.choice(AccountKind))
    venues: tuple[str, ...] = v.key(
        v.list_of(v.text(r"[a-z0-9]+\.[a-z]+", "exchange.market, such as binance.spot"))
    )
    venue_ids: Mapping[str, str] = v.key(
        v.mapping_of(
            v.choice(EXCHANGES),
            v.text(r"[A-Za-z0-9._%+@-]{1,128}", "the exchange's e-mail address, UID or name of the account"),
        ),
        dict,
    )
    rate_limits: Mapping[str, OwnRateLimits] = v.key(
        v.mapping_of(
            v.text(r"[a-z0-9]+\.[a-z]+", "exchange.market, such as binance.spot"), v.section(OwnRateLimits)
        ),
        dict,
    )


DEFAULT_TICK = Decimal("0.01")


@attrs.frozen(kw_only=True)
class SimulatedInstrument:
    """One symbol of a simulated venue.

    `tick` is 0.01 when left out; on Upbit a table by price stands in for it. `min_quantity` is one step when left out.
    Quantities are in base asset, of futures in contracts of `contract_size` base asset each. `prices` is a file of
    recorded prices to play instead of a random walk.
    """

    base: str = v.key(r.ASSET)
    quote: str = v.key(r.ASSET)
    price: Decimal = v.key(v.decimal(zero=False))
    tick: Decimal | None = v.key(v.optional(v.decimal(zero=False)), None)
    step: Decimal = v.key(v.decimal(zero=False), Decimal("0.00001"))
    min_quantity: Decimal | None = v.key(v.optional(v.decimal(zero=False)), None)
    max_quantity: Decimal = v.key(v.decimal(zero=False), Decimal("9000"))
    min_notional: Decimal = v.key(v.decimal(zero=True), Decimal("5"))
    contract_size: Decimal = v.key(v.decimal(zero=False), Decimal("1"))
    prices: Path | None = v.key(v.optional(v.path), None)


Instruments = Mapping[str, SimulatedInstrument]


def _instrument(base: str, quote: str, price: str, step: str, **more: str) -> SimulatedInstrument:
    others: dict[str, Any] = {name: Decimal(amount) for name, amount in more.items()}
    return SimulatedInstrument(base=base, quote=quote, price=Decimal(price), step=Decimal(step), **others)


def _simulated_instruments() -> dict[str, Instruments]:
    """What the simulator lists at each venue; symbols, ticks and steps are those of the real ones."""
    return {
        "binance.spot": {
            "BTCUSDT": _instrument("BTC", "USDT", "50000", "0.00001", tick="0.01"),
            "ETHUSDT": _instrument("ETH", "USDT", "3000", "0.0001", tick="0.01"),
        },
        "binance.futures": {
            "BTCUSDT": _instrument("BTC", "USDT", "50000", "0.001", tick="0.1", min_notional="50"),
            "ETHUSDT": _instrument("ETH", "USDT", "3000", "0.001", tick="0.01", min_notional="20"),
        },
        "bybit.spot": {
            "BTCUSDT": _instrument("BTC", "USDT", "50000", "0.000001", tick="0.1"),
            "ETHUSDT": _instrument("ETH", "USDT", "3000", "0.00001", tick="0.01"),
        },
        "bybit.futures": {
            "BTCUSDT": _instrument("BTC", "USDT", "50000", "0.001", tick="0.1"),
            "ETHUSDT": _instrument("ETH", "USDT", "3000", "0.01", tick="0.01"),
        },
        "okx.spot": {
            "BTC-USDT": _instrument(
                "BTC", "USDT", "50000", "0.00000001", tick="0.1", min_quantity="0.00001", min_notional="0"
            ),
            "ETH-USDT": _instrument(
                "ETH", "USDT", "3000", "0.000001", tick="0.01", min_quantity="0.0001", min_notional="0"
            ),
        },
        "okx.futures": {
            "BTC-USDT-SWAP": _instrument(
                "BTC", "USDT", "50000", "0.01", tick="0.1", contract_size="0.01", min_notional="0"
            ),
            "ETH-USDT-SWAP": _instrument(
                "ETH", "USDT", "3000", "0.01", tick="0.01", contract_size="0.1", min_notional="0"
            ),
        },
        "upbit.spot": {
            "KRW-BTC": _instrument("BTC", "KRW", "70000000", "0.00000001", min_notional="5000"),
            "KRW-ETH": _instrument("ETH", "KRW", "4000000", "0.00000001", min_notional="5000"),
        },
    }


@attrs.frozen(kw_only=True)
class SimulatorConfig:
    """The exchanges that stand in for the real ones; `instruments` are by venue and symbol.

    Every account starts with `balances` in every wallet, as far as the exchange lists the assets.
    """

    enabled: bool = v.key(v.boolean, True)
    seed: int = v.key(v.integer(0, 2**63 - 1), 1)
    step_interval: int = v.key(v.duration("1ms"), 100 * v.UNITS_NS["ms"], dump=v.from_ns)
    instruments: Mapping[str, Instruments] = v.key(
        v.mapping_of(
            v.choice(SUPPORTED_VENUES),
            v.mapping_of(
                v.text(r"[A-Z0-9-]{1,32}", "a symbol such as BTCUSDT"), v.section(SimulatedInstrument)
            ),
        ),
        _simulated_instruments,
    )
    balances: Mapping[str, Decimal] = v.key(
        v.mapping_of(r.ASSET, v.decimal(zero=True)),
        lambda: {"USDT": Decimal("100000"), "BTC": Decimal("2"), "KRW": Decimal("100000000")},
    )


@attrs.frozen(kw_only=True)
class StrategyConfig:
    """The account that a strategy trades on, and what its positions and working orders may come to, in USD."""

    account: str = v.key(v.name)
    capital: Decimal = v.key(v.decimal(zero=False))


@attrs.frozen(kw_only=True)
class RiskConfig:
    """What a new journal begins with; see :mod:`oms._config_risk`.

    `limits` holds the defaults too. `valuations`: asset → USD a unit, or the instrument `exchange.market.symbol` that prices it.
    """

    limits: r.Limits = v.key(r.limits, r.default_limits)
    valuations: Mapping[str, Decimal | str] = v.key(
        v.mapping_of(r.ASSET, r.valuation),
        lambda: {"USD": Decimal("1"), "USDT": Decimal("1"), "USDC": Decimal("1")},
    )
    strategies: Mapping[str, StrategyConfig] = v.key(
        v.mapping_of(v.text(r".{1,32}", "a strategy of 1 to 32 characters"), v.section(StrategyConfig)), dict
    )


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration; `load_config` makes one that is consistent."""

    exchanges: Mapping[str, Mapping[str, VenueConfig]] = v.key(
        v.mapping_of(v.choice(EXCHANGES), v.mapping_of(v.choice(MARKETS), v.section(VenueConfig))),
        lambda: {"binance": {"spot": VenueConfig(enabled=True)}},
    )
    nats: NatsConfig = v.key(v.section(NatsConfig), NatsConfig)
    storage: StorageConfig = v.key(v.section(StorageConfig), StorageConfig)
    vault: VaultConfig = v.key(v.section(VaultConfig), VaultConfig)
    cache: CacheConfig = v.key(v.section(CacheConfig), CacheConfig)
    reconcile: ReconcileConfig = v.key(v.section(ReconcileConfig), ReconcileConfig)
    audit: AuditConfig = v.key(v.section(AuditConfig), AuditConfig)
    accounts: Mapping[str, AccountConfig] = v.key(
        v.mapping_of(v.name, v.section(AccountConfig)),
        lambda: {
            "main": AccountConfig(kind=AccountKind.MAIN, venues=("binance.spot",)),
            "sub_arb": AccountConfig(kind=AccountKind.SUB, venues=("binance.spot",)),
        },
    )
    risk: RiskConfig = v.key(v.section(RiskConfig), RiskConfig)
    simulator: SimulatorConfig = v.key(v.section(SimulatorConfig), SimulatorConfig)

    @property
    def venues(self) -> dict[str, VenueConfig]:
        """The enabled venues by name, such as `binance.spot`."""
        return {
            f"{exchange}.{market}": venue
            for exchange, markets in self.exchanges.items()
            for market, venue in markets.items()
            if venue.enabled
        }

    def rate_limits(self, account: str, venue: str) -> RateLimits:
        """What we allow an account at an enabled venue."""
        usual = self.venues[venue].rate_limits
        own = self.accounts[account].rate_limits.get(venue)
        if own is None:
            return usual
        said = {name: amount for name, amount in attrs.asdict(own).items() if amount is not None}
        return attrs.evolve(usual, **said)


def _check(config: Config) -> Config:
    for name in config.venues:
        if name not in SUPPORTED_VENUES:
            raise ConfigError(
                f"exchanges.{name}.enabled",
                f"must be false: {name} is not supported by this version, which has {', '.join(SUPPORTED_VENUES)}",
            )
    for name, venue in config.venues.items():
        if venue.test_net and not config.simulator.enabled and name in WITHOUT_TEST_NET:
            raise ConfigError(
                f"exchanges.{name}.test_net",
                "must be false while simulator.enabled is false: this exchange has no test network",
            )
    _check_nats(config.nats)
    _check_accounts(config)
    r.check_risk(config.risk, config.accounts, config.venues)
    _check_simulator(config)
    return config


def _check_nats(nats: NatsConfig) -> None:
    expected = f"nats://127.0.0.1:{nats.port}"
    if nats.embedded and nats.port and nats.url != expected:
        raise ConfigError(
            "nats.url",
            f"must be {expected} while nats.embedded is true and nats.port is {nats.port};"
            " to use a server of your own, set nats.embedded to false",
        )


def _check_accounts(config: Config) -> None:
    mains = [name for name, account in config.accounts.items() if account.kind is AccountKind.MAIN]
    if len(mains) != 1:
        raise ConfigError("accounts", f"must have exactly one MAIN account, was {', '.join(mains) or 'none'}")
    subs = len(config.accounts) - 1
    if subs > SUB_ACCOUNTS_MAX:
        raise ConfigError(
            "accounts", f"must have at most {SUB_ACCOUNTS_MAX} SUB and STRATEGY accounts, was {subs}"
        )
    enabled = config.venues
    for name, account in config.accounts.items():
        for index, venue in enumerate(account.venues):
            if venue not in enabled:
                raise ConfigError(
                    f"accounts.{name}.venues[{index}]",
                    f"must be an enabled venue ({', '.join(enabled) or 'there is none'}), was {venue}",
                )
        for venue in account.rate_limits:
            if venue not in account.venues:
                raise ConfigError(
                    f"accounts.{name}.rate_limits.{venue}",
                    f"must be one of the account's venues ({', '.join(account.venues) or 'it has none'})",
                )


_SYMBOLS = {
    "okx.spot": "{base}-{quote}",
    "okx.futures": "{base}-{quote}-SWAP",
    "upbit.spot": "{quote}-{base}",
}
"""How venues name their symbols; the others put base and quote in one."""


def _check_simulator(config: Config) -> None:
    instruments = config.simulator.instruments
    for venue in config.venues if config.simulator.enabled else ():
        if not instruments.get(venue):
            raise ConfigError(
                f"simulator.instruments.{venue}",
                f"must name at least one symbol while {venue} and the simulator are enabled",
            )
    for venue, listed in instruments.items():
        for symbol, instrument in listed.items():
            _check_instrument(venue, symbol, instrument)


def _check_instrument(venue: str, symbol: str, instrument: SimulatedInstrument) -> None:
    place = f"simulator.instruments.{venue}.{symbol}"
    pattern = _SYMBOLS.get(venue, "{base}{quote}")
    expected = pattern.format(base=instrument.base, quote=instrument.quote)
    if symbol != expected:
        raise ConfigError(
            place, f"must be {expected} for {instrument.base} and {instrument.quote} on {venue}"
        )
    if venue == "upbit.spot":
        if instrument.tick is not None:
            raise ConfigError(f"{place}.tick", "must be left out: Upbit's ticks follow the price")
    elif v.remainder(instrument.price, instrument.tick or DEFAULT_TICK):
        raise ConfigError(
            f"{place}.price",
            f"must be a multiple of tick {instrument.tick or DEFAULT_TICK}, was {instrument.price}",
        )
    if venue.endswith(".spot") and instrument.contract_size != 1:
        raise ConfigError(f"{place}.contract_size", f"must be 1 on spot, was {instrument.contract_size}")


def load_config(path: Path | str | None = None) -> Config:
    """Read a YAML file; keys it leaves out have their defaults, a mapping of names it gives replaces the default.

    None gives the defaults alone, which are those of `configs/config.yaml`. Raise `ConfigError`.
    """
    if path is None:
        return _check(Config())
    try:
        with Path(path).open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(str(path), f"must be at most {FILE_BYTES_MAX} bytes, was more")
    raw = parse_yaml(data, str(path))
    return _check(v.read(Config, {} if raw is None else raw, ""))


def dump_config(config: Config) -> str:
    """Return YAML that `load_config` reads back as an equal configuration."""
    return yaml.dump(v.plain(config), Dumper=yaml.CSafeDumper, sort_keys=False)


def override(
    config: Config,
    *,
    data_dir: Path | str | None = None,
    port: int | None = None,
    nats_url: str | None = None,
    monitor_url: str | None = None,
) -> Config:
    """Return `config` with what a command line or a started server says instead; None leaves a key as it is.

    `port` moves the embedded server, `nats_url` uses a server of one's own in its place. Raise `ConfigError`.
    """
    raw = v.plain(config)
    if data_dir is not None:
        raw["storage"]["data_dir"] = str(data_dir)
    if port is not None:
        # The port first, so that a bad one is refused as the port and not as part of the address.
        raw["nats"] = {"port": port} | raw["nats"]
        raw["nats"] |= {"embedded": True, "port": port, "url": f"nats://127.0.0.1:{port or 4222}"}
    if nats_url is not None:
        raw["nats"] |= {"embedded": False, "url": nats_url}
    if monitor_url is not None:
        raw["nats"]["monitor_url"] = monitor_url
    return _check(v.read(Config, raw, ""))
