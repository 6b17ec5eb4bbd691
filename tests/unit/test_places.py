"""Where in a document something is found, what of it can't be read, and what its bytes become."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from extproc.core.body import Path, read
from extproc.core.dialects.shape import Encoded
from extproc.core.places import Sighting, changes, held, search
from extproc.core.spans import rewrite
from extproc.redact import actions

A = "jane@example.com"
CARD = 4111111111111111


def looked(body: Any, *structural: tuple[str, ...], files: tuple[Path, ...] = ()) -> Sighting:
    """What is found in a body."""
    return search(read(orjson.dumps(body), max_depth=64), frozenset(structural), [Encoded(path) for path in files])


def redacted(raw: bytes, *files: Path) -> bytes:
    """A body with all that is found in it redacted."""
    found = search(read(raw, max_depth=64), frozenset(), [Encoded(path) for path in files])
    return rewrite(raw, changes(raw, [(place, actions.edits(place.findings, {"*": "redact"})) for place in found.places]))


def coded(text: str) -> str:
    """A text in base64."""
    return base64.b64encode(text.encode()).decode()


# ── structure ──────────────────────────────────────────────────────────────────


def test_a_plain_word_in_the_place_of_structure_is_left_alone() -> None:
    """An id of digits is no card; anywhere else it is one. An address is no plain word wherever it stands."""
    word = f"id-{CARD}"
    found = looked({"id": word, "role": A, "x": word, "list": [{"id": word}, word]}, ("id",), ("role",), ("list", "id"))
    assert [place.path for place in found.places] == [("role",), ("x",), ("list", 1)]


def test_a_dotted_name_is_no_way_round() -> None:
    """A member whose own name has a dot in it isn't taken for a way through two members; nor is a way that ends elsewhere."""
    word = f"id-{CARD}"
    ways = ("messages", "role"), ("choice", "type")
    found = looked({"messages.role": word, "messages": {"": {"role": word}, "role": word}, "choice": word}, *ways)
    assert [place.path for place in found.places] == [("messages.role",), ("messages", "", "role"), ("choice",)]


def test_a_name_is_no_structure() -> None:
    """The names on the way to it are the app's too."""
    word = f"id-{CARD}"
    (place,) = looked({word: {"x": "y"}}, (word,), (word, "x")).places
    assert (place.named, place.path) == (True, (word,))


@pytest.mark.parametrize("word", ["a" * 120 + f"-{CARD}", f"{CARD}", f"id {CARD}", f"-id-{CARD}", f"é-{CARD}"])
def test_what_is_no_plain_word_is_text_even_there(word: str) -> None:
    """Too long, of digits alone, with blanks or letters that no id has."""
    assert len(looked({"id": word}, ("id",)).places) == 1


# ── what its bytes become ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a": "x jane@example.com" }', b'{"a": "x [EMAIL_ADDRESS]" }'),
        (b'{"jane@example.com" : 1}', b'{"[EMAIL_ADDRESS]" : 1}'),
        (b'{"n": 4111111111111111 }', b'{"n": "[CREDIT_CARD]" }'),
        (b'{"n":[4111111111111111.0, 1]}', b'{"n":["[CREDIT_CARD]", 1]}'),
        (rb'{"a":"{\"n\": 4111111111111111}"}', rb'{"a":"{\"n\": \"[CREDIT_CARD]\"}"}'),
        (rb'{"a":"{\"n\": -4111111111111111}"}', rb'{"a":"{\"n\": -0}"}'),
        (rb'{"a":"{\"to\": \"jane\\u0040example.com\"}"}', rb'{"a":"{\"to\": \"[EMAIL_ADDRESS]\"}"}'),
        (rb'{"a":"jane\u0040example.com"}', b'{"a":"[EMAIL_ADDRESS]"}'),
    ],
)
def test_what_is_found_is_replaced_where_it_stands(raw: bytes, expected: bytes) -> None:
    """Values, names, numbers, and what JSON inside a text holds, which is JSON afterwards."""
    assert redacted(raw) == expected
    inside = json.loads(expected).get("a")
    assert not (isinstance(inside, str) and inside.startswith("{")) or json.loads(inside)


def test_no_object_gets_two_members_of_one_name() -> None:
    """Names that become alike, in any case, are numbered."""
    raw = b'{"jane@example.com":1,"bob@example.com":2,"[email_address]_2":3,"x":{"eve@example.com":4}}'
    expected = b'{"[EMAIL_ADDRESS]":1,"[EMAIL_ADDRESS]_3":2,"[email_address]_2":3,"x":{"[EMAIL_ADDRESS]":4}}'
    assert redacted(raw) == expected
    assert read(expected, max_depth=9).tree["x"] == {"[EMAIL_ADDRESS]": 4}


