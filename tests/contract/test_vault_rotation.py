"""A rotation of the vault's keys: everything moves, and an old term goes when nothing is left under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from vault_parts import ACTOR, CREDENTIALS, credential, filled, opened, rotation, secret_of

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord
from controlplane.estate import Change, Changes, Estate
from controlplane.vault import Vault, open_vault
from controlplane.vault.beside import KeptBeside
from controlplane.vault.terms import Moved, Sealed, left, under
from custody import store
from custody.keyring import term_of
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.edge.kek import KekFile


async def test_everything_moves_and_the_old_term_goes(tmp_path: Path) -> None:
    """Credentials, peppers, planes' keys, the authority's and kept answers; versions and ETags stay; the file has the new term alone."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings)
    before, estate = opened(settings), state.load()
    turning = rotation(state, vault)
    done = await turning.kek(ACTOR)
    assert (done.state, done.term, done.moved, done.total) == ("idle", 2, CREDENTIALS + 5, CREDENTIALS + 5)
    assert under(await turning.records()) == {2: {"answer": 2, "authority": 1, "credential": CREDENTIALS, "pepper": 1, "plane": 1}}
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {2}
    assert opened(settings) == before
    after = state.load()
    assert after.revision - estate.revision == 3, "in batches, each one transaction"
    for name, kept in estate.of("credential").items():
        now = after.of("credential")[name]
        assert replace(now, record=replace(now.record, sealed="")) == replace(kept, record=replace(kept.record, sealed=""))
    state.close()


async def test_each_rotation_makes_one_term(tmp_path: Path) -> None:
    """Nothing sealed is left behind over several of them."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings, 3)
    before = opened(settings)
    for term in (2, 3, 4):
        assert (await rotation(state, vault).kek(ACTOR)).term == term
    assert opened(settings) == before
    state.close()


async def test_old_terms_wait_for_the_planes(tmp_path: Path) -> None:
    """A connected plane that is behind is named; the next call finishes, and makes no further term."""
    state, vault = filled(Settings(data=tmp_path), 3)
    late = ["edge"]
    turning = rotation(state, vault, lambda: late)
    done = await turning.kek(ACTOR)
    assert (done.state, done.waiting_for) == ("unfinished", ("edge",))
    assert (await turning.status())["rotation"] | {"note": ""} == {
        "state": "unfinished", "left": 0, "moved": 8, "total": 8, "waiting_for": ["edge"], "note": "",
    }  # fmt: skip
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {1, 2}
    late.clear()
    assert (await turning.kek(ACTOR)).state == "idle"
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {2}
    state.close()


async def test_a_lost_record_stops_the_rotation_by_name(tmp_path: Path) -> None:
    """Before a new term is made; once the credential is set again the next call makes one."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings, 3)
    estate = state.load()
    kept = estate.of("credential")["c1"]
    assert isinstance(kept.record, CredentialRecord)
    state.commit(estate, Changes([Change("credential", "c1", kept, replace(kept, record=replace(kept.record, sealed="AAAA")))]), ())
    turning = rotation(state, vault)
    with pytest.raises(Unusable, match=r"credential 'c1' \(version 1\) can't be unsealed: .* set the secret again"):
        await turning.kek(ACTOR)
    status = await turning.status()
    assert status["sealed"]["0"] == {"credential": 1}
    assert (status["rotation"]["state"], status["rotation"]["left"], status["terms"]) == ("unfinished", 1, [1])
    await turning.governed.change(ACTOR, "", lambda estate: Changes([replace(credential(vault, 1, 2), old=estate.of("credential")["c1"])]))
    assert (await turning.kek(ACTOR)).state == "idle"
    assert opened(settings)["credential 'c1' (version 2)"] == secret_of(1)
    state.close()


async def test_two_rotations_at_once_are_one(tmp_path: Path) -> None:
    """The second is refused, and says where to look."""
    state, vault = filled(Settings(data=tmp_path), 1)
    turning = rotation(state, vault)
    with turning._alone(), pytest.raises(Unusable, match="vault status"):
        await turning.kek(ACTOR)
    state.close()


async def test_what_was_sealed_before_its_turn_came_is_moved(tmp_path: Path) -> None:
    """A call that sealed before the rotation and commits after it is never lost: moved, or refused once the term is gone."""
    settings = Settings(data=tmp_path)
    state, vault = filled(settings, 1)
    early = [credential(vault, number) for number in (7, 8)]
    turning = rotation(state, vault, lambda: ["edge"])
    await turning.kek(ACTOR)
    await turning.governed.change(ACTOR, "", lambda _estate: Changes(early[:1]))
    assert left(vault, await turning.records()) == []
    turning.behind = list
    await turning.kek(ACTOR)
    with pytest.raises(Unusable, match="key term 1, which this vault lacks"):
        await turning.governed.change(ACTOR, "", lambda _estate: Changes(early[1:]))
    assert "credential 'c7' (version 1)" in opened(settings)
    state.close()


