"""The configuration: its defaults, what it reads, and what it refuses with which words."""

import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates.risk.controls import CONTROLS, DEFAULTS
from oms.config import (
    SUPPORTED_VENUES,
    Config,
    ConfigError,
    RateLimits,
    VenueConfig,
    dump_config,
    load_config,
    override,
)
from oms.messages.enums import AccountKind

REPO = Path(__file__).resolve().parents[1]
SHIPPED = REPO / "configs" / "config.yaml"


def _load(tmp_path: Path, text: str | bytes) -> Config:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(path)


def _refused(tmp_path: Path, text: str | bytes) -> str:
    """Return the message with which `text` is refused, the file's own path shortened."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert caught.value.code == "CONFIG_INVALID"
    assert str(caught.value) == f"{caught.value.place}: {caught.value.reason}"
    return str(caught.value).replace(str(tmp_path / "config.yaml"), "FILE")


def test_the_shipped_file_is_the_defaults() -> None:
    """configs/config.yaml says exactly what holds without a file."""
    assert load_config(SHIPPED) == load_config()


def test_the_shipped_file_names_and_explains_every_key() -> None:
    """configs/config.yaml leaves out no key that the code knows, so it is the whole reference."""

    def keys(tree: Any) -> Any:
        return {key: keys(value) for key, value in tree.items()} if isinstance(tree, dict) else None

    assert keys(yaml.safe_load(SHIPPED.read_text())) == keys(yaml.safe_load(dump_config(load_config())))


def test_the_defaults_are_those_promised() -> None:
    """Without a file: the simulated binance.spot, two funded accounts, the local server, the standard limits."""
    config = load_config()
    assert config.nats.servers == ["nats://127.0.0.1:4222"]
    assert {name: account.kind for name, account in config.accounts.items()} == {
        "main": AccountKind.MAIN,
        "sub_arb": AccountKind.SUB,
    }
    assert all(account.venues == ("binance.spot",) for account in config.accounts.values())
    assert list(config.simulator.instruments) == list(SUPPORTED_VENUES)
    assert list(config.simulator.instruments["upbit.spot"]) == ["KRW-BTC", "KRW-ETH"]
    assert config.simulator.instruments["okx.futures"]["BTC-USDT-SWAP"].contract_size == Decimal("0.01")
    assert config.simulator.balances == {
        "USDT": Decimal(100_000),
        "BTC": Decimal(2),
        "KRW": Decimal(100_000_000),
    }
    limits = config.venues["binance.spot"].rate_limits
    assert (limits.weight_per_minute, limits.orders_per_second, limits.orders_per_day) == (1_200, 10, 200_000)
    assert config.storage.snapshot_interval == 3_600_000_000_000
    assert config.storage.retention_days == 30
    assert config.storage.data_dir == Path("data")


def test_an_account_may_have_a_budget_of_its_own(tmp_path: Path) -> None:
    """What an account is allowed at a venue takes the place of the venue's; what it leaves out is as for the others."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "exchanges: {binance: {spot: {enabled: true, rate_limits: {orders_per_day: 5000}}}}\n"
        "accounts:\n"
        "  main: {kind: MAIN, venues: [binance.spot]}\n"
        "  sub_arb: {kind: SUB, venues: [binance.spot], rate_limits: {binance.spot: {orders_per_second: 50}}}\n"
    )
    config = load_config(path)
    assert config.rate_limits("main", "binance.spot") == RateLimits(orders_per_day=5_000)
    own = RateLimits(orders_per_second=50, orders_per_day=5_000)
    assert config.rate_limits("sub_arb", "binance.spot") == own


def test_testing_is_the_default_of_a_venue() -> None:
    """A venue trades real money only when the file says so twice: enabled, and not on the test network."""
    assert VenueConfig() == VenueConfig(enabled=False, test_net=True)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "nats: {}"])
def test_what_is_left_out_has_its_default(tmp_path: Path, text: str) -> None:
    """An empty file and empty sections change nothing."""
    assert _load(tmp_path, text) == load_config()


def test_a_given_mapping_of_names_replaces_the_default(tmp_path: Path) -> None:
    """Accounts that the file does not name are not there."""
    config = _load(tmp_path, "accounts: {desk: {kind: MAIN, venues: [binance.spot]}}")
    assert list(config.accounts) == ["desk"]


