"""YAML that people write: as PyYAML reads it, but a key that is there twice is an error, not its last value."""

from collections.abc import Hashable
from typing import IO, Any

import yaml


def load_yaml(text: str | IO) -> Any:
    """The content of a YAML text. Raises yaml.YAMLError, also for a key that a mapping has twice."""
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if str(key.value) in seen:
                what = f"`{key.value}` is there twice, first in line {seen[str(key.value)]}"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen[str(key.value)] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)
