"""Everything that can be reached from an object, but for the bytes within a Secret: what a debugger or an error reporter could walk."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterable, Iterator

from custody.secret import Secret

CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType)
"""What leads everywhere, and holds nothing of one exchange."""


def held_by(story: object) -> list[object]:
    """The local variables of every frame that a suspended coroutine waits in."""
    found: list[object] = []
    waits = story
    while waits is not None and getattr(waits, "cr_frame", None) is not None:
        found += waits.cr_frame.f_locals.values()  # type: ignore[attr-defined]
        waits = waits.cr_await  # type: ignore[attr-defined]
    return found


def reachable(roots: Iterable[object], closed: tuple[type, ...] = ()) -> Iterator[object]:
    """Each object once, by the collector's own knowledge of what refers to what, whatever hides it. `closed`: types not walked into."""
    left, seen = list(roots), set[int]()
    kept: list[object] = []  # whatever is made on the way lives until the end, so that no id comes twice
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, CODE):
            continue
        seen.add(id(one))
        kept.append(one)
        yield one
        if not isinstance(one, (Secret, *closed)):
            left += gc.get_referents(one)


def tells(one: object, planted: Iterable[str]) -> list[str]:
    """Which of the planted texts the object's own texts show, by repr, str and format; bytes and text as they are."""
    told = f"{one!r} {one!s}"
    if isinstance(one, bytes | bytearray | memoryview):
        told += bytes(one).decode("latin-1")
    return [text for text in planted if text in told]
