"""The configuration: one frozen tree, its defaults, and the YAML file that changes them.

`configs/config.yaml` is the same tree with a comment a key. What is not understood is refused with its place.
Durations are nanoseconds, amounts `Decimal`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import attrs
import yaml

from oms import _config_values as v
from oms._config_values import ConfigError
from oms._config_yaml import parse_yaml
from oms.messages.enums import AccountKind

EXCHANGES = ("binance", "bybit", "okx", "upbit")
MARKETS = ("spot", "futures")
SUPPORTED_VENUES = ("binance.spot",)

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
    """One account of the desk and the venues it trades on, each `exchange.market`."""

    kind: AccountKind = v.key(v.choice(AccountKind))
    venues: tuple[str, ...] = v.key(
        v.list_of(v.text(r"[a-z0-9]+\.[a-z]+", "exchange.market, such as binance.spot"))
    )


_ASSET = v.text(r"[A-Z0-9]{1,16}", "an asset such as BTC, of 1 to 16 capitals or digits")


@attrs.frozen(kw_only=True)
class SimulatedInstrument:
    """One symbol of the simulator. `prices` is a file of recorded prices to play instead of a random walk."""

    base: str = v.key(_ASSET)
    quote: str = v.key(_ASSET)
    price: Decimal = v.key(v.decimal(zero=False))
    tick: Decimal = v.key(v.decimal(zero=False), Decimal("0.01"))
    step: Decimal = v.key(v.decimal(zero=False), Decimal("0.00001"))
    min_notional: Decimal = v.key(v.decimal(zero=False), Decimal("5"))
    max_quantity: Decimal = v.key(v.decimal(zero=False), Decimal("9000"))
    prices: Path | None = v.key(v.optional(v.path), None)


def _simulated_instruments() -> dict[str, SimulatedInstrument]:
    return {
        "BTCUSDT": SimulatedInstrument(base="BTC", quote="USDT", price=Decimal("50000")),
        "ETHUSDT": SimulatedInstrument(
            base="ETH", quote="USDT", price=Decimal("3000"), step=Decimal("0.0001")
        ),
    }


@attrs.frozen(kw_only=True)
class SimulatorConfig:
    """The exchange that stands in for the real ones. Every account starts with `balances`."""

    enabled: bool = v.key(v.boolean, True)
    seed: int = v.key(v.integer(0, 2**63 - 1), 1)
    step_interval: int = v.key(v.duration("1ms"), 100 * v.UNITS_NS["ms"], dump=v.from_ns)
    instruments: Mapping[str, SimulatedInstrument] = v.key(
        v.mapping_of(v.text(r"[A-Z0-9]{1,32}", "a symbol such as BTCUSDT"), v.section(SimulatedInstrument)),
        _simulated_instruments,
    )
    balances: Mapping[str, Decimal] = v.key(
        v.mapping_of(_ASSET, v.decimal(zero=True)), lambda: {"USDT": Decimal("100000"), "BTC": Decimal("2")}
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


def _check(config: Config) -> Config:
    for name in config.venues:
        if name not in SUPPORTED_VENUES:
            raise ConfigError(
                f"exchanges.{name}.enabled",
                f"must be false: {name} is not supported by this version, which has {', '.join(SUPPORTED_VENUES)}",
            )
    _check_nats(config.nats)
    _check_accounts(config)
    _check_simulator(config.simulator)
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
        raise ConfigError("accounts", f"must have at most {SUB_ACCOUNTS_MAX} SUB accounts, was {subs}")
    enabled = config.venues
    for name, account in config.accounts.items():
        for index, venue in enumerate(account.venues):
            if venue not in enabled:
                raise ConfigError(
                    f"accounts.{name}.venues[{index}]",
                    f"must be an enabled venue ({', '.join(enabled) or 'there is none'}), was {venue}",
                )


def _check_simulator(simulator: SimulatorConfig) -> None:
    if simulator.enabled and not simulator.instruments:
        raise ConfigError(
            "simulator.instruments", "must name at least one symbol while simulator.enabled is true"
        )
    for symbol, instrument in simulator.instruments.items():
        place = f"simulator.instruments.{symbol}"
        if symbol != instrument.base + instrument.quote:
            raise ConfigError(
                place, f"must be base and quote in one, was {instrument.base} and {instrument.quote}"
            )
        if v.remainder(instrument.price, instrument.tick):
            raise ConfigError(
                f"{place}.price", f"must be a multiple of tick {instrument.tick}, was {instrument.price}"
            )


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
    return yaml.safe_dump(v.plain(config), sort_keys=False)


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
