"""The plane's end of the snapshot push.

    plane   ──► {"plane": name, "version": text, "revision": what is in force}         on connecting
    control ──► {"snapshot": {…}}                                                     at once, and on every change
    plane   ──► {"revision": text, "problem": ""}                                     in force; or why it is not

Each message is JSON behind its length in bytes (4, big endian). Secrets in a snapshot are sealed and
keys are hashes, so the copy that a plane keeps on disk, to start from while control is down, is as
safe as the wire. It is written before the answer: a plane never restarts into a key that it said is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson

from contracts import VERSION
from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, Snapshot, snapshot_of
from custody import store
from custody.keyring import Keyring, Label
from custody.secret import Secret
from extproc.edge.vault_file import kek_file, open_keys

log = logging.getLogger("extproc.snapshot")

MAX_BYTES: Final = 256 << 20
_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5
"""A plane that lost control comes back within this, so that a revocation waits no longer."""
UNUSABLE_CREDENTIAL: Final = "The gate can't use its own credential for this model. Tell whoever runs it."


def framed(message: object) -> bytes:
    """A message as it crosses the socket."""
    body = orjson.dumps(message)
    return len(body).to_bytes(4, "big") + body


async def receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next message. Raises EOFError where the other end is gone, ValueError where it sent something else."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > MAX_BYTES:
        raise ValueError("the message is longer than any snapshot")
    message = orjson.loads(await reader.readexactly(length))
    if not isinstance(message, dict):
        raise TypeError("the message is no object")
    return message


async def follow(path: Path, on_snapshot: Callable[[Snapshot], None], copy: Path, plane: str = "extproc-0") -> NoReturn:
    """Start from the copy, then do what control says, for ever. `on_snapshot` raises Unusable to stay with the old one."""
    follower = _Follower(path, on_snapshot, copy, plane)
    follower.start()
    pause = _PAUSE_S
    while True:
        if await follower.conversation():
            pause = _PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


class _Follower:
    def __init__(self, path: Path, on_snapshot: Callable[[Snapshot], None], copy: Path, plane: str) -> None:
        self.path, self.on_snapshot, self.copy, self.plane = path, on_snapshot, copy, plane
        self.revision = ""

    def start(self) -> None:
        """Take the copy in force, where there is one that can be used."""
        try:
            self.take(orjson.loads(self.copy.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, Unusable) as error:
            log.warning("%s can't be used (%s); every request is refused until control sends a snapshot", self.copy, type(error).__name__)

    def take(self, document: dict[str, Any]) -> None:
        snapshot = snapshot_of(document)
        self.on_snapshot(snapshot)
        self.revision = snapshot.revision

    async def conversation(self) -> bool:
        """One connection, until it ends; whether there was one."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
        except OSError:
            return False
        try:
            writer.write(framed({"plane": self.plane, "version": VERSION, "revision": self.revision}))
            while True:
                message = await receive(reader)
                writer.write(framed(await self.answer(message["snapshot"])))
                await writer.drain()
        except (OSError, EOFError):
            log.info("control is gone; snapshot %s stays in force", self.revision or "none")
        except (ValueError, KeyError, TypeError):
            log.warning("control sent what is no snapshot; %s stays in force", self.revision or "none")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return True

    async def answer(self, document: dict[str, Any]) -> dict[str, str]:
        """Put a snapshot in force, keep its copy, and say so."""
        try:
            self.take(document)
            await asyncio.to_thread(keep, self.copy, orjson.dumps(document))
        except Unusable as error:
            return {"revision": str(document["revision"]), "problem": str(error)}
        except OSError as error:
            return {"revision": str(document["revision"]), "problem": f"in force, but its copy can't be kept: {error.strerror}"}
        return {"revision": self.revision, "problem": ""}


def keep(copy: Path, text: bytes) -> None:
    """Replace the copy, whole and durably, readable by its owner only."""
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = copy.with_name(f".{copy.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(copy)
    folder = os.open(copy.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Credentials:
    """Opens what a snapshot holds sealed. An opened secret is kept, as a Secret, while its record is in the newest snapshot."""

    def __init__(self, settings: Settings) -> None:
        self._kek = kek_file(settings.data)
        self._keyring: Keyring | None = None
        self._opened: dict[str, Secret] = {}

    def open(self, snapshot: Snapshot, name: str) -> Secret:
        """A provider's secret; empty where the model names no credential. Raises GateUnavailable where it can't be opened."""
        if not name:
            return Secret(b"")
        record = snapshot.credentials.get(name)
        if record is None:
            raise GateUnavailable(UNUSABLE_CREDENTIAL)
        known = self._opened.get(record.sealed)
        if known is not None:
            return known
        try:
            secret = self._unsealed(_label(record), record.sealed)
        except Unusable as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all, and a trace could say more than it should
            raise GateUnavailable(UNUSABLE_CREDENTIAL) from None
        self._opened[record.sealed] = secret
        return secret

    def peppers(self, snapshot: Snapshot) -> dict[int, Secret]:
        """The peppers of the keys' hashes. Called as a snapshot is taken: forgets what it no longer holds. Raises Unusable."""
        peppers = {version: self._unsealed(store.pepper(version), sealed) for version, sealed in snapshot.peppers.items()}
        held = {record.sealed for record in snapshot.credentials.values()}
        self._opened = {sealed: secret for sealed, secret in self._opened.items() if sealed in held}
        return peppers

    def _unsealed(self, label: Label, sealed: str) -> Secret:
        if self._keyring is None:
            self._keyring = open_keys(self._kek)
        return self._keyring.open(label, sealed)


def _label(record: CredentialRecord) -> Label:
    return store.credential(record.name, record.version)
