"""One line of Envoy's access log, as a value. The fields are those of controlplane/envoy/witness.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from extproc.redact.kept import told
from ingest.columns import Row

_NAMELESS = UUID("6a3c1f0e-7d2b-5c44-9e0a-0f1d2c3b4a59")  # a namespace of our own, for lines whose exchange has no usable id


@dataclass(frozen=True, slots=True)
class Line:
    """`at`: where it stands, as `inode:offset`, unique together with its time. Times are nanoseconds of the Unix epoch."""

    at: str
    id: str
    envoy_id: str
    start: int
    end: int
    flags: str
    details: str
    status: int
    known: Row
    """What the line says about columns of the row, blanks left out."""

    @property
    def row_id(self) -> str:
        """The exchange's id: ours if extproc gave one, else Envoy's if it is a UUID, else one made of the line's place and time."""
        for name in (self.id, self.envoy_id):
            if _is_uuid(name):
                return name
        return str(uuid5(_NAMELESS, f"{self.at}@{self.start}"))

    def to_json(self) -> Row:
        """For the ledger."""
        return {name: getattr(self, name) for name in self.__slots__}


def read(text: bytes) -> dict[str, Any]:
    """What a line says, field by field. Raises ValueError where it is not one of ours."""
    said = orjson.loads(text)
    if not isinstance(said, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - to the reader of a log any bad line is the same
    return said


def names(said: dict[str, Any]) -> tuple[str, str]:
    """Our id of the exchange, and Envoy's; "" where the line has none."""
    return _word(said, "id"), _word(said, "envoy_id")


def parse(text: bytes, at: str) -> Line:
    """Read a line as a whole. Raises ValueError as `read` does."""
    return line(read(text), at)


def line(said: dict[str, Any], at: str) -> Line:
    """All that a line says. Raises ValueError where its time can't be read."""
    start = _nanoseconds(_word(said, "time"))
    total_us = _number(said, "duration_us") or _number(said, "duration_ms") * 1000 or _number(said, "duration") * 1000
    flags, details, status = _word(said, "flags"), _word(said, "details"), _number(said, "status")
    known = {
        "time": start,
        "method": _word(said, "method"),
        "path": told(_word(said, "path")),
        "status": status,
        "client_address": _word(said, "client_address"),
        "user_agent": told(_word(said, "user_agent"))[:200],
        "route": _word(said, "route"),
        "provider": _word(said, "provider"),
        "request_bytes": _number(said, "request_bytes"),
        "response_bytes": _number(said, "response_bytes"),
        "upstream_us": _number(said, "upstream_us"),
        "total_us": total_us,
        "envoy_flags": flags,
        "envoy_details": details[:200],
        "envoy_id": _word(said, "envoy_id"),
    }
    filled = {name: value for name, value in known.items() if value}
    return Line(at, _word(said, "id"), _word(said, "envoy_id"), start, start + total_us * 1000, flags, details, status, filled)


def _word(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return "" if value in (None, "-") else str(value)


def _number(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if isinstance(value, str):
        value = int(value) if value.isdecimal() else 0
    return max(0, int(value)) if isinstance(value, int | float) else 0


def _nanoseconds(text: str) -> int:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("a time without its zone")
    return int(when.replace(microsecond=0).timestamp()) * 1_000_000_000 + when.microsecond * 1000


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
