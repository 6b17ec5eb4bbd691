"""What all targets demand of what comes out: nothing planted can be read in it, and an error holds nothing of what came in."""

from __future__ import annotations

import base64
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from fuzz.words import KEY

from contracts.policy import Actions

REDACT: Final = Actions({"*": "redact"}, {"*": "redact"}, "alert")
BLOCK: Final = Actions({"*": "block"}, {"*": "block"}, "alert")
DEPTH: Final = 64

PLANTED: Final = re.compile(r"planted[0-9]{6}x@example\.com")
_SECRET: Final = KEY.decode()
_ESCAPE: Final = re.compile(
    r"\\(?:(u)([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u((?![dD][89a-fA-F])[0-9a-fA-F]{4})|([\"\\/_.@+-])|.)", re.DOTALL
)
_LEVELS: Final = 3

Check = Callable[[bytes, bool], None]
"""A target: raises where its oracle is broken. The flag asks for every way to look at the input, not for a quick choice of them."""


def demand(holds: object, what: str, *shown: object) -> None:
    """Raise, with the values that show it, unless it holds."""
    if not holds:
        raise AssertionError(f"{what}: {shown!r}")


def dice_of(data: bytes) -> random.Random:
    """Chance that is the same for the same input, wherever it runs."""
    return random.Random(zlib.crc32(data))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Bytes in pieces, some of them empty."""
    return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]


def ways(data: bytes, dice: random.Random, *, closely: bool) -> Iterator[list[bytes]]:
    """Ways to cut an input: at a few places, and byte by byte where it is short or all ways are asked for."""
    for _ in range(3 if closely else 1):
        yield cut(data, [dice.randint(0, len(data)) for _ in range(dice.randint(1, 8))])
    if closely or len(data) < _SHORT or dice.random() < 0.05:
        yield [data[at : at + 1] for at in range(len(data))]


_SHORT: Final = 300


def texts(tree: Any) -> Iterator[str]:
    """Every string of a tree, names too."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield name
            yield from texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value)


def read_on(text: str) -> Iterator[str]:
    """A text, and what it spells where it is read as JSON again and again."""
    yield text
    for _ in range(_LEVELS):
        if "\\" not in text:
            return
        text = _ESCAPE.sub(_spelt, text)
        yield text


def _spelt(found: re.Match[str]) -> str:
    _, high, low, plain, sign = found.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF))
    return chr(int(plain, 16)) if plain else sign or found[0]


def nothing_planted(text: str, *, secret: bool = False) -> None:
    """No address of the planted pattern can be read in a text, and where `secret` says so no credential stands in it.

    Escapes of escapes of a credential are not looked into: a provider that writes those knows what it does, and has it anyway.
    """
    demand(not secret or _SECRET not in text, "the credential is left", text)
    for read in read_on(text):
        demand(not PLANTED.search(read), "an address is left", read)


def nothing_planted_in(raw: bytes, *, secret: bool = False) -> Any:
    """The same for JSON text: as it is written and in each string of it. Gives its tree."""
    demand(not PLANTED.search(raw.decode()), "an address is left in the bytes", raw)
    tree = json.loads(raw)
    for text in texts(tree):
        nothing_planted(text, secret=secret)
    return tree


def says_nothing_of_it(error: BaseException, *ours: type[BaseException]) -> None:
    """An error and all that it came of are ours, and none of them repeats what was planted."""
    link: BaseException | None = error
    while link is not None:
        demand(isinstance(link, ours), "an error of somebody else's hangs on to ours", repr(link)[:200])
        for said in map(str, link.args):
            nothing_planted(said, secret=True)
        link = link.__cause__ or link.__context__


def same_shape(before: Any, after: Any, *, emptied: bool = False) -> bool:
    """Whether a tree has the shape of another: as many members and items, of the same kinds, in the same order.

    A card's number may have become a string, and texts and names are what they were unless a kind stands in them, or base64.
    With `emptied`, log probabilities may be gone, since they spell a text again.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        return len(before) == len(after) and all(
            _same_text(old, new) and (same_shape(value, other, emptied=emptied) or (emptied and old == "logprobs" and not other))
            for (old, value), (new, other) in zip(before.items(), after.items(), strict=True)
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(same_shape(old, new, emptied=emptied) for old, new in zip(before, after, strict=True))
    if isinstance(before, str) and isinstance(after, str):
        return _same_text(before, after)
    if isinstance(after, str):
        return isinstance(before, int | float) and after == "[CREDIT_CARD]"
    return type(before) is type(after) and bool(before == after)


def numbers(tree: Any) -> int:
    """How many numbers a tree has. With fewer than before one was found, and in the place of a count or an index a string means something else."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return isinstance(tree, int | float) + sum(map(numbers, inside))


def _same_text(before: str, after: str) -> bool:
    if before == after:
        return True
    if _FILE.match(before) and _decodes(before):
        return _decodes(after)
    return any(kind in after for kind in ("[EMAIL_ADDRESS]", "[CREDIT_CARD]")) or "0" in after or _decodes(after)


_FILE: Final = re.compile(r"\s*data:[^,]*;base64,", re.IGNORECASE)


def _decodes(text: str) -> bool:
    """Whether what stands behind the last comma is base64, as it is written by those who are exact about it."""
    try:
        return bool(base64.b64decode(text.rpartition(",")[2], validate=True))
    except ValueError:
        return False
