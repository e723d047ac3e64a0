"""YAML as plain data: no tags are obeyed, and a key that is written twice is an error instead of a lost value."""

from typing import Any

import yaml

__all__ = ["load_yaml"]


class _OnceLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which the safe loader would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the safe loader; keys that come in by `<<` may be overridden, as they are meant to be."""
        seen: set[Any] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """The content of a YAML text.

    Raises:
        yaml.YAMLError: it is no YAML, has a tag that stands for more than plain data, or a key twice in one mapping.
        RecursionError: it is nested too deeply.
        ValueError: a scalar that looks like a number or a date and is none.
    """
    return yaml.load(text, _OnceLoader)  # a safe loader
