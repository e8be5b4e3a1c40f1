"""The simulated exchanges that a configuration asks for."""

from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from oms.cli.simulated import simulator_config
from oms.cli.stack import _throw_away_keys
from oms.config import Config, ConfigError, load_config
from oms.simulator import KRW_TICKS, PRESETS, Simulator, SimulatorConfig
from oms.venues.credentials import EnvironmentCredentials

EVERYTHING = """
exchanges:
  binance: {spot: {enabled: true}, futures: {enabled: true, rate_limits: {orders_per_second: 50}}}
  bybit: {spot: {enabled: true}, futures: {enabled: true}}
  okx: {spot: {enabled: true}, futures: {enabled: true}}
  upbit: {spot: {enabled: true}}
accounts:
  main:
    kind: MAIN
    venues: [binance.spot, binance.futures, bybit.spot, bybit.futures, okx.spot, okx.futures, upbit.spot]
  sub_a: {kind: SUB, venues: [okx.futures]}
"""


SIMULATOR = """
simulator:
  instruments:
    binance.spot: {BTCUSDT: {base: BTC, quote: USDT, price: "1"}}
    binance.futures: {BTCUSDT: {base: BTC, quote: USDT, price: "1"}}
    bybit.spot: {BTCUSDT: {base: BTC, quote: USDT, price: "1"}}
    bybit.futures: {BTCUSDT: {base: BTC, quote: USDT, price: "1"}}
    okx.spot: {BTC-USDT: {base: BTC, quote: USDT, price: "1"}}
    okx.futures: {BTC-USDT-SWAP: {base: BTC, quote: USDT, price: "1"}}
    upbit.spot: {KRW-BTC: HERE}
"""


def built(config: Config, tmp_path: Path) -> SimulatorConfig:
    keys = EnvironmentCredentials(_throw_away_keys(config))
    return simulator_config(config, keys, port=0, ca_path=tmp_path / "ca.pem")


def test_the_default_is_one_venue(tmp_path: Path) -> None:
    """Without a file there is Binance's spot market, with both accounts and the real limits."""
    [exchange] = built(load_config(), tmp_path).exchanges
    assert (exchange.name, [symbol.market for symbol in exchange.symbols]) == ("binance", ["spot", "spot"])
    assert [account.name for account in exchange.accounts] == ["main", "sub_arb"]
    assert exchange.accounts[0].balances == {"USDT": Decimal(100_000), "BTC": Decimal(2)}
    assert exchange.limits == {"weight_1m": 6_000, "orders_10s": 100, "orders_1d": 200_000}
    assert exchange.accounts[0].api_key != exchange.accounts[1].api_key


def test_every_exchange_with_an_enabled_venue_is_served(tmp_path: Path) -> None:
    """Each has its own symbols, accounts and keys; the listed instruments are those that presets describe."""
    path = tmp_path / "config.yaml"
    path.write_text(EVERYTHING)
    config = built(load_config(path), tmp_path)
    by_name = {exchange.name: exchange for exchange in config.exchanges}
    assert list(by_name) == ["binance", "bybit", "okx", "upbit"]
    for name, exchange in by_name.items():
        expected = [s for venue, symbols in PRESETS.items() if venue.startswith(name) for s in symbols]
        assert [symbol.symbol for symbol in exchange.symbols] == [symbol.symbol for symbol in expected]
        for symbol, preset in zip(exchange.symbols, expected, strict=True):
            # How much may be ordered at once is the configuration's own; all else is the venue's.
            assert symbol == attrs.evolve(preset, max_quantity=symbol.max_quantity), symbol.symbol
    assert [account.name for account in by_name["okx"].accounts] == ["main", "sub_a"]
    assert all(account.passphrase for account in by_name["okx"].accounts)
    assert [account.name for account in by_name["upbit"].accounts] == ["main"]
    assert set(by_name["upbit"].accounts[0].balances) == {"KRW", "BTC"}
    assert by_name["upbit"].symbols[0].ticks == KRW_TICKS
    assert by_name["binance"].limits["futures_orders_10s"] == 500
    assert set(Simulator(config).exchanges) == set(by_name)


def test_an_instrument_that_cannot_work_is_named(tmp_path: Path) -> None:
    """A price between two of Upbit's ticks is refused with its place in the configuration."""
    path = tmp_path / "config.yaml"
    instrument = "{base: BTC, quote: KRW, price: '70000500', step: '0.00000001'}"
    path.write_text(EVERYTHING + SIMULATOR.replace("HERE", instrument))
    config = load_config(path)
    with pytest.raises(
        ConfigError, match=r"simulator\.instruments\.upbit\.spot\.KRW-BTC.*not a multiple of tick"
    ):
        built(config, tmp_path)
