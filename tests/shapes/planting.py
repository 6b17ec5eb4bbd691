"""Personal data planted in a document: where it can stand, how it can be spelled, and every way to read what is left."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal

from shapes.samples import FREE_NAMES, FUTURE

Path = tuple[str | int, ...]

CARD: Final = "4111111111111111"
CHOSEN: Final = frozenset({FUTURE, *FREE_NAMES})
"""Names of members that no type prescribes."""

_HERE: Final = "-the-planted-leaf-"
_MARKED: Final = re.compile(rf'"{_HERE}([0-9]{{5}})"')
_numbers = count(1)


# ── where ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Leaf:
    """A place of a document: a string, a member's name, a number, or anything else that stands where a string could."""

    path: Path
    kind: Literal["text", "name", "number", "other"]

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))} ({self.kind})"


def leaves(document: Any, *kinds: str) -> list[Leaf]:
    """Every place of these kinds; of all kinds if none is named."""
    found = _leaves(document, ())
    return [leaf for leaf in found if not kinds or leaf.kind in kinds]


def _leaves(node: Any, path: Path) -> Iterator[Leaf]:
    if isinstance(node, str):
        yield Leaf(path, "text")
    elif isinstance(node, bool) or node is None:
        yield Leaf(path, "other")
    elif isinstance(node, int | float):
        yield Leaf(path, "number")
    else:
        if path:
            yield Leaf(path, "other")
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(name, str):
                yield Leaf((*path, name), "name")
            yield from _leaves(value, (*path, name))


def alike(document: Any, leaf: Leaf, *, closely: bool = False) -> tuple[Any, ...]:
    """Leaves with the same key stand in the same member of the same kind of object: one of them is enough.

    What kind an object is, it says itself; by what way it is reached is told apart only with `closely`.
    """
    node, way = document, []
    for step in leaf.path:
        if isinstance(node, dict):
            kind = tuple([str(node[name]) for name in KINDS if isinstance(node.get(name), str)])
            if kind:
                way = [*way[: None if closely else 1], kind]
            way.append(step)
        node = node[step]
    return (leaf.kind, *way)


KINDS: Final = ("type", "role", "object")
"""Members that say what kind of object this is."""


def fresh(documents: Iterable[Any], *kinds: str, closely: bool = False) -> Iterator[tuple[Any, Leaf]]:
    """Each place of the documents once, however many of them have it. Names are those that a sender may choose."""
    seen: set[tuple[Any, ...]] = set()
    for document in documents:
        for leaf in leaves(document, *kinds):
            if leaf.kind == "name" and leaf.path[-1] not in CHOSEN:
                continue
            key = alike(document, leaf, closely=closely)
            if key not in seen:
                seen.add(key)
                yield document, leaf


def around(document: Any, leaf: Leaf) -> tuple[str, str]:
    """The document's JSON text before and after the token at `leaf`."""
    marked = json.loads(json.dumps(document))  # no two places of it are the same object
    if not leaf.path:
        marked = _HERE
    else:
        node = marked
        for step in leaf.path[:-1]:
            node = node[step]
        last = leaf.path[-1]
        if leaf.kind == "name":
            members = [(_HERE if name == last else name, value) for name, value in node.items()]
            node.clear()
            node.update(members)
        else:
            node[last] = _HERE
    before, after = json.dumps(marked).split(f'"{_HERE}"')
    return before, after


def everywhere(document: Any, spelling: Spelling, *, spared: Iterable[str] = ()) -> tuple[list[str], str, str]:
    """An address of its own in each text that does not say what it stands in, at once: those, the JSON text, and what may be left of it.

    `spared`: members at the top that stay as they are.
    """
    marked = json.loads(json.dumps(document))
    found = [leaf for leaf in leaves(marked, "text") if leaf.path[-1] not in KINDS and leaf.path[0] not in spared]
    for number, leaf in enumerate(found):
        under(marked, *leaf.path[:-1])[leaf.path[-1]] = f"{_HERE}{number:05}"
    pieces = _MARKED.split(json.dumps(marked))
    addresses = [address() for _ in found]
    sent, left = [pieces[0]], [pieces[0]]
    for number, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        sent += (spelling.token(addresses[int(number)]), piece)
        left += (spelling.expected, piece)
    return addresses, "".join(sent), "".join(left)


def under(document: Any, *path: str | int) -> Any:
    """What stands at a path."""
    for step in path:
        document = document[step]
    return document


# ── what, and how it is spelled ────────────────────────────────────────────────


def address() -> str:
    """An e-mail address that was never planted before."""
    return f"planted{next(_numbers):06}x@example.com"


