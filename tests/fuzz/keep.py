"""Chooses what the corpus keeps: `python tests/fuzz/keep.py FOLDER [TARGET …]`, where FOLDER has a folder of inputs for each target.

Those that together reach all steps of the code that any of them reaches, in few bytes. What was there stays, so a found input is
never lost; inputs that break an oracle are named and left where they are.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from fuzz.targets import TARGETS, Target

_ROOT: Final = Path(__file__).resolve().parents[2]
_LONGEST: Final = 1500
_FILE: Final = 30  # bytes that a file more is worth
_MOST: Final = 11_000
"""Bytes of a target's corpus, besides what has a name: all of it is read in every run of the tests."""

_CHOSEN: Final = re.compile(r"[0-9a-f]{12}")

Step = tuple[CodeType, int, int]


def reached(target: Target, data: bytes) -> set[Step]:
    """The steps, from one line to another, that an input takes in what the target is about. Raises what the target raises."""
    found: set[Step] = set()
    code_of_it = f"{_ROOT / target.about}/"

    def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(code_of_it):
            return None
        code, last = frame.f_code, 0

        def step(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last
            if event == "line":
                found.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target.check(data, False)
    finally:
        sys.settrace(None)
    return found


def chosen(target: Target, folder: Path) -> Iterator[bytes]:
    """What is to be added to a target's corpus: again and again the input that reaches most that is new, for its length."""
    kept = [path.read_bytes() for path in sorted(target.corpus.glob("*"))]
    known = set[Step]().union(*(reached(target, data) for data in kept))
    left = {data: steps for data, steps in _whole(target, folder) if steps - known}
    size = sum(path.stat().st_size for path in target.corpus.iterdir() if _CHOSEN.fullmatch(path.name))
    while left:
        data = max(left, key=lambda data: (len(left[data]) / (len(data) + _FILE), data))
        size += len(data)
        if size > _MOST:
            return
        yield data
        known |= left[data]
        left = {data: new for data, steps in left.items() if (new := steps - known)}


def _whole(target: Target, folder: Path) -> Iterator[tuple[bytes, set[Step]]]:
    """Inputs that are not too long and break nothing, with the steps they take."""
    for data in {path.read_bytes() for path in folder.glob("*") if path.stat().st_size <= _LONGEST}:
        try:
            yield data, reached(target, data)
        except AssertionError as broken:
            sys.stderr.write(f"{target.name}: left out {data[:80]!r}: {str(broken)[:200]}\n")


def main(folder: Path, names: list[str]) -> None:
    """Add to the corpus, and say how much it has."""
    for target in [TARGETS[name] for name in names] or TARGETS.values():
        target.corpus.mkdir(parents=True, exist_ok=True)
        for data in chosen(target, folder / target.name):
            (target.corpus / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        sizes = [path.stat().st_size for path in target.corpus.glob("*")]
        sys.stdout.write(f"{target.name}: {len(sizes)} inputs of {sum(sizes)} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
