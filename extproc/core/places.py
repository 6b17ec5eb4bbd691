"""Where in a document something was found, and the changes to its bytes that follow from what is to be done about it."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from extproc.core import data_url
from extproc.core.body import Document, Leaf, Path
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, Encoded
from extproc.core.spans import Change, Edited, Replaced, string_tokens
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.finding import Finding
from extproc.redact.growing import fitted
from extproc.redact.quotes import Quotes
from extproc.redact.scanner import scan, scan_all

_TEXT_TYPE: Final = re.compile(
    r"\s*(?:text/.*|application/(?:.*\+)?(?:json|xml|yaml|x-yaml|csv|javascript|sql|x-ndjson)|)\s*", re.IGNORECASE
)
_OTHER_CHARSET: Final = re.compile(r";\s*charset\s*=(?!\s*\"?(?:utf-?8|us-ascii)\"?\s*;)", re.IGNORECASE)
_URL_SAFE: Final = re.compile(r"[-_]")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,127}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: the leaf's path, token and whether it is a name, as in `body.Leaf`; without its text, which may be large.

    `encoded`: from this character on the leaf is base64, and findings count characters of what it holds. `part`: the leaf is a
    part of a text, and edits are made to fit that.
    """

    path: Path
    token: int
    named: bool
    findings: Sequence[Finding]
    encoded: int | None = None
    part: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """All that was found in a document: places in the order of the bytes, and what could not be read, by kind."""

    places: Sequence[Place]
    unread: dict[str, int]


_COSTLY: Final = 256
_FOUND: Final = 1024


def weight(raw: bytes, found: int = 0) -> int:
    """How much work it is to look into a document, in bytes of plain text, or to change what was `found` in it.

    At an at sign an address is looked for, escapes in escapes are read one by one, and what is found is edited piece by
    piece: each takes as long as hundreds of other bytes.
    """
    return len(raw) + _COSTLY * (raw.count(b"@") + raw.count(b"\\\\")) + _FOUND * found


def search(document: Document, structural: frozenset[tuple[str, ...]], files: Sequence[Encoded] = ()) -> Sighting:
    """Look into every text of a document. One look at all of them together mostly ends it."""
    texts = document.texts()
    found = {texts[number]: findings for number, findings in scan_all(texts).items()}
    urls = {text for text in texts if ":" in text[:32] and data_url.head(text)}
    if not (found or urls or files):
        return Sighting((), {})
    starts = {file.path: file.start for file in files}
    places: list[Place] = []
    unread: dict[str, int] = {}
    for leaf in document.leaves():
        start = starts.get(leaf.path) if starts and not leaf.named else None
        met: tuple[Place, ...] = ()
        if start is not None or (urls and leaf.text in urls and not leaf.named):
            met, kind = _held(leaf, start)
            if kind:
                unread[kind] = unread.get(kind, 0) + 1
        elif findings := found.get(leaf.text):
            met = (_place(leaf, findings),)
        if met and not (_way(leaf) in structural and _WORD.fullmatch(leaf.text)):
            places += [place for place in met if place.findings]
    return Sighting(places, unread)


def _held(leaf: Leaf, start: int | None) -> tuple[tuple[Place, ...], str]:
    """What is found in a leaf with base64 in it, in its own words and in what it holds; and the kind of that where it can't be read."""
    if start is None and (url := data_url.head(leaf.text)):
        start = url.end()
        if kind := _unread_url(url):
            return (_place(leaf, scan(leaf.text)),), kind
    start = start or 0
    text = held(leaf.text, start)
    if text is None or data_url.head(text):  # a file within a file is not opened
        return (_place(leaf, scan(leaf.text)),), FILE
    return (_place(leaf, scan(leaf.text[:start])), _place(leaf, scan(text), start)), ""


def _place(leaf: Leaf, findings: Sequence[Finding], encoded: int | None = None) -> Place:
    return Place(leaf.path, leaf.token, leaf.named, findings, encoded)


def _unread_url(url: re.Match[str]) -> str:
    """The kind of what a data URL holds where that is no text in base64."""
    kind = unread_kind(url["type"])
    return kind if kind or (data_url.in_base64(url) and not _OTHER_CHARSET.search(url["more"])) else FILE


def unread_kind(media_type: str) -> str:
    """How content of a media type is counted; empty for text, which can be read."""
    if media_type.lower().startswith("image/"):
        return IMAGE
    if media_type.lower().startswith("audio/"):
        return AUDIO
    return "" if _TEXT_TYPE.fullmatch(media_type) else FILE


def held(text: str, start: int) -> str | None:
    """The text that `text` holds in base64 from `start` on; None where it is none, or one of another charset: those have NULs."""
    written = "".join(text[start:].split()).rstrip("=")
    altchars = b"-_" if _URL_SAFE.search(written) else None
    try:
        found = b64decode(written + "=" * (-len(written) % 4), altchars=altchars, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return None if "\0" in found else found


def _way(leaf: Leaf) -> tuple[str, ...] | None:
    return None if leaf.named else tuple([step for step in leaf.path if type(step) is str])


def changes(raw: bytes, edited: Iterable[tuple[Place, Sequence[Edit]]]) -> list[Change]:
    """The changes to a document's bytes that make these edits."""
    wanted = [(place, edits) for place, edits in edited if edits]
    if not wanted:
        return []
    tree = orjson.loads(raw) if any(place.named for place, _ in wanted) else None
    tokens = list(string_tokens(raw))
    taken: dict[Path, dict[str, int]] = {}
    return [_change(raw, tokens, tree, place, edits, taken) for place, edits in wanted]


def _change(
    raw: bytes, tokens: Sequence[tuple[int, int]], tree: Any, place: Place, edits: Sequence[Edit], taken: dict[Path, dict[str, int]]
) -> Change:
    if place.token < 0:
        return Replaced(place.path, orjson.dumps(edits[0].replacement))
    start, end = span = tokens[place.token]
    if place.part:
        return Edited(span, edits)
    text: str = orjson.loads(raw[start:end])
    if place.encoded is not None:
        new = b64encode(actions.apply(held(text, place.encoded) or "", edits).encode()).decode()
        return Edited(span, [Edit(place.encoded, len(text), new)])
    if place.named:
        return Edited(span, _renamed(tree, place.path[:-1], text, edits, taken))
    return Edited(span, fitting(text, edits))


def fitting(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """The edits as the text bears them: what stands bare in JSON is replaced by JSON."""
    if text.lstrip()[:1] not in {"{", "["}:
        return list(edits)
    quotes = Quotes()
    quotes.feed(text)
    return [fitted(edit, quotes) for edit in edits]


def _renamed(tree: Any, above: Path, text: str, edits: Sequence[Edit], taken: dict[Path, dict[str, int]]) -> list[Edit]:
    """Edits of a member's name; one that another member has already gets a number, since no object may have two.

    `taken` has the names of each object, and the last number given to each; the next one goes on from there.
    """
    names = taken.get(above)
    if names is None:
        node = tree
        for step in above:
            node = node[step]
        names = taken[above] = {name.casefold(): 1 for name in node}
    new = actions.apply(text, edits)
    number = names.get(new.casefold(), 0) + 1
    while (candidate := new if number == 1 else f"{new}_{number}").casefold() in names:
        number += 1
    names[candidate.casefold()] = 1
    names[new.casefold()] = number
    return [*edits, Edit(len(text), len(text), f"_{number}")] if number > 1 else list(edits)