def local_part(planted: str) -> str:
    """The part of an address that nothing but it has."""
    return planted.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Spelling:
    """A JSON token with something planted in it: `write` spells that; where it stood, `left` must stand."""

    name: str
    before: str
    after: str
    write: Callable[[str], str]
    left: str = "[EMAIL_ADDRESS]"

    def token(self, planted: str) -> str:
        """The token as it is sent."""
        return self.before + self.write(planted) + self.after

    @property
    def expected(self) -> str:
        """The token as it may go on."""
        return self.before + self.left + self.after


def escaped(text: str, level: int = 1) -> str:
    r"""Every character as `\uXXXX`, for JSON in `level` strings of JSON; letters of hexadecimal digits in both cases."""
    slash = "\\" * 2 ** (level - 1)
    return "".join(f"{slash}u{ord(sign):04{'xX'[place % 2]}}" for place, sign in enumerate(text))


def at_escaped(text: str, level: int = 1) -> str:
    """Only the @ escaped."""
    return text.replace("@", escaped("@", level))


def inside(document: Any, levels: int) -> tuple[str, str]:
    """JSON in `levels` strings of JSON, before and after the mark in it."""
    text = json.dumps(document)
    for _ in range(levels):
        text = json.dumps(text)
    before, after = text.split(_HERE)
    return before, after


_NESTED: Final = inside({"to": _HERE, "cc": 'a "b" c'}, 1)
_TWICE: Final = inside(json.dumps({"to": _HERE, "n": 1}), 1)
_BARE: Final = inside({"card": _HERE}, 1)

SPELLINGS: Final = (
    Spelling("plain", '"', '"', str),
    Spelling("within words", '"see ', ' now, \\"please\\""', str),
    Spelling("escaped", '"', '"', escaped),
    Spelling("@ escaped", '"to ', '"', at_escaped),
    Spelling("in JSON", *_NESTED, str),
    Spelling("in JSON, @ escaped", *_NESTED, lambda text: at_escaped(text, 2)),
    Spelling("in JSON, escaped", *_NESTED, lambda text: escaped(text, 2)),
    Spelling("in JSON in JSON, @ escaped", *_TWICE, lambda text: at_escaped(text, 3)),
    Spelling("in JSON in JSON, escaped", *_TWICE, lambda text: escaped(text, 3)),
)
"""Ways to spell an address in a string token."""

BARE_CARD: Final = Spelling(
    "bare number in JSON", _BARE[0].removesuffix('\\"'), _BARE[1].removeprefix('\\"'), lambda _: CARD, '\\"[CREDIT_CARD]\\"'
)
"""A card's number without quotes, in JSON in a string."""

CARD_NUMBER: Final = Spelling("bare number", "", "", lambda _: CARD, '"[CREDIT_CARD]"')
"""A card's number in the place of a number."""


def in_base64(text: str) -> str:
    """Text as a base64 file."""
    return base64.b64encode(f"name,mail\nsomebody,{text}\n".encode()).decode()


# ── every way to read what is left ─────────────────────────────────────────────

_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_ROUNDS: Final = 8


def readings(text: str) -> set[str]:
    """A text and all that it can be read as: without its escapes, level by level, its base64 decoded, its %40 too."""
    found = {text}
    for _ in range(_ROUNDS):
        text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2], text)
        found.add(text)
        if "\\" not in text:
            break
    for read in tuple(found):
        found.add(urllib.parse.unquote(read))
        found.update(filter(None, map(_decoded, _BASE64.findall(read))))
    return found


def _decoded(run: str) -> str:
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4), altchars=b"-_" if re.search("[-_]", run) else None).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def joined(documents: Iterable[Any]) -> set[str]:
    """Texts that whoever reads several leaves can put together: tokens of one list, pieces of one text, bytes as numbers."""
    texts: dict[tuple[str, ...], list[str]] = {}
    found: set[str] = set()
    for document in documents:
        _join(document, (), texts, found)
    return found | {"".join(pieces) for pieces in texts.values()}


def _join(node: Any, way: tuple[str, ...], texts: dict[tuple[str, ...], list[str]], found: set[str]) -> None:
    if isinstance(node, str):
        texts.setdefault(way, []).append(node)
    elif isinstance(node, dict):
        number = node.get("index", node.get("output_index"))
        here = way if number is None else (*way, str(number))
        for name, value in node.items():
            if name != _UNSAID:
                texts.setdefault((*here, "names"), []).append(name)
            _join(value, (*here, name), texts, found)
    elif isinstance(node, list):
        if node and all(type(item) is int and 0 <= item < 256 for item in node):
            texts.setdefault((*way, "bytes"), []).append(bytes(node).decode("latin-1"))
        for value in node:
            _join(value, way, texts, found)


_UNSAID: Final = "obfuscation"


def holds(planted: str, sent: bytes, documents: Iterable[Any] = ()) -> bool:
    """Whether an address, or its local part, can be read in bytes, or put together from the documents that they are."""
    part = local_part(planted)
    return any(part in read for read in readings(sent.decode(errors="replace"))) or any(
        part in read for text in joined(documents) for read in readings(text)
    )
