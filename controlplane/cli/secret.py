"""Secrets on their way in and out of the command line: never among its words, never shown twice."""

from __future__ import annotations

import getpass
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Final, Self

from contracts.errors import Unusable

_MAX_BYTES: Final = 64 << 10
_SECRET: Final = re.compile(rb"[\x21-\x7e]{1,8192}")


def read_secret(prompt: str, file: Path | None) -> str:
    """A secret from a file, from the standard input where something is piped into it, else from a prompt that shows nothing.

    Raises Unusable, which never holds any of it.
    """
    if file is not None:
        return _usable(_of_file(file), str(file))
    if not sys.stdin.isatty():
        return _usable(sys.stdin.buffer.read(_MAX_BYTES + 1), "the standard input")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return _usable(getpass.getpass(f"{prompt}: ").encode("utf-8", "surrogateescape"), "what was typed")
    except (getpass.GetPassWarning, EOFError):
        raise Unusable(
            "this terminal can't hide what is typed; pipe the secret into the command, or name its file with --from-file"
        ) from None


def _of_file(file: Path) -> bytes:
    try:
        with file.open("rb") as held:
            return held.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Unusable(f"{file}: can't be read: {error.strerror}") from None


def _usable(raw: bytes, place: str) -> str:
    found = raw.strip()
    if not _SECRET.fullmatch(found):
        raise Unusable(f"{place}: holds no secret that a header could carry: one line of letters, digits and signs, without spaces")
    return found.decode("ascii")


class PrivateFile:
    """A file that is written once all has gone well, 0600. Opened before anything is made, so that no secret is lost on a full disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except OSError as error:
            raise Unusable(f"{path}: can't be written: {error.strerror}; nothing was done") from None
        os.close(descriptor)
        self._fresh = Path(fresh)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._fresh.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Put the text there, in the place of whatever was."""
        self._fresh.write_text(text, "ascii")
        self._fresh.rename(self.path)


class SecretFile(PrivateFile):
    """A new file for a secret that is shown once."""

    def __init__(self, path: Path) -> None:
        if path.exists() or path.is_symlink():
            raise Unusable(f"{path}: is there already; name a file that is not")
        super().__init__(path)

    def keep(self, secret: str) -> None:
        """Put the secret there, as one line."""
        self.write(secret + "\n")
