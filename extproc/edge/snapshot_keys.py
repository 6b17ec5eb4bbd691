"""A snapshot's keys, packed: a hundred thousand of them are bytes that no collection of garbage walks, read when they are asked for.

They lie in many small dicts, by the hash of their ids: a change copies the few that it touches. To copy one dict of them all would
touch the reference count of every key, for some ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar, cast, overload

from contracts.snapshot import KeyRecord
from extproc.edge.snapshot_wire import unpacked

MOST_READ: Final = 4096
"""Keys that are kept as records, those in use."""
_BUCKETS: Final = 1024
_MASK: Final = _BUCKETS - 1

_Default = TypeVar("_Default")
_Bucket = dict[str, bytes]
_Read = dict[str, tuple[bytes, KeyRecord]]


class Keys(Mapping[str, KeyRecord]):
    """Public id → record, as a value. Only the event loop's thread may ask for records; `documents` is for any."""

    __slots__ = ("_buckets", "_count", "_read")

    def __init__(self, buckets: tuple[_Bucket, ...] = ({},) * _BUCKETS, count: int = 0, read: _Read | None = None) -> None:
        self._buckets, self._count = buckets, count
        self._read: _Read = {} if read is None else read  # shared by all that were made of one another: a record is of one document

    def __getitem__(self, public_id: str) -> KeyRecord:
        return self._record(public_id, self._buckets[hash(public_id) & _MASK][public_id])

    @overload
    def get(self, key: str, /) -> KeyRecord | None: ...
    @overload
    def get(self, key: str, /, default: KeyRecord | _Default) -> KeyRecord | _Default: ...
    def get(self, key: str, /, default: KeyRecord | _Default | None = None) -> KeyRecord | _Default | None:
        """The record; what most requests of a flood ask for is not there, and that raises nothing."""
        document = self._buckets[hash(key) & _MASK].get(key)
        return default if document is None else self._record(key, document)

    def __contains__(self, public_id: object) -> bool:
        return public_id in self._buckets[hash(public_id) & _MASK]

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets:
            yield from bucket

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Keys({self._count})"

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """Ids and packed records."""
        for bucket in self._buckets:
            yield from bucket.items()

    def draft(self) -> Draft:
        """A copy to be changed."""
        return Draft(self._buckets, self._count, self._read)

    def _record(self, public_id: str, document: bytes) -> KeyRecord:
        found = self._read.get(public_id)
        if found is not None and found[0] is document:
            return found[1]
        record = cast("KeyRecord", unpacked("key", document))
        if len(self._read) >= MOST_READ:
            self._read.clear()
        self._read[public_id] = document, record
        return record


class Draft:
    """Keys that are being changed; those that they were made of stay as they are."""

    def __init__(self, buckets: tuple[_Bucket, ...], count: int, read: _Read) -> None:
        self._buckets, self._count, self._read = list(buckets), count, read
        self._own: set[int] = set()

    def put(self, public_id: str, document: bytes) -> None:
        """Make or change a key; an empty document removes it."""
        number = hash(public_id) & _MASK
        if number not in self._own:
            self._buckets[number] = self._buckets[number].copy()
            self._own.add(number)
        bucket = self._buckets[number]
        self._count -= public_id in bucket
        if document:
            bucket[public_id] = document
            self._count += 1
        else:
            bucket.pop(public_id, None)

    def done(self) -> Keys:
        """The keys as they are now. The draft must not be used after."""
        return Keys(tuple(self._buckets), self._count, self._read)
