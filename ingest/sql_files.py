"""Questions of our own, each a file: `queries/NAME.sql`, with typed parameters and none built of strings."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "queries"


@cache
def question(name: str) -> str:
    """The SQL of that name."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
