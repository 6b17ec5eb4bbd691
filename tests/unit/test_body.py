"""JSON text that is read once: what is refused, and what counts as text."""

from __future__ import annotations

import pytest

from extproc.core.body import DEEPEST, LONG_NUMBER, Leaf, Malformed, read


def values(raw: bytes) -> list[str]:
    """The strings of a body, without its names."""
    return [leaf.text for leaf in read(raw, max_depth=64).strings()]


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
    assert values(raw) == ['"', "\\", '\\"', '\\\\"x"', '"']


def test_names_that_differ_in_more_than_case_are_fine() -> None:
    """Mixed-case names, and equal names in different objects, pass."""
    assert values(b'{"additionalProperties":"a","x":{"additionalProperties":"b"},"1":"c"}') == ["a", "b", "c"]


# ── numbers that not every parser holds ────────────────────────────────────────


@pytest.mark.parametrize(
    "number",
    [
        b"9007199254740993",
        b"-9007199254740993",
        b"18446744073709551615",
        b"18446744073709551617",
        b"36893488147419103233",
        b"123456789012345678901234567890",
    ],
)
def test_a_whole_number_that_a_double_cannot_hold_is_refused(number: bytes) -> None:
    """One parser reads all its digits, another the nearest double: they would not read the same body. An answer is read all the same."""
    for raw in (number, b'{"a":[1,' + number + b"]}", b'{"a":"9007199254740993","b":' + number + b" }"):
        with pytest.raises(Malformed, match="whole number that not every parser can hold"):
            read(raw, max_depth=64)
        assert read(raw, max_depth=64, exact=False).raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"9007199254740992",
        b"9007199254740994",
        b"18446744073709551616",
        b"100000000000000000000",
        b"4111111111111111",
        b"1e300",
        b"0.1234567890123456789",
        b"3.141592653589793238462643",
        b'{"id":"9007199254740993","x":"\\"9007199254740993","n":1e20}',
        b'["9007199254740993,9007199254740993", 36893488147419103232]',
    ],
)
def test_numbers_that_every_parser_reads_alike_pass(raw: bytes) -> None:
    """Exact ones, fractions, powers, and digits in strings."""
    assert read(raw, max_depth=64).raw == raw


def test_a_number_out_of_all_range_is_refused() -> None:
    """It would be infinite to some."""
    with pytest.raises(Malformed, match="number out of range"):
        read(b'{"a":1e999}', max_depth=64)


# ── what is text ───────────────────────────────────────────────────────────────


def test_a_body_may_be_any_value() -> None:
    """A string alone is a leaf, a short number has none."""
    assert read(b' "abc" ', max_depth=1).leaves() == [Leaf((), "abc", 0)]
    assert read(b"17", max_depth=1).leaves() == []
    assert read(b"null", max_depth=1).leaves() == []


def test_leaves_know_their_way() -> None:
    """A path leads from the top to the value; a name has the path of its member; tokens count strings in the order of the bytes."""
    document = read(b'{"a":[{"b":"x"},"y"],"c":{},"d":"z"}', max_depth=9)
    assert document.leaves() == [
        Leaf(("a",), "a", 0, named=True),
        Leaf(("a", 0, "b"), "b", 1, named=True),
        Leaf(("a", 0, "b"), "x", 2),
        Leaf(("a", 1), "y", 3),
        Leaf(("c",), "c", 4, named=True),
        Leaf(("d",), "d", 5, named=True),
        Leaf(("d",), "z", 6),
    ]
    assert document.strings() == [leaf for leaf in document.leaves() if leaf.text in {"x", "y", "z"}]


def test_the_name_of_a_member_is_text() -> None:
    """Whatever stands under it, and however it is written."""
    document = read(b'{"jane@example.com":1,"x":[{"\\u006aoe@example.com":null}]}', max_depth=9)
    named = [leaf.text for leaf in document.leaves() if leaf.named]
    assert named == ["jane@example.com", "x", "joe@example.com"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"4111111111111111", "4111111111111111"),
        (b"-4111111111111111", "-4111111111111111"),
        (b"4111111111111111.0", "4111111111111111"),
        (b"4.111111111111111e15", "4111111111111111"),
        (b"1000000", "1000000"),
        (b"-1000000", "-1000000"),
        (b"1e6", "1000000"),
    ],
)
def test_a_long_number_is_text(raw: bytes, text: str) -> None:
    """A card's number needs no quotes; nor does it need to be written as a whole number to be read as one."""
    for body, path in ((raw, ()), (b'{"a":' + raw + b"}", ("a",)), (b"[0," + raw + b"]", (1,))):
        document = read(body, max_depth=9)
        assert [leaf for leaf in document.leaves() if not leaf.named] == [Leaf(path, text, -1)]
        assert text in document.texts()
        assert document.strings() == []


@pytest.mark.parametrize("raw", [b"999999", b"-999999", b"0", b"1000000.5", b"-0.25", b"true", b"999999.0", b"1e-7"])
def test_a_short_number_is_none(raw: bytes) -> None:
    """Counts, token ids and probabilities are looked at by nobody; nor is what has a fraction."""
    for body in (raw, b"[" + raw + b"]", b'{"":' + raw + b"}"):
        document = read(body, max_depth=9)
        assert [leaf for leaf in document.leaves() if not leaf.named] == []
        assert [text for text in document.texts() if text] == []
    assert LONG_NUMBER == 1_000_000


def test_texts_are_those_of_the_leaves() -> None:
    """Strings, names and long numbers at any level, without their places."""
    document = read(b'{"a":{"b":["c",{"d":[[["e"]]],"f":[1234567,{"g":7654321.0}]}]},"":""}', max_depth=64)
    assert sorted(document.texts()) == sorted(leaf.text for leaf in document.leaves())
    assert sorted(document.texts()) == ["", "", "1234567", "7654321", "a", "b", "c", "d", "e", "f", "g"]