@pytest.mark.parametrize(
    "text, ns",
    [
        ("1s", 10**9),
        ("1500ms", 1_500_000_000),
        ("5m", 300 * 10**9),
        ("2h", 7_200 * 10**9),
        ("7d", 604_800 * 10**9),
    ],
)
def test_durations_are_nanoseconds(tmp_path: Path, text: str, ns: int) -> None:
    """Each unit of a duration comes out in nanoseconds."""
    assert _load(tmp_path, f"storage: {{snapshot_interval: {text}}}").storage.snapshot_interval == ns


@pytest.mark.parametrize("text", ["off", "'off'", "OFF", "false"])
def test_encryption_is_off_however_yaml_says_it(tmp_path: Path, text: str) -> None:
    """YAML makes false of a bare off; both mean off, and it is the default."""
    assert _load(tmp_path, f"storage: {{encryption: {text}}}") == load_config()


def test_a_vault_is_where_the_file_says(tmp_path: Path) -> None:
    """Address, mount and path are read, and come back from a dump."""
    text = "storage: {encryption: vault}\nvault: {address: 'https://vault.desk:8200', mount: kv, path: desk/keys}"
    config = _load(tmp_path, text)
    assert config.storage.encryption == "vault"
    assert (config.vault.address, config.vault.mount, config.vault.path) == (
        "https://vault.desk:8200",
        "kv",
        "desk/keys",
    )
    assert _load(tmp_path, dump_config(config)) == config


def test_a_disabled_venue_of_any_exchange_is_fine(tmp_path: Path) -> None:
    """A file may hold what a later version will connect to, as long as it is off."""
    text = "exchanges: {binance: {spot: {enabled: true}}, bybit: {futures: {enabled: false}}}"
    assert list(_load(tmp_path, text).venues) == ["binance.spot"]


_SPOT = "exchanges: {binance: {spot: {enabled: true, %s}}}"
_ONE = "simulator: {instruments: {binance.spot: {BTCUSDT: {base: BTC, quote: USDT, price: '50000', %s}}}}"
_LISTED = "simulator: {enabled: false, instruments: {%s: {%s: {base: BTC, quote: KRW, price: '50000', %s}}}}"

_LIMIT = "risk: {limits: {%s}}"

