"""JSON text as addressable spans: what is refused, what counts as text, and what a rewrite leaves alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from extproc.core.body import DEEPEST, Edited, Malformed, Replaced, read, structure


@dataclass(frozen=True)
class Cut:
    """An edit as the redaction makes them."""

    start: int
    end: int
    replacement: str


def texts(raw: bytes, *names: str) -> list[str]:
    """The text leaves of a body."""
    return [leaf.text for leaf in read(raw, max_depth=64).leaves(structure(*names))]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{} x", "not valid JSON"),
        (b"{}{}", "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":Infinity}', "not valid JSON"),
        (b'{"a":-Infinity}', "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b'"\x01"', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a":"\\ud83d"}', "surrogate"),
        (b'{"a":"\\ude00"}', "surrogate"),
        (b'{"a":1,"a":2}', "same name"),
        (b'{"a":1,"\\u0061":2}', "same name"),
        (b'[{"x":[{"a":1,"b":2,"a":3}]}]', "same name"),
        (b'{"a":"\\\\","a":"b"}', "same name"),
        (b'{"model":1,"Model":2}', "only in case"),
        (b'[[{"stra\xc3\x9fe":1,"STRASSE":2}]]', "only in case"),
        (b'{"k":1,"\xe2\x84\xaa":2}', "only in case"),
        (b"[" * 1100 + b"]" * 1100, "not valid JSON"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes, why: str) -> None:
    """Each kind of ambiguous or broken text has its own short reason."""
    with pytest.raises(Malformed, match=why):
        read(raw, max_depth=64)


def test_the_refusal_holds_nothing_of_the_body() -> None:
    """Neither the message nor a chained exception carries the caller's text."""
    with pytest.raises(Malformed) as caught:
        read(b'{"jane@example.com":', max_depth=64)
    assert "jane" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("raw", "levels"), [(b"[[[]]]", 3), (b'{"a":{"b":[1]}}', 3), (b"[]", 1), (b"1", 0)])
def test_nesting_is_counted_in_arrays_and_objects(raw: bytes, levels: int) -> None:
    """Exactly the allowed number of levels passes, one less is too deep."""
    assert read(raw, max_depth=levels).raw == raw
    if levels:
        with pytest.raises(Malformed, match=f"more than {levels - 1} levels"):
            read(raw, max_depth=levels - 1)


def test_no_setting_allows_a_depth_that_would_break_the_walk() -> None:
    """Over DEEPEST is refused whatever is asked for; DEEPEST itself is walked."""
    assert read(b"[" * DEEPEST + b'"x"' + b"]" * DEEPEST, max_depth=10_000).leaves()[0].text == "x"
    with pytest.raises(Malformed, match="levels"):
        read(b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), max_depth=10_000)


def test_quotes_and_backslashes_in_strings_are_no_duplicates() -> None:
    """Counting string tokens isn't misled by escaped quotes or doubled backslashes."""
    raw = rb'{"a":"\"","b":"\\","c":"\\\"","d":"\\\\\"x\"","e":"\u0022"}'
    assert texts(raw) == ['"', "\\", '\\"', '\\\\"x"', '"']


def test_names_that_differ_in_more_than_case_are_fine() -> None:
    """Mixed-case names, and equal names in different objects, pass."""
    assert texts(b'{"additionalProperties":"a","x":{"additionalProperties":"b"},"1":"c"}') == ["a", "b", "c"]


def test_every_string_is_text_unless_it_is_named() -> None:
    """Structure is matched from the top and exactly; what nobody thought of is text."""
    raw = b"""{"role":"top","messages":[{"role":"user","content":"a","x":{"role":"deep"}},
      {"content":[{"type":"text","text":"b"}],"name":"c"}],"stop":["d",["e",1,null]],"kinds":["k",["l"],{"role":"m"}],"":"n"}"""
    assert texts(raw, "messages.role", "messages.content.type", "kinds") == ["top", "a", "deep", "b", "c", "d", "e", "m", "n"]


def test_a_dotted_name_is_no_way_round() -> None:
    """A member whose own name has a dot in it isn't taken for a way through two members."""
    assert texts(b'{"messages.role":"jane","messages":{"":{"role":"x"}}}', "messages.role") == ["jane", "x"]


