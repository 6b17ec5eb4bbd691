"""The vault's keys and the admin token: made once, private, and never silently replaced."""

from __future__ import annotations

import base64
import os
import resource
import stat
from pathlib import Path

import pytest
from reachable import reachable, tells

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import KeyRecord
from controlplane.admin_token import AdminToken, make_token, read_token, token_file
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.vault import Vault, open_vault
from custody import store
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import parse, used
from extproc.edge.kek import KekFile, KekVariable, kek_of
from extproc.edge.snapshot_copy import NAME

EMPTY = Estate()


def settings(data: Path, vault: str = "file") -> Settings:
    """A system's, with this data folder."""
    return Settings(data=data, vault=vault)


def kek_file(data: Path) -> Path:
    """The file of keys of a data folder."""
    return data / "vault" / "kek"


def peppered(vault: Vault) -> Estate:
    """An estate in which something is sealed."""
    return Estate(peppers=vault.first_pepper())


def test_the_first_start_makes_the_keys_and_later_ones_use_them(tmp_path: Path) -> None:
    """0700 and 0600 from the first moment; what the first start sealed, the second opens."""
    first = open_vault(settings(tmp_path), EMPTY)
    sealed = first.seal(store.credential("main", 1), Secret(b"sk-planted"))
    file = kek_file(tmp_path)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["kek"]
    second = open_vault(settings(tmp_path), peppered(first))
    assert second.open(store.credential("main", 1), sealed).reveal(REVEAL) == b"sk-planted"


def test_a_start_that_died_before_its_first_record_is_made_good(tmp_path: Path) -> None:
    """Keys without a sealed record are used, not replaced; what was left of a file being written is gone."""
    KekFile(kek_file(tmp_path)).make()
    text = kek_file(tmp_path).read_bytes()
    (tmp_path / "vault" / ".kek.new").write_bytes(b"1 half a key")
    open_vault(settings(tmp_path), EMPTY)
    assert kek_file(tmp_path).read_bytes() == text
    assert [path.name for path in (tmp_path / "vault").iterdir()] == ["kek"]


def test_lost_keys_are_never_made_anew(tmp_path: Path) -> None:
    """Where something is sealed, a missing file is an error that says so; a new one would lose everything for good."""
    estate = peppered(open_vault(settings(tmp_path), EMPTY))
    kek_file(tmp_path).unlink()
    with pytest.raises(Unusable, match="restore the file from your backup"):
        open_vault(settings(tmp_path), estate)
    assert not kek_file(tmp_path).exists()


def test_another_vaults_keys_are_noticed_at_start(tmp_path: Path) -> None:
    """The pepper does not open under them."""
    estate = peppered(open_vault(settings(tmp_path / "a"), EMPTY))
    open_vault(settings(tmp_path / "b"), EMPTY)
    with pytest.raises(Unusable, match=r"pepper 'virtual-keys' \(version 1\) can't be unsealed: another vault's key"):
        open_vault(settings(tmp_path / "b"), estate)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """Making them twice fails, and the first ones stay."""
    KekFile(kek_file(tmp_path)).make()
    text = kek_file(tmp_path).read_bytes()
    with pytest.raises(Unusable, match="never overwritten"):
        KekFile(kek_file(tmp_path)).make()
    assert kek_file(tmp_path).read_bytes() == text


# ── keys from a variable ──────────────────────────────────────────────────────


def line(term: int) -> str:
    """A line of keys."""
    return f"{term} {base64.b64encode(os.urandom(32)).decode()}\n"


def test_a_variable_holds_the_same_text_as_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest term seals, no file is made, and what an older term sealed opens too."""
    one, two = line(1), line(2)
    monkeypatch.setenv("GATE_KEK", one)
    estate = peppered(open_vault(settings(tmp_path, "env:GATE_KEK"), EMPTY))
    monkeypatch.setenv("GATE_KEK", two + one)
    vault = open_vault(settings(tmp_path, "env:GATE_KEK"), estate)
    assert vault.keyring.newest == 2
    assert not (tmp_path / "vault").exists()
    assert one.split()[1] not in repr(vault)


def test_a_variable_is_never_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not set, or set to something else: the sentence names it, says what to set, and shows nothing of it."""
    monkeypatch.delenv("GATE_KEK", raising=False)
    with pytest.raises(Unusable, match=r"GATE_KEK is not set; set it to '1 ' and what `openssl rand -base64 32` prints"):
        open_vault(settings(tmp_path, "env:GATE_KEK"), EMPTY)
    monkeypatch.setenv("GATE_KEK", "sk-not-a-key")
    with pytest.raises(Unusable, match="GATE_KEK holds no vault keys") as refused:
        open_vault(settings(tmp_path, "env:GATE_KEK"), EMPTY)
    assert "sk-not-a-key" not in str(refused.value)


