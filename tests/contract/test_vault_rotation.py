"""A rotation of the vault's keys: everything moves, traffic can go on, and being killed anywhere loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, KeyRecord, LiveSecret, Snapshot
from controlplane.actor import Actor, admin
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.state import State
from controlplane.state.values import Authority, KeptAnswer, Plane, Stale
from controlplane.vault import Vault, open_vault
from controlplane.vault import peppers as vault_peppers
from controlplane.vault.beside import KeptBeside
from controlplane.vault.rotation import Rotation
from controlplane.vault.terms import Moved, Sealed, left, sealed_in, settled, under
from custody import store
from custody.keyring import term_of
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import parse, rehash, told, used
from extproc.edge.credentials import Credentials
from extproc.edge.kek import KekFile

CREDENTIALS = 230
ACTOR = admin("")
NOW = int(time.time())


def secret_of(number: int) -> bytes:
    """A planted secret."""
    return b"sk-planted-%05d" % number


class Governed:
    """The way of every change, without planes."""

    def __init__(self, state: State, vault: Vault) -> None:
        self.state, self.vault = state, vault
        self.estate = state.load()
        self.changes = 0

    async def change(self, actor: Actor, verb: str, edit: Callable[[Estate], Changes]) -> Any:  # noqa: ARG002 - a Governed has them
        """Commit what the edit gives."""
        changes = settled(self.vault, self.estate, edit(self.estate))
        if changes:
            self.state.commit(self.estate, changes, ())
            self.estate = self.estate.after(changes)
            self.changes += 1


def credential(vault: Vault, number: int, version: int = 1) -> Change:
    """A new credential."""
    name = f"c{number}"
    sealed = vault.seal(store.credential(name, version), Secret(secret_of(number)))
    return Change("credential", name, None, Kept(CredentialRecord(name, "local", sealed, version), version=4))


def filled(settings: Settings, credentials: int = CREDENTIALS) -> tuple[State, Vault]:
    """A state with a pepper, credentials, and something of each kind that is kept beside the estate."""
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    changes = Changes([credential(vault, number) for number in range(credentials)], peppers=vault.first_pepper())
    answers = [
        KeptAnswer(f"call-{number}", "digest", vault.seal(store.answer(f"call-{number}"), Secret(b"answer")), NOW) for number in (1, 2)
    ]
    state.commit(Estate(), changes, (), answers[0])
    state.commit(state.load(), Changes(organisation="acme"), (), answers[1])
    state.put_plane(Plane("edge", sealed=vault.seal(store.plane("edge"), Secret(b"plane")), enrolled=1), ())
    state.put_plane(Plane("new"), ())
    state.keep_authority(Authority("PEM", vault.seal(store.authority(), Secret(b"authority"))))
    return state, vault


def rotation(state: State, vault: Vault, behind: Callable[[], Sequence[str]] = list, patience_s: float = 0.0) -> Rotation:
    """A rotation without planes."""
    return Rotation(vault, Governed(state, vault), KeptBeside(state), behind, patience_s)


def opened(settings: Settings) -> dict[str, bytes]:
    """Everything sealed, opened by a control that has just started."""
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    records = [*sealed_in(state.load()), *KeptBeside(state).sealed()]
    state.close()
    return {str(record.label): vault.open(record.label, record.text).reveal(REVEAL) for record in records}


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


# ── a plane meanwhile ─────────────────────────────────────────────────────────


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


# ── killed anywhere ───────────────────────────────────────────────────────────

KILLED = """
import asyncio, json, os, shutil, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_vault_rotation import ACTOR, filled, opened, rotation
from contracts.settings import Settings
from controlplane.state import State
from controlplane.vault import open_vault
from extproc.edge.kek import KekFile

settings = Settings(data=Path(sys.argv[1]))

