"""Who asks for a change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from controlplane.estate.holds import EVERYTHING, Holds


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` stands in records and events; `holds`: what may be handed on; `request_id`: of the call, a UUIDv7."""

    name: str
    holds: Holds = field(repr=False)
    request_id: str = ""


ADMIN: Final = "admin"
"""The name of whoever has the admin token."""


def admin(request_id: str) -> Actor:
    """Whoever has the admin token: holds everything."""
    return Actor(ADMIN, EVERYTHING, request_id)
