"""Files and folders that only their owner may open: those of the vault, of the state and of the sockets.

A folder is 0700 and a file 0600. Anything wider is refused: what is in them opens every credential.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from contracts.errors import Unusable


def private_folder(folder: Path) -> Path:
    """Make the folder 0700, or refuse one that others may look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    only_owners(folder, "700")
    return folder


def private_file(file: Path) -> Path:
    """Refuse a file that others may read."""
    only_owners(file, "600")
    return file


def replace_file(file: Path, text: bytes, *, fresh: bool = False) -> None:
    """Put a private file in the place of another, whole and durably: a crash at any moment leaves the one or the other.

    `fresh`: raises FileExistsError where there is another. What a crash left of an earlier try is removed: only one process at a
    time may write a file so.
    """
    leftover(file).unlink(missing_ok=True)
    with os.fdopen(os.open(leftover(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    try:
        if fresh:
            os.link(leftover(file), file)
        else:
            leftover(file).rename(file)
    finally:
        leftover(file).unlink(missing_ok=True)
    sync_folder(file.parent)


def leftover(file: Path) -> Path:
    """Where a file is written before it takes its place."""
    return file.with_name(f".{file.name}.new")


def sync_folder(folder: Path) -> None:
    """Make it durable which files are in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def only_owners(path: Path, mode: str) -> None:
    """Refuse what belongs to another user or may be opened by one; `mode` is what it should have, for the sentence."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Unusable(f"{path}: belongs to another user; run as its owner, or name another folder with --data")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Unusable(f"{path}: others on this machine may open it; run: chmod {mode} {path}")
