"""A body of the API, read: every fault at once, each with its path; nothing half-read, nothing shown that is secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from controlplane.api.problems import Problem
from controlplane.api.reader import Moment, given, read, some
from custody.reveal import REVEAL
from custody.secret import Secret


@dataclass(frozen=True)
class Inner:
    """An object in a body."""

    depth: int


@dataclass(frozen=True)
class Body:
    """One field of each type."""

    name: str
    count: int = 1
    flag: bool = False
    many: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    when: Moment | None = None
    inner: Inner | None = None
    secret: Secret | None = None
    anything: Any = None
    colour: Literal["red", "green"] = "red"


def faults(raw: bytes | str) -> list[str]:
    """The fields that are complained of."""
    with pytest.raises(Problem) as found:
        read(Body, raw if isinstance(raw, bytes) else raw.encode())
    assert found.value.status == 400
    return [error.field for error in found.value.errors]


def test_each_type_is_read() -> None:
    """Values arrive as their types, numbers with a point exactly as written; what is left out stands at its default."""
    text = {"name": "a", "count": 7, "flag": True, "many": ["b"], "labels": {"c": "d"}, "when": "1970-01-02", "inner": {"depth": 3}}
    body = read(Body, (json.dumps(text)[:-1] + ', "anything": {"price": 0.10000000000000000001}}').encode())
    assert body == Body("a", 7, True, ("b",), {"c": "d"}, Moment(86400), Inner(3), None, {"price": Decimal("0.10000000000000000001")})
    assert given(Body, b'{"name": "a"}') == {"name": "a"}
    assert some(Body, b'{"count": 2}') == {"count": 2}


def test_every_fault_is_told_at_once() -> None:
    """Wrong types at any depth, unknown and missing fields, each by its path."""
    raw = (
        '{"count": true, "flag": 1, "many": ["a", 2], "labels": {"x": []}, "when": "soon", "inner": {"depth": "1", "more": 0}, "nme": "a"}'
    )
    assert faults(raw) == [
        "count", "flag", "many[1]", "labels.x", "when", "inner.depth", "inner.more", "nme", "name",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ['"blue"', '"RED"', '""', "null", "1", '["red"]', '{"red": 1}'])
def test_of_several_texts_one_is_taken(value: str) -> None:
    """As it is written, and no other; the complaint names them."""
    assert read(Body, b'{"name": "a", "colour": "green"}').colour == "green"
    with pytest.raises(Problem, match=r"colour: (must be red or green|can't be null)"):
        read(Body, f'{{"name": "a", "colour": {value}}}'.encode())


@pytest.mark.parametrize("value", ["1.0", "1e3", '"1"', "null", "[]"])
def test_what_looks_like_a_whole_number_is_none(value: str) -> None:
    """Nothing is converted by guessing."""
    assert faults(f'{{"name": "a", "count": {value}}}') == ["count"]


@pytest.mark.parametrize(
    "when", ["-1", "true", "253402300800", '"2027-13-01"', '"2027-01-01T00:00:00"', "1.5", '"9999-12-31T23:59:59-01:00"', '"1969-12-31"']
)
def test_a_moment_that_is_none_is_refused(when: str) -> None:
    """Neither negative nor beyond the calendar of UTC, which no answer could show again, and never without its zone."""
    assert faults(f'{{"name": "a", "when": {when}}}') == ["when"]


def test_a_name_that_stands_twice_is_a_fault_at_any_depth() -> None:
    """Whichever was meant."""
    assert faults('{"name": "a", "name": "a"}') == ["name"]
    assert "depth" in faults('{"name": "a", "inner": {"depth": 1, "depth": 2}}')


@pytest.mark.parametrize("raw", ['{"name": "\\ud800"}', '{"name": "a", "labels": {"\\udc00": "x"}}'])
def test_half_a_surrogate_is_no_text(raw: str) -> None:
    """Whatever writes the text on, to a file, a database or a plane, could not."""
    with pytest.raises(Problem) as found:
        read(Body, raw.encode())
    assert found.value.status == 400


def test_a_secret_is_wrapped_and_its_fault_shows_none_of_it() -> None:
    """Neither in the sentence, nor in the exception's text, nor in the value's repr."""
    body = read(Body, b'{"name": "a", "secret": "sk-planted-1"}')
    assert "planted" not in repr(body)
    assert body.secret is not None
    assert body.secret.reveal(REVEAL) == b"sk-planted-1"
    with pytest.raises(Problem) as found:
        read(Body, b'{"name": "a", "secret": "sk-planted-1\\n"}')
    assert "planted" not in f"{found.value!r} {found.value.errors}"


def test_a_name_of_the_callers_is_cut_and_never_breaks_a_line() -> None:
    """An unknown name may be long or hold control characters: it is shown as far as that is safe."""
    assert faults(json.dumps({"name": "a", "x" * 500: 1})) == ["x" * 64]
    assert faults(json.dumps({"name": "a", "a\nb": 1})) == ["(a name that can't be shown)"]


@drawn(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_a_problem(raw: bytes) -> None:
    """Nothing else can come of a body."""
    with suppress(Problem):
        assert isinstance(read(Body, raw), Body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@drawn(
    st.dictionaries(
        st.sampled_from(["name", "count", "flag", "many", "labels", "when", "inner", "anything", "colour", "zzz"]), _JSON, max_size=5
    )
)
def test_any_json_is_read_as_its_types_or_is_a_problem(document: dict[str, Any]) -> None:
    """What is read has the types that its class says."""
    with suppress(Problem):
        body = read(Body, json.dumps(document).encode())
        assert isinstance(body.name, str)
        assert type(body.count) is int
        assert type(body.flag) is bool
        assert all(isinstance(text, str) for text in [*body.many, *body.labels, *body.labels.values()])
        assert body.colour in {"red", "green"}
        assert body.when is None or type(body.when) is Moment