REFUSALS = [
    # Unknown keys, at every depth.
    (
        "nast: {}",
        "nast: is not a key here: the keys are exchanges, nats, storage, vault, cache, reconcile, audit, accounts, risk, simulator",
    ),
    (
        _SPOT % "rate_limits: {orders_per_sec: 1}",
        (
            "exchanges.binance.spot.rate_limits.orders_per_sec: is not a key here: the keys are"
            " weight_per_minute, orders_per_second, orders_per_day"
        ),
    ),
    ("exchanges: {kraken: {}}", "exchanges.kraken: must be one of binance, bybit, okx, upbit, was 'kraken'"),
    (
        "exchanges: {binance: {options: {}}}",
        "exchanges.binance.options: must be one of spot, futures, was 'options'",
    ),
    # Numbers.
    (
        "accounts: {main: {kind: MAIN, venues: [binance.spot], rate_limits: {binance.futures: {}}}}",
        "accounts.main.rate_limits.binance.futures: must be one of the account's venues (binance.spot)",
    ),
    (
        "accounts: {main: {kind: MAIN, venues: [binance.spot], rate_limits: {binance.spot: {orders_per_second: 0}}}}",
        "accounts.main.rate_limits.binance.spot.orders_per_second: must be a positive integer, was 0",
    ),
    (
        _SPOT % "rate_limits: {orders_per_second: -3}",
        "exchanges.binance.spot.rate_limits.orders_per_second: must be a positive integer, was -3",
    ),
    (
        _SPOT % "rate_limits: {orders_per_second: 0}",
        "exchanges.binance.spot.rate_limits.orders_per_second: must be a positive integer, was 0",
    ),
    (
        _SPOT % "rate_limits: {orders_per_day: true}",
        "exchanges.binance.spot.rate_limits.orders_per_day: must be a positive integer, was True",
    ),
    (
        _SPOT % "rate_limits: {orders_per_day: 1.0}",
        "exchanges.binance.spot.rate_limits.orders_per_day: must be a positive integer, was 1.0",
    ),
    ("nats: {port: 65536}", "nats.port: must be at most 65535, was 65536"),
    ("nats: {port: '4222'}", "nats.port: must be an integer of at least 0, was '4222'"),
    (
        f"cache: {{max_size: {'9' * 200}}}",
        "cache.max_size: must be at most 100000000, was an integer of 665 bits",
    ),
    ("storage: {retention_days: .inf}", "storage.retention_days: must be a positive integer, was inf"),
    # Booleans.
    (_SPOT % "test_net: 1", "exchanges.binance.spot.test_net: must be true or false, was 1"),
    (_SPOT % "test_net: 'no'", "exchanges.binance.spot.test_net: must be true or false, was 'no'"),
    (_SPOT % "test_net: ", "exchanges.binance.spot.test_net: must be true or false, was nothing"),
    # Durations.
    (
        "storage: {snapshot_interval: 60}",
        'storage.snapshot_interval: must be a duration such as "200ms", "30s", "5m" or "1h", was 60',
    ),
    (
        "cache: {default_ttl: 1.5h}",
        'cache.default_ttl: must be a duration such as "200ms", "30s", "5m" or "1h", was \'1.5h\'',
    ),
    (
        # YAML 1.1 reads this as a number to the base of sixty.
        "cache: {default_ttl: 1:30}",
        'cache.default_ttl: must be a duration such as "200ms", "30s", "5m" or "1h", was 90',
    ),
    ("storage: {snapshot_interval: 0s}", "storage.snapshot_interval: must be between 1s and 3650d, was 0s"),
    (
        "storage: {snapshot_interval: 4000d}",
        "storage.snapshot_interval: must be between 1s and 3650d, was 4000d",
    ),
    # Amounts.
    (
        "simulator: {balances: {USDT: 100000}}",
        'simulator.balances.USDT: must be zero or a positive decimal in quotes, such as "0.01", was 100000',
    ),
    (
        "simulator: {balances: {BTC: 0.1}}",
        'simulator.balances.BTC: must be zero or a positive decimal in quotes, such as "0.01", was 0.1',
    ),
    (
        "simulator: {balances: {BTC: '1e400'}}",
        "simulator.balances.BTC: must be zero or a positive decimal in quotes, such as \"0.01\", was '1e400'",
    ),
    (
        "simulator: {balances: {BTC: 'NaN'}}",
        "simulator.balances.BTC: must be zero or a positive decimal in quotes, such as \"0.01\", was 'NaN'",
    ),
    (
        "simulator: {balances: {BTC: '-1'}}",
        "simulator.balances.BTC: must be zero or a positive decimal, was -1",
    ),
    (
        _ONE % "tick: '0'",
        "simulator.instruments.binance.spot.BTCUSDT.tick: must be a positive decimal, was 0",
    ),
    (
        "simulator: {balances: {btc: '1'}}",
        "simulator.balances.btc: must be an asset such as BTC, of 1 to 16 capitals or digits, was 'btc'",
    ),
    # Shapes.
    ("- 1", "the file: must be a mapping, was a list"),
    ("hello", "the file: must be a mapping, was 'hello'"),
    ("nats:", "nats: must be a mapping, was nothing"),
    ("accounts: [main]", "accounts: must be a mapping, was a list"),
    ("nats: {true: 1}", "nats: must have strings as keys, was True: put it in quotes"),
    ("nats: {[a]: 1}", "FILE: is not valid YAML: found unhashable key in line 1, column 8"),
    ("storage: {encryption: on}", "storage.encryption: must be one of off, vault, was True"),
    ("storage: {encryption: null}", "storage.encryption: must be one of off, vault, was nothing"),
    (
        "vault: {address: 'https://user:hunter2@vault'}",
        "vault.address: must be an address such as https://vault.desk:8200, without user and password, was another",
    ),
    ("vault: {path: /x}", "vault.path: must be a path such as mexoms/storage, was '/x'"),
    ("vault: {mount: ''}", "vault.mount: must be a mount such as secret, was ''"),
    ("vault: {poll: 200ms}", "vault.poll: must be between 1s and 3650d, was 200ms"),
    ("storage: {data_dir: ''}", "storage.data_dir: must be a path, and not start with a tilde, was ''"),
    (
        "storage: {data_dir: ~/oms}",
        "storage.data_dir: must be a path, and not start with a tilde, was '~/oms'",
    ),
    # Venues.
    (
        "exchanges: {upbit: {futures: {enabled: true}}}",
        (
            "exchanges.upbit.futures.enabled: must be false: upbit.futures is not supported by this version,"
            " which has binance.spot, binance.futures, bybit.spot, bybit.futures, okx.spot, okx.futures, upbit.spot"
        ),
    ),
    (
        "exchanges: {binance: {spot: {enabled: false}}}",
        "accounts.main.venues[0]: must be an enabled venue (there is none), was binance.spot",
    ),
    # Risk.
    (
        _LIMIT % "global: {max_position: 10000}",
        'risk.limits.global.max_position: must be text in quotes, such as "10000", "0.05" or "off", was 10000',
    ),
    (
        _LIMIT % "global: {max_position: '-1'}",
        (
            "risk.limits.global.max_position: max_position must be a decimal of 0 or more, at most 20 digits before and 18 after"
            " the point, or off, was '-1'"
        ),
    ),
    (
        _LIMIT % "global: {max_position: }",
        'risk.limits.global.max_position: must be text in quotes, such as "10000", "0.05" or "off", was nothing',
    ),
    (
        _LIMIT % "global: {unassigned_strategies: off}",
        "risk.limits.global.unassigned_strategies: unassigned_strategies must be one of allow, deny, was 'off'",
    ),
    (
        _LIMIT % "global: {max_ponies: '1'}",
        "risk.limits.global.max_ponies: no control is called 'max_ponies': max_position may be meant",
    ),
    (
        _LIMIT % "'account:main': {sub_cap: '1'}",
        "risk.limits.account:main.sub_cap: cannot be set for the scope account, only for global",
    ),
    (
        _LIMIT % "global: {max_order_value: '50001'}",
        "risk.limits.global: global: max_order_value of 50001 is above max_position of 50000",
    ),
    (
        _LIMIT % "'exchange:*': {kill_on: max_rejects}",
        (
            "risk.limits.exchange:*: exchange:*: kill_on names max_rejects, and exchange:* says nothing of it, so that it would"
            " never trip: set max_rejects for exchange:* as well, to off if nothing shall"
        ),
    ),
    (
        _LIMIT % "everywhere: {restricted: on}",
        (
            "risk.limits.everywhere: a scope is global, exchange:NAME, account:NAME, strategy:NAME or"
            " instrument:EXCHANGE.MARKET.SYMBOL, was 'everywhere'"
        ),
    ),
    (
        _LIMIT % "'account:nobody': {restricted: on}",
        "risk.limits.account:nobody: must name an account of this configuration (main, sub_arb)",
    ),
    (
        _LIMIT % "'exchange:okx': {restricted: on}",
        "risk.limits.exchange:okx: must name an exchange with an enabled venue (binance)",
    ),
    (
        _LIMIT % "'strategy:nobody': {restricted: on}",
        "risk.limits.strategy:nobody: must be in risk.strategies while limits.global.unassigned_strategies is deny",
    ),
    (
        _LIMIT % "'instrument:okx.spot.BTC-USDT': {restricted: on}",
        "risk.limits.instrument:okx.spot.BTC-USDT: must be on an enabled venue (binance.spot)",
    ),
    (
        "risk: {valuations: {KRW: 0.0007}}",
        (
            'risk.valuations.KRW: must be a positive decimal in quotes, such as "0.01", was 0.0007; or the instrument that prices'
            " it, such as upbit.spot.KRW-USDT"
        ),
    ),
    (
        "risk: {valuations: {KRW: upbit.spot.KRW-USDT}}",
        "risk.valuations.KRW: must be an instrument of an enabled venue (binance.spot), was upbit.spot.KRW-USDT",
    ),
    (
        "risk: {strategies: {arbitrage: {account: sub_spot_arb, capital: '50000'}}}",
        "risk.strategies.arbitrage.account: must be one of the accounts (main, sub_arb), was sub_spot_arb",
    ),
    (
        "risk: {strategies: {arbitrage: {account: sub_arb, capital: '0'}}}",
        "risk.strategies.arbitrage.capital: must be a positive decimal, was 0",
    ),
    # Accounts.
    ("accounts: {}", "accounts: must have exactly one MAIN account, was none"),
    ("accounts: {a: {kind: MAIN}}", "accounts.a.venues: is missing and has no default"),
    ("accounts: {a: {kind: main}}", "accounts.a.kind: must be one of MAIN, SUB, STRATEGY, was 'main'"),
    (
        "accounts: {a: {kind: MAIN, venues: [binance.spot]}, b: {kind: MAIN, venues: [binance.spot]}}",
        "accounts: must have exactly one MAIN account, was a, b",
    ),
    (
        "accounts: {a: {kind: MAIN, venues: []}}",
        "accounts.a.venues: must be a list of 1 to 1000 entries, was a list",
    ),
    (
        "accounts: {a: {kind: MAIN, venues: [binance.spot, binance.spot]}}",
        "accounts.a.venues[1]: must be given once, was given before: binance.spot",
    ),
    (
        "accounts: {a: {kind: MAIN, venues: [okx.spot]}}",
        "accounts.a.venues[0]: must be an enabled venue (binance.spot), was okx.spot",
    ),
    *(
        (
            f"accounts: {{'{name}': {{kind: MAIN, venues: [binance.spot]}}}}",
            f"accounts.{name}: must be a name of 1 to 32 letters, digits or underscores, was '{name}'",
        )
        for name in ("", "_", "a b", "a.b", "a*", ">", "ä", "a" * 33)
    ),
    # Addresses. What is refused may hold a password and is not repeated.
    (
        "nats: {embedded: false, url: 'http://user:secret@h'}",
        "nats.url: must be an address such as nats://127.0.0.1:4222, or several separated by commas: number 1 is not",
    ),
    (
        "nats: {embedded: false, url: 'nats://a, nats://b:99999'}",
        "nats.url: must be an address such as nats://127.0.0.1:4222, or several separated by commas: number 2 is not",
    ),
    (
        "nats: {monitor_url: nats://a}",
        (
            "nats.monitor_url: must be an address such as http://127.0.0.1:8222, or several separated by commas:"
            " number 1 is not"
        ),
    ),
    (
        "nats: {port: 5222}",
        (
            "nats.url: must be nats://127.0.0.1:5222 while nats.embedded is true and nats.port is 5222;"
            " to use a server of your own, set nats.embedded to false"
        ),
    ),
    # The simulator.
    (
        "simulator: {instruments: {}}",
        (
            "simulator.instruments.binance.spot: must name at least one symbol while binance.spot and the simulator"
            " are enabled"
        ),
    ),
    (
        "simulator: {instruments: {binance.spot: {BTCUSDC: {base: BTC, quote: USDT, price: '1'}}}}",
        "simulator.instruments.binance.spot.BTCUSDC: must be BTCUSDT for BTC and USDT on binance.spot",
    ),
    (
        _LISTED % ("okx.spot", "BTCKRW", "step: '1'"),
        "simulator.instruments.okx.spot.BTCKRW: must be BTC-KRW for BTC and KRW on okx.spot",
    ),
    (
        _LISTED % ("okx.futures", "BTC-KRW", "step: '1'"),
        "simulator.instruments.okx.futures.BTC-KRW: must be BTC-KRW-SWAP for BTC and KRW on okx.futures",
    ),
    (
        _LISTED % ("upbit.spot", "BTC-KRW", "step: '1'"),
        "simulator.instruments.upbit.spot.BTC-KRW: must be KRW-BTC for BTC and KRW on upbit.spot",
    ),
    (
        _LISTED % ("upbit.spot", "KRW-BTC", "tick: '1'"),
        "simulator.instruments.upbit.spot.KRW-BTC.tick: must be left out: Upbit's ticks follow the price",
    ),
    (
        _LISTED % ("okx.spot", "BTC-KRW", "contract_size: '0.01'"),
        "simulator.instruments.okx.spot.BTC-KRW.contract_size: must be 1 on spot, was 0.01",
    ),
    (
        _ONE % "tick: '0.3'",
        "simulator.instruments.binance.spot.BTCUSDT.price: must be a multiple of tick 0.3, was 50000",
    ),
    # The file itself.
    (
        "a: {",
        "FILE: is not valid YAML: did not find expected node content in line 2, column 1",
    ),
    ("nats: {}\nnats: {}", "nats: must be given once, was in line 1 and in line 2"),
    ("nats:\n  port: 1\n  port: 2", "nats.port: must be given once, was in line 2 and in line 3"),
    ("nats: &a {}\ncache: *a", "FILE: is not valid YAML: aliases are not allowed here in line 2, column 8"),
    ("a: 1\n---\nb: 2", "FILE: is not valid YAML: but found another document in line 2, column 1"),
    (
        b"\xff",
        "FILE: is not valid YAML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    (
        "!!python/object/apply:os.system ['true']",
        (
            "FILE: is not valid YAML: could not determine a constructor for the tag"
            " 'tag:yaml.org,2002:python/object/apply:os.system' in line 1, column 1"
        ),
    ),
    ("#" * (256 * 1024 + 1), "FILE: must be at most 262144 bytes, was more"),
    ("[" * 50_000, "FILE: is nested too deeply"),
]


