"""Laws of a streamed answer that hold in every dialect, what becomes of a stream that comes in pieces, and texts to fill one with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

from hypothesis import strategies as st

from contracts.policy import Actions
from extproc.core.dialects import Route
from extproc.core.places import fitting
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Blocked
from extproc.redact import actions
from extproc.redact.scanner import scan

Table = dict[str, str]
"""Kind of finding → action."""

REDACT: Final[Table] = {"*": "redact"}
ALERT: Final[Table] = {"*": "alert"}
BLOCK_CARDS: Final[Table] = {"*": "redact", "CREDIT_CARD": "block"}
TABLES: Final[list[Table]] = [REDACT, ALERT, {"*": "redact", "CREDIT_CARD": "alert"}]
"""Those that let a stream go on to its end."""

# ── what a stream is filled with ──────────────────────────────────────────────

WORD = st.sampled_from(
    [
        "jane@example.com",
        "bob.o'hara+x@mail.example.org",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "4111111111111111",
        "4",
        "1 ",
        "@",
        "a.b",
        "é",
        "😀",
        "\n",
        '"',
        "\\",
        r"bob\u0040example.com",
        r"\u0034111111111111111",
        '{"n":',
        "-",
        "hello",
        " and ",
        ", ",
        ".",
    ],
)
TEXT = st.lists(WORD | st.sampled_from([" "]), max_size=12).map("".join)
ARGUMENTS = st.builds(
    lambda to, number, spell: spell(json.dumps({"to": to, "n": number, to: [number]})),
    TEXT,
    st.sampled_from([0, 4111111111111111, -4111111111111111, 5555555555554444.0]),
    st.sampled_from([str, lambda text: text.replace("@", "\\u0040")]),
)
"""A tool's arguments: JSON in JSON."""
CUTS = st.lists(st.integers(0, 60), max_size=8)


def cut(whole: Any, places: Iterable[int]) -> list[Any]:
    """A text or bytes in pieces."""
    bounds = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(bounds)]


# ── what became of it ─────────────────────────────────────────────────────────


def run(route: Route, stream: bytes, places: Iterable[int], table: Table) -> tuple[bytes, StreamedAnswer, bool]:
    """What left of a stream that came in pieces, what is known of it, and whether it was blocked."""
    answer = StreamedAnswer(route, Actions({}, table))
    out = b""
    try:
        for piece in cut(stream, places):
            out += answer.feed(piece)
        out += answer.finish()
    except Blocked as blocked:
        return out + blocked.before, answer, True
    return out, answer, False


def known(answer: StreamedAnswer) -> tuple[Any, ...]:
    """All that is known of an answer."""
    told = (answer.usage, answer.findings, answer.actions, answer.redacted, answer.id, answer.model, answer.finish_reasons)
    return (*told, answer.chunks, answer.done, answer.failed, answer.truncated, answer.text_bytes_out)


def redacted(text: str, table: Table) -> str:
    """A text that came whole, redacted."""
    return actions.apply(text, fitting(text, actions.edits(scan(text), table)))


def is_json(text: str) -> bool:
    """Whether a text is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# ── laws ──────────────────────────────────────────────────────────────────────


def same_for_any_split(route: Route, stream: bytes, splits: Iterable[Iterable[int]], table: Table) -> None:
    """The same bytes leave, the same is known, and a block is at the same place, as when the stream comes whole."""
    whole, answer, blocked = run(route, stream, [], table)
    for split in splits:
        again, same, stopped = run(route, stream, split, table)
        assert (again, stopped) == (whole, blocked), f"cut at {split}: {again!r} left, blocked: {stopped}; whole: {whole!r}, {blocked}"
        assert known(same) == known(answer) or blocked, f"cut at {split}: {known(same)}; whole: {known(answer)}"


def nothing_of_a_card_leaves(route: Route, stream: bytes) -> None:
    """Of a stream that a card blocks a beginning leaves of what redaction alone would have let out; no other is blocked."""
    out, _, blocked = run(route, stream, [], BLOCK_CARDS)
    clean, answer, _ = run(route, stream, [], REDACT)
    assert clean.startswith(out), f"{out!r} left, and where cards are redacted {clean!r}"
    assert blocked == ("CREDIT_CARD" in answer.findings), f"blocked: {blocked}, found: {answer.findings}"
    assert b"[CREDIT_CARD]" not in out, f"{out!r} left"