def test_a_variable_gets_its_new_term_from_whoever_sets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A rotation says which line to add."""
    monkeypatch.setenv("GATE_KEK", line(3))
    vault = open_vault(settings(tmp_path, "env:GATE_KEK"), EMPTY)
    with pytest.raises(Unusable, match="GATE_KEK, which only you can change: add the line '4 '"):
        vault.add_term()
    assert not vault.forget_old_terms()


def test_the_setting_says_where_keys_come_from(tmp_path: Path) -> None:
    """The file under the data folder, or a variable by its name."""
    assert kek_of(settings(tmp_path)) == KekFile(kek_file(tmp_path))
    found = kek_of(settings(tmp_path, "env:GATE_KEK"))
    assert isinstance(found, KekVariable)
    assert found.name == "GATE_KEK"


# ── terms of the file ─────────────────────────────────────────────────────────


def test_a_new_term_joins_the_file_and_an_old_one_leaves_it(tmp_path: Path) -> None:
    """Each is on the disk before it is used; the file stays private."""
    vault = open_vault(settings(tmp_path), EMPTY)
    vault.add_term()
    assert KekFile(kek_file(tmp_path)).read().terms.keys() == {1, 2}
    vault.forget_old_terms()
    assert KekFile(kek_file(tmp_path)).read().terms.keys() == {2}
    assert stat.S_IMODE(kek_file(tmp_path).stat().st_mode) == 0o600


def test_a_file_that_can_t_be_written_keeps_its_terms(tmp_path: Path) -> None:
    """The rotation fails with a sentence, and nothing is sealed under a term that is on no disk."""
    vault = open_vault(settings(tmp_path), EMPTY)
    (tmp_path / "vault" / ".kek.new").mkdir()
    with pytest.raises(Unusable, match="the keys are as they were"):
        vault.add_term()
    assert vault.keyring.newest == 1


def test_nothing_within_reach_of_the_vault_shows_a_secret(tmp_path: Path) -> None:
    """Its keys, what it opened and what it sealed: every object within reach is printed, and only a Secret holds the bytes."""
    vault = open_vault(settings(tmp_path), EMPTY)
    vault.add_term()
    sealed = vault.seal(store.credential("main", 1), Secret(b"sk-planted-0815"))
    opened = vault.open(store.credential("main", 1), sealed)
    peppers = vault.first_pepper()
    issued = vault.issue(peppers)
    keys = [line.split()[1] for line in kek_file(tmp_path).read_text().splitlines()]
    planted = ["sk-planted-0815", *keys, *(base64.b64decode(key).decode("latin-1") for key in keys), issued.shown.split("_")[2]]
    walked = list(reachable([vault, opened, sealed, peppers, issued.public_id, issued.secret]))
    assert [type(one).__name__ for one in walked if tells(one, planted)] == []
    assert sum(isinstance(one, Secret) for one in walked) == 3


# ── issuing ───────────────────────────────────────────────────────────────────


def test_an_issued_key_is_hashed_under_the_newest_pepper(tmp_path: Path) -> None:
    """A first one and a later secret of the same key; each is found by what was kept of it."""
    vault = open_vault(settings(tmp_path), EMPTY)
    peppers = vault.another_pepper(vault.first_pepper())
    opened = {version: vault.open(store.pepper(version), sealed) for version, sealed in peppers.items()}
    first = vault.issue(peppers)
    second = vault.reissue(peppers, first.public_id)
    assert second.public_id == first.public_id
    assert second.shown != first.shown
    for issued in (first, second):
        presented = parse(issued.shown)
        assert presented is not None
        assert issued.secret.pepper == 2
        assert used(opened, presented, [issued.secret], 0) is issued.secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o660])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    """The sentence says what to run."""
    KekFile(kek_file(tmp_path)).make()
    kek_file(tmp_path).chmod(mode)
    with pytest.raises(Unusable, match=r"chmod 600"):
        KekFile(kek_file(tmp_path)).read()


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    """Also on the first start, when it was there before."""
    (tmp_path / "vault").mkdir(mode=0o755)
    with pytest.raises(Unusable, match="chmod 700"):
        open_vault(settings(tmp_path), EMPTY)


@pytest.mark.parametrize("text", [b"", b"\n", b"1\n", b"1 AAAA\n", b"0 " + b"A" * 44 + b"\n", b"x" * 99, b"\xff\n", b"1  \n"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: bytes) -> None:
    """Cut, empty or something else altogether: refused by name."""
    KekFile(kek_file(tmp_path)).make()
    kek_file(tmp_path).write_bytes(text)
    with pytest.raises(Unusable, match="is not a file of vault keys"):
        KekFile(kek_file(tmp_path)).read()


def test_the_admin_token_is_shown_once(tmp_path: Path) -> None:
    """Made on the first start, 0600, and not told again; the file keeps it for the command."""
    token = make_token(tmp_path / "d")
    assert token
    assert make_token(tmp_path / "d") is None
    file = token_file(tmp_path / "d")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_token(file) == token
    assert token not in repr(AdminToken.of(token))


@pytest.mark.parametrize("text", ["", "\n", "short\n"])
def test_an_empty_token_lets_nobody_in(tmp_path: Path, text: str) -> None:
    """A file that was cut short is refused: an empty token would fit an empty header."""
    make_token(tmp_path / "d")
    token_file(tmp_path / "d").write_text(text)
    with pytest.raises(Unusable, match="holds no admin token"):
        read_token(token_file(tmp_path / "d"))


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """As with the keys of the vault."""
    make_token(tmp_path / "d")
    token_file(tmp_path / "d").chmod(0o644)
    with pytest.raises(Unusable, match="chmod 600"):
        read_token(token_file(tmp_path / "d"))


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        ("Bearer t0ken", True),
        ("bearer t0ken", True),
        ("Bearer  t0ken ", True),
        ("Basic t0ken", False),
        ("t0ken", False),
        ("Bearer t0ke", False),
        ("Bearer", False),
        ("", False),
        ("Bearer \udcff", False),
    ],
)
def test_only_the_whole_token_fits(header: str, fits: bool) -> None:
    """As a bearer token, whatever the scheme's case; nothing else."""
    assert AdminToken.of("t0ken").fits(header) == fits


