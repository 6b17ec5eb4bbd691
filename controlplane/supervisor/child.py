"""What stands between the supervisor and a part: run as a program, it prepares itself and becomes the part.

    python -I -S child.py SUPERVISOR_PID WATCH_FD COMMAND…

The part must not outlive its supervisor, not even one that was killed with -9. On Linux the kernel
sees to it (PR_SET_PDEATHSIG, prctl(2)); elsewhere a small process watches a pipe whose other end only
the supervisor holds. Besides: umask 077, no core dumps (they would hold secrets), and as many open
files as the system allows, for an exchange needs two.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 1.0
_MOST_FILES = 1 << 16


def main(supervisor: int, watch: int, command: list[str]) -> None:
    """Prepare this process, then become `command`. Does not return."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _raise_file_limit()
    if watch >= 0:
        _watch_from_aside(watch)
    else:
        _die_with_parent()
    if os.getppid() != supervisor:  # it died before we could ask to be told
        os._exit(1)
    os.execv(command[0], command)  # noqa: S606 - the command is the supervisor's own, not a shell's


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl refused PR_SET_PDEATHSIG")


def _watch_from_aside(pipe: int) -> None:
    """Fork: the child watches, the parent goes on to become the part."""
    part = os.getpid()
    if os.fork():
        os.close(pipe)
        return
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    while os.getppid() == part:
        if select.select([pipe], [], [], _LOOK_EVERY_S)[0]:  # nothing is ever written: readable means closed
            os.kill(part, signal.SIGKILL)
            break
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
