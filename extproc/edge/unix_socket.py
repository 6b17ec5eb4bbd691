"""A listening Unix socket whose file mode is the only authentication, and whose successor takes over without a gap.

Only Unix sockets: whoever can open the path is trusted, so the folder is 0700 and the socket 0600. A processor on another
host would need TLS with client certificates in front; that configuration is refused elsewhere.

The socket is bound and listening under a second name before it is renamed over the path: at every moment whoever connects
to the path reaches a listener. All changes of names happen under a lock on the folder.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.errors import Unusable

PATH_LIMIT = 100
"""Bytes. The kernel's limit is 104 to 108; a second name beside the path needs one more."""
BACKLOG = 1024


Identity = tuple[int, int]
"""Which file a path names: device and inode. No other file is given them as long as the socket is open."""


def bind(path: Path) -> tuple[socket.socket, Identity]:
    """Listen on `path` (mode 0600), in place of whoever listened there; the identity is for `leave`.

    Raises Unusable, with what to do about it.
    """
    _check(path)
    fresh = path.with_name(path.name + "~")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _names(path.parent):
            fresh.unlink(missing_ok=True)  # left by a start that was killed between bind and rename
            listener.bind(str(fresh))
            fresh.chmod(0o600)
            listener.listen(BACKLOG)
            mine = _identity(fresh)
            fresh.rename(path)
    except OSError as error:
        listener.close()
        raise Unusable(f"can't listen on {path}: {error.strerror}; make the folder writable for this user") from error
    listener.setblocking(False)
    return listener, mine


def leave(path: Path, mine: Identity) -> None:
    """Remove `path` if it still names our own socket, which must still be open; a successor's stays."""
    with suppress(FileNotFoundError), _names(path.parent):
        if _identity(path) == mine:
            path.unlink()


def _identity(path: Path) -> Identity:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _check(path: Path) -> None:
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise Unusable(f"the socket path {path} is over {PATH_LIMIT} bytes: set `data` to a folder with a shorter path")
    if not path.parent.is_dir():
        raise Unusable(f"the socket's folder {path.parent} is missing: make it, with mode 0700")
    folder = path.parent.stat()
    if folder.st_uid != os.geteuid():
        raise Unusable(f"the socket's folder {path.parent} belongs to another user: choose a folder of your own")
    if folder.st_mode & 0o077:
        raise Unusable(f"the socket's folder {path.parent} is open to other users: run chmod 700 on it")
    if path.exists() and not path.is_socket():
        raise Unusable(f"{path} exists and is no socket: move it away")


@contextmanager
def _names(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two starts and stops can't take each other's names."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
