"""A publisher on a real socket, planes that follow it, and an estate to tell them about."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from contracts.settings import Settings
from contracts.snapshot import (
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    LiveSecret,
    ModelRecord,
    ProviderRecord,
    Record,
    Snapshot,
    TeamRecord,
)
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.planes.snapshots import PlaneReport, Publisher
from custody import store
from custody.envelope import SEAL_DICE
from custody.keyring import Keyring
from custody.secret import Secret
from extproc.edge.credentials import Credentials
from extproc.edge.kek import KekFile, kek_of
from extproc.edge.snapshot import Connect, Follower, on_socket
from extproc.edge.snapshot_copy import Copy

SECRET = "sk-planted-8841"
PATIENCE_S = 20.0


async def soon(probe: Callable[[], object]) -> None:
    """Wait until the answer is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not probe():  # noqa: ASYNC110 - what is awaited is in a thread or another process
            await asyncio.sleep(0.005)


def key(number: int, project: str = "ranking", **fields: object) -> KeyRecord:
    """A key of a project."""
    secret = LiveSecret(f"{number:064x}", 1, None)
    made = KeyRecord(f"id{number:010d}", f"key-{number}", (secret,), "search", project, "dev", ("cheap",))
    return replace(made, **fields)  # type: ignore[arg-type] - tests name fields that there are


def put(estate: Estate, *records: Record) -> Changes:
    """Records made or changed."""
    kinds = {KeyRecord: "key", ModelRecord: "model", CredentialRecord: "credential", ProviderRecord: "provider"}
    kinds |= {EnvironmentRecord: "environment", TeamRecord: "team"}  # type: ignore[dict-item] - as above
    named = [(kinds[type(record)], record) for record in records]
    return Changes([Change(kind, record.name, estate.of(kind).get(record.name), Kept(record)) for kind, record in named])


def gone(estate: Estate, kind: str, *names: str) -> Changes:
    """Records removed."""
    return Changes([Change(kind, name, estate.of(kind)[name], None) for name in names])


def revoked(estate: Estate, name: str) -> Changes:
    """A key revoked."""
    old = estate.of("key")[name]
    return Changes([Change("key", name, old, replace(old, record=replace(old.record, revoked=1, secrets=())))])  # type: ignore[call-arg]


def keyring_of(data: Path) -> Keyring:
    """The vault's keys, made if there are none."""
    kek = kek_of(Settings(data=data))
    assert isinstance(kek, KekFile)
    return kek.read() if kek.exists() else kek.make()


def estate_of(data: Path, keys: Iterable[KeyRecord] = ()) -> Estate:
    """A small estate, sealed by the vault of `data`."""
    keyring = keyring_of(data)
    sealed = keyring.seal(store.credential("main", 1), Secret(SECRET.encode()), os.urandom(SEAL_DICE))
    pepper = keyring.seal(store.pepper(1), Secret(os.urandom(32)), os.urandom(SEAL_DICE))
    others: list[Record] = [
        ProviderRecord("local", "openai", "http://127.0.0.1:9/v1"),
        CredentialRecord("main", "local", sealed, 1),
        ModelRecord("cheap", "local", "main", "tiny"),
        EnvironmentRecord("dev"),
        TeamRecord("search", ("ranking", "suggest")),
    ]
    estate = Estate()
    records = put(estate, *others, *keys).records
    return estate.after(Changes(records, "acme", {1: pepper}))


@dataclass
class PlanePart:
    """A plane that follows, and the snapshots that it took."""

    follower: Follower
    credentials: Credentials
    copy: Path
    taken: list[Snapshot] = field(default_factory=list)

    @property
    def revision(self) -> str:
        """What is in force."""
        return self.follower.revision


@asynccontextmanager
async def plane(
    data: Path, name: str = "extproc-0", connect: Connect | None = None, on_snapshot: Callable[[Snapshot], None] = lambda _snapshot: None
) -> AsyncIterator[PlanePart]:
    """A plane that follows until the block ends."""
    settings = Settings(data=data)
    copy = Copy(settings.copy_of(name), name, kek_of(settings).read)

    def take(snapshot: Snapshot) -> None:
        part.credentials.take(snapshot)
        on_snapshot(snapshot)
        part.taken.append(snapshot)

    follower = Follower(name, connect or on_socket(settings.run / "snapshot.sock"), take, copy)
    part = PlanePart(follower, Credentials(settings), copy.file)
    follower.start()
    following = asyncio.ensure_future(follower.run())
    try:
        yield part
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


@dataclass
class Control:
    """A publisher, and the estate that it publishes."""

    publisher: Publisher
    estate: Estate

    async def make(self, changes: Changes, patience: float = PATIENCE_S) -> list[PlaneReport]:
        """Change the estate and tell the planes."""
        self.estate = self.estate.after(changes)
        return await self.publisher.publish(self.estate, changes, patience)


@asynccontextmanager
async def control(data: Path, estate: Estate) -> AsyncIterator[Control]:
    """A publisher that listens on the data folder's socket until the block ends."""
    run = data / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = Control(Publisher(estate), estate)
    listening = await part.publisher.listen(run / "snapshot.sock")
    try:
        yield part
    finally:
        await listening.close()
