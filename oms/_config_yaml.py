"""YAML for configuration: what `yaml.CSafeLoader` reads, less what hides a mistake: keys given twice, and aliases."""

from typing import Any, Final

import yaml

from oms._config_values import ConfigError

DEPTH_MAX: Final = 50
"""How deep mappings and lists may stand in each other; the configuration itself has six levels."""


def parse_yaml(data: bytes, place: str) -> object:
    try:
        text = data.decode("utf-8")
        _refuse_what_blows_up(text, place)
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_keys_given_twice(node, "")
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(place, _invalid(str(error.problem), error.problem_mark)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(place, f"is not valid YAML: {str(error)[:200]}") from error


def _invalid(problem: str, mark: Any) -> str:
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"is not valid YAML: {problem}{where}"


def _refuse_what_blows_up(text: str, place: str) -> None:
    """Aliases hide what is meant, and a few of them stand for more than memory holds; nor is the reader made for any depth."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(place, _invalid("aliases are not allowed here", event.start_mark))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise ConfigError(place, "is nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_keys_given_twice(node: yaml.Node, place: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_keys_given_twice(item, f"{place}[{index}]")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        here = f"{place}.{name}" if place else name
        line = key.start_mark.line + 1
        if name in lines:
            raise ConfigError(here, f"must be given once, was in line {lines[name]} and in line {line}")
        lines[name] = line
        _refuse_keys_given_twice(value, here)