@pytest.mark.parametrize("text, message", REFUSALS, ids=[message[:60] for _, message in REFUSALS])
def test_refusals_say_where_and_why(tmp_path: Path, text: str | bytes, message: str) -> None:
    """Every bad value is refused with its place, what must be, and what was got."""
    assert _refused(tmp_path, text) == message


def test_a_number_that_python_will_not_parse_is_refused(tmp_path: Path) -> None:
    """A number of thousands of digits is a configuration error, not a crash."""
    assert "FILE: is not valid YAML: " in _refused(tmp_path, f"cache: {{max_size: {'9' * 5_000}}}")


def test_a_long_key_is_shortened(tmp_path: Path) -> None:
    """A message has a bound, whatever the file holds."""
    assert len(_refused(tmp_path, f"? {'k' * 100_000}\n: 1")) < 300


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that is not there is refused with the path."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_limits_are_laid_over_the_defaults(tmp_path: Path) -> None:
    """What a file does not say of a scope stays, and what it says of one stands in the default's place."""
    text = "risk: {limits: {global: {max_position: off, max_exposure: 'off'}, 'account:sub_arb': {restricted: on}}}"
    found = _load(tmp_path, text).risk.limits
    expected = {scope: dict(said) for scope, said in DEFAULTS.items()}
    expected["global"] |= {"max_position": "off", "max_exposure": "off"}
    expected["account:sub_arb"] = {"restricted": "on"}
    assert found == expected


