"""Event streams from their first event to their end mark, with every text that comes in pieces named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from shapes.planting import Path, under

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A text that an SDK puts together from the pieces of events.

    `repeats`: events that have all of it again. `opens`: events before the first piece; `begin` are those with a piece in
    them already, to which SDKs add what follows, at `begins_at` in the last of them.
    """

    name: str
    event: Callable[[str], Document]
    path: Path
    repeats: Callable[[str], list[Document]] = lambda _text: []
    opens: tuple[Document, ...] = ()
    begin: Callable[[str], tuple[Document, ...]] | None = None
    begins_at: Path = ()

    def piece(self, document: Document) -> str | None:
        """The piece of this text in an event; None where it is an event of another."""
        sample = self.event("")
        try:
            found = under(document, *self.path)
        except (KeyError, IndexError, TypeError):
            return None
        if not isinstance(found, str) or _without(document, self.path) != _without(sample, self.path):
            return None
        return found


def _without(document: Document, path: Path) -> Any:
    """The event without the piece and what is said about it."""
    copy = json.loads(json.dumps(document))
    under(copy, *path[:-1])[path[-1]] = ""
    _forget(copy)
    return copy


def _forget(node: Any) -> None:
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _forget(value)
    if isinstance(node, dict):
        for name in ("logprobs", "sequence_number", "obfuscation"):
            node.pop(name, None)


@dataclass(frozen=True, slots=True)
class Stream:
    """A whole stream of a route. `end` gives the events after the texts, which are given by the names of their sites."""

    before: tuple[Document, ...]
    sites: tuple[Site, ...]
    end: Callable[[Mapping[str, str]], list[Document]]
    mark: bytes = b""
    named: bool = False
    output_tokens: int = field(default=7)

    def render(self, texts: Mapping[str, Sequence[str]]) -> bytes:
        """The stream's bytes; the texts come piece by piece, in turn where there are several."""
        return b"".join([*map(self.line, self.events(texts)), self.mark])

    def events(self, texts: Mapping[str, Sequence[str]]) -> Iterator[Document]:
        """Its events."""
        sites = [site for site in self.sites if site.name in texts]
        yield from self.before
        yield from chain.from_iterable(site.opens for site in sites)
        turns = zip_longest(*([site.event(piece) for piece in texts[site.name]] for site in sites))
        yield from (event for turn in turns for event in turn if event is not None)
        whole = {name: "".join(pieces) for name, pieces in texts.items()}
        for site in sites:
            yield from site.repeats(whole[site.name])
        yield from self.end(whole)

    def line(self, document: Document) -> bytes:
        """An event as it is sent."""
        return (f"event: {document['type']}\n" if self.named else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"

    def site(self, name: str) -> Site:
        """The site of this name."""
        return next(site for site in self.sites if site.name == name)


def documents(sent: bytes) -> list[Any]:
    """The JSON of each event in a stream that came whole, read as simply as can be."""
    lines = [line.removeprefix(b"data:").strip() for line in sent.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line and line != b"[DONE]"]
