"""Laws of a rewrite: the tree changes as asked, and not one byte outside the changes."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from extproc.core.body import Edited, Malformed, Replaced, read

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.text('\\"/é😀\nu0a', max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@dataclass(frozen=True)
class Cut:
    """An edit as the redaction makes them."""

    start: int
    end: int
    replacement: str


def spelled(value: Any, dice: random.Random) -> str:
    """One of the many ways to write a value: spaces, escapes and case of hex digits by chance."""
    gap = dice.choice(["", "", " ", "\n\t", "\r "])
    if isinstance(value, str):
        return '"' + "".join(letter(character, dice) for character in value) + '"'
    if isinstance(value, list):
        return "[" + gap + ",".join(gap + spelled(item, dice) + gap for item in value) + "]"
    if isinstance(value, dict):
        return (
            "{" + gap + ",".join(f"{gap}{spelled(name, dice)}{gap}:{gap}{spelled(item, dice)}" for name, item in value.items()) + gap + "}"
        )
    return json.dumps(value)


def letter(character: str, dice: random.Random) -> str:
    """A character as it is, or escaped in one of the ways there are."""
    short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\r": "\\r"}
    if character in short and dice.random() < 0.5:
        return short[character]
    if character in '"\\' or ord(character) < 0x20 or dice.random() < 0.3:
        units = character.encode("utf-16-be").hex()
        units = dice.choice([units, units.upper()])
        return "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
    return character


def strings(value: Any) -> list[str]:
    """Every string value, in order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in strings(item)]


def put(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of `tree` with `value` at `path`."""
    if not path:
        return value
    tree = copy.copy(tree)
    tree[path[0]] = put(tree[path[0]], path[1:], value)
    return tree


def alike(value: Any) -> bool:
    """Whether some object has names that differ only in case."""
    if isinstance(value, dict):
        return len({name.casefold() for name in value}) < len(value) or any(alike(item) for item in value.values())
    return isinstance(value, list) and any(alike(item) for item in value)


@given(JSON, st.randoms(use_true_random=False))
def test_any_spelling_reads_as_its_value(value: Any, dice: random.Random) -> None:
    """However a value is written, the tree and the leaves are the same."""
    raw = spelled(value, dice).encode()
    if alike(value):
        try:
            read(raw, max_depth=64)
        except Malformed:
            return
        raise AssertionError("names that differ only in case were accepted")
    document = read(raw, max_depth=64)
    assert document.tree == value
    assert [leaf.text for leaf in document.leaves()] == strings(value)
    assert document.rewrite([]) == raw


@given(JSON.filter(lambda value: not alike(value)), st.randoms(use_true_random=False), st.data())
@example({"a": "x😀y"}, random.Random(1), None)
def test_edits_change_what_they_name_and_no_other_byte(value: Any, dice: random.Random, data: st.DataObject | None) -> None:
    """The result is JSON whose tree is the edited tree; the bytes around each edit are those of before."""
    raw = spelled(value, dice).encode()
    document = read(raw, max_depth=64)
    changes, expected, kept = [], value, []
    for leaf in document.leaves():
        bounds = sorted(data.draw(st.lists(st.integers(0, len(leaf.text)), max_size=4))) if data else [1, 2]
        cuts = [Cut(start, end, dice.choice(["", "[X]", 'é"\\😀'])) for start, end in zip(bounds[::2], bounds[1::2], strict=False)]
        kept += [
            leaf.text[start:end] for start, end in zip([0, *(c.end for c in cuts)], [*(c.start for c in cuts), len(leaf.text)], strict=True)
        ]
        text = leaf.text
        for cut in reversed(cuts):
            text = text[: cut.start] + cut.replacement + text[cut.end :]
        expected = put(expected, leaf.path, text)
        changes.append(Edited(leaf, cuts))
    dice.shuffle(changes)
    out = document.rewrite(changes)
    assert json.loads(out) == expected
    whole = sum(len(change.edits) for change in changes)
    assert out == raw if not whole else untouched(raw, out, changes)


def untouched(raw: bytes, out: bytes, changes: list[Edited]) -> bool:
    """Each piece of `raw` between two edits is found in `out`, in order and with only replacements between."""
    edits = sorted(
        ((change.leaf.token, number) for change in changes for number in range(len(change.edits))),
    )
    by_token = {change.leaf.token: sorted(change.edits, key=lambda edit: (edit.start, edit.end)) for change in changes}
    at_raw = at_out = 0
    spans = list(slow_tokens(raw))
    for token, number in edits:
        edit = by_token[token][number]
        start = slow_place(raw, spans[token], edit.start)
        end = slow_place(raw, spans[token], edit.end)
        piece = raw[at_raw:start]
        new = json.dumps(edit.replacement, ensure_ascii=False)[1:-1].encode()
        assert out[at_out : at_out + len(piece)] == piece
        assert out[at_out + len(piece) : at_out + len(piece) + len(new)] == new
        at_raw, at_out = end, at_out + len(piece) + len(new)
    assert out[at_out:] == raw[at_raw:]
    return True


def slow_tokens(raw: bytes) -> list[int]:
    """Where each string token starts, found byte by byte."""
    starts, at = [], 0
    while at < len(raw):
        if raw[at] == ord('"'):
            starts.append(at)
            at += 1
            while raw[at] != ord('"'):
                at += 2 if raw[at] == ord("\\") else 1
        at += 1
    return starts


def slow_place(raw: bytes, start: int, offset: int) -> int:
    """The byte where character `offset` of the string token at `start` begins, found by reading prefixes."""
    at = start + 1
    for _ in range(offset):
        length = next(n for n in range(1, 13) if one_character(raw[at : at + n]))
        at += length
    return at


def one_character(piece: bytes) -> bool:
    """Whether the bytes are exactly one character of a JSON string."""
    try:
        text = json.loads(b'"' + piece + b'"', strict=False)
    except ValueError:
        return False
    return len(text) == 1 and not "\ud800" <= text <= "\udfff"


@given(JSON.filter(lambda value: not alike(value)), JSON, st.randoms(use_true_random=False))
def test_a_replaced_value_is_the_only_difference(value: Any, new: Any, dice: random.Random) -> None:
    """Any value at any place can be exchanged for any other."""
    raw = spelled(value, dice).encode()
    path: list[str | int] = []
    node = value
    while isinstance(node, dict | list) and node and dice.random() < 0.8:
        step = dice.choice(list(node)) if isinstance(node, dict) else dice.randrange(len(node))
        path.append(step)
        node = node[step]
    fresh = spelled(new, dice).strip().encode()
    out = read(raw, max_depth=64).rewrite([Replaced(tuple(path), fresh)])
    assert json.loads(out) == put(value, tuple(path), new)
    assert any(exchanged(raw, out, fresh, node, at) for at in range(len(raw)))


def exchanged(raw: bytes, out: bytes, fresh: bytes, old: Any, at: int) -> bool:
    """Whether `out` is `raw` with the text of the value `old`, which stands at `at`, exchanged for `fresh`."""
    end = len(raw) - (len(out) - at - len(fresh))
    if out != raw[:at] + fresh + raw[end:] or end <= at:
        return False
    try:
        return bool(json.loads(raw[at:end]) == old)
    except ValueError:
        return False


@given(st.binary(max_size=40) | st.text('{}[]:,"\\u0aé 1', max_size=30).map(str.encode))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    """No bytes lead to anything but a document or Malformed, and what is read is what Python's own parser reads."""
    try:
        document = read(raw, max_depth=8)
    except Malformed:
        return
    assert document.tree == json.loads(raw)
