"""YAML without what it allows and nobody means: two equal keys, mappings that hold themselves, nests and numbers without end.

Nor numbers to bases that they do not show: `010` would be 8, and `1:30` would be 90.
"""

import copy
import re
from typing import Any

import yaml

__all__ = ["LONGEST_INTEGER", "StrictLoader"]

LONGEST_INTEGER = 24  # characters
_DEEPEST = 40
_INTEGER = re.compile(r"[-+]?\d+[eE]\+?\d+")
_LEADING_ZERO = re.compile(r"[-+]?0[\d_]")
_EXACT = 2**53  # integers below are exact as floats
_MERGE = "tag:yaml.org,2002:merge"


class StrictLoader(yaml.SafeLoader):
    """Refuses what YAML allows and nobody means: two equal keys, mappings that hold themselves, nests and numbers without end."""

    def __init__(self, text: str, most: int):
        super().__init__(text)
        self._depth, self._nodes, self._most = 0, 0, most
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Counts nodes, with all that aliases stand for, and levels."""
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if node not in self._sizes:
                raise yaml.MarkedYAMLError(problem="the alias stands inside what it stands for", problem_mark=mark)
            self._nodes += self._sizes[node]
        else:
            before, self._depth = self._nodes, self._depth + 1
            if self._depth > _DEEPEST:
                raise yaml.MarkedYAMLError(problem=f"nested more than {_DEEPEST} levels deep", problem_mark=mark)
            node = super().compose_node(parent, index)
            self._depth, self._nodes = self._depth - 1, self._nodes + 1
            self._sizes[node] = self._nodes - before
        if self._nodes > self._most:
            raise yaml.MarkedYAMLError(problem=f"more than {self._most} entries, aliases included", problem_mark=mark)
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Refuses equal keys, and keys that are no scalars."""
        node = super().compose_mapping_node(anchor)
        found: dict[Any, yaml.ScalarNode] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is a list or a mapping", problem_mark=key.start_mark)
            # By its value: 1, 0x1 and 1.0 are one key. That of a merge has none.
            value = _MERGE if key.tag == _MERGE else (self.construct_object(key),)
            if value in found:
                first = found[value]
                twice = f"the key {key.value!r} stands twice"
                what = twice if key.value == first.value else f"the keys {first.value!r} and {key.value!r} are the same"
                raise ValueError(f"{what}, in lines {_line(first)} and {_line(key)}: keep one of them")
            found[value] = key
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges what stands under `<<` below the other keys. PyYAML takes the wrong one of two values where merges are nested."""
        merged: dict[tuple[str, str], tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        raise yaml.MarkedYAMLError(problem="'<<' needs mappings", problem_mark=source.start_mark)
                    self.flatten_mapping(source)
                    for pair in source.value:
                        merged.setdefault((pair[0].tag, pair[0].value), pair)
        own = {(pair[0].tag, pair[0].value): pair for pair in node.value if pair[0].tag != _MERGE}
        node.value = list((merged | own).values())

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Refuses integers that would take long to read, and those to a base that they do not show."""
        _check_base(node)
        if len(node.value) > LONGEST_INTEGER:
            raise yaml.MarkedYAMLError(problem=f"an integer of {len(node.value)} digits", problem_mark=node.start_mark)
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """Makes an integer of what is written as one with an exponent, such as `1e3`: keys of other numbers take it too."""
        _check_base(node)
        value = super().construct_yaml_float(node)
        return int(value) if _INTEGER.fullmatch(node.value) and abs(value) < _EXACT else value


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _check_base(node: yaml.ScalarNode) -> None:
    """Refuses numbers that YAML 1.1 reads to base 8 or 60."""
    if _LEADING_ZERO.match(node.value):
        why = "begins with a zero"
    elif ":" in node.value:
        why = "has colons, which makes it one to base 60"
    else:
        return
    problem = f"the number {node.value} {why}: write it in the usual way, or in quotes if it is text"
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)
StrictLoader.add_constructor("tag:yaml.org,2002:float", StrictLoader.construct_yaml_float)
# YAML 1.1 reads `1e-3` as text, but everybody who writes it means a number.
StrictLoader.yaml_implicit_resolvers = copy.deepcopy(yaml.SafeLoader.yaml_implicit_resolvers)
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))