def killed(nth):
    state = State.open(settings)
    turning = rotation(state, open_vault(settings, state.load()))
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if steps == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.link") and "vault" in str(arguments[0]):
            step()

    sys.addaudithook(audit)
    fsync, commit, sealed = os.fsync, State.commit, State.reseal
    os.fsync = lambda file: (step(), fsync(file), step())
    State.commit = lambda *a: (step(), commit(*a), step())
    State.reseal = lambda *a: (step(), sealed(*a), step())
    asyncio.run(turning.kek(ACTOR))

def forked(nth):
    child = os.fork()
    if not child:
        try:
            killed(nth)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if opened(settings) != before:
        sys.exit(f"killed at step {{nth}}: something is lost")
    return status, sorted(KekFile(settings.data / "vault" / "kek").read().terms)

filled(settings, 120)[0].close()
before, found, clean = opened(settings), [], settings.data.with_name("clean")
shutil.copytree(settings.data, clean)
while not found or found[-1][0][0] == -signal.SIGKILL:
    shutil.rmtree(settings.data)
    shutil.copytree(clean, settings.data)
    found.append([forked(len(found) + 1), forked(0)])
print(json.dumps(found))
"""


@pytest.mark.timeout(300)
def test_killed_at_any_step_it_is_finished_by_the_next(tmp_path: Path, root: Path) -> None:
    """Kill -9 before and after each touch of the file of keys, each sync and each commit: all opens, and the next call finishes."""
    script, data = tmp_path / "killed.py", tmp_path / "data"
    script.write_text(KILLED.format(tests=str(root / "tests" / "contract"), root=str(root)))
    one = subprocess.run([sys.executable, str(script), str(data)], capture_output=True, text=True, check=False, timeout=280)
    assert one.returncode == 0, one.stderr
    found = json.loads(one.stdout)
    assert len(found) > 12
    assert {tuple(terms) for (_, terms), _ in found[:-1]} == {(1,), (1, 2), (2,)}, "each stage was met"
    assert {(status, *terms) for _, (status, terms) in found} <= {(0, 2), (0, 3)}, (
        "finished by the next; it makes a term where none was begun"
    )
    for (_, stopped), (_, finished) in found[:-1]:
        assert finished == [2] or stopped == [2], "what was begun is gone on with, by the same term"
    assert sorted(path.name for path in (data / "vault").iterdir()) == ["kek"]
    assert (data / "vault" / "kek").stat().st_mode & 0o777 == 0o600


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


# ── peppers ───────────────────────────────────────────────────────────────────


def with_key(state: State, vault: Vault, name: str, **more: Any) -> tuple[str, str]:
    """A key in the state; its text and its id."""
    estate = state.load()
    issued = vault.issue(estate.peppers)
    record = KeyRecord(issued.public_id, name, (issued.secret,), "search", "ranking", "dev", ("*",), **more)
    state.commit(estate, Changes([Change("key", name, None, Kept(record))]), ())
    return issued.shown, issued.public_id


def key_of(estate: Estate, name: str) -> KeyRecord:
    """A key's record."""
    record = estate.of("key")[name].record
    assert isinstance(record, KeyRecord)
    return record


def reported(vault: Vault, estate: Estate, text: str, name: str) -> dict[str, dict[str, str]]:
    """What a plane that has just seen this key reports."""
    peppers = {version: vault.open(store.pepper(version), sealed) for version, sealed in estate.peppers.items()}
    presented = parse(text)
    assert presented is not None
    seen = used(peppers, presented, key_of(estate, name).secrets, NOW)
    assert seen is not None
    moved = rehash(peppers, presented, seen)
    return {presented.public_id: {"old": seen.hash, "new": told(moved)}} if moved else {}


