"""Laws of reading: however a value is written, its texts are the same, and what two parsers could read differently is refused."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from spelling import JSON, alike, leaves_of, spelled

from extproc.core.body import Malformed, read
from extproc.core.spans import rewrite

DIGITS = st.integers(-(10**30), 10**30) | st.integers(2**53 - 9, 2**53 + 9) | st.integers(2**64 - 9, 2**64 + 9)


@given(JSON, st.randoms(use_true_random=False))
def test_any_spelling_reads_as_its_value(value: Any, dice: random.Random) -> None:
    """However a value is written, the tree is the same, and so is every text: names, strings and long numbers, with their places."""
    written = spelled(value, dice)
    if alike(value):
        try:
            read(written.raw, max_depth=64)
        except Malformed:
            return
        raise AssertionError("names that differ only in case were accepted")
    document = read(written.raw, max_depth=64)
    assert document.tree == value
    assert document.leaves() == leaves_of(value)
    assert document.strings() == [leaf for leaf in leaves_of(value) if leaf.token >= 0 and not leaf.named]
    assert rewrite(written.raw, []) == written.raw


@given(JSON.filter(lambda value: not alike(value)), st.randoms(use_true_random=False))
@example({"a": [1e6, {"b": -2e6}], "c": [[1000000]]}, random.Random(1))
def test_the_quick_look_sees_all_that_the_slow_one_sees(value: Any, dice: random.Random) -> None:
    """`texts` leaves out no text that has a place, and makes none up."""
    document = read(spelled(value, dice).raw, max_depth=64)
    assert sorted(document.texts()) == sorted(leaf.text for leaf in document.leaves())


@given(DIGITS, st.randoms(use_true_random=False), st.text('{}[]:,"\\0189 ', max_size=8))
@example(9007199254740993, random.Random(1), "")
@example(18446744073709551617, random.Random(1), "")
@example(119209289550781250000000, random.Random(1), "")
def test_a_whole_number_passes_where_a_double_holds_it(number: int, dice: random.Random, beside: str) -> None:
    """And only there, whatever digits stand in strings beside it; with `exact` off, any number passes."""
    raw = spelled({"before": beside, "here": [number], str(number): beside}, dice).raw
    assert read(raw, max_depth=4, exact=False).raw == raw
    try:
        document = read(raw, max_depth=4)
    except Malformed:
        assert int(float(number)) != number
        return
    assert int(float(number)) == number
    assert document.tree["here"] == [number]


@given(st.binary(max_size=40) | st.text('{}[]:,"\\u0aé 19.e-', max_size=30).map(str.encode))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    """No bytes lead to anything but a document or Malformed, and what is read is what Python's own parser reads."""
    try:
        document = read(raw, max_depth=8)
    except Malformed:
        return
    assert document.tree == json.loads(raw)
    assert sorted(document.texts()) == sorted(leaf.text for leaf in document.leaves())
