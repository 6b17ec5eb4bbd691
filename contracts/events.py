"""An administrative event: who changed what, from what to what. The truth for the table `audit.events` and its reference page.

Control writes it in the transaction that makes the change, and delivers it to ingest (controlplane/state/outbox.py). Each field's
metadata says what ClickHouse stores and what a reader needs, as in contracts/audit.py. No secret, sealed or hashed, is in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from contracts.audit import LOW
from contracts.snapshot import KeyRecord, Record, document

OUTCOMES: Final[Mapping[str, str]] = {
    "done": "the change was made; the event and the change are one transaction",
}
"""What became of it → what that means."""

HIDDEN: Final = frozenset({"sealed", "secrets"})
"""Fields of records that no event shows."""


def _column(ch: str, doc: str, *, default: Any = "", unit: str = "", example: str = "", ocsf: str = "") -> Any:
    return field(default=default, metadata={"ch": ch, "doc": doc, "unit": unit, "example": example, "ocsf": ocsf})


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminEvent:
    """One change of one thing. `before` and `after` are what `shown` gives; None: there was nothing, there is nothing now."""

    id: str = _column("UUID", "the event, a UUIDv7", example="0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d", ocsf="metadata.uid")
    time: int = _column(
        "DateTime64(9, 'UTC')", "when it was asked for", default=0, unit="ns", example="2026-11-24 09:51:31.000000000", ocsf="time"
    )
    category: str = _column(LOW, "which part of the audit: admin", default="admin", example="admin")
    verb: str = _column(LOW, "what was done, as kind.verb", example="key.revoke", ocsf="activity_name")
    outcome: str = _column(LOW, "one of the outcomes below", default="done", example="done", ocsf="status")
    actor: str = _column(LOW, "who asked for it", example="admin", ocsf="actor.user.name")
    kind: str = _column(LOW, "kind of the thing", example="key", ocsf="entity.type")
    name: str = _column("String", "its name", example="ranking-dev", ocsf="entity.name")
    before: Mapping[str, Any] | None = _column(
        "String", "the thing before, as JSON without secrets; empty: there was none", default=None, example='{"disabled":false,…}'
    )
    after: Mapping[str, Any] | None = _column(
        "String", "the thing after, as JSON without secrets; empty: there is none", default=None, example='{"disabled":true,…}'
    )
    request_id: str = _column("String", "the call to the control API that asked for it", example="0199f3b2-7c1e-7d04-8a11-5c2e9b7d1f00")


COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {f.name: dict(f.metadata) for f in fields(AdminEvent)}
"""Column name → its metadata, in order."""


def event_document(event: AdminEvent) -> dict[str, Any]:
    """The event as a JSON object."""
    return asdict(event)


def event_of(document: Mapping[str, Any]) -> AdminEvent:
    """Read what `event_document` wrote. Another shape raises TypeError."""
    return AdminEvent(**document)


def shown(record: Record) -> dict[str, Any]:
    """The record's document without its secrets, for an event. A key's `secrets_until`: until when each may be used, the newest first."""
    found = {name: value for name, value in document(record).items() if name not in HIDDEN}
    if isinstance(record, KeyRecord):
        found["secrets_until"] = [secret.until for secret in record.secrets]
    return found
