"""A plane's own copy of its snapshot, to start from while control is down: a file of sealed frames that only grows.

    {"plane": name, "key": sealed data key}     the first frame, open: a fresh key for each file, sealed under the vault's newest term
    frames as they came from control            each sealed with its number (custody/sealed_frames.py), behind its length (4, big endian)

Whoever edits, moves or mixes frames is found out, and such a copy is refused whole. What a crash left unfinished at the end is cut
off: it was never answered for. A change is appended; when these outgrow what they are changes of, or the vault has a newer term, the
whole is written anew, beside the old one and put in its place by one rename. An older copy put back whole can't be told from a plane
that was down meanwhile: only control knows better, and says so as soon as the plane reaches it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from contracts.errors import Unusable
from contracts.snapshot import Snapshot
from custody import store
from custody.keyring import KEY_BYTES, NONCE_BYTES, SEAL_DICE, Keyring, term_of
from custody.sealed_frames import FrameSeal
from custody.secret import Secret
from extproc.edge.private_files import sync_folder
from extproc.edge.snapshot_build import Assembly, Push, frames_of
from extproc.edge.snapshot_wire import MAX_BYTES, framed, message, read_message

NAME: Final = "snapshot.copy"
_LEAST_GROWTH: Final = 1 << 20
_BLOCK: Final = 1 << 16
_BREATH_S: Final = 0.0005
"""Between the frames of a whole copy: the thread that writes it leaves the interpreter to the event loop."""


@dataclass(slots=True)
class _Standing:
    """The file as it is: its seal, the number of its next frame, bytes of the whole and of what was appended."""

    file: BinaryIO
    seal: FrameSeal
    term: int
    number: int
    whole: int
    grown: int = 0


class Copy:
    """One plane's copy. `keyring` is asked anew for every change, so that a rotation of the vault's keys is followed.

    `load` once, then `keep`, from one thread at a time.
    """

    def __init__(self, folder: Path, plane: str, keyring: Callable[[], Keyring]) -> None:
        self.file = folder / NAME
        self._plane, self._keyring = plane, keyring
        self._standing: _Standing | None = None

    def load(self) -> Assembly | None:
        """What the copy holds; None where there is none. Raises Unusable, with what to do."""
        try:
            with self.file.open("rb") as file:
                return self._read(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unusable(f"{self.file}: can't be read: {error.strerror}") from None

    def keep(self, push: Push) -> None:
        """Make the copy hold this push, durably. Raises OSError or Unusable; then there is no copy, rather than an outdated one."""
        try:
            self._keep(push, self._keyring())
        except BaseException:
            self.close()
            self.file.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._standing is not None:
            self._standing.file.close()
            self._standing = None

    # ── writing ────────────────────────────────────────────────────────────────

    def _keep(self, push: Push, keyring: Keyring) -> None:
        standing = self._standing
        if standing is None or not push.frames or standing.term != keyring.newest or _outgrown(standing):
            self._write(push.snapshot, push.epoch, keyring)
            return
        text = b"".join(_sealed(standing, push.frames))
        standing.file.write(text)
        _sync(standing.file)
        standing.grown += len(text)

    def _write(self, snapshot: Snapshot, epoch: str, keyring: Keyring) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        out = os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        try:
            key = Secret(os.urandom(KEY_BYTES))
            sealed = keyring.seal(store.copy(self._plane), key, os.urandom(SEAL_DICE))
            out.write(framed(message({"plane": self._plane, "key": sealed})))
            standing = _Standing(out, FrameSeal(key), term_of(sealed), 0, 0)
            for text in _sealed(standing, frames_of(snapshot, epoch)):
                out.write(text)
                standing.whole += len(text)
                time.sleep(_BREATH_S)
            _sync(out)
            fresh.rename(self.file)
            sync_folder(self.file.parent)
        except BaseException:
            out.close()
            fresh.unlink(missing_ok=True)
            raise
        self.close()
        self._standing = standing

    # ── reading ────────────────────────────────────────────────────────────────

    def _read(self, file: BinaryIO) -> Assembly | None:
        solid = _solid(file)
        frames = _frames(file)
        behind, first = next(frames, (0, b""))
        if not 0 < behind <= solid:
            return None
        try:
            head = read_message(first)
            key = self._keyring().open(store.copy(self._plane), str(head["key"]))
        except (ValueError, TypeError, KeyError):
            raise self._edited() from None
        assembly, seal = Assembly(), FrameSeal(key)
        for number, (behind, frame) in enumerate(frames):
            try:
                push = assembly.feed(seal.open(number, frame))
            except (ValueError, TypeError, KeyError):
                if behind > solid:
                    break
                raise self._edited() from None
            if push is not None:
                if push.trouble:
                    raise Unusable(f"{self.file}: {push.trouble}")
                assembly.accept(push)
        assembly.drop()
        return assembly if assembly.snapshot.revision else None

    def _edited(self) -> Unusable:
        return Unusable(f"{self.file}: was changed by somebody else than this plane, and is not used; control sends it anew once it is up")


def _outgrown(standing: _Standing) -> bool:
    return standing.grown > max(_LEAST_GROWTH, standing.whole // 2)


def _sealed(standing: _Standing, frames: Iterable[bytes]) -> Iterator[bytes]:
    for frame in frames:
        yield framed(standing.seal.seal(standing.number, frame, os.urandom(NONCE_BYTES)))
        standing.number += 1


def _solid(file: BinaryIO) -> int:
    """Where the zeros begin that the file ends with: a file system that lost power may leave them where the last frames should be."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rstrip(b"\0")
        if found:
            end = start + len(found)
            break
        end = start
    file.seek(0)
    return end


def _frames(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The frames that are there whole, each with the place behind it."""
    while len(head := file.read(4)) == 4:  # noqa: PLR2004 - the length's own
        length = int.from_bytes(head, "big")
        if not 0 < length <= MAX_BYTES + 64:
            return
        body = file.read(length)
        if len(body) < length:
            return
        yield file.tell(), body


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
