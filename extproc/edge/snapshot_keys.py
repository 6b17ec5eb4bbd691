"""A snapshot's keys, packed: a hundred thousand of them are bytes that no collection of garbage walks, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar, cast, overload

from contracts.snapshot import KeyRecord
from extproc.edge.snapshot_wire import unpacked

MOST_READ: Final = 4096
"""Keys that are kept as records, those in use."""

_Default = TypeVar("_Default")


class Keys(Mapping[str, KeyRecord]):
    """Public id → record, as a value: `after` makes another. Only the event loop's thread may ask for records."""

    __slots__ = ("_packed", "_read")

    def __init__(self, packed: dict[str, bytes], read: dict[str, KeyRecord] | None = None) -> None:
        self._packed = packed
        self._read = read or {}

    def __getitem__(self, public_id: str) -> KeyRecord:
        found = self._read.get(public_id)
        return found if found is not None else self._unpacked(public_id, self._packed[public_id])

    @overload
    def get(self, key: str, /) -> KeyRecord | None: ...
    @overload
    def get(self, key: str, /, default: KeyRecord | _Default) -> KeyRecord | _Default: ...
    def get(self, key: str, /, default: KeyRecord | _Default | None = None) -> KeyRecord | _Default | None:
        """The record; what most requests of a flood ask for is not there, and that raises nothing."""
        found = self._read.get(key)
        if found is not None:
            return found
        document = self._packed.get(key)
        return default if document is None else self._unpacked(key, document)

    def __contains__(self, public_id: object) -> bool:
        return public_id in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        return f"Keys({len(self._packed)})"

    def documents(self) -> Mapping[str, bytes]:
        """The packed records, for another thread too: this mapping never changes."""
        return self._packed

    def after(self, changed: Mapping[str, bytes]) -> Keys:
        """The keys once these documents are in place of what was there; an empty document removes."""
        packed = self._packed.copy()
        for public_id, document in changed.items():
            if document:
                packed[public_id] = document
            else:
                packed.pop(public_id, None)
        return Keys(packed, {public_id: record for public_id, record in self._read.items() if public_id not in changed})

    def _unpacked(self, public_id: str, document: bytes) -> KeyRecord:
        record = cast("KeyRecord", unpacked("key", document))
        if len(self._read) >= MOST_READ:
            self._read.clear()
        self._read[public_id] = record
        return record
