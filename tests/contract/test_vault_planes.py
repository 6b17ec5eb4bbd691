"""What a plane opens while the vault's keys rotate, and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vault_parts import ACTOR, credential, filled, rotation, secret_of

from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, Snapshot
from controlplane.estate import Changes, Estate
from custody.reveal import REVEAL
from extproc.edge.credentials import Credentials
from extproc.edge.kek import KekFile


def shown(estate: Estate) -> Snapshot:
    """What a plane gets of it."""
    records = {name: kept.record for name, kept in estate.of("credential").items()}
    return Snapshot("1", peppers=estate.peppers, credentials={n: r for n, r in records.items() if isinstance(r, CredentialRecord)})


async def test_a_plane_reads_the_keys_again_for_a_new_term(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once more for each snapshot, not for each request, where it is not there then either."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings, 3)
    plane = Credentials(settings)
    reads = 0
    read = KekFile.read

    def counted(kek: KekFile) -> Any:
        nonlocal reads
        reads += 1
        return read(kek)

    monkeypatch.setattr(KekFile, "read", counted)
    plane.take(shown(state.load()))
    assert plane.open(shown(state.load()), "c1").reveal(REVEAL) == secret_of(1)
    assert reads == 1
    old = (tmp_path / "vault" / "kek").read_bytes()
    await rotation(state, vault).kek(ACTOR)
    reads = 0
    (tmp_path / "vault" / "kek").rename(tmp_path / "vault" / "kept")
    (tmp_path / "vault" / "kek").write_bytes(old)
    (tmp_path / "vault" / "kek").chmod(0o600)
    fresh = state.load().after(Changes([credential(vault, 7)]))
    for _ in range(3):
        with pytest.raises(GateUnavailable):
            plane.open(shown(fresh), "c7")
    assert reads == 1
    assert plane.open(shown(state.load()), "c1").reveal(REVEAL) == secret_of(1), "what was opened is known under its new term too"
    with pytest.raises(Unusable, match="key term 2, which this vault lacks; restore the file of keys that has it"):
        plane.take(shown(state.load()))
    (tmp_path / "vault" / "kept").rename(tmp_path / "vault" / "kek")
    plane.take(shown(state.load()))
    assert plane.open(shown(fresh), "c7").reveal(REVEAL) == secret_of(7)
    assert plane.keyring().terms.keys() == {2}
    state.close()


async def test_an_exchange_from_before_a_rotation_finds_its_credential_after_it(tmp_path: Path) -> None:
    """One that the plane had opened and one that it had not: the record of then is sealed under a term that is gone."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings, 3)
    plane, before = Credentials(settings), shown(state.load())
    plane.take(before)
    plane.open(before, "c1")
    await rotation(state, vault).kek(ACTOR)
    plane.take(shown(state.load()))
    assert [plane.open(before, name).reveal(REVEAL) for name in ("c1", "c2")] == [secret_of(1), secret_of(2)]
    state.close()


@pytest.mark.parametrize("moved", [{"name": "evil"}, {"name": "c1", "version": 2}])
def test_an_opened_record_does_not_stand_in_for_another(tmp_path: Path, moved: dict[str, Any]) -> None:
    """Whoever writes into the state can't have a secret by its sealed text under another name or version, though it was opened."""
    settings = Settings(data=tmp_path)
    state, _ = filled(settings, 2)
    plane, snapshot = Credentials(settings), shown(state.load())
    plane.open(snapshot, "c1")
    copied = replace(snapshot.credentials["c1"], **moved)
    with pytest.raises(GateUnavailable):
        plane.open(replace(snapshot, credentials={copied.name: copied}), copied.name)
    state.close()
