"""Laws of the search: one look at all texts together finds what a look at each finds, and what leaves holds none of it."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from spelling import alike, spelled

from extproc.core.body import read
from extproc.core.places import changes, search
from extproc.core.spans import rewrite
from extproc.redact import actions
from extproc.redact.scanner import scan

WORD = st.sampled_from(
    [
        "jane@example.com",
        "@",
        "jane",
        ".com",
        "example",
        "4111 1111 1111 1111",
        "4111",
        "1111111111111",
        "\\",
        "\\u0040",
        "\\u00",
        "40",
        '"',
        "{",
        " ",
        ":",
        "-",
        "\0",
        "é",
    ],
)
TEXT = st.lists(WORD, max_size=6).map("".join)
BODY = st.recursive(
    TEXT | st.sampled_from([4111111111111111, -4111111111111111, 4111111111111111.0, 1, True, None]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
).filter(lambda value: not alike(value))


@given(BODY, st.randoms(use_true_random=False))
@example(["4111 1111", " 1111 1111", "x\\", "jane\\u0040", "example.com"], random.Random(1))
@example({"jane@example.com": {"jane@example.com": "jane@example.com"}}, random.Random(1))
def test_the_look_at_all_texts_finds_what_a_look_at_each_finds(value: Any, dice: random.Random) -> None:
    """No text hides another, none goes on in the next, and each finding is told where it is."""
    document = read(spelled(value, dice).raw, max_depth=64)
    found = {(place.path, place.token, place.named, tuple(place.findings)) for place in search(document, frozenset()).places}
    assert found == {(leaf.path, leaf.token, leaf.named, tuple(findings)) for leaf in document.leaves() if (findings := scan(leaf.text))}


@given(BODY, st.randoms(use_true_random=False))
@example({"jane@example.com": 1, "bob@example.com": 2, "[email_address]": 3}, random.Random(1))
def test_what_leaves_holds_nothing_that_was_looked_for(value: Any, dice: random.Random) -> None:
    """It can be read as strictly as before, has as many members, and a text that was JSON is JSON."""
    raw = spelled(value, dice).raw
    places = search(read(raw, max_depth=64), frozenset()).places
    out = rewrite(raw, changes(raw, [(place, actions.edits(place.findings, {"*": "redact"})) for place in places]))
    after = read(out, max_depth=64)
    assert len(after.leaves()) == len(read(raw, max_depth=64).leaves())
    assert (out == raw) == (not places)
    for before, left in zip(read(raw, max_depth=64).leaves(), after.leaves(), strict=True):
        assert not is_json(before.text) or is_json(left.text)


def is_json(text: str) -> bool:
    """Whether a text is JSON of more than one value."""
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False
