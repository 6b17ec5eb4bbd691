"""One line of Envoy's access log, as a value. The fields are those of controlplane/envoy_witness.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from ingest.columns import Row

_NAMELESS = UUID("6a3c1f0e-7d2b-5c44-9e0a-0f1d2c3b4a59")  # a namespace of our own, for lines whose exchange has no usable id


@dataclass(frozen=True, slots=True)
class Line:
    """`at`: where it stands, as `inode:offset`, unique for ever. Times are nanoseconds of the Unix epoch."""

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
        """The exchange's id: ours if extproc gave one, else Envoy's if it is a UUID, else one made of the line's place."""
        for name in (self.id, self.envoy_id):
            if _is_uuid(name):
                return name
        return str(uuid5(_NAMELESS, self.at))

    def to_json(self) -> Row:
        """For the ledger."""
        return {name: getattr(self, name) for name in self.__slots__}


def parse(text: bytes, at: str) -> Line:
    """Read a line. Raises ValueError where it is not one of ours."""
    read = json.loads(text)
    if not isinstance(read, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - to the reader of a log any bad line is the same
    start = _nanoseconds(_word(read, "time"))
    total_us = _number(read, "duration_us") or _number(read, "duration_ms") * 1000 or _number(read, "duration") * 1000
    flags, details, status = _word(read, "flags"), _word(read, "details"), _number(read, "status")
    known = {
        "time": start,
        "method": _word(read, "method"),
        "path": _word(read, "path"),
        "status": status,
        "client_address": _word(read, "client_address"),
        "user_agent": _word(read, "user_agent")[:200],
        "route": _word(read, "route"),
        "provider": _word(read, "provider"),
        "request_bytes": _number(read, "request_bytes"),
        "response_bytes": _number(read, "response_bytes"),
        "upstream_us": _number(read, "upstream_us"),
        "total_us": total_us,
        "envoy_flags": flags,
        "envoy_details": details[:200],
        "envoy_id": _word(read, "envoy_id"),
    }
    filled = {name: value for name, value in known.items() if value}
    return Line(at, _word(read, "id"), _word(read, "envoy_id"), start, start + total_us * 1000, flags, details, status, filled)


def _word(read: dict[str, Any], name: str) -> str:
    value = read.get(name)
    return "" if value in (None, "-") else str(value)


def _number(read: dict[str, Any], name: str) -> int:
    value = read.get(name)
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
