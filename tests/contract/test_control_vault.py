"""The vault's file and the admin token: made once, private, and never silently replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from contracts.errors import Unusable
from controlplane.admin_token import AdminToken, make_token, read_token, token_file
from controlplane.vault import open_vault
from custody import store
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.edge.vault_file import kek_file, make_keys, open_keys


def test_the_first_start_makes_the_keys_and_later_ones_use_them(tmp_path: Path) -> None:
    """0700 and 0600 from the first moment; what the first start sealed, the second opens."""
    first = open_vault(tmp_path, "")
    sealed = first.seal(store.credential("main", 1), Secret(b"sk-planted"))
    pepper = first.new_pepper()
    file = kek_file(tmp_path)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["kek"]
    second = open_vault(tmp_path, pepper)
    assert second.keyring.open(store.credential("main", 1), sealed).reveal(REVEAL) == b"sk-planted"


def test_a_start_that_died_before_its_first_record_is_made_good(tmp_path: Path) -> None:
    """Keys without a sealed record are used, not replaced."""
    text = (make_keys(kek_file(tmp_path)), kek_file(tmp_path).read_bytes())[1]
    open_vault(tmp_path, "")
    assert kek_file(tmp_path).read_bytes() == text


def test_lost_keys_are_never_made_anew(tmp_path: Path) -> None:
    """Where something is sealed, a missing file is an error that says so; a new one would lose everything for good."""
    pepper = open_vault(tmp_path, "").new_pepper()
    kek_file(tmp_path).unlink()
    with pytest.raises(Unusable, match="restore the file from your backup"):
        open_vault(tmp_path, pepper)
    assert not kek_file(tmp_path).exists()


def test_another_vaults_keys_are_noticed_at_start(tmp_path: Path) -> None:
    """The pepper does not open under them."""
    pepper = open_vault(tmp_path / "a", "").new_pepper()
    open_vault(tmp_path / "b", "")
    with pytest.raises(Unusable, match="another vault's key"):
        open_vault(tmp_path / "b", pepper)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """Making them twice fails, and the first ones stay."""
    make_keys(kek_file(tmp_path))
    text = kek_file(tmp_path).read_bytes()
    with pytest.raises(Unusable, match="never overwritten"):
        make_keys(kek_file(tmp_path))
    assert kek_file(tmp_path).read_bytes() == text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o660])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    """The sentence says what to run."""
    make_keys(kek_file(tmp_path))
    kek_file(tmp_path).chmod(mode)
    with pytest.raises(Unusable, match=r"chmod 600"):
        open_keys(kek_file(tmp_path))


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    """Also on the first start, when it was there before."""
    (tmp_path / "vault").mkdir(mode=0o755)
    with pytest.raises(Unusable, match="chmod 700"):
        open_vault(tmp_path, "")


@pytest.mark.parametrize("text", [b"", b"\n", b"1\n", b"1 AAAA\n", b"0 " + b"A" * 44 + b"\n", b"x" * 99, b"\xff\n", b"1  \n"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: bytes) -> None:
    """Cut, empty or something else altogether: refused by name."""
    make_keys(kek_file(tmp_path))
    kek_file(tmp_path).write_bytes(text)
    with pytest.raises(Unusable, match="is not a file of vault keys"):
        open_keys(kek_file(tmp_path))


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
