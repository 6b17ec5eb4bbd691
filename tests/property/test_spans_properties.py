"""Laws of a rewrite: each change is made where it belongs, and not one byte outside the changes is another."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from spelling import JSON, OBJECT, Spelled, spelled

from extproc.core.spans import Added, Change, Edited, Path, Replaced, rewrite, string_tokens

NEW_TEXTS = ["", "[X]", 'é"\\😀', "\n"]
NEW_VALUES = [b"true", b'"tiny"', b'{"include_usage":true}', b"[ 1 , {} ]"]
Splice = tuple[int, int, bytes]


@dataclass(frozen=True)
class Cut:
    """An edit as the redaction makes them."""

    start: int
    end: int
    replacement: str


def spliced(raw: bytes, splices: list[Splice]) -> bytes:
    """`raw` with each stretch of bytes exchanged, done from the end so that no offset moves."""
    for start, end, new in reversed(sorted(splices, key=lambda splice: splice[:2])):  # noqa: C413 - equal ones keep their order
        raw = raw[:start] + new + raw[end:]
    return raw


def replaced(written: Spelled, path: Path, new: bytes) -> tuple[Change, Splice]:
    """A value exchanged, and what that does to the bytes."""
    return Replaced(path, new), (*written.values[path], new)


def edited(written: Spelled, token: int, dice: random.Random) -> tuple[Change, list[Splice]]:
    """Parts of a string exchanged, and what that does to the bytes."""
    letters = written.letters[token]
    bounds = sorted(dice.randrange(len(letters)) for _ in range(dice.choice([2, 4])))
    cuts = [Cut(start, end, dice.choice(NEW_TEXTS)) for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    splices = [(letters[cut.start], letters[cut.end], json.dumps(cut.replacement, ensure_ascii=False)[1:-1].encode()) for cut in cuts]
    return Edited(list(string_tokens(written.raw))[token], cuts), joined(splices)


def joined(splices: list[Splice]) -> list[Splice]:
    """Splices at one place as one, in their order."""
    found: dict[tuple[int, int], bytes] = {}
    for start, end, new in splices:
        found[start, end] = found.get((start, end), b"") + new
    return [(*span, new) for span, new in found.items()]


def grown(written: Spelled, value: Any, path: Path, names: list[str]) -> tuple[list[Change], Splice]:
    """New members of an object, and what they do to the bytes."""
    new = [(name, NEW_VALUES[number % len(NEW_VALUES)]) for number, name in enumerate(names)]
    node = value
    for step in path:
        node = node[step]
    pieces = [json.dumps(name, ensure_ascii=False).encode() + b":" + given for name, given in new]
    close = written.closes[path]
    return [Added(path, *member) for member in new], (close, close, (b"," if node else b"") + b",".join(pieces))


def within(path: Path, others: list[Path]) -> bool:
    """Whether a path leads into, or to, one of the others."""
    return any(path[: len(other)] == other for other in others)


@given(JSON, st.randoms(use_true_random=False), st.integers(0, 3), st.integers(0, 6), st.integers(0, 3))
@example({"a": "x😀y", "b": {}}, random.Random(1), 0, 2, 2)
def test_changes_are_made_and_no_other_byte_is(value: Any, dice: random.Random, values: int, strings: int, objects: int) -> None:
    """Values exchanged, parts of strings and names edited, members added to any object: in any order and all at once."""
    written = spelled(value, dice)
    changes: list[Change] = []
    splices: list[Splice] = []
    gone: list[Path] = []
    for path in dice.sample(sorted(written.values, key=repr), min(values, len(written.values))):
        if not within(path, gone) and not any(within(other, [path]) for other in gone):
            change, splice = replaced(written, path, dice.choice(NEW_VALUES))
            changes.append(change)
            splices.append(splice)
            gone.append(path)
    for token in dice.sample(range(len(written.letters)), min(strings, len(written.letters))):
        if not within(written.paths[token], gone):
            change, more = edited(written, token, dice)
            changes.append(change)
            splices += more
    dice.shuffle(changes)
    for path in dice.sample(sorted(written.closes, key=repr), min(objects, len(written.closes))):
        if not within(path, gone):
            new, splice = grown(written, value, path, ["new", 'odd"\\é', "last"][: dice.randint(1, 3)])
            changes += new
            splices.append(splice)
    out = rewrite(written.raw, changes)
    assert out == spliced(written.raw, splices)
    json.loads(out)


@given(OBJECT.filter(bool), st.randoms(use_true_random=False), st.data())
def test_a_member_of_the_top_object_is_found_among_its_namesakes(value: dict[str, Any], dice: random.Random, data: st.DataObject) -> None:
    """The short way to a top-level member leads where the long one does, whatever stands in the strings and objects around it."""
    nested = {
        "model": {"model": value, "x": '"model":1}', '"model"': "\\"},
        **value,
        "store": [value, '{"store":2}'],
        "b": ["model", "store"],
    }
    names = data.draw(st.permutations(list(nested)))
    written = spelled({name: nested[name] for name in names}, dice)
    for name in nested:
        change, splice = replaced(written, (name,), b"7")
        assert rewrite(written.raw, [change]) == spliced(written.raw, [splice])


@given(JSON, st.randoms(use_true_random=False))
def test_a_place_that_is_not_there_is_an_error(value: Any, dice: random.Random) -> None:
    """Neither a value nor an object is made up for a change."""
    written = spelled(value, dice)
    for change in (Replaced(("nobody has this",), b"1"), Added((*max(written.values, key=len), 99), "n", b"1")):
        try:
            rewrite(written.raw, [change])
        except KeyError:
            continue
        raise AssertionError("a change was made nowhere")
