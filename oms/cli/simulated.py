"""The simulated exchanges that a configuration asks for."""

import math
from collections.abc import Mapping
from pathlib import Path

from oms.config import Config, ConfigError, SimulatedInstrument
from oms.messages.enums import AccountKind
from oms.simulator import AccountConfig, ExchangeConfig, SimulatorConfig, SymbolConfig
from oms.simulator.config import venue_id_of
from oms.simulator.presets import symbol_of
from oms.venues.credentials import Credentials


def simulator_config(config: Config, keys: Credentials, *, port: int, ca_path: Path) -> SimulatorConfig:
    """Return what to build: every exchange with an enabled venue, with the accounts that trade there.

    Raises:
        CredentialsMissing: an account has no key. ConfigError: an instrument that could not work.
    """
    exchanges = dict.fromkeys(venue.split(".")[0] for venue in config.venues)
    return SimulatorConfig(
        port=port,
        ca_path=ca_path,
        seed=config.simulator.seed,
        step_interval_ms=math.ceil(config.simulator.step_interval / 10**6),
        exchanges=tuple(_exchange(config, keys, name) for name in exchanges),
    )


def _exchange(config: Config, keys: Credentials, exchange: str) -> ExchangeConfig:
    venues = [venue for venue in config.venues if venue.startswith(f"{exchange}.")]
    symbols = tuple(
        _symbol(venue, symbol, instrument)
        for venue in venues
        for symbol, instrument in config.simulator.instruments.get(venue, {}).items()
    )
    listed = {asset for symbol in symbols for asset in (symbol.base, symbol.quote)}
    balances = {asset: amount for asset, amount in config.simulator.balances.items() if asset in listed}
    accounts = []
    for name, account in config.accounts.items():
        theirs = [venue.split(".")[1] for venue in venues if venue in account.venues]
        if theirs:
            key = keys.key(exchange, theirs[0], name)
            venue_id = account.venue_ids.get(exchange, "")
            accounts.append(AccountConfig(name, key.api_key, key.secret, balances, key.passphrase, venue_id))
    # Where the MAIN account does not trade, the first one is in its place: an exchange has one.
    accounts.sort(key=lambda account: config.accounts[account.name].kind is not AccountKind.MAIN)
    return ExchangeConfig(exchange, symbols, tuple(accounts), limits=_limits(config, exchange))


def venue_ids(config: Config, exchange: str) -> dict[str, str]:
    """What the exchange calls the accounts, as far as somebody said so; the simulated one has a name for each."""
    said = {name: account.venue_ids.get(exchange, "") for name, account in config.accounts.items()}
    if config.simulator.enabled:
        return {name: venue_id or venue_id_of(exchange, name) for name, venue_id in said.items()}
    return {name: venue_id for name, venue_id in said.items() if venue_id}


def _symbol(venue: str, symbol: str, instrument: SimulatedInstrument) -> SymbolConfig:
    try:
        return symbol_of(
            venue,
            symbol,
            instrument.base,
            instrument.quote,
            start_price=instrument.price,
            tick=instrument.tick,
            step=instrument.step,
            min_quantity=instrument.min_quantity or instrument.step,
            max_quantity=instrument.max_quantity,
            min_notional=instrument.min_notional,
            contract_size=instrument.contract_size,
            prices=instrument.prices,
        )
    except ValueError as error:
        raise ConfigError(f"simulator.instruments.{venue}.{symbol}", str(error)) from error


def _limits(config: Config, exchange: str) -> Mapping[str, int]:
    """Binance's real limits, raised where the configuration allows itself more than they would."""
    found: dict[str, int] = {}
    if exchange != "binance":
        return found
    from oms.simulator.binance.wire import BinanceWire

    real = {pool.name: pool.limit for pool in BinanceWire.pools}
    for venue, prefix in (("binance.spot", ""), ("binance.futures", "futures_")):
        if venue in config.venues:
            ours = [config.rate_limits(name, venue) for name in config.accounts]
            orders = max(each.orders_per_second for each in ours)
            wanted = {
                f"{prefix}weight_1m": sum(each.weight_per_minute for each in ours),
                f"{prefix}orders_10s": 10 * orders,
                f"{prefix}orders_1m": 60 * orders,
                f"{prefix}orders_1d": max(each.orders_per_day for each in ours),
            }
            found |= {name: max(limit, real[name]) for name, limit in wanted.items() if name in real}
    return found
