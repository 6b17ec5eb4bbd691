"""JSON text. Oracle: any bytes give a document or Malformed, as a second reading by the standard library says they must.

And: what a document says of its texts is one; a change leaves every byte outside its place, and makes of the tree what was meant.
"""

from __future__ import annotations

import json
import math
import random
import re
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from fuzz import json_places
from fuzz.json_places import Value
from fuzz.oracles import demand, dice_of, says_nothing_of_it

from extproc.core.body import EXACT, Document, Leaf, Malformed, read
from extproc.core.spans import Added, Change, Edited, Path, Replaced, rewrite, string_tokens
from extproc.redact.actions import Edit, apply

DEPTH: Final = 12
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NEW: Final = ('"', "\\", "é", "😀", "\x00", "", "[EMAIL_ADDRESS]", "\\u0041", "a\nb")
_VALUES: Final = (b"null", b'"x"', b"[1, 2]", b'{"a":{}}', b"-1.50e+3")


class _Ambiguous(ValueError):  # noqa: N818 - says what the bytes are
    """Two parsers could read it differently."""


def check(data: bytes, closely: bool = False) -> None:
    """The target."""
    for exact in (True, False):
        why = _refusable(data, exact=exact)
        try:
            document = read(data, max_depth=DEPTH, exact=exact)
        except Malformed as error:
            demand(why, "refused for no reason", str(error))
            says_nothing_of_it(error, Malformed)
            continue
        demand(not why, "should have been refused", why)
        _agrees(document)
        if exact or closely:
            _changes(document, dice_of(data))


# ── a second reading ───────────────────────────────────────────────────────────


def _refusable(raw: bytes, *, exact: bool) -> str:
    """Why two parsers could read it differently, by the standard library's; empty where they can't."""
    try:
        text = raw.decode()
        number = _exact if exact else _finite
        tree = json.loads(text, parse_constant=_refuse, object_pairs_hook=_members, parse_float=number, parse_int=number)
        return "" if _depth(tree) <= DEPTH else "too deep"
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__} {error}"


def _refuse(_name: str) -> Any:
    raise _Ambiguous("a constant")


def _finite(written: str) -> float:
    if math.isinf(number := float(written)):
        raise _Ambiguous("too large for a double")
    return number


def _exact(written: str) -> float:
    number = _finite(written)
    held = {Decimal(number)} if written.lstrip("-").isdigit() else {Decimal(number), Decimal(repr(number))}
    if abs(number) >= EXACT and Decimal(written) not in held:
        raise _Ambiguous("no double")
    return number


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.casefold() for name, _ in pairs}) != len(pairs):
        raise _Ambiguous("a name twice")
    return dict(pairs)


def _depth(tree: Any) -> int:
    """How deep a tree is; raises where half of a surrogate pair stands in it."""
    if isinstance(tree, str):
        if _SURROGATE.search(tree):
            raise _Ambiguous("half of a surrogate pair")
        return 0
    inside = [*tree, *tree.values()] if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)


# ── the document ───────────────────────────────────────────────────────────────


def _agrees(document: Document) -> None:
    """Tree, texts, leaves and string tokens tell the same."""
    demand(document.tree == json.loads(document.raw, parse_int=_held), "another tree", document.tree)
    leaves = document.leaves()
    demand(sorted(document.texts()) == sorted(leaf.text for leaf in leaves), "texts are not those of the leaves")
    demand(document.strings() == [leaf for leaf in leaves if leaf.token >= 0 and not leaf.named], "strings are not those of the leaves")
    tokens = [leaf for leaf in leaves if leaf.token >= 0]
    spans = list(string_tokens(document.raw))
    demand([leaf.token for leaf in tokens] == list(range(len(spans))), "string tokens are not counted as they stand")
    for leaf, (start, end) in zip(tokens, spans, strict=True):
        demand(json.loads(document.raw[start:end]) == leaf.text, "a token is not its leaf", leaf)
        demand(leaf.named or _at(document.tree, leaf.path) == leaf.text, "a leaf is not at its path", leaf)


def _held(written: str) -> int | float:
    """A whole number as most parsers hold it."""
    return number if -(1 << 63) <= (number := int(written)) < 1 << 64 else float(written)


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


