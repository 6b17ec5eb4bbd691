"""Questions to the syntax tree that regorus gives for one Rego file: heads of rules, calls, imports.

The tree is JSON: each node is an object with one key that names its kind (`Call`, `RefDot`, `Var` …). The shape is
regorus' own, pinned with the wheel; whatever this file does not recognise is reported by its callers, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Head of one rule. `kind`: set (`contains`), value, function or default. `key`: what a set rule contains."""

    kind: str
    path: Path
    line: int
    key: Node | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call by the name in the text. `path` is empty where the name is not written out."""

    path: Path
    line: int


_KINDS = {"Set": "set", "Compr": "value", "Func": "function"}


def package(module: Node) -> Path:
    """The package of a file as its words; empty where it is not written out."""
    return dotted(module["package"]["refr"])


def imports(module: Node) -> Iterator[tuple[str, Path, int]]:
    """Each import: the name it goes by in the file, its path and line. rego.v1 and future.* are no names."""
    for item in module["imports"]:
        path = dotted(item["refr"])
        if path and path[0] in {"rego", "future"}:
            continue
        renamed = item.get("as")
        name = path[-1] if path else ""
        yield (_slice(module, renamed) if renamed else name), path, item["span"]["line"]


def heads(module: Node) -> Iterator[Head]:
    """Head of every rule, in the order of the text."""
    for rule in module["rules"]:
        ((kind, body),) = rule.items()
        if kind == "Default":
            yield Head("default", dotted(body["refr"]), body["span"]["line"])
            continue
        ((shape, head),) = body["head"].items()
        yield Head(_KINDS.get(shape, shape), _stem(head["refr"]), body["span"]["line"], head.get("key"))


def calls(node: Any) -> Iterator[Call]:
    """Every call below a node."""
    for kind, body in _nodes(node):
        if kind == "Call":
            yield Call(dotted(body["fcn"]), body["span"]["line"])


def replaced(node: Any) -> Iterator[int]:
    """Lines on which a `with` stands."""
    for kind, body in _nodes(node):
        if kind == "with_mods":
            yield from (modifier["span"]["line"] for modifier in body)


def negated(node: Any) -> Iterator[tuple[Path, int]]:
    """What stands after each `not`: its words, empty where it is more than a plain reference, and its line."""
    for kind, body in _nodes(node):
        if kind == "NotExpr":
            yield dotted(body["expr"]), body["span"]["line"]


def dotted(ref: Node) -> Path:
    """A reference as its words: data.a["b"] is (data, a, b); empty where a part of it is not a literal."""
    ((kind, body),) = ref.items()
    if kind == "Var":
        return (str(body["value"]),)
    if kind == "RefDot":
        stem, word = dotted(body["refr"]), body["field"][1]
    elif kind == "RefBrack" and "String" in body["index"]:
        stem, word = dotted(body["refr"]), body["index"]["String"]["value"]
    else:
        return ()
    return (*stem, str(word)) if stem else ()


def literal_fields(node: Node | None) -> dict[str, Node] | None:
    """Fields of an object that is written out with literal keys; None for anything else."""
    if node is None or "Object" not in node:
        return None
    fields: dict[str, Node] = {}
    for _, key, value in node["Object"]["fields"]:
        if "String" not in key:
            return None
        fields[key["String"]["value"]] = value
    return fields


def _stem(ref: Node) -> Path:
    """Words of a rule's name up to the first part that is not a literal: table[kind] is (table,)."""
    ((kind, body),) = ref.items()
    if kind == "Var":
        return (str(body["value"]),)
    words = dotted(ref)
    return words or _stem(body["refr"])


def _slice(module: Node, span: Node) -> str:
    return str(module["text"][span["start"] : span["end"]].decode())


def _nodes(node: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) below a node. A stack of our own: depth of the text can't exhaust Python's."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
