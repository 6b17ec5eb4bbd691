"""YAML read so that every complaint can name its line, and all of them are made at once.

Scalars stay text until a reader gives them a type: a price never becomes a float, and a team may be
called `no`. Anchors, aliases, tags and repeated names are refused; they hide what a file says.
YAML 1.1 as PyYAML reads it; marks count lines from 0, people from 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

import yaml

from contracts.errors import Unusable

T = TypeVar("T")

MAX_DEPTH: Final = 16
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL: Final = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong with one file; `found` holds (line, sentence)."""

    file: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def say(self, line: int, sentence: str) -> None:
        """Note one problem."""
        self.found.append((line, sentence))

    def lines(self) -> list[str]:
        """`file:line: sentence`, in the file's order."""
        return [f"{self.file}:{line}: {sentence}" for line, sentence in sorted(self.found)]

    def stop(self) -> None:
        """Raise Unusable with every problem, one a line, where there is any."""
        if self.found:
            raise Unusable("\n".join(self.lines()))


@dataclass(frozen=True, slots=True)
class Item:
    """A place in the file. Its readers note what is wrong and give None (or nothing) instead."""

    node: yaml.Node
    path: str
    problems: Problems = field(repr=False)

    @property
    def line(self) -> int:
        """Line, counted from 1."""
        return int(self.node.start_mark.line) + 1

    @property
    def null(self) -> bool:
        """Whether nothing, or null, stands here."""
        return bool(self.node.tag == _NULL)

    def wrong(self, sentence: str) -> None:
        """Note what is wrong here."""
        self.problems.say(self.line, f"{self.path}: {sentence}" if self.path else sentence)

    def text(self) -> str | None:
        """A scalar as it is written."""
        if isinstance(self.node, yaml.ScalarNode) and not self.null:
            return str(self.node.value)
        self.wrong("is empty; give it a value" if self.null else "must be a single value, not a list or a table")
        return None

    def read(self, convert: Callable[[str], T]) -> T | None:
        """A scalar through `convert`, whose ValueError says what is wrong with it."""
        text = self.text()
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError as error:
            self.wrong(str(error))
            return None

    def flag(self) -> bool:
        """A scalar that is true or false."""
        return bool(self.read(boolean))

    def items(self) -> list[Item]:
        """A list's items."""
        if isinstance(self.node, yaml.SequenceNode):
            return [Item(node, f"{self.path}[{number}]", self.problems) for number, node in enumerate(self.node.value)]
        self.wrong("must be a list, such as [one, two]")
        return []

    def entries(self) -> dict[str, Item]:
        """A table's entries by name; nothing at all counts as an empty table."""
        if not isinstance(self.node, yaml.MappingNode):
            if not self.null:
                self.wrong("must be a table of names and values")
            return {}
        found: dict[str, Item] = {}
        for key, value in self.node.value:
            name = Item(key, self.path, self.problems)
            if not isinstance(key, yaml.ScalarNode):
                name.wrong("a name must be a single word")
            elif key.value in found:
                name.wrong(f"'{key.value}' stands here twice; the first is on line {found[key.value].line}")
            else:
                found[key.value] = Item(value, f"{self.path}.{key.value}".lstrip("."), self.problems)
        return found

    def fields(self, known: Collection[str], required: Collection[str] = ()) -> dict[str, Item]:
        """A table whose names are all `known`; the others, and missing ones, are noted."""
        entries = self.entries()
        for name in entries.keys() - known:
            entries[name].wrong(f"unknown field{suggestion(name, known)}")
        for name in [name for name in required if name not in entries]:
            self.wrong(f"'{name}' is missing")
        return {name: item for name, item in entries.items() if name in known}


def boolean(text: str) -> bool:
    """Read `true` or `false`."""
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def suggestion(name: str, known: Collection[str]) -> str:
    """A hint at the name that was perhaps meant, or the names there are."""
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def read(text: str, file: str) -> Item:
    """The file's top. Raises Unusable where it is no YAML, or uses what is not read here."""
    problems = Problems(file)
    try:
        _scan(text, problems)
        problems.stop()
        node = yaml.compose(text, _LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.say(mark.line + 1 if mark else 1, f"this is not YAML: {error.problem or error.context}")
    except yaml.YAMLError:
        problems.say(1, "this is not YAML: it has characters that no text file may hold")
    problems.stop()
    return Item(node or _EMPTY, "", problems)


def _scan(text: str, problems: Problems) -> None:
    """Refuse what would hide meaning, and nesting that no such file needs, before a tree is built."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            problems.say(line, f"aliases (*{event.anchor}) are not read here; write the value out")
        elif isinstance(event, yaml.NodeEvent) and getattr(event, "anchor", None):
            problems.say(line, f"anchors (&{event.anchor}) are not read here; write the value out")
        elif tag := getattr(event, "tag", None):
            problems.say(line, f"tags ({tag}) are not read here; write the plain value")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            problems.say(line, f"nested more than {MAX_DEPTH} levels deep")
            return


_MARK: Final = yaml.Mark("", 0, 0, 0, "", 0)
_EMPTY: Final = yaml.ScalarNode(_NULL, "", _MARK, _MARK)
