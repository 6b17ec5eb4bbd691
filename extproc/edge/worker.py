"""A worker: a process that takes pure work over a socket, one piece after another, and sends back what came of it.

`python -m extproc.edge.worker LIMIT_S`, with the socket as its standard input. Offload (offload.py) starts it and is the
only peer. It knows nothing of files, networks or secrets, and it ends with its parent: by the end of the socket when it
waits, and when it works by a signal that Linux sends; elsewhere by the alarm that no work outlives. Both are the kernel's,
so a regular expression can't hold them up.

A message is a count, that many lengths, and the pieces: a pickle first, then the large byte strings that it refers to by
number. So bodies are neither copied into a pickle nor out of one.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from struct import Struct
from typing import Any, Final

COUNT: Final = Struct("<I")
LENGTH: Final = Struct("<Q")
APART: Final = 64 << 10
"""Byte strings from this length on travel beside the pickle."""

NICE: Final = 10
"""Small requests are served by the event loop and by Envoy; they go before."""

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h

Fault = tuple[type[BaseException], tuple[Any, ...], dict[str, Any], str]
"""An exception on its way: class, arguments, attributes, and the places it came by. Not every class can be pickled itself."""


# ── messages ──────────────────────────────────────────────────────────────────


class _Packer(pickle.Pickler):
    def __init__(self, out: BytesIO) -> None:
        super().__init__(out, protocol=5)
        self.apart: list[bytes] = []
        self._numbers: dict[int, int] = {}  # identity → place in `apart`: what is named twice travels once

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not bytes or len(obj) < APART:
            return None
        number = self._numbers.setdefault(id(obj), len(self.apart))
        if number == len(self.apart):
            self.apart.append(obj)
        return number


class _Unpacker(pickle.Unpickler):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(BytesIO(pieces[0]))
        self._apart = pieces[1:]

    def persistent_load(self, pid: int) -> bytes:
        return self._apart[pid]


def packed(value: Any) -> list[bytes]:
    """A message, as pieces to be written one after the other."""
    out = BytesIO()
    packer = _Packer(out)
    packer.dump(value)
    pieces = [out.getvalue(), *packer.apart]
    return [COUNT.pack(len(pieces)) + b"".join(LENGTH.pack(len(piece)) for piece in pieces), *pieces]


def unpacked(pieces: Sequence[bytes]) -> Any:
    """What `packed` was given, from the message's pieces without their lengths."""
    return _Unpacker(pieces).load()


def received(reader: BufferedReader) -> list[bytes]:
    """The next message's pieces.

    Raises:
        EOFError: the peer is gone.
    """
    (count,) = COUNT.unpack(_exactly(reader, COUNT.size))
    lengths = _exactly(reader, count * LENGTH.size)
    return [_exactly(reader, length) for (length,) in LENGTH.iter_unpack(lengths)]


def _exactly(reader: BufferedReader, size: int) -> bytes:
    got = reader.read(size)
    if len(got) < size:
        raise EOFError
    return got


# ── faults ────────────────────────────────────────────────────────────────────


class InWorker(Exception):  # noqa: N818 - stands behind an exception as its cause, and only says where
    """The places in the worker that an exception came by: file names and lines, no text."""


def fault_of(error: BaseException) -> Fault:
    """The exception as a value that can travel."""
    return type(error), error.args, vars(error), places(error)


def raised(fault: Fault) -> BaseException:
    """The exception again. Its class' own `__init__` is not asked: it may want other arguments than it keeps."""
    kind, arguments, attributes, where = fault
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(attributes)
    error.__cause__ = InWorker(where)
    return error


def places(error: BaseException) -> str:
    """Where an exception came by, innermost first. Its text may hold what no log may."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-6:]))


# ── the process ───────────────────────────────────────────────────────────────


def done(pieces: Sequence[bytes]) -> list[bytes]:
    """Do the work; the reply is (True, result) or (False, fault)."""
    try:
        work: Callable[..., Any]
        work, arguments = unpacked(pieces)
        return packed((True, work(*arguments)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the work was asked for
        try:
            return packed((False, fault_of(error)))
        except Exception:  # noqa: BLE001 - an exception that can't travel: its name and place can
            return packed((False, (RuntimeError, (f"{type(error).__name__} in a worker",), {}, places(error))))


def main(limit_s: float) -> None:
    """Work until the peer is gone."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # uvloop hands down what is not marked to be closed on exec
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    line = socket.socket(fileno=0)
    reader = line.makefile("rb")
    with suppress(EOFError, OSError):  # extproc is gone, and so is the reason to be here
        while True:
            one(line, reader, limit_s)


def one(line: socket.socket, reader: BufferedReader, limit_s: float) -> None:
    """One piece of work, of which nothing is kept."""
    pieces = received(reader)
    signal.setitimer(signal.ITIMER_REAL, limit_s)  # nobody catches its signal
    reply = done(pieces)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for piece in reply:
        line.sendall(piece)


if __name__ == "__main__":
    main(float(sys.argv[1]))