def test_a_name_on_the_way_to_others_is_text_itself() -> None:
    """Where an object is expected and a string comes, the string is text."""
    assert texts(b'{"tool_choice":"auto"}', "tool_choice.type") == ["auto"]
    assert texts(b'{"tool_choice":"auto"}', "tool_choice.type", "tool_choice") == ["auto"]


def test_a_body_may_be_any_value() -> None:
    """A string alone is a leaf, a number has none."""
    leaf = read(b' "abc" ', max_depth=1).leaves()[0]
    assert (leaf.path, leaf.text) == ((), "abc")
    assert read(b"17", max_depth=1).leaves() == []
    assert read(b' "abc" ', max_depth=1).rewrite([Edited(leaf, [Cut(1, 2, '"')])]) == b' "a\\"c" '


def test_leaves_know_their_way() -> None:
    """A path leads from the top to the string."""
    document = read(b'{"a":[{"b":"x"},"y"],"c":"z"}', max_depth=9)
    assert [(leaf.path, leaf.text) for leaf in document.leaves()] == [(("a", 0, "b"), "x"), (("a", 1), "y"), (("c",), "z")]


def test_an_edit_leaves_the_spelling_around_it_alone() -> None:
    """Escapes, slashes and surrogate pairs outside the edit stay as they were written."""
    raw = rb'{"k\u00e9y" : "\u00e9\/\ud83d\ude00 jane@x.org \u00E9\n\ud83d\ude00\" ' + "é😀".encode() + rb'" , "n":1.0e+2}'
    document = read(raw, max_depth=2)
    (leaf,) = document.leaves()
    start = leaf.text.index("jane")
    out = document.rewrite([Edited(leaf, [Cut(start, start + len("jane@x.org"), "[EMAIL_ADDRESS]")])])
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
    document = read(rb'"a\ud83d\ude00\u00e9z"', max_depth=1)
    assert document.rewrite([Edited(document.leaves()[0], cuts)]) == expected


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
    assert read(raw, max_depth=9).rewrite([Replaced(path, value)]) == expected


@pytest.mark.parametrize("path", [("x",), ("a", 0), ("b", 2), ("b", "0"), ("b", -1), ("b", 0, "c"), (0,)])
def test_a_path_that_leads_nowhere_is_an_error(path: tuple[str | int, ...]) -> None:
    """Nothing is added, nothing guessed."""
    with pytest.raises(KeyError):
        read(b'{"a":{},"b":[1,2]}', max_depth=9).rewrite([Replaced(path, b"1")])


def test_what_would_not_be_json_is_an_error() -> None:
    """A new value must be JSON itself."""
    with pytest.raises(ValueError, match="invalid literal"):
        read(b'{"a":1}', max_depth=9).rewrite([Replaced(("a",), b"nope")])


@pytest.mark.parametrize("cuts", [[Cut(0, 2, ""), Cut(1, 3, "")], [Cut(2, 1, "")]])
def test_overlapping_edits_are_an_error(cuts: list[Cut]) -> None:
    """Edits of one text may touch but not overlap."""
    document = read(b'"abcd"', max_depth=9)
    with pytest.raises(ValueError, match="overlap"):
        document.rewrite([Edited(document.leaves()[0], cuts)])


@pytest.mark.parametrize("cut", [Cut(0, 5, ""), Cut(-1, 1, "")])
def test_an_edit_outside_its_text_is_an_error(cut: Cut) -> None:
    """An edit never reaches over the closing quote."""
    document = read(b'"abcd"', max_depth=9)
    with pytest.raises(ValueError, match="outside"):
        document.rewrite([Edited(document.leaves()[0], [cut])])


def test_an_edit_inside_a_replaced_value_is_an_error() -> None:
    """Two changes of the same bytes contradict each other."""
    document = read(b'{"a":["x"]}', max_depth=9)
    with pytest.raises(ValueError, match="overlap"):
        document.rewrite([Edited(document.leaves()[0], [Cut(0, 1, "y")]), Replaced(("a",), b"1")])


def test_many_edits_cost_as_many_steps() -> None:
    """Each character of an edited text is looked at once: a body of 150,000 addresses is rewritten, not pondered (it took minutes)."""
    count = 150_000
    document = read(b'["' + b"a@b.co " * count + b'"]', max_depth=4)
    (leaf,) = document.leaves()

    rewritten = document.rewrite([Edited(leaf, [Cut(place * 7, place * 7 + 6, "X") for place in range(count)])])

    assert rewritten == b'["' + b"X " * count + b'"]'
