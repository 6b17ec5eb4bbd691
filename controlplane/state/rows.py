"""Values as rows, and rows as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import orjson
import sqlalchemy as sa

from contracts.events import AdminEvent, event_document, event_of
from contracts.snapshot import RECORDS, document, record_of
from controlplane.estate import Change, Estate, Kept, Origin
from controlplane.state.values import KeptAnswer, Plane


def text(value: Any) -> str:
    """A JSON text, the same for the same value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def peppers_text(peppers: Mapping[int, str]) -> str:
    """Sealed peppers by version."""
    return text({str(version): sealed for version, sealed in peppers.items()})


def estate_of(head: sa.Row[Any], rows: Iterable[tuple[Any, ...]]) -> Estate:
    """The estate. `rows` are kind, name, version, origin, created, creator, document. Raises ValueError, KeyError or TypeError."""
    records: dict[str, dict[str, Kept]] = {kind: {} for kind in RECORDS}
    for kind, name, version, origin, created, creator, written in rows:
        records[kind][name] = Kept(record_of(kind, orjson.loads(written)), version, cast("Origin", origin), created, creator)
    peppers = {int(version): sealed for version, sealed in orjson.loads(head.peppers).items()}
    return Estate(head.revision, head.organisation, peppers, records)


def record_row(change: Change, kept: Kept) -> dict[str, Any]:
    """The row of a record that is made or changed."""
    return {
        "kind": change.kind,
        "name": change.name,
        "version": kept.version,
        "origin": kept.origin,
        "created": kept.created,
        "creator": kept.creator,
        "document": text(document(kept.record)),
    }


def event_row(event: AdminEvent) -> dict[str, Any]:
    """The row of an event that waits."""
    return {"id": event.id, "document": text(event_document(event))}


def event_from(row: sa.Row[Any]) -> AdminEvent:
    """The event of a row. Raises ValueError or TypeError."""
    return event_of(orjson.loads(row.document))


def answer_from(row: sa.Row[Any]) -> KeptAnswer:
    """The kept answer of a row."""
    return KeptAnswer(row.key, row.digest, row.sealed, row.time)


def plane_row(plane: Plane) -> dict[str, Any]:
    """The row of a plane."""
    return {
        "name": plane.name,
        "projects": text(plane.projects),
        "token_hash": plane.token_hash,
        "token_until": plane.token_until,
        "enrolled": plane.enrolled,
        "serial": plane.serial,
        "sealed": plane.sealed,
        "created": plane.created,
        "creator": plane.creator,
    }


def plane_from(row: sa.Row[Any]) -> Plane:
    """The plane of a row. Raises ValueError or TypeError."""
    return Plane(**{**row._mapping, "projects": tuple(orjson.loads(row.projects))})  # noqa: SLF001 - SQLAlchemy's public name for a row's mapping