@pytest.mark.parametrize("text", ["risk: {}", "risk: {limits: {}}", "risk: {limits: {global: {}}}"])
def test_leaving_limits_out_takes_none_away(tmp_path: Path, text: str) -> None:
    """Every control has a value in the global scope, whatever a file leaves out."""
    assert _load(tmp_path, text) == load_config()
    assert load_config().risk.limits["global"].keys() == CONTROLS.keys()


def test_a_strategy_that_needs_no_assignment_may_have_limits(tmp_path: Path) -> None:
    """Where strategies trade without an assignment, limits may name any."""
    text = "risk: {limits: {global: {unassigned_strategies: allow}, 'strategy:any': {max_position: '5'}}}"
    assert _load(tmp_path, text).risk.limits["strategy:any"] == {"max_position": "5"}


def test_risk_comes_back_from_a_dump(tmp_path: Path) -> None:
    """Limits, rates, instruments that price and strategies reach another process unchanged."""
    text = """
risk:
  limits: {"strategy:arb": {max_position: "1.50"}, "account:*": {max_messages: off}}
  valuations: {USDT: "1", BTC: binance.spot.BTCUSDT}
  strategies: {arb: {account: sub_arb, capital: "1.50"}}
"""
    config = _load(tmp_path, text)
    assert config.risk.valuations == {"USDT": Decimal(1), "BTC": "binance.spot.BTCUSDT"}
    assert config.risk.strategies["arb"].capital == Decimal("1.50")
    assert _load(tmp_path, dump_config(config)) == config == override(config)


