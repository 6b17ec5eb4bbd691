"""Rotations through the real way of every change."""

from __future__ import annotations

import time
from pathlib import Path

from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, KeyRecord
from controlplane.actor import admin
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.governance import Governance
from controlplane.state import State
from controlplane.vault.beside import rotation_of
from controlplane.vault.rehashes import Rehashes
from custody import store
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import Issued, parse, rehash, told, used
from extproc.edge.kek import KekFile

ACTOR = admin("")


async def test_the_vault_turns_in_a_running_control(tmp_path: Path) -> None:
    """Keys that seal and peppers: both rotate, a credential opens before and after, and a plane's report moves a key."""
    settings = Settings(data=tmp_path)
    state = State.open(settings)
    governance = Governance.start(settings, state)
    vault, rotation, rehashes = governance.vault, rotation_of(governance), Rehashes(governance)

    def filled(estate: Estate) -> Changes:
        issued.append(vault.issue(estate.peppers))
        key = KeyRecord(issued[0].public_id, "one", (issued[0].secret,), "search", "ranking", "dev", ("*",))
        sealed = vault.seal(store.credential("main", 1), Secret(b"sk-1"))
        return Changes(
            [
                Change("credential", "main", None, Kept(CredentialRecord("main", "local", sealed, 1))),
                Change("key", "one", None, Kept(key)),
            ]
        )

    issued: list[Issued] = []
    await governance.change(ACTOR, "key.create", filled)
    before = [sealed.text.encode() for sealed in await rotation.records()]
    done = await rotation.kek(ACTOR)
    assert (done.state, done.moved) == ("idle", 2)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert not [text for text in before if text in kept]  # not in SQLite's log either, for whoever has the key of before
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {2}
    record = governance.estate.of("credential")["main"].record
    assert isinstance(record, CredentialRecord)
    assert vault.open(store.credential("main", 1), record.sealed).reveal(REVEAL) == b"sk-1"

    assert await rotation.pepper(ACTOR) == [1, 2]
    peppers = {version: vault.open(store.pepper(version), sealed) for version, sealed in governance.estate.peppers.items()}
    presented = parse(issued[0].shown)
    assert presented is not None
    seen = used(peppers, presented, [issued[0].secret], int(time.time()))
    assert seen is not None
    moved = rehash(peppers, presented, seen)
    assert moved is not None
    rehashes.hear({presented.public_id: {"old": seen.hash, "new": told(moved)}}, lambda _key: True)
    await rehashes.close()
    assert governance.estate.peppers.keys() == {2}
    await governance.close()
    state.close()
    again = State.open(settings)
    assert again.load().peppers.keys() == {2}
    again.close()
