"""What a call gives, read as a declarative file is: one reader, and the same complaints."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import yaml

from controlplane.estate.edits_problems import Fault
from extproc.yaml_lines import MAX_DEPTH, Item, Problems

_MARK: Final = yaml.Mark("", 0, 0, 0, "", 0)
_TAG: Final = "tag:yaml.org,2002:"


def given(value: Any, path: str) -> Item:
    """JSON with exact numbers as a place in a file; `path` is what complaints name."""
    return Item(_node(value, 0), path, Problems(""))


def wrong_with(item: Item) -> list[Fault]:
    """What was noted, by field."""
    return [(path, detail) for path, _, detail in (sentence.partition(": ") for _, sentence in item.problems.found)]


def _node(value: Any, depth: int) -> yaml.Node:
    if isinstance(value, dict | list) and depth == MAX_DEPTH:
        return yaml.ScalarNode(f"{_TAG}null", "", _MARK, _MARK)  # which no reader takes
    if isinstance(value, dict):
        pairs = [(_node(str(name), depth), _node(inner, depth + 1)) for name, inner in value.items()]
        return yaml.MappingNode(f"{_TAG}map", pairs, _MARK, _MARK)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode(f"{_TAG}seq", [_node(inner, depth + 1) for inner in value], _MARK, _MARK)
    if value is None:
        return yaml.ScalarNode(f"{_TAG}null", "", _MARK, _MARK)
    return yaml.ScalarNode(f"{_TAG}str", _scalar(value), _MARK, _MARK)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
