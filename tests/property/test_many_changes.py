"""Bodies with thousands of findings outside of strings: changed in one walk, with the same outcome as one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.policy import Actions
from extproc.core import dialects, prompt, spans
from extproc.core.spans import Path, Replaced, rewrite

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 1 << 50) | st.floats(allow_nan=False) | st.text(alphabet='a"\\,:{}[] \né', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"\\,:{}[]é', max_size=3), inner, max_size=4),
    max_leaves=20,
)
WANTED = Actions({"*": "redact"}, {"*": "redact"}, "block")


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """Paths to all values that hold no others."""
    if isinstance(node, dict | list) and node:
        for step, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from paths(value, (*path, step))
    else:
        yield path


@given(VALUES, st.booleans())
def test_all_values_replaced_at_once_are_those_replaced_one_by_one(tree: Any, indented: bool) -> None:
    """However many values go, each is found where its path leads."""
    raw = orjson.dumps(tree, option=orjson.OPT_INDENT_2 if indented else 0)
    every = [Replaced(path, b"%d" % number) for number, path in enumerate(paths(tree))]
    one_by_one = raw
    for change in every:
        one_by_one = rewrite(one_by_one, [change])
    assert rewrite(raw, every) == one_by_one


@pytest.mark.parametrize("count", [2, 3, 40])
def test_a_path_that_leads_nowhere_is_an_error_among_many_too(count: int) -> None:
    """A value that should go and isn't found must never be passed over."""
    with pytest.raises(KeyError):
        rewrite(orjson.dumps(list(range(count))), [Replaced((number,), b"0") for number in range(1, count + 1)])


@pytest.mark.parametrize("paths", [[("a",)] * 3, [("a",), ("a", "b"), ("c",)]])
def test_a_value_can_not_be_replaced_twice(paths: list[Path]) -> None:
    """Nor one inside another that goes."""
    with pytest.raises(ValueError, match="overlap"):
        rewrite(b'{"a":{"b":1},"c":2}', [Replaced(path, b"0") for path in paths])


@contextmanager
def lines_run() -> Iterator[list[int]]:
    """Counts the lines of the gate's own code that run."""
    count = [0]

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        if "/extproc/" not in frame.f_code.co_filename:
            return None
        count[0] += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "grown",
    [
        lambda n: {"x": [4111111111111111] * n},
        lambda n: {"x": [{"n": 4111111111111111}] * n},
        lambda n: {"x": {f"joe{i}@example.com": 1 for i in range(n)}},
        lambda n: {"x": [{f"joe{i}@example.com": 1} for i in range(n)]},
        lambda n: {"x": ["joe@example.com"] * n},
    ],
    ids=["numbers", "numbers in objects", "names", "names of objects", "strings"],
)
def test_work_grows_with_the_body_and_not_with_its_square(grown: Any) -> None:
    """One body of 200 KB must not hold up everybody else's: four times the findings are about four times the work."""
    route = dialects.named("chat")

    def work(count: int) -> int:
        raw = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **grown(count)})
        with lines_run() as lines:
            prompt.cleaned(raw, prompt.understood(route, raw, 64), WANTED, [])
        return lines[0]

    work(1)  # what is only done once
    assert work(400) < 6 * work(100)


def test_the_walk_reads_what_the_single_search_reads() -> None:
    """Names with escapes, empty containers, strings full of signs."""
    raw = b'{"a":{},"":[],"\\u0062":[[],{},"x,]}\\"",{"c":[1 , 2]}],"d":-1.5e3,"e":null}'
    wanted: list[Path] = [("a",), ("",), ("b", 0), ("b", 1), ("b", 2), ("b", 3, "c", 1), ("d",), ("e",)]
    assert spans._located(raw, wanted) == [spans._locate(raw, path) for path in wanted]
