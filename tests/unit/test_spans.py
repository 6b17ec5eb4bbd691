"""Changes to JSON text: what they put where, and that they leave every other byte alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from extproc.core.body import read
from extproc.core.spans import Added, Change, Edited, Path, Replaced, rewrite, string_tokens


@dataclass(frozen=True)
class Cut:
    """An edit as the redaction makes them."""

    start: int
    end: int
    replacement: str


def token(raw: bytes, number: int) -> tuple[int, int]:
    """Where the string token of this number stands."""
    return list(string_tokens(raw))[number]


def test_an_edit_leaves_the_spelling_around_it_alone() -> None:
    """Escapes, slashes and surrogate pairs outside the edit stay as they were written."""
    raw = rb'{"k\u00e9y" : "\u00e9\/\ud83d\ude00 jane@x.org \u00E9\n\ud83d\ude00\" ' + "é😀".encode() + rb'" , "n":1.0e+2}'
    (leaf,) = read(raw, max_depth=2).strings()
    start = leaf.text.index("jane")
    out = rewrite(raw, [Edited(token(raw, leaf.token), [Cut(start, start + len("jane@x.org"), "[EMAIL_ADDRESS]")])])
    assert out == raw.replace(b"jane@x.org", b"[EMAIL_ADDRESS]")


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ([Cut(0, 1, "")], rb'"\ud83d\ude00\u00e9z"'),
        ([Cut(1, 2, "-")], rb'"a-\u00e9z"'),
        ([Cut(2, 3, '\n\u00fc"\\')], '"a\\ud83d\\ude00\\nü\\"\\\\z"'.encode()),
        ([Cut(4, 4, "!"), Cut(0, 0, "!")], rb'"!a\ud83d\ude00\u00e9z!"'),
        ([Cut(1, 3, ""), Cut(3, 4, "Z")], b'"aZ"'),
        ([Cut(1, 1, "2"), Cut(1, 1, "1")], rb'"a21\ud83d\ude00\u00e9z"'),
        ([], rb'"a\ud83d\ude00\u00e9z"'),
    ],
)
def test_edits_count_characters(cuts: list[Cut], expected: bytes) -> None:
    """A pair of escaped surrogates is one character; replacements are escaped as JSON needs."""
    raw = rb'"a\ud83d\ude00\u00e9z"'
    assert rewrite(raw, [Edited(token(raw, 0), cuts)]) == expected


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("model",), b'"tiny"', b' {"m" : [ {"model":1} , [] , {} ,{"x\\"]":"}"} ] ,"model" : "tiny","n":-1.5e3, "t":true } '),
        (("m",), b"null", b' {"m" : null ,"model" : "big","n":-1.5e3, "t":true } '),
        (("m", 0, "model"), b"2", b' {"m" : [ {"model":2} , [] , {} ,{"x\\"]":"}"} ] ,"model" : "big","n":-1.5e3, "t":true } '),
        (("m", 3, 'x"]'), b"[]", b' {"m" : [ {"model":1} , [] , {} ,{"x\\"]":[]} ] ,"model" : "big","n":-1.5e3, "t":true } '),
        (("n",), b"7", b' {"m" : [ {"model":1} , [] , {} ,{"x\\"]":"}"} ] ,"model" : "big","n":7, "t":true } '),
        (("t",), b"{}", b' {"m" : [ {"model":1} , [] , {} ,{"x\\"]":"}"} ] ,"model" : "big","n":-1.5e3, "t":{} } '),
        ((), b"0", b" 0 "),
    ],
)
def test_a_value_is_replaced_where_it_stands(path: tuple[str | int, ...], value: bytes, expected: bytes) -> None:
    """Any value at any path can be replaced; no other byte moves."""
    raw = b' {"m" : [ {"model":1} , [] , {} ,{"x\\"]":"}"} ] ,"model" : "big","n":-1.5e3, "t":true } '
    assert rewrite(raw, [Replaced(path, value)]) == expected


@pytest.mark.parametrize("path", [("x",), ("a", 0), ("b", 2), ("b", "0"), ("b", -1), ("b", 0, "c"), (0,)])
def test_a_path_that_leads_nowhere_is_an_error(path: tuple[str | int, ...]) -> None:
    """Nothing is added, nothing guessed."""
    with pytest.raises(KeyError):
        rewrite(b'{"a":{},"b":[1,2]}', [Replaced(path, b"1")])


def test_what_would_not_be_json_is_an_error() -> None:
    """A new value must be JSON itself."""
    for change in (Replaced(("a",), b"nope"), Added((), "b", b"1,")):
        with pytest.raises(ValueError, match=r"invalid literal|unexpected"):
            rewrite(b'{"a":1}', [change])


@pytest.mark.parametrize("cuts", [[Cut(0, 2, ""), Cut(1, 3, "")], [Cut(2, 1, "")]])
def test_overlapping_edits_are_an_error(cuts: list[Cut]) -> None:
    """Edits of one text may touch but not overlap."""
    with pytest.raises(ValueError, match="overlap"):
        rewrite(b'"abcd"', [Edited((0, 6), cuts)])


@pytest.mark.parametrize("cut", [Cut(0, 5, ""), Cut(-1, 1, "")])
def test_an_edit_outside_its_text_is_an_error(cut: Cut) -> None:
    """An edit never reaches over the closing quote."""
    with pytest.raises(ValueError, match="outside"):
        rewrite(b'"abcd"', [Edited((0, 6), [cut])])


def test_an_edit_inside_a_replaced_value_is_an_error() -> None:
    """Two changes of the same bytes contradict each other."""
    with pytest.raises(ValueError, match="overlap"):
        rewrite(b'{"a":["x"]}', [Edited((6, 9), [Cut(0, 1, "y")]), Replaced(("a",), b"1")])


def test_many_edits_cost_as_many_steps() -> None:
    """Each character of an edited text is looked at once: a body of 150,000 addresses is rewritten, not pondered (it took minutes)."""
    count = 150_000

    raw = b'["' + b"a@b.co " * count + b'"]'
    rewritten = rewrite(raw, [Edited(token(raw, 0), [Cut(place * 7, place * 7 + 6, "X") for place in range(count)])])

    assert rewritten == b'["' + b"X " * count + b'"]'


def test_a_name_is_edited_like_a_value() -> None:
    """Its token is one of all string tokens; what stands under it stays."""
    raw = rb'{ "a" : 1, "jane\u0040example.com":{"x":[1, 2]} }'
    (leaf,) = [leaf for leaf in read(raw, max_depth=9).leaves() if "@" in leaf.text]
    assert rewrite(raw, [Edited(token(raw, leaf.token), [Cut(0, len(leaf.text), "[E]")])]) == b'{ "a" : 1, "[E]":{"x":[1, 2]} }'


# ── new members ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "path", "expected"),
    [
        (b"{}", (), b'{"n":1}'),
        (b" { \n} \n", (), b' { \n"n":1} \n'),
        (b'{"a":2}', (), b'{"a":2,"n":1}'),
        (b'{"a":2 } ', (), b'{"a":2 ,"n":1} '),
        (b'{"a":"}"}', (), b'{"a":"}","n":1}'),
        (b'{"a":{}}', ("a",), b'{"a":{"n":1}}'),
        (b'{"a":{ },"b":{}}', ("a",), b'{"a":{ "n":1},"b":{}}'),
        (b'{"b":{"a":{"c":[{}]}},"a":{"c":"}{\\"}"}}', ("a",), b'{"b":{"a":{"c":[{}]}},"a":{"c":"}{\\"}","n":1}}'),
        (b'{"b":[[],{"a":[{}, {"c":[{}]} ]}]}', ("b", 1, "a", 1), b'{"b":[[],{"a":[{}, {"c":[{}],"n":1} ]}]}'),
        (b'{"a\\u0062":{}}', ("ab",), b'{"a\\u0062":{"n":1}}'),
    ],
)
def test_an_object_gets_a_new_last_member(raw: bytes, path: Path, expected: bytes) -> None:
    """Empty or not, at the top or below, however it is spaced; no other byte moves."""
    assert rewrite(raw, [Added(path, "n", b"1")]) == expected


def test_several_new_members_come_in_the_order_of_the_changes() -> None:
    """In an empty object as in one that has members, in one within another, and beside other changes."""
    new: list[Change] = [Added((), "x", b"1"), Added(("o",), "y", b"2"), Added((), "z", b"[3]"), Added(("o",), 'q"', b'"4"')]
    assert rewrite(b'{"o":{}}', new) == rb'{"o":{"y":2,"q\"":"4"},"x":1,"z":[3]}'
    assert rewrite(b'{"o":{"p":0}}', new) == rb'{"o":{"p":0,"y":2,"q\"":"4"},"x":1,"z":[3]}'
    assert rewrite(b"{ }", [Added((), "x", b"1"), Added((), "z", b"2")]) == b'{ "x":1,"z":2}'
    raw = b'{"a":1,"b":"b","c":{}}'
    beside = [Added((), "x", b"1"), Edited(token(raw, 3), [Cut(1, 1, "!")]), Replaced(("a",), b"7")]
    assert rewrite(raw, beside) == b'{"a":7,"b":"b","c!":{},"x":1}'


@pytest.mark.parametrize(("raw", "path"), [(b"[]", ()), (b'"x"', ()), (b'{"a":[1]}', ("a",)), (b'{"a":{}}', ("b",)), (b'{"a":1}', ("a",))])
def test_only_an_object_gets_members(raw: bytes, path: Path) -> None:
    """Nothing is turned into an object for it."""
    with pytest.raises(KeyError):
        rewrite(raw, [Added(path, "n", b"1")])


# ── a member of the top object ─────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"a"}', b'{"model":7}'),
        (b'\n{ "model"\t:\r\n "a" }', b'\n{ "model"\t:\r\n 7 }'),
        (b'{"messages":[{"model":"x"}],"model":"a"}', b'{"messages":[{"model":"x"}],"model":7}'),
        (b'{"model":"a","messages":[{"model":"x"}]}', b'{"model":7,"messages":[{"model":"x"}]}'),
        (b'{"model":"a","x":{"model":"x"}}', b'{"model":7,"x":{"model":"x"}}'),
        (b'{"m\\u006fdel":"a","x":{"model":"x"}}', b'{"m\\u006fdel":7,"x":{"model":"x"}}'),
        (b'{"m\\u006fdel":"a","x":[{"model":"x"}],"y":{}}', b'{"m\\u006fdel":7,"x":[{"model":"x"}],"y":{}}'),
        (b'{"m\\u006fdel":"a","x":"model"}', b'{"m\\u006fdel":7,"x":"model"}'),
        (b'{"model":"a","x":"\\"model\\":1}"}', b'{"model":7,"x":"\\"model\\":1}"}'),
        (b'{"model":"a","x":"\\\\\\"model\\":1}"}', b'{"model":7,"x":"\\\\\\"model\\":1}"}'),
        (b'{"model":"a","\\"model":1}', b'{"model":7,"\\"model":1}'),
        (b'{"model":"a","x\\\\":"\\\\","y":["model"]}', b'{"model":7,"x\\\\":"\\\\","y":["model"]}'),
        (b'{"model":"model"}', b'{"model":7}'),
        (b'{"x":"model","model":[{"model":{"model":1}}]}', b'{"x":"model","model":7}'),
        (b'{"model":{"model":"}"},"x":["model",":"]}', b'{"model":7,"x":["model",":"]}'),
    ],
)
def test_the_member_of_the_top_object_is_replaced_and_no_namesake(raw: bytes, expected: bytes) -> None:
    """Whatever else has its name, inside strings too, and however the name itself is written."""
    assert rewrite(raw, [Replaced(("model",), b"7")]) == expected


@pytest.mark.parametrize(
    "raw", [b'{"x":{"model":1}}', b'{"x":"model"}', b'[{"model":1}]', b'{"x":["model"]}', b'{"\\"model":1}', b'"\\"model\\":1}"']
)
def test_a_namesake_alone_is_not_the_member(raw: bytes) -> None:
    """A member of an object further down, a text, another name that ends like it."""
    with pytest.raises(KeyError):
        rewrite(raw, [Replaced(("model",), b"7")])
