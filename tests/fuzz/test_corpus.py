"""Every input of the corpus through its target: what was found once is found again, and `make fuzz` starts from inputs that hold.

A file named `found-…` once broke an oracle; what it showed is in its name.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Final

import pytest
from fuzz import json_places, mutation
from fuzz.json_places import NotJSON
from fuzz.oracles import nothing_planted, nothing_planted_in, same_shape
from fuzz.targets import CORPUS, TARGETS, Target
from fuzz.words import KEY
from hypothesis import example, given
from hypothesis import strategies as st
from shapes.passing import ROUTES

LARGEST: Final = 300_000
INPUTS: Final = [(target, path) for target in TARGETS.values() for path in sorted(target.corpus.glob("*"))]

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@every_target
def test_no_input_of_the_corpus_breaks_an_oracle(target: Target) -> None:
    """In every way that a target can look at it, quick or not."""
    paths = sorted(target.corpus.glob("*"))
    assert paths, "a target has something to begin with"
    for path in paths:
        try:
            target.check(path.read_bytes(), True)
        except AssertionError as broken:
            raise AssertionError(f"{path.relative_to(CORPUS)}: {broken}") from broken


def test_every_route_has_its_targets() -> None:
    """A route whose requests and answers nobody mangles is one whose parser nobody has tried."""
    assert {f"{route.name}_{part}" for route in ROUTES for part in ("request", "answer")} <= TARGETS.keys()
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys()


def test_the_corpus_stays_small() -> None:
    """Everybody who clones has it, and every run of the tests reads it."""
    assert sum(path.stat().st_size for _, path in INPUTS) < LARGEST


# ── what the targets stand on ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    "shown",
    [b'"planted000001x@example.com"', b'{"to":["see planted123456x\\u0040example.com"]}', b'["planted000001x\\\\u0040example.com"]'],
)
def test_an_oracle_sees_what_is_planted(shown: bytes) -> None:
    """Plain, escaped, and in JSON in JSON."""
    with pytest.raises(AssertionError, match="an address is left"):
        nothing_planted_in(shown)


def test_an_oracle_sees_the_credential() -> None:
    """Where it is asked to."""
    nothing_planted(KEY.decode())
    with pytest.raises(AssertionError, match="the credential is left"):
        nothing_planted(f"key {KEY.decode()}.", secret=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [({"a": 1}, {"b": 1}), ([1], [1, 1]), ({"a": "x"}, {"a": ["x"]}), ("see x", "x"), (7, 8), (1, True), (None, "null"), ({"a": 1}, {})],
)
def test_an_oracle_sees_another_shape(before: object, after: object) -> None:
    """Members renamed, more items, other kinds, other words."""
    assert not same_shape(before, after)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_the_second_reading_finds_every_value(tree: object) -> None:
    """Where the values of JSON text stand, each of them is."""
    raw = json.dumps(tree).encode()
    values = list(json_places.every(json_places.value_of(raw)))
    assert [json.loads(raw[value.start : value.end]) for value in values] == list(_values(tree))
    assert all(isinstance(json.loads(raw[value.named : value.name_end]), str) for value in values if value.named >= 0)


def _values(tree: object) -> list[object]:
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [tree, *(value for one in inside for value in _values(one))]


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a"}', b'{"a":1,}', b"[1 2]", b"[1]]", b'{"a":1 "b":2}', b"{1:2}", b"x", b"[" * 1000])
def test_the_second_reading_knows_what_is_no_json(raw: bytes) -> None:
    """Rather than finding places in it."""
    with pytest.raises(NotJSON):
        json_places.value_of(raw)


@every_target
@given(seed=st.integers(0, 1 << 32), number=st.integers(0, 1 << 16))
@example(seed=0, number=0)
def test_an_input_changed_is_an_input(target: Target, seed: int, number: int) -> None:
    """However it is changed, twice or with another: bytes come out, the same by the same seed, and most JSON stays JSON."""
    paths: list[Path] = sorted(target.corpus.glob("*"))
    data, other = paths[number % len(paths)].read_bytes(), paths[seed % len(paths)].read_bytes()
    changed = target.mutate(data, random.Random(seed))
    assert changed == target.mutate(data, random.Random(seed))
    assert isinstance(target.cross(target.mutate(changed, random.Random(seed + 1)), other, random.Random(seed)), bytes)


def test_json_changed_is_mostly_json() -> None:
    """Else most of what is tried would end at the door."""
    raw = b'{"model":"cheap","messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}],"n":1}'
    changed = [mutation.json_text(raw, random.Random(seed)) for seed in range(300)]
    assert sum(map(_is_json, changed)) > 250
    assert len(set(changed)) > 250


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True