async def test_keys_move_as_they_are_used_and_the_old_pepper_goes_with_the_last(tmp_path: Path) -> None:
    """Status says what is left; a disabled key counts, a revoked one does not; every key works all along."""
    state, vault = filled(Settings(data=tmp_path), 1)
    texts = {name: with_key(state, vault, name)[0] for name in ("one", "two")}
    with_key(state, vault, "gone", revoked=NOW)
    turning = rotation(state, vault)
    assert await turning.pepper(ACTOR) == [1, 2]
    for name, left_names in (("one", ["two"]), ("two", [])):
        estate = turning.governed.estate
        report = reported(vault, estate, texts[name], name)
        await turning.governed.change(ACTOR, "key.rehash", lambda estate, report=report: vault_peppers.moved(estate, report, NOW))
        assert reported(vault, turning.governed.estate, texts[name], name) == {}
        peppers = {entry["version"]: entry["names"] for entry in (await turning.status())["peppers"]}
        assert peppers.get(1, []) == left_names
    assert turning.governed.estate.peppers.keys() == {2}
    assert key_of(turning.governed.estate, "two").secrets[0].pepper == 2
    state.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: {"x" * 12: report},
        lambda report: report | {"old": "0" * 64},
        lambda report: report | {"new": report["new"].replace("2:", "1:")},
        lambda report: report | {"new": report["new"].replace("2:", "3:")},
        lambda report: report | {"new": report["new"][2:]},
        lambda report: report | {"new": 7},
        lambda report: {"new": report["new"]},
        lambda _report: None,
        lambda _report: "words",
    ],
)
async def test_a_report_that_does_not_fit_changes_nothing(tmp_path: Path, spoil: Callable[[Any], Any]) -> None:
    """Another hash, another pepper, one that is gone, other shapes."""
    state, vault = filled(Settings(data=tmp_path), 1)
    text, public_id = with_key(state, vault, "one")
    turning = rotation(state, vault)
    await turning.pepper(ACTOR)
    good = reported(vault, turning.governed.estate, text, "one")
    assert not vault_peppers.moved(turning.governed.estate, {public_id: spoil(good[public_id])}, NOW)
    assert not vault_peppers.moved(turning.governed.estate, good, NOW, lambda _key: False)
    assert vault_peppers.moved(turning.governed.estate, good, NOW)
    state.close()


async def test_a_revoked_key_or_a_secret_whose_time_is_over_takes_no_hash(tmp_path: Path) -> None:
    """Whatever a plane reports late."""
    state, vault = filled(Settings(data=tmp_path), 1)
    text, _ = with_key(state, vault, "one")
    turning = rotation(state, vault)
    await turning.pepper(ACTOR)
    estate = turning.governed.estate
    good = reported(vault, estate, text, "one")
    kept = estate.of("key")["one"]
    record = key_of(estate, "one")
    over = (replace(record.secrets[0], until=NOW),)
    for late in (replace(record, revoked=NOW), replace(record, secrets=over), replace(record, secrets=())):
        found = estate.after(Changes([Change("key", "one", kept, replace(kept, record=late))]))
        assert vault_peppers.moved(found, good, NOW).records == []
    state.close()


async def test_no_more_peppers_than_a_request_should_be_hashed_under(tmp_path: Path) -> None:
    """The sentence names the keys that hold the oldest."""
    state, vault = filled(Settings(data=tmp_path), 1)
    for number in range(vault_peppers.MOST):
        with_key(state, vault, f"key-{number}")
        if number < vault_peppers.MOST - 1:
            await rotation(state, vault).pepper(ACTOR)
    with pytest.raises(Unusable, match="under pepper 1 first: key-0"):
        await rotation(state, vault).pepper(ACTOR)
    state.close()


async def test_a_pepper_without_keys_is_replaced(tmp_path: Path) -> None:
    """Nothing is left to move, so the old one goes at once."""
    state, vault = filled(Settings(data=tmp_path), 1)
    assert await rotation(state, vault).pepper(ACTOR) == [2]
    state.close()


def test_a_key_of_a_pepper_that_went_is_decided_anew(tmp_path: Path) -> None:
    """It was hashed before its turn came; kept as it is it would never work."""
    state, vault = filled(Settings(data=tmp_path), 1)
    record = KeyRecord("x" * 12, "one", (LiveSecret("a" * 64, 9),), "search", "ranking", "dev", ("*",))
    with pytest.raises(Stale):
        settled(vault, state.load(), Changes([Change("key", "one", None, Kept(record))]))
    state.close()