# ── what is held in base64 ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    ["data:text/plain;base64,", "DATA:text/plain;charset=UTF-8;base64,", "  data:;base64,", "data:application/json;name=a.json;base64,"],
)
def test_a_data_url_of_text_is_read(url: str) -> None:
    """It is decoded, redacted and encoded again, whatever its text type; its own words stay."""
    out = json.loads(redacted(json.dumps({"x": [url + coded(f"to {A}, ü")]}).encode()))
    assert out["x"] == [url + coded("to [EMAIL_ADDRESS], ü")]
    assert looked({"x": url + coded("nothing here")}) == Sighting([], {})


def test_a_file_is_read_where_the_dialect_knows_of_one() -> None:
    """Base64 of any alphabet, with blanks in it; elsewhere the same letters are a text like any other."""
    text = f"¿¿¿ {A} >>>"
    for written in (
        coded(text),
        base64.urlsafe_b64encode(text.encode()).decode(),
        coded(text).rstrip("="),
        coded(text)[:9] + "\n" + coded(text)[9:],
    ):
        (place,) = looked({"f": [written]}, files=(("f", 0),)).places
        assert (held(written, 0), place.encoded, place.findings[0].kind) == (text, 0, "EMAIL_ADDRESS")
        assert looked({"f": [written]}).places == ()
    assert redacted(json.dumps({"f": coded(A)}).encode(), ("f",)) == json.dumps({"f": coded("[EMAIL_ADDRESS]")}).encode()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("data:image/png;base64,AAAA", "UNSCANNED_IMAGE"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "UNSCANNED_IMAGE"),
        ("data:audio/wav;base64,AAAA", "UNSCANNED_AUDIO"),
        ("data:application/pdf;base64,AAAA", "UNSCANNED_FILE"),
        ("data:text/plain,jane%40example.com", "UNSCANNED_FILE"),
        ("data:text/plain;base64,!!!!", "UNSCANNED_FILE"),
        ("data:text/plain;base64,//79", "UNSCANNED_FILE"),
        ("data:text/plain;charset=utf-16;base64," + base64.b64encode(A.encode("utf-16")).decode(), "UNSCANNED_FILE"),
        ("data:text/plain;charset=utf-7;base64," + coded("jane+AEA-example.com"), "UNSCANNED_FILE"),
        ("data:text/plain;base64," + base64.b64encode(A.encode("utf-16-le")).decode(), "UNSCANNED_FILE"),
    ],
)
def test_what_is_no_text_is_told_by_its_kind(url: str, kind: str) -> None:
    """Images, sound, files, and texts that are written in a way that is not read here. It counts once for each."""
    assert looked({"a": url, "b": [url]}).unread == {kind: 2}


@pytest.mark.parametrize(
    "text", ["Data: 1, 2, 3", "data:x,y", "data: a; b, c", "see data:image/png;base64,AAAA", " " * 30 + "data:,x", "data:image/png"]
)
def test_prose_is_no_data_url(text: str) -> None:
    """What begins with the word, or has one in its middle, is a text like any other: nothing in it counts as unread."""
    assert looked({"a": text}) == Sighting((), {})
    (place,) = looked({"a": f"{text} {A}"}).places
    assert place.findings[0].kind == "EMAIL_ADDRESS"


def test_a_lenient_reader_s_data_url_is_one() -> None:
    """Without a media type, or with one that is none, base64 is base64."""
    for url in ("data:x;base64,", "data:;base64 ,", "data:text/plain; Base64,"):
        assert looked({"a": url + coded(A)}).places or looked({"a": url + coded(A)}).unread == {"UNSCANNED_FILE": 1}


def test_the_words_of_a_data_url_are_text() -> None:
    """Before the comma anything may stand; what is found there goes, and so does what is found in the data behind it."""
    raw = json.dumps({"a": "data:text/plain;x=bob@example.org;base64," + coded(f"to {A}!")}).encode()
    assert redacted(raw) == json.dumps({"a": "data:text/plain;x=[EMAIL_ADDRESS];base64," + coded("to [EMAIL_ADDRESS]!")}).encode()
    assert looked(json.loads(raw)).unread == {}


def test_a_file_within_a_file_is_not_opened_and_counts_as_unread() -> None:
    """A text file that is a data URL itself."""
    inner = "data:text/plain;base64," + coded(A)
    found = looked({"f": "data:text/plain;base64," + coded(inner)})
    assert found.unread == {"UNSCANNED_FILE": 1}
