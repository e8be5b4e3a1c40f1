# ruff: noqa: RUF009 - each key is declared by a call, which attrs wants
"""The file of `whatif`: limits, valuations and strategies as the section ``risk`` of the configuration has them.

It may be that section as it stands, with or without its name, or limits alone: scope → control → value. What it says stands in
place of what was said of the same control at the same scope, overrides included; all else is as it was.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from oms import _config_risk as r
from oms import _config_values as v
from oms._config_values import ConfigError
from oms._config_yaml import parse_yaml
from oms.aggregates.partition import Partition
from oms.aggregates.risk.causes import check_causes
from oms.aggregates.risk.controls import check_together
from oms.config import StrategyConfig
from oms.messages.codes import Refused
from oms.messages.scopes import ScopeKind, parse_scope

FILE_BYTES_MAX: Final = 1024 * 1024
_STRATEGY: Final = v.text(r".{1,32}", "a strategy of 1 to 32 characters")


@attrs.frozen(kw_only=True)
class OtherLimits:
    """What a file says. Keys as :class:`oms.config.RiskConfig`, without its defaults."""

    limits: r.Limits = v.key(r.statements, dict)
    valuations: Mapping[str, Decimal | str] = v.key(v.mapping_of(r.ASSET, r.valuation), dict)
    strategies: Mapping[str, StrategyConfig] = v.key(v.mapping_of(_STRATEGY, v.section(StrategyConfig)), dict)


_KEYS: Final = frozenset(attrs.fields_dict(OtherLimits))


def read_file(path: Path) -> OtherLimits:
    """Read a file.

    Raises:
        ConfigError: with the place in the file, what must be there and what was got.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(str(path), f"must be at most {FILE_BYTES_MAX} bytes")
    document: Any = parse_yaml(data, str(path))
    if isinstance(document, dict) and set(document) == {"risk"}:
        document = document["risk"]
    if isinstance(document, dict) and document and not set(document) & _KEYS:
        document = {"limits": document}
    return v.read(OtherLimits, {} if document is None else document, "")


def check_file(file: OtherLimits, state: Partition) -> None:
    """Hold what a file says against a state: a limit of a misspelt account would silently bind nobody.

    Raises:
        ConfigError: with the place in the file.
    """
    exchanges = sorted({key[0] for key in state.instruments})
    instruments = {".".join(key) for key in state.instruments}
    for text, said in file.limits.items():
        scope, place = parse_scope(text), f"limits.{text}"
        if scope.kind is ScopeKind.ACCOUNT and not scope.is_each and scope.name not in state.accounts:
            raise ConfigError(place, f"must be one of {', '.join(sorted(state.accounts))}")
        if scope.kind is ScopeKind.EXCHANGE and not scope.is_each and scope.name not in exchanges:
            raise ConfigError(place, f"must be one of {', '.join(exchanges)}")
        if scope.kind is ScopeKind.INSTRUMENT and not scope.is_each and scope.name not in instruments:
            raise ConfigError(place, "is not listed: must be exchange.market.symbol of the history")
        try:
            known = state.risk.limits.said
            together = {**known.get(text, {}), **said}
            check_together(text, together)
            check_causes(text, {**known, text: together}, known)
        except Refused as refused:
            raise ConfigError(place, refused.message) from None
    for asset, value in file.valuations.items():
        if isinstance(value, str) and value not in instruments:
            raise ConfigError(f"valuations.{asset}", "is not listed: must be exchange.market.symbol")
    for name, its in file.strategies.items():
        if its.account not in state.accounts:
            raise ConfigError(
                f"strategies.{name}.account", f"must be one of {', '.join(sorted(state.accounts))}"
            )