@pytest.mark.parametrize("subs, accepted", [(200, True), (201, False)])
def test_the_number_of_sub_accounts_is_bounded(tmp_path: Path, subs: int, accepted: bool) -> None:
    """200 SUB accounts beside the MAIN one are accepted and 201 are not."""
    accounts: dict[str, Any] = {"main": {"kind": "MAIN", "venues": ["binance.spot"]}}
    accounts |= {f"sub_{n}": {"kind": "SUB", "venues": ["binance.spot"]} for n in range(subs)}
    text = yaml.safe_dump({"accounts": accounts})
    if accepted:
        assert len(_load(tmp_path, text).accounts) == 201
    else:
        assert (
            _refused(tmp_path, text) == "accounts: must have at most 200 SUB and STRATEGY accounts, was 201"
        )


def test_prices_and_ticks_of_any_size_are_compared_exactly(tmp_path: Path) -> None:
    """The longest price and the smallest tick that are read do not exceed the arithmetic."""
    price, tick = "9" * 20, "0." + "0" * 17 + "1"
    text = f"simulator: {{instruments: {{binance.spot: {{AB: {{base: A, quote: B, price: '{price}', tick: '{tick}'}}}}}}, balances: {{}}}}"
    assert _load(tmp_path, text).simulator.instruments["binance.spot"]["AB"].price == Decimal(price)


