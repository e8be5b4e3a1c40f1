"""YAML for configuration: what `yaml.SafeLoader` reads, less what hides a mistake."""

import yaml

from oms._config_values import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML without the two features that hide mistakes or blow up: keys given twice, and aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(problem="aliases are not allowed here", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def parse_yaml(data: bytes, place: str) -> object:
    try:
        loader = _Loader(data.decode("utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_keys_given_twice(node, "")
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(place, f"is not valid YAML: {error.problem}{where}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(place, f"is not valid YAML: {str(error)[:200]}") from error
    except RecursionError:
        raise ConfigError(place, "is nested too deeply") from None


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
