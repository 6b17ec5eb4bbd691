"""An address at every place of every request and every whole answer: whatever its spelling, it never goes on, and nothing else changes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import pytest
from shapes import routes as shapes
from shapes.passing import ROUTES, hole, kept, none_of, sent_on, shown
from shapes.planting import (
    BARE_CARD,
    CARD,
    CARD_NUMBER,
    SPELLINGS,
    Leaf,
    Spelling,
    address,
    around,
    everywhere,
    fresh,
    holds,
    in_base64,
    local_part,
)

from contracts.errors import InvalidRequest
from extproc.core.dialects import Route
from extproc.core.dialects.shape import UNSCANNED

every_route = pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])


# ── requests ───────────────────────────────────────────────────────────────────


def planted_requests(route: Route, *kinds: str, closely: bool = False) -> Iterator[tuple[Any, Leaf, str, str]]:
    """Each place of the route's requests, with the text before and after it; the model is the one text that must stay."""
    for document, leaf in fresh(shapes.of(route.name).requests, *kinds, closely=closely):
        if leaf.path != ("model",):
            yield document, leaf, *around(document, leaf)


@every_route
def test_every_documented_request_is_understood(route: Route) -> None:
    """No shape that an official SDK can send is refused as malformed, and each goes on byte for byte."""
    for document in shapes.of(route.name).requests:
        raw = json.dumps(document).encode()
        assert sent_on(route, raw)[0] == raw


@every_route
@pytest.mark.parametrize("spelling", [*SPELLINGS, BARE_CARD], ids=lambda spelling: spelling.name)
def test_an_address_in_any_text_of_a_request_stays_here(route: Route, spelling: Spelling) -> None:
    """In the place of each string and of each free name: gone from what goes on, and every other byte as it was."""
    holes: list[str] = []
    for _, leaf, before, after in planted_requests(route, "text", "name", closely=spelling is SPELLINGS[0]):
        if spelling is BARE_CARD and leaf.kind == "name":
            continue  # a name need not stay JSON
        token = spelling.token(address())
        out, _ = sent_on(route, f"{before}{token}{after}".encode())
        if out != f"{before}{spelling.expected}{after}".encode():
            holes.append(hole(leaf, before, token, after, out))
    none_of(holes)


@every_route
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name)
def test_addresses_in_all_texts_of_a_request_stay_here(route: Route, spelling: Spelling) -> None:
    """All of them at once, each counted."""
    for document in shapes.of(route.name).requests:
        planted, raw, expected = everywhere(document, spelling, spared=["model"])
        out, counts = sent_on(route, raw.encode())
        assert out.decode() == expected
        assert counts.get("EMAIL_ADDRESS", 0) == len(planted)


@every_route
def test_a_card_in_the_place_of_any_number_of_a_request_stays_here(route: Route) -> None:
    """A card's number needs no quotes to be one. What can't be read as the number it should be may be refused instead."""
    holes: list[str] = []
    for _, leaf, before, after in planted_requests(route, "number"):
        raw = f"{before}{CARD}{after}".encode()
        try:
            out, _ = sent_on(route, raw)
        except InvalidRequest:
            continue
        if out != f"{before}{CARD_NUMBER.expected}{after}".encode():
            holes.append(hole(leaf, before, CARD, after, out))
    none_of(holes)


@every_route
def test_an_address_in_the_place_of_anything_else_stays_here(route: Route) -> None:
    """A string where an object, an array, a number or a flag should be: refused by name, or redacted like any other text."""
    holes: list[str] = []
    for _, leaf, before, after in planted_requests(route, "number", "other"):
        planted = address()
        raw = f'{before}"{planted}"{after}'.encode()
        for changed in (False, True):
            try:
                out, _ = sent_on(route, raw, changed=changed)
            except InvalidRequest:
                continue
            if holds(planted, out) or (not changed and out != f'{before}"[EMAIL_ADDRESS]"{after}'.encode()):
                holes.append(hole(leaf, before, planted, after, out))
    none_of(holes)


@every_route
def test_what_the_gate_changes_itself_and_what_it_takes_out_do_not_meet(route: Route) -> None:
    """With the provider's name of the model, a stream's usage asked for and `store` forbidden, it is still valid JSON without the address."""
    for document, leaf, before, after in planted_requests(route, "text", "name"):
        planted = address()
        raw = f'{before}"{planted}"{after}'.encode()
        out, _ = sent_on(route, raw, changed=True)
        tree = json.loads(out)
        assert tree["model"] == "tiny", leaf
        assert not holds(planted, out), (leaf, document)
        assert tree.keys() >= {name for name in document if name != leaf.path[-1]}