def test_a_configuration_is_frozen() -> None:
    """Nothing assigns to a loaded configuration."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        load_config().nats.port = 1  # type: ignore[misc]


def test_a_repr_hides_the_password() -> None:
    """Logging a configuration does not tell the password of the server."""
    config = override(load_config(), nats_url="nats://user:hunter2@a:4222,nats://b")
    assert "hunter2" not in repr(config)
    assert "@a:4222,nats://b" in repr(config)
    assert config.nats.servers == ["nats://user:hunter2@a:4222", "nats://b"]


class TestOverride:
    def test_a_port_moves_the_embedded_server(self) -> None:
        """The port and the address move together."""
        nats = override(load_config(), port=5222).nats
        assert (nats.embedded, nats.port, nats.url) == (True, 5222, "nats://127.0.0.1:5222")

    def test_an_address_takes_the_place_of_the_embedded_server(self) -> None:
        """With a server of one's own there is no embedded one."""
        nats = override(load_config(), nats_url="tls://nats.desk:4222").nats
        assert (nats.embedded, nats.url) == (False, "tls://nats.desk:4222")

    def test_a_directory_moves_the_data(self, tmp_path: Path) -> None:
        """data_dir replaces the directory and nothing else."""
        config = override(load_config(), data_dir=tmp_path)
        assert config == attrs.evolve(
            load_config(), storage=attrs.evolve(load_config().storage, data_dir=tmp_path)
        )

    def test_nothing_changes_nothing(self) -> None:
        """Without arguments the configuration stays equal."""
        assert override(load_config()) == load_config()

    def test_what_it_is_given_is_checked(self) -> None:
        """A command line gets the same refusals as a file."""
        with pytest.raises(ConfigError, match=r"nats\.port: must be at most 65535, was 70000"):
            override(load_config(), port=70_000)


DUMPED = dump_config(load_config())


@given(
    interval_ms=st.integers(1_000, 3_650 * 86_400_000),
    balance=st.decimals(0, 10**15, places=8),
    seed=st.integers(0, 2**63 - 1),
    limit=st.integers(1, 100_000),
    data_dir=st.text(
        st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="~/."), min_size=1
    ).filter(str.strip),
)
def test_a_dump_reads_back_as_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    interval_ms: int,
    balance: Decimal,
    seed: int,
    limit: int,
    data_dir: str,
) -> None:
    """A configuration handed to another process through a file, or pickled, arrives unchanged."""
    raw = yaml.load(DUMPED, Loader=yaml.CSafeLoader)
    raw["storage"] |= {"snapshot_interval": f"{interval_ms}ms", "data_dir": data_dir}
    raw["simulator"] |= {"seed": seed, "balances": {"USDT": format(balance, "f")}}
    raw["exchanges"]["binance"]["spot"]["rate_limits"]["orders_per_second"] = limit
    path = tmp_path_factory.mktemp("dump") / "config.yaml"
    path.write_text(yaml.dump(raw, Dumper=yaml.CSafeDumper), encoding="utf-8")
    config = load_config(path)
    assert config.storage.snapshot_interval == interval_ms * 1_000_000
    assert config.simulator.balances["USDT"] == balance
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_an_exchange_without_a_test_network_says_so(tmp_path: Path) -> None:
    """Upbit with test_net, and no simulator in its place, is refused before anything starts."""
    text = """
simulator: {enabled: false}
exchanges: {upbit: {spot: {enabled: true}}}
accounts: {main: {kind: MAIN, venues: [upbit.spot]}}
"""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"exchanges\.upbit\.spot\.test_net: must be false"):
        load_config(path)
    path.write_text(text.replace("enabled: true", "enabled: true, test_net: false"))
    assert not load_config(path).venues["upbit.spot"].test_net
