"""Makes snapshots of the frames that a push is made of: from control's socket, or from the copy on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from contracts.snapshot import RECORDS, Snapshot
from extproc.edge.snapshot_keys import Keys
from extproc.edge.snapshot_wire import (
    ORGANISATION,
    PEPPER,
    Item,
    batches,
    begin,
    end,
    is_piece,
    packed,
    piece,
    read_message,
    read_piece,
    unpacked,
)

NOTHING: Final = Snapshot("", keys=Keys())
"""What a plane has before it is told anything."""
_COPIED: Final = 256
_BY_NAME: Final = {kind: f"{kind}s" for kind in RECORDS if kind != "key"}
"""Kind → the snapshot's field of its records, by name."""


@dataclass(frozen=True, slots=True)
class Push:
    """A push that came whole. `frames` are its own where it is a change; none: it holds everything."""

    snapshot: Snapshot
    epoch: str
    frames: tuple[bytes, ...] = ()
    trouble: str = ""
    """Why it can't be used, though it came whole."""


class _Staging:
    """A push under way: changes beside what is in force, which nobody sees before the end."""

    def __init__(self, base: Snapshot, begin: dict[str, Any]) -> None:
        self.revision, self.epoch = str(begin["revision"]), str(begin["epoch"])
        self.whole = not begin["base"]
        self.base = NOTHING if self.whole else base
        self.frames: list[bytes] = []
        self.trouble = ""
        self._keys = (self.base.keys if isinstance(self.base.keys, Keys) else Keys()).draft()
        self._rest: dict[str, dict[Any, Any]] = {}
        self._organisation = self.base.organisation

    def take(self, body: bytes) -> None:
        """Stage a piece. What this version can't read is remembered as trouble: the push is then of no use."""
        try:
            for item in read_piece(body):
                self._item(*item)
        except (ValueError, TypeError, KeyError):
            self.trouble = "control sent a record that this version of the data plane can't read; upgrade the data plane"

    def done(self) -> Snapshot:
        """The snapshot that the push makes."""
        rest: dict[str, Any] = {name: _without_gone(records) for name, records in self._rest.items()}
        return replace(self.base, revision=self.revision, organisation=self._organisation, keys=self._keys.done(), **rest)

    def _item(self, kind: str, name: str, document: bytes) -> None:
        if kind == "key":
            if document:
                unpacked(kind, document)  # what can't be read must show now, not when an app asks
            self._keys.put(name, document)
        elif kind == ORGANISATION:
            self._organisation = str(orjson.loads(document))
        elif kind == PEPPER:
            self._of("peppers")[int(name)] = str(orjson.loads(document)) if document else None
        else:
            self._of(_BY_NAME[kind])[name] = unpacked(kind, document) if document else None

    def _of(self, name: str) -> dict[Any, Any]:
        if name not in self._rest:
            self._rest[name] = dict(getattr(self.base, name))
        return self._rest[name]


class Assembly:
    """Frame by frame; `snapshot` and `epoch` are what the next push may build upon."""

    def __init__(self, snapshot: Snapshot = NOTHING, epoch: str = "") -> None:
        self.snapshot, self.epoch = snapshot, epoch
        self._staging: _Staging | None = None

    def feed(self, body: bytes) -> Push | None:
        """Take a frame; the push that it ends. Raises ValueError, TypeError or KeyError where it is out of place."""
        if is_piece(body):
            self._under_way().take(body)
            self._keep(body)
            return None
        said = read_message(body)
        if "begin" in said:
            self._begin(said["begin"])
            self._keep(body)
            return None
        staging = self._under_way()
        if said["end"] != staging.revision:
            raise ValueError("the end is another push's")
        self._keep(body)
        self._staging = None
        return Push(
            Snapshot(staging.revision) if staging.trouble else staging.done(), staging.epoch, tuple(staging.frames), staging.trouble
        )

    def accept(self, push: Push) -> None:
        """The push is in force: the next one builds upon it."""
        self.snapshot, self.epoch = push.snapshot, push.epoch

    def drop(self) -> None:
        """Forget a push that did not come whole."""
        self._staging = None

    def _begin(self, begin: dict[str, Any]) -> None:
        if begin["base"] and (begin["base"], begin["epoch"]) != (self.snapshot.revision, self.epoch):
            raise ValueError("the push builds upon another snapshot")
        self._staging = _Staging(self.snapshot, begin)

    def _keep(self, body: bytes) -> None:
        staging = self._under_way()
        if not staging.whole:
            staging.frames.append(body)

    def _under_way(self) -> _Staging:
        if self._staging is None:
            raise ValueError("no push has begun")
        return self._staging


def frames_of(snapshot: Snapshot, epoch: str) -> Iterator[bytes]:
    """A push of the whole snapshot, in larger pieces: nobody stages it while requests wait."""
    yield begin(snapshot.revision, epoch, "")
    for items in batches(_items(snapshot), _COPIED):
        yield piece(items)
    yield end(snapshot.revision)


def _items(snapshot: Snapshot) -> Iterator[Item]:
    yield ORGANISATION, "", orjson.dumps(snapshot.organisation)
    for version, sealed in snapshot.peppers.items():
        yield PEPPER, str(version), orjson.dumps(sealed)
    for kind, name in _BY_NAME.items():
        records = getattr(snapshot, name)
        yield from ((kind, each, packed(record)) for each, record in records.items())
    if isinstance(snapshot.keys, Keys):
        yield from (("key", each, document) for each, document in snapshot.keys.documents())


def _without_gone(records: dict[Any, Any]) -> dict[Any, Any]:
    return {name: record for name, record in records.items() if record is not None}