class Late:
    """Beside the estate, a record comes under the old term just after the rotation looked for the last time."""

    def __init__(self, kept: KeptBeside, vault: Vault) -> None:
        self.kept, self.vault = kept, vault
        self.stray = Sealed(store.plane("late"), vault.seal(store.plane("late"), Secret(b"late")))

    def sealed(self) -> list[Sealed]:
        """With the late one, once older terms were forgotten or it was seen."""
        seen = [self.stray] if len(self.vault.keyring.terms) == 1 or term_of(self.stray.text) > 1 else []
        return [*self.kept.sealed(), *seen]

    def forget(self) -> None:
        """Nothing of this is on a disk."""

    def move(self, moved: Sequence[Moved]) -> None:
        """As the state does."""
        for move in moved:
            if move.old == self.stray.text:
                self.stray = Sealed(self.stray.label, move.new)
        self.kept.move(moved)


async def test_what_comes_after_the_last_look_brings_the_terms_back(tmp_path: Path) -> None:
    """The file of keys has them again, and the record opens."""
    state, vault = filled(Settings(data=tmp_path), 1)
    turning = rotation(state, vault)
    turning.beside = Late(KeptBeside(state), vault)
    vault.add_term()
    assert (await turning.kek(ACTOR)).state == "unfinished"
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {1, 2}
    assert vault.open(store.plane("late"), turning.beside.stray.text).reveal(REVEAL) == b"late"
    state.close()


async def test_a_record_that_does_not_move_ends_the_rotation_unfinished(tmp_path: Path) -> None:
    """It is not tried for ever, and no term is taken from under it."""
    state, vault = filled(Settings(data=tmp_path), 1)
    turning = rotation(state, vault)
    turning.beside.move = lambda _moved: None  # type: ignore[method-assign]
    done = await turning.kek(ACTOR)
    assert (done.state, done.total - done.moved) == ("unfinished", 4)
    assert KekFile(tmp_path / "vault" / "kek").read().terms.keys() == {1, 2}
    state.close()


async def test_keys_of_a_variable_rotate_once_they_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line: refused, with the line to add. With it everything moves, and the old line is named as no longer needed."""
    settings = Settings(data=tmp_path, vault="env:GATE_KEK")
    monkeypatch.setenv("GATE_KEK", f"1 {'A' * 43}=\n")
    state, vault = filled(settings, 3)
    with pytest.raises(Unusable, match="add the line '2 '"):
        await rotation(state, vault).kek(ACTOR)
    monkeypatch.setenv("GATE_KEK", f"1 {'A' * 43}=\n2 {'B' * 42}A=\n")
    done = await rotation(state, open_vault(settings, state.load())).kek(ACTOR)
    assert (done.state, done.moved) == ("idle", 8)
    assert "remove their lines (1) from the environment variable GATE_KEK" in done.note
    monkeypatch.setenv("GATE_KEK", f"2 {'B' * 42}A=\n")
    assert len(opened(settings)) == 8
    state.close()


# ── backups ───────────────────────────────────────────────────────────────────


async def test_an_old_backup_needs_the_file_of_its_time(tmp_path: Path) -> None:
    """Restored with the file of keys that was there then it opens; with today's it is refused, by a sentence that says so."""
    settings = Settings(data=tmp_path / "data")
    state, vault = filled(settings, 2)
    backup, kek = state.load(), (tmp_path / "data" / "vault" / "kek").read_bytes()
    before = opened(settings)
    await rotation(state, vault).kek(ACTOR)
    with pytest.raises(Unusable, match="key term 1, which this vault lacks; restore the file of keys that has it"):
        open_vault(settings, backup)
    (tmp_path / "data" / "vault" / "kek").write_bytes(kek)
    old = open_vault(settings, backup)
    assert old.open(store.credential("c1", 1), before_sealed(backup)).reveal(REVEAL) == before["credential 'c1' (version 1)"]
    state.close()


def before_sealed(estate: Estate) -> str:
    """The sealed text of a credential."""
    record = estate.of("credential")["c1"].record
    assert isinstance(record, CredentialRecord)
    assert term_of(record.sealed) == 1
    return record.sealed
