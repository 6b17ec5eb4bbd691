"""What is looked at before anything is started; each problem is one sentence that says what to do."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.envoy.program import binary, prepare
from controlplane.supervisor.probe import place_of
from extproc.edge.private_files import private_folder

LOCK: Final = "up.lock"
LEFT_BEHIND: Final = ("ready.json", "*.sock", "*.sock~", "mock.port")
"""What a system that was killed leaves in the run folder."""


def check(settings: Settings) -> None:
    """Folders, binary and ports. Raises Unusable."""
    binary(settings.envoy)
    prepare(settings)
    folders(settings)
    for field, listen in (("gateway.listen", settings.gateway.listen), ("control.listen", settings.control.listen)):
        if field == "control.listen" or settings.envoy != "external":
            free(field, listen)


def folders(settings: Settings) -> None:
    """The data folder and its run folder, both 0700. Raises Unusable."""
    try:
        private_folder(settings.data)
        private_folder(settings.run)
    except OSError as error:
        raise Unusable(f"data: {settings.data} can't be used ({error.strerror}); name another folder with --data.") from None
    if not os.access(settings.run, os.W_OK | os.X_OK):
        raise Unusable(f"data: {settings.run} can't be written to; make it yours, or name another folder with --data.")


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the data folder for this system. Raises Unusable where another one has it."""
    with (settings.run / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Unusable(
                f"data: {settings.data} is in use by a running system (process {lock.read().strip() or 'unknown'}); "
                "stop that one, or name another folder with --data."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            clear(settings.run)
            yield
        finally:
            clear(settings.run)


def clear(run: Path) -> None:
    """Remove sockets and ready.json; only whoever holds the folder may."""
    for pattern in LEFT_BEHIND:
        for file in run.glob(pattern):
            file.unlink(missing_ok=True)


def free(field: str, listen: str) -> None:
    """Whether an address can be listened on. Raises Unusable, which names the setting."""
    # SO_REUSEADDR lets a port pass whose last connections are still waiting; one that is listened on does not pass.
    host, port = place_of(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.rpartition(":")[0].strip("[]"), port))
        except OSError as error:
            variable = f"PORTCULLIS_{field.replace('.', '_').upper()}"
            raise Unusable(
                f"{field}: can't listen on {listen} ({error.strerror}); "
                f"stop what uses it, or choose another port with {field} in portcullis.yaml or {variable}."
            ) from None
