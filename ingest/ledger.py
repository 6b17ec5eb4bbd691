"""What ingest is about to do, on disk before it does it.

One file holds the batch to insert, its token, and the state that holds once it is inserted: cursors, waiting lines,
counts. It is replaced whole. So whatever instant ingest is killed at, the next life does the same insert again, with
the same token, and goes on from the same state; a second small file says which batch is known to be in, so that old
rows are not offered again.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from contracts.errors import Unusable
from ingest.columns import Row


@dataclass(frozen=True, slots=True)
class Plan:
    """`after`: the state once `rows` are stored under `token` and `dead` are put aside."""

    token: str
    rows: list[Row]
    dead: list[Row]
    after: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """The two files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise Unusable(f"another ingest works on {folder}: stop that one, or give this one another data folder") from error
        self._plan, self._done = folder / "plan.json", folder / "stored"

    def load(self) -> tuple[Plan | None, bool]:
        """The last plan, and whether it is known to be carried out. Raises Unusable."""
        try:
            read = orjson.loads(self._plan.read_bytes())
            plan = Plan(read["token"], read["rows"], read["dead"], read["after"])
        except FileNotFoundError:
            return None, True
        except (ValueError, KeyError, TypeError) as error:
            raise Unusable(
                f"{self._plan} can't be read. Move it away: ingest then reads the spool anew and asks ClickHouse what it has."
            ) from error
        return plan, self._done.exists() and self._done.read_text() == plan.token

    def write(self, plan: Plan) -> None:
        """Make `plan` the one that a next life would carry out."""
        new = self._plan.with_suffix(".new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(orjson.dumps({"token": plan.token, "rows": plan.rows, "dead": plan.dead, "after": plan.after}))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._plan)

    def close(self) -> None:
        """Let a successor have the folder."""
        os.close(self._lock)

    def stored(self, plan: Plan) -> None:
        """`plan` is carried out."""
        self._done.write_text(plan.token)
