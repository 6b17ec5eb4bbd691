"""How the command line shows things to people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def cell(value: Any) -> str:
    """A value on one line. Control characters are spelled out: some texts come from apps, and a terminal obeys them."""
    if value is None:
        return "-"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False) if value else "-"
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns side by side; numbers stand to the right."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max(len(line[at]) for line in [list(columns), *texts]) for at in range(len(columns))]
    numeric = [bool(rows) and all(_number(row[at]) for row in rows) for at in range(len(columns))]
    return "\n".join(_line(line, widths, numeric) for line in [list(columns), *texts])


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _line(texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [text.rjust(width) if right else text.ljust(width) for text, width, right in zip(texts, widths, numeric, strict=True)]
    return "  ".join(padded).rstrip()
