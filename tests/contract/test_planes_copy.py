"""A plane's copy on disk: it starts a plane while control is down, and holds nothing that anybody slipped in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.errors import Unusable
from contracts.snapshot import KeyRecord
from controlplane.estate import Changes, Estate
from controlplane.planes.view import View
from custody.keyring import Keyring, term_of
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.edge import snapshot_copy
from extproc.edge.snapshot_build import Assembly, Push
from extproc.edge.snapshot_copy import Copy
from extproc.edge.snapshot_wire import begin, end, piece, read_message
from tests.contract.planes_parts import SECRET, control, estate_of, key, keyring_of, plane, put, revoked, soon


class Told:
    """A copy that is kept of pushes, without a socket."""

    def __init__(self, folder: Path, name: str = "extproc-0", estate: Estate | None = None) -> None:
        self.folder, self.keyring, self.name = folder, keyring_of(folder), name
        self.estate = estate or estate_of(folder, map(key, range(300)))
        self.view, self.assembly = View(self.estate, None), Assembly()
        self.copy = self.fresh()
        self.push(None)

    def fresh(self) -> Copy:
        """The copy of a plane that starts."""
        return Copy(self.folder / "planes" / self.name, self.name, lambda: self.keyring)

    def push(self, changes: Changes | None) -> Push:
        """Make changes, and keep what a plane would be sent."""
        base = self.assembly.snapshot.revision
        if changes is not None:
            self.estate = self.estate.after(changes)
            self.view.after(self.estate, changes)
        touched = self.view.since(self.assembly.epoch, base)
        shown = self.view.shown
        items = list(shown.items()) if touched is None else [shown.item(touch) for touch in touched]
        push = None
        for frame in (begin(shown.revision, self.view.epoch, "" if touched is None else base), piece(items), end(shown.revision)):
            push = self.assembly.feed(frame)
        assert push is not None
        self.assembly.accept(push)
        self.copy.keep(push)
        return push

    def frames(self) -> list[bytes]:
        """The file's frames, with their lengths."""
        text, found = self.copy.file.read_bytes(), []
        while text:
            length = 4 + int.from_bytes(text[:4], "big")
            found.append(text[:length])
            text = text[length:]
        return found


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """A copy with a whole push and two changes after it."""
    made = Told(tmp_path)
    made.push(put(made.estate, key(1000)))
    made.push(revoked(made.estate, "key-1"))
    yield made
    made.copy.close()


async def test_a_plane_starts_from_its_copy_while_control_is_down(tmp_path: Path) -> None:
    """The copy holds what was last in force, changes too; a plane goes on with it, and control, when it is back, sends only what changed."""
    async with control(tmp_path, estate_of(tmp_path, map(key, range(10)))) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        await told.make(put(told.estate, key(11)))
        await told.make(revoked(told.estate, "key-1"))
    async with plane(tmp_path) as part:
        assert part.revision == "3"
        assert set(part.taken[-1].keys) == {key(number).id for number in (0, *range(2, 10), 11)}
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()


def test_what_is_loaded_is_what_was_in_force(told: Told) -> None:
    """Every record, the revision and the epoch."""
    found = told.fresh().load()
    assert found is not None
    assert found.epoch == told.view.epoch
    assert found.snapshot == told.assembly.snapshot
    assert len(found.snapshot.keys) == 300


def test_a_copy_cut_at_any_byte_is_what_some_push_left(told: Told) -> None:
    """A crash in the middle of writing costs the push that was not answered yet, and nothing before it."""
    whole, seen = told.copy.file.read_bytes(), set()
    ends = [0]
    for frame in told.frames():
        ends.append(ends[-1] + len(frame))
    cuts = {*ends, *(end - 1 for end in ends[1:]), *(end + 2 for end in ends[:-1])}
    for cut in sorted(cuts):
        for rest in (b"", b"\0" * (len(whole) - cut)):
            told.copy.file.write_bytes(whole[:cut] + rest)
            found = told.fresh().load()
            seen.add(found.snapshot.revision if found else "")
    assert seen == {"", "1", "2", "3"}