@every_route
@pytest.mark.parametrize("written", ["data:text/csv;base64,", "data:;base64,", " DATA:Application/JSON;charset=utf-8;BASE64,", ""])
def test_an_address_in_a_file_stays_here(route: Route, written: str) -> None:
    """As a data URL in the place of any text, or bare where the dialect has files: it is decoded and scanned, and coded again."""
    files = shapes.of(route.name).files
    holes: list[str] = []
    for _, leaf, before, after in planted_requests(route, "text"):
        if not written and tuple(step for step in leaf.path if isinstance(step, str)) not in files:
            continue
        planted = address()
        raw = f"{before}{json.dumps(written + in_base64(planted))}{after}".encode()
        out, _ = sent_on(route, raw)
        if out != f"{before}{json.dumps(written + in_base64('[EMAIL_ADDRESS]'))}{after}".encode():
            holes.append(hole(leaf, before, written, after, out))
    none_of(holes)


ODD_FILES: Final = (
    "data:text/plain,{percent}",
    "data:,{percent}",
    "data:text/csv;base64,{base64}!!",
    'data:text/csv;x="a,b";base64,{base64}',
    "data:text/plain;charset=utf-16;base64,{utf16}",
    "data:application/pdf;base64,{base64}",
    "data:image/svg+xml;base64,{base64}",
    "\n\t data:audio/wav;base64,{base64}",
)
"""Files with an address in them that are not UTF-8 text in base64."""


@every_route
@pytest.mark.parametrize("written", ODD_FILES)
def test_a_file_that_is_not_read_is_told(route: Route, written: str) -> None:
    """Wherever a text may stand: what goes on unread is a finding, and the profile says whether it may."""
    for _, leaf, before, after in planted_requests(route, "text"):
        planted = address()
        forms = {
            "percent": planted.replace("@", "%40"),
            "base64": in_base64(planted),
            "utf16": b64encode(planted.encode("utf-16")).decode(),
        }
        if not unread(route, f'{before}"words"{after}'):
            assert unread(route, f"{before}{json.dumps(written.format(**forms))}{after}"), leaf


def unread(route: Route, text: str) -> int:
    """How many parts of a request are told to be unread."""
    return sum(count for kind, count in sent_on(route, text.encode())[1].items() if kind.startswith(UNSCANNED))


# ── answers in one piece ───────────────────────────────────────────────────────


@every_route
@pytest.mark.parametrize("ok", [True, False], ids=["answer", "error"])
def test_every_documented_answer_passes_as_it_is(route: Route, ok: bool) -> None:
    """No shape that an official SDK can read is refused, and each passes byte for byte."""
    found = shapes.of(route.name)
    for document in found.answers if ok else found.errors:
        raw = json.dumps(document).encode()
        assert shown(route, raw, ok=ok) == raw


@every_route
@pytest.mark.parametrize("ok", [True, False], ids=["answer", "error"])
@pytest.mark.parametrize("spelling", [*SPELLINGS, BARE_CARD], ids=lambda spelling: spelling.name)
def test_an_address_in_any_text_of_an_answer_is_never_shown(route: Route, ok: bool, spelling: Spelling) -> None:
    """In the place of each string and of each free name, in answers and in a provider's errors."""
    found = shapes.of(route.name)
    holes: list[str] = []
    for document, leaf in fresh(found.answers if ok else found.errors, "text", "name", closely=spelling is SPELLINGS[0]):
        before, after = around(document, leaf)
        if spelling is BARE_CARD and leaf.kind == "name":
            continue  # a name need not stay JSON
        token = spelling.token(address())
        out = shown(route, f"{before}{token}{after}".encode(), ok=ok)
        if not kept(out, f"{before}{spelling.expected}{after}"):
            holes.append(hole(leaf, before, token, after, out))
    none_of(holes)


@every_route
def test_a_card_in_the_place_of_any_number_of_an_answer_is_never_shown(route: Route) -> None:
    """A card's number needs no quotes to be one; an answer whose parts can't be told apart any more is not shown at all."""
    holes: list[str] = []
    for document, leaf in fresh(shapes.of(route.name).answers, "number"):
        before, after = around(document, leaf)
        raw = f"{before}{CARD}{after}".encode()
        out = shown(route, raw)
        if not kept(out, f"{before}{CARD_NUMBER.expected}{after}"):
            holes.append(hole(leaf, before, CARD, after, out))
    none_of(holes)


@every_route
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name)
def test_addresses_in_all_texts_of_an_answer_are_never_shown(route: Route, spelling: Spelling) -> None:
    """All of them at once."""
    for document in shapes.of(route.name).answers:
        planted, raw, expected = everywhere(document, spelling)
        out = shown(route, raw.encode())
        assert kept(out, expected)
        assert not any(local_part(one).encode() in out for one in planted)


# ── the table ──────────────────────────────────────────────────────────────────


def test_every_route_has_shapes() -> None:
    """A route without shapes is one whose fields nobody has looked at."""
    for route in ROUTES:
        found = shapes.of(route.name)
        assert found.requests, route.name
        assert found.answers, route.name
        assert found.errors, route.name