# ── changes to it ──────────────────────────────────────────────────────────────


def _changes(document: Document, dice: random.Random) -> None:
    demand(rewrite(document.raw, []) == document.raw, "no change changes something")
    _edits(document, dice)
    values = list(json_places.every(json_places.value_of(document.raw)))
    paths = dict(zip(map(id, values), _paths(document.tree), strict=True))
    _one_replaced(document, dice.choice(values), paths, dice.choice(_VALUES))
    objects = [value for value in values if value.kind == "object"]
    if objects:
        _one_added(document, dice.choice(objects), paths, dice.choice(_VALUES))


def _edits(document: Document, dice: random.Random) -> None:
    """Strings edited at some places: of the rest of the bytes none is another, and each text is what was meant."""
    tokens = [leaf for leaf in document.leaves() if leaf.token >= 0]
    wanted = {leaf.token: _some_edits(leaf, dice) for leaf in tokens if dice.random() < 0.5}
    raw = document.raw
    before = list(string_tokens(raw))
    changes: list[Change] = [Edited(before[token], edits) for token, edits in wanted.items()]
    dice.shuffle(changes)
    out = rewrite(raw, changes)
    after = list(string_tokens(out))
    demand(len(before) == len(after), "an edit made or ended a string", out)
    demand(_between(raw, before) == _between(out, after), "bytes between strings changed", out)
    for leaf, (start, end), (new, new_end) in zip(tokens, before, after, strict=True):
        edits = wanted.get(leaf.token, [])
        demand(json.loads(out[new:new_end]) == apply(leaf.text, edits), "not the text that was meant", leaf, edits)
        if not edits:
            demand(out[new:new_end] == raw[start:end], "a string that nobody edited changed", leaf)
        else:
            first, last = _untouched(raw[start:end], edits[0].start), _untouched(raw[start:end], len(leaf.text) - edits[-1].end, end=True)
            demand(
                out[new:new_end].startswith(first) and out[new:new_end].endswith(last),
                "bytes of a string that no edit touches changed",
                leaf,
            )


def _some_edits(leaf: Leaf, dice: random.Random) -> list[Edit]:
    places = sorted(dice.randint(0, len(leaf.text)) for _ in range(2 * dice.randint(0, 2)))
    return [Edit(start, end, dice.choice(_NEW)) for start, end in pairwise(places)][::2]


_LETTER: Final = re.compile(rb"\\u[dD][89abAB]..\\u....|\\u....|\\.|[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*", re.DOTALL)


def _untouched(token: bytes, letters: int, *, end: bool = False) -> bytes:
    """The bytes of a string's first or last letters as they are written, with its quote."""
    found = _LETTER.findall(token[1:-1])
    return b"".join(found[len(found) - letters :]) + b'"' if end else b'"' + b"".join(found[:letters])


def _between(raw: bytes, spans: list[tuple[int, int]]) -> list[bytes]:
    return [raw[end:start] for (_, end), (start, _) in pairwise([(0, 0), *spans, (len(raw), len(raw))])]


def _paths(tree: Any, path: Path = ()) -> list[Path]:
    """The path of every value, in the order of the bytes."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(way for step, value in inside for way in _paths(value, (*path, step)))]


def _one_replaced(document: Document, value: Value, paths: dict[int, Path], new: bytes) -> None:
    out = rewrite(document.raw, [Replaced(paths[id(value)], new)])
    demand(out == document.raw[: value.start] + new + document.raw[value.end :], "another value was replaced", paths[id(value)], out)


def _one_added(document: Document, holder: Value, paths: dict[int, Path], new: bytes) -> None:
    name = next(name for name in ("a", "new", "newer", "newest", "none has this") if name not in _at(document.tree, paths[id(holder)]))
    out = rewrite(document.raw, [Added(paths[id(holder)], name, new)])
    comma = b"," if holder.inside else b""
    member = comma + json.dumps(name).encode() + b":" + new
    demand(
        out == document.raw[: holder.end - 1] + member + document.raw[holder.end - 1 :],
        "not added as the last member",
        paths[id(holder)],
        out,
    )