def changed_byte(frames: list[bytes]) -> list[bytes]:
    """One bit of a key's record."""
    return [*frames[:2], frames[2][:-40] + bytes([frames[2][-40] ^ 1]) + frames[2][-39:], *frames[3:]]


EDITS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a byte is changed": changed_byte,
    "a change is taken out": lambda frames: [*frames[:4], *frames[7:]],
    "two changes change places": lambda frames: [*frames[:4], *frames[7:10], *frames[4:7]],
    "a change is played again": lambda frames: [*frames, *frames[4:7]],
    "the first frame is none": lambda frames: [b"\0\0\0\2{}", *frames[1:]],
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_copy_is_refused_with_a_sentence(told: Told, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Whoever can write the file can't make a plane believe it."""
    told.copy.file.write_bytes(b"".join(edit(told.frames())))
    with pytest.raises(Unusable, match="was changed by somebody else"):
        told.fresh().load()


def test_copies_can_not_be_mixed_or_passed_on(told: Told, tmp_path: Path) -> None:
    """Another file's frames under this one's first frame, and another plane's file, are refused."""
    other = Told(tmp_path, "extproc-1", told.estate)
    mixed = [told.frames()[0], *other.frames()[1:]]
    other_text = other.copy.file.read_bytes()
    other.copy.close()
    told.copy.file.write_bytes(b"".join(mixed))
    with pytest.raises(Unusable):
        told.fresh().load()
    told.copy.file.write_bytes(other_text)
    with pytest.raises(Unusable):
        told.fresh().load()


async def test_a_plane_with_an_edited_copy_knows_no_key_until_control_is_back(told: Told, tmp_path: Path) -> None:
    """A broken copy counts as none."""
    told.copy.file.write_bytes(b"".join(changed_byte(told.frames())))
    async with plane(tmp_path) as part:
        assert part.revision == ""
        assert part.taken == []
        async with control(tmp_path, told.estate):
            await soon(lambda: part.revision == "3")


def test_a_copy_that_outgrows_itself_or_its_key_is_written_anew(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many changes, or a newer term in the vault: the file becomes a whole one under a fresh key, and still loads."""
    monkeypatch.setattr(snapshot_copy, "_LEAST_GROWTH", 1000)
    first = read_message(told.frames()[0][4:])["key"]
    most = 0
    for number in range(2000, 2600):
        told.push(put(told.estate, key(2000, labels={"n": str(number)})))
        most = max(most, told.copy.file.stat().st_size)
    assert most < 3 * told.copy._standing.whole  # type: ignore[union-attr] - it was kept just now
    second = read_message(told.frames()[0][4:])["key"]
    assert second != first
    told.keyring = told.keyring.add(Secret(os.urandom(32)))
    told.push(put(told.estate, key(3000)))
    assert term_of(read_message(told.frames()[0][4:])["key"]) == told.keyring.newest
    found = told.fresh().load()
    assert found is not None
    assert found.snapshot == told.assembly.snapshot


def test_a_copy_that_can_not_be_written_is_not_left_outdated(told: Told) -> None:
    """A plane never restarts into a key that was revoked meanwhile: rather into none."""

    def broken() -> Keyring:
        raise Unusable("no keys")

    copy = Copy(told.copy.file.parent, "extproc-0", broken)
    with pytest.raises(Unusable):
        copy.keep(Push(told.assembly.snapshot, "e"))
    assert not told.copy.file.exists()


def test_the_copy_shows_nothing_and_is_its_owners(told: Told) -> None:
    """Neither names nor hashes can be read in it; nobody else can open it."""
    text = told.copy.file.read_bytes()
    record = told.assembly.snapshot.keys["id0000000007"]
    assert isinstance(record, KeyRecord)
    for word in (record.id, record.name, record.secrets[0].hash, "search", "ranking"):
        assert word.encode() not in text
    assert told.copy.file.stat().st_mode & 0o077 == 0
