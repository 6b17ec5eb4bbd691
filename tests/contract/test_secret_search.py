"""The search for planted secrets finds them, however they are written; and a vault's folder holds none."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_search import OWN, found_in, stands_in

from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, KeyRecord
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.state import State
from controlplane.vault import open_vault
from custody import store
from custody.reveal import REVEAL
from custody.secret import Secret

SECRET = b"sk-planted-0815-with-some-length"


@given(st.binary(max_size=9), st.binary(min_size=8, max_size=40), st.binary(max_size=9))
def test_no_way_of_writing_hides_a_secret(before: bytes, secret: bytes, after: bytes) -> None:
    """Wherever it stands in what was encoded, with whatever around it."""
    whole = before + secret + after
    for written in (whole, whole.hex().encode(), whole.hex().upper().encode(), base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
        assert stands_in(b"x " + written + b" y", secret)


def test_broken_lines_hide_nothing() -> None:
    """As mail and PEM break base64."""
    assert stands_in("\n".join(textwrap.wrap(base64.b64encode(b"ab" + SECRET * 2).decode(), 20)).encode(), SECRET)


@pytest.mark.parametrize("place", ["here", "deep/er/here"])
def test_a_folder_is_searched_whole(tmp_path: Path, place: str) -> None:
    """Every file, and files' names; but for those that may hold one."""
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(b"{" + base64.b64encode(SECRET) + b"}")
    (tmp_path / f"of-{SECRET.decode()}").touch()
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "kek").write_bytes(SECRET)
    assert found_in(tmp_path, {"it": SECRET, "no": b"something-else"}) == sorted([f"it in {place}", f"it in of-{SECRET.decode()}"])
    assert "it in vault/kek" in found_in(tmp_path, {"it": SECRET}, spared=frozenset())


def test_what_control_keeps_holds_no_secret(tmp_path: Path) -> None:
    """Credentials, peppers and keys as they are kept; and the copy restores on another machine, with the file of keys."""
    settings = Settings(data=tmp_path / "data")
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    peppers = vault.first_pepper()
    issued = vault.issue(peppers)
    sealed = vault.seal(store.credential("main", 1), Secret(SECRET))
    key = KeyRecord(issued.public_id, "one", (issued.secret,), "search", "ranking", "dev", ("*",))
    changes = Changes(
        [
            Change("credential", "main", None, Kept(CredentialRecord("main", "local", sealed, 1))),
            Change("key", "one", None, Kept(key)),
        ],
        peppers=peppers,
    )
    state.commit(Estate(), changes, ())
    state.close()
    pepper = vault.open(store.pepper(1), peppers[1]).reveal(REVEAL)
    planted = {"credential": SECRET, "key": issued.shown.encode(), "its secret": issued.shown.split("_")[2].encode(), "pepper": pepper}
    assert found_in(settings.data, planted) == []
    assert {path.relative_to(settings.data).as_posix() for path in (settings.data / "vault").iterdir()} <= OWN

    elsewhere = Settings(data=tmp_path / "elsewhere")
    settings.data.rename(elsewhere.data)
    state = State.open(elsewhere)
    estate = state.load()
    state.close()
    record = estate.of("credential")["main"].record
    assert isinstance(record, CredentialRecord)
    assert open_vault(elsewhere, estate).open(store.credential("main", 1), record.sealed).reveal(REVEAL) == SECRET