def test_a_first_start_on_a_full_disk_leaves_no_half_of_a_token(tmp_path: Path) -> None:
    """Nor does one that is killed while it writes: the next start makes a whole one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(Unusable, match="admin-token: can't be made"):
            make_token(tmp_path / "d")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    made = make_token(tmp_path / "d")
    assert made == read_token(token_file(tmp_path / "d"))
    assert [file.name for file in token_file(tmp_path / "d").parent.iterdir()] == ["admin-token"]


def test_a_state_that_was_lost_is_not_begun_anew(tmp_path: Path) -> None:
    """An empty one beside a plane's copy, and keys without the pepper they were hashed under: each refused with what to do."""
    vault = open_vault(settings(tmp_path), EMPTY)
    issued = vault.issue(vault.first_pepper())
    key = KeyRecord(issued.public_id, "app", (issued.secret,), "search", "ranking", "dev", ("*",))
    with pytest.raises(Unusable, match="holds keys and no pepper"):
        open_vault(settings(tmp_path), Estate().after(Changes([Change("key", "app", None, Kept(key))])))
    copy = settings(tmp_path).copy_of("extproc-0")
    copy.mkdir(parents=True)
    open_vault(settings(tmp_path), EMPTY)
    (copy / NAME).write_bytes(b"of a snapshot")
    with pytest.raises(Unusable, match="remove the folder"):
        open_vault(settings(tmp_path), EMPTY)
