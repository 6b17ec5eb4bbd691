"""The file of key-encrypting keys: made once, opened by those who seal and those who open.

The folder is 0700 and the file 0600. Anything wider is refused: the keys in it open every credential.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from contracts.errors import Unusable
from custody import store
from custody.keyring import KEY_BYTES, NONCE_BYTES, Keyring


def kek_file(data: Path) -> Path:
    """Where the file is, under the data folder."""
    return data / "vault" / "kek"


def private_folder(folder: Path) -> Path:
    """Make the folder 0700, or refuse one that others may look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private(folder, "700")
    return folder


def private_file(file: Path) -> Path:
    """Refuse a file that others may read."""
    _private(file, "600")
    return file


def make_keys(file: Path) -> Keyring:
    """Make the file with a first term. It appears whole or not at all, and never over another one."""
    private_folder(file.parent)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(store.first_term(os.urandom(KEY_BYTES)))
            out.flush()
            os.fsync(out.fileno())
        os.link(fresh, file)
    except FileExistsError:
        raise Unusable(f"{file}: is there already; it is never overwritten") from None
    finally:
        fresh.unlink()
    return open_keys(file)


def open_keys(file: Path) -> Keyring:
    """Read the file and try its newest key on a record. Raises Unusable, naming the file, where it can't be used."""
    try:
        _private(file.parent, "700")
        private_file(file)
        keyring = store.read_terms(file.read_bytes())
    except OSError as error:
        raise Unusable(f"{file}: the vault's keys can't be read: {error.strerror}") from None
    except ValueError:
        raise Unusable(f"{file}: is not a file of vault keys; restore it from your backup") from None
    if not store.works(keyring, os.urandom(NONCE_BYTES)):
        raise Unusable(f"{file}: a trial record did not come back as it was sealed; this machine's cryptography is broken")
    return keyring


def _private(path: Path, mode: str) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Unusable(f"{path}: belongs to another user; run as its owner, or name another folder with --data")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Unusable(f"{path}: others on this machine may open it; run: chmod {mode} {path}")
