"""An address at every place of every event, and split over events: the app never sees it, however the stream's bytes are cut."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from shapes import routes as shapes
from shapes.passing import ROUTES, hole, kept, none_of, passed, stream_of
from shapes.planting import SPELLINGS, Spelling, address, around, everywhere, fresh, holds, leaves, under
from shapes.streams import Site, documents

from extproc.core.dialects import Route
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Unreadable

STREAMED: Final = [route for route in ROUTES if shapes.of(route.name).stream]

every_streamed_route = pytest.mark.parametrize("route", STREAMED, ids=[route.name for route in STREAMED])


# ── single events ──────────────────────────────────────────────────────────────


@every_streamed_route
def test_every_documented_event_passes_as_it_is(route: Route) -> None:
    """No event that an official SDK can read is refused, and each passes byte for byte."""
    stream = stream_of(route)
    for document in shapes.of(route.name).events:
        sent = stream.line(document)
        assert passed(route, sent)[0] == sent


@every_streamed_route
def test_an_address_in_any_text_of_an_event_is_never_shown(route: Route) -> None:
    """In the place of each string and of each free name of each event, plain and in the other spellings by turns."""
    stream = stream_of(route)
    head = len(b"data: ")
    holes: list[str] = []
    for turn, (document, leaf) in enumerate(fresh(shapes.of(route.name).events, "text", "name")):
        before, after = around(document, leaf)
        for spelling in (SPELLINGS[0], SPELLINGS[1 + turn % (len(SPELLINGS) - 1)]):
            token = spelling.token(address())
            raw = f"{before}{token}{after}"
            named = f"event: {document['type']}\n".encode() if stream.named else b""
            out, _ = passed(route, named + f"data: {raw}\n\n".encode())
            if not (out.startswith(named) and kept(out[len(named) + head :], f"{before}{spelling.expected}{after}")):
                holes.append(hole(leaf, before, token, after, out))
    none_of(holes)


@every_streamed_route
def test_addresses_in_all_texts_of_an_event_are_never_shown(route: Route) -> None:
    """All of them at once, in all spellings by turns."""
    stream = stream_of(route)
    for turn, document in enumerate(shapes.of(route.name).events):
        _, raw, expected = everywhere(document, SPELLINGS[turn % len(SPELLINGS)])
        named = f"event: {document['type']}\n".encode() if stream.named else b""
        out, _ = passed(route, named + f"data: {raw}\n\n".encode())
        assert kept(out.removeprefix(named + b"data: "), expected)


@every_streamed_route
@pytest.mark.parametrize("line", [": {}", "event: {}", "id: {}", "retry: {}", "{}", "next_year: {}"])
def test_an_address_beside_the_data_is_never_shown(route: Route, line: str) -> None:
    """Comments, names of events, ids, and lines that mean nothing yet are read too."""
    stream = stream_of(route)
    planted = address()
    lines = stream.render({stream.sites[0].name: ["hello"]}).split(b"\n\n")
    for place in range(len(lines)):
        for beside in (line.format(planted).encode() + b"\n", line.format(planted).encode() + b"\n\n"):
            sent = b"\n\n".join([*lines[:place], beside + lines[place], *lines[place + 1 :]])
            assert not holds(planted, passed(route, sent)[0]), sent


# ── texts that come in pieces ──────────────────────────────────────────────────

ALL_SITES: Final = [(route, site) for route in STREAMED for site in stream_of(route).sites]
every_site = pytest.mark.parametrize(("route", "site"), ALL_SITES, ids=[f"{route.name}-{site.name}" for route, site in ALL_SITES])


def text_at(site: Site, sent: bytes) -> str:
    """The text of a site as an SDK puts it together."""
    return "".join([site.piece(document) or "" for document in documents(sent)])


def checked(route: Route, site: Site, pieces: list[str], expected: str, planted: str) -> str:
    """What is wrong with what left of a stream whose text at a site comes in these pieces; empty if nothing is."""
    stream = stream_of(route)
    sent = stream.render({site.name: pieces})
    out, answer = passed(route, sent)
    left = documents(out)
    if text_at(site, out) != expected:
        return f"the text came as {text_at(site, out)!r}"
    if holds(planted, out, left):
        return "the address can be put together"
    if len(left) != len(documents(sent)) or not out.endswith(stream.mark):
        return "events are missing"
    if answer.usage is None or answer.usage.output != stream.output_tokens:
        return f"usage is {answer.usage}"
    return ""


@every_site
def test_an_address_split_over_events_is_never_shown(route: Route, site: Site) -> None:
    """At every position, and character by character; where all of the text comes again, it is redacted too."""
    for write in (str, "before {} after".format):
        planted = address()
        text, expected = write(planted), write("[EMAIL_ADDRESS]")
        for position in range(1, len(text)):
            assert not checked(route, site, [text[:position], text[position:]], expected, planted), position
        assert not checked(route, site, list(text), expected, planted)


@every_site
@pytest.mark.parametrize("spelling", SPELLINGS[4:], ids=lambda spelling: spelling.name)
def test_arguments_split_over_events_stay_valid(route: Route, site: Site, spelling: Spelling) -> None:
    """JSON that comes in pieces, with escapes in it that are cut anywhere: redacted as it would be in one piece."""
    planted = address()
    text, expected = json.loads(spelling.token(planted)), json.loads(spelling.expected)
    for position in range(1, len(text), 3):
        assert not checked(route, site, [text[:position], text[position:]], expected, planted), position
    assert not checked(route, site, list(text), expected, planted)


@every_site
def test_an_address_that_begins_where_the_text_is_opened_is_never_shown(route: Route, site: Site) -> None:
    """SDKs add the pieces to what an item, a part or a block has when it is announced."""
    stream = stream_of(route)
    for position in range(1, len(planted := address())) if site.begin else ():
        opened, rest = site.begin(planted[:position]), planted[position:]
        lines = [*stream.before, *opened, site.event(rest), *site.repeats(planted), *stream.end({site.name: planted})]
        out, _ = passed(route, b"".join([*map(stream.line, lines), stream.mark]))
        left = documents(out)
        text = under(left[len(stream.before) + len(opened) - 1], *site.begins_at) + text_at(site, out)
        assert text == "[EMAIL_ADDRESS]", position
        assert not holds(planted, out, left), position


@every_site
def test_only_what_sdks_go_by_tells_texts_apart(route: Route, site: Site) -> None:
    """Ids, names, roles and the like may differ from piece to piece, or be missing: the text is one all the same."""
    stream = stream_of(route)
    for leaf in leaves(site.event("piece"), "text", "number", "other"):
        if leaf.path == site.path[: len(leaf.path)] or {"logprobs", *_TOLD_APART} & set(leaf.path):
            continue
        for changed in ("other", 17, None):
            planted = address()
            half = planted.index("@") + 4  # neither half is an address
            first, second = site.event(planted[:half]), site.event(planted[half:])
            holder = under(second, *leaf.path[:-1])
            if changed is None and isinstance(holder, dict):
                del holder[leaf.path[-1]]
            else:
                holder[leaf.path[-1]] = changed
            lines = [*stream.before, *site.opens, first, second, *stream.end({site.name: planted})]
            try:
                out, _ = passed(route, b"".join([*map(stream.line, lines), stream.mark]))
            except Unreadable:
                continue
            assert not holds(planted, out, documents(out)), (str(leaf), changed)


_TOLD_APART: Final = {"index", "output_index", "content_index", "summary_index", "command_index", "type", "finish_reason"}
"""Members that SDKs go by, and the one that ends a choice."""


@every_site
def test_an_address_in_events_of_many_lines_is_never_shown(route: Route, site: Site) -> None:
    """JSON over several data lines, a comment between them, and an address split over two such events."""
    stream = stream_of(route)
    planted = address()
    half = planted.index("@") + 4
    events = stream.events({site.name: [planted[:half], planted[half:]]})
    spread = [json.dumps(event, indent=1).replace("\n", "\n: a comment\ndata:") for event in events]
    out, _ = passed(route, b"".join([f"id: 7\ndata: {event}\n\n".encode() for event in spread]) + stream.mark)
    left = [json.loads(data) for data in data_of(out) if data != "[DONE]"]
    assert "".join([site.piece(document) or "" for document in left]) == "[EMAIL_ADDRESS]"
    assert not holds(planted, out, left)


def data_of(sent: bytes) -> list[str]:
    """The data of each event, its lines joined."""
    lines = [
        [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")] for event in sent.decode().split("\n\n")
    ]
    return ["\n".join(data) for data in lines if data]


@every_streamed_route
def test_addresses_in_all_texts_at_once_are_never_shown(route: Route) -> None:
    """Each choice, block and call has a state of its own: texts that come in turn, a few characters each, do not disturb each other."""
    stream = stream_of(route)
    planted = {site.name: address() for site in stream.sites}
    sent = stream.render({name: [text[at : at + 5] for at in range(0, len(text), 5)] for name, text in planted.items()})
    out, _ = passed(route, sent)
    for site in stream.sites:
        assert text_at(site, out) == "[EMAIL_ADDRESS]", site.name
        assert not holds(planted[site.name], out, documents(out)), site.name


# ── any cut of the bytes ───────────────────────────────────────────────────────


@every_streamed_route
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
def test_the_cut_of_the_bytes_does_not_matter(route: Route, line_end: bytes) -> None:
    """In two pieces at every place, and byte by byte: the same bytes leave, and the same is known of them."""
    stream = stream_of(route)
    for sites, every_place in ((stream.sites, False), (stream.sites[:1], True)):
        texts = {site.name: ["é" + (planted := address())[:9], planted[9:], " 😀"] for site in sites}
        sent = stream.render(texts).replace(b"\n", line_end)
        whole = known(*passed(route, sent))
        assert whole[1]["EMAIL_ADDRESS"] >= len(sites)
        assert known(*passed(route, sent, tuple(range(1, len(sent))))) == whole
        for place in range(1, len(sent)) if every_place else ():
            assert known(*passed(route, sent, (place,))) == whole, place


def known(out: bytes, answer: StreamedAnswer) -> tuple[Any, ...]:
    """What left, and all that is known of it."""
    facts = (answer.usage, answer.model, answer.id, answer.finish_reasons, answer.chunks, answer.done, answer.text_bytes_out)
    return (out, answer.findings, answer.actions, answer.redacted, *facts)


@every_streamed_route
def test_a_stream_that_ends_anywhere_shows_no_address(route: Route) -> None:
    """Whatever came before the end is either shown without the address or not at all."""
    stream = stream_of(route)
    site = stream.sites[0]
    planted = address()
    sent = stream.render({site.name: [planted[:10], planted[10:]]})
    for end in range(1, len(sent)):
        try:
            out, _ = passed(route, sent[:end])
        except Unreadable:
            continue
        assert not holds(planted, out), end
