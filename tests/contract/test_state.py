"""The state file: whole or not at all, its owner's only, and refused when it is not ours to read."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import Unusable
from contracts.snapshot import CredentialRecord, EnvironmentRecord, KeyRecord, ModelRecord, ProfileRecord, ProviderRecord, Snapshot
from contracts.usage import Price
from controlplane.state import Estate, State

FULL = Estate(
    Snapshot(
        revision="1",
        organisation="acme",
        pepper="sealed",
        keys={"K1": KeyRecord("K1", "one", "00", "search", "ranking", "dev", ("a", "b*"), ("chat",), "strict", 5, True)},
        models={"a": ModelRecord("a", "p", "c", "x", Price(1, 2, "declared:1")), "b": ModelRecord("b", "p", "", "b")},
        credentials={"c": CredentialRecord("c", "p", "sealed", 3)},
        providers={"p": ProviderRecord("p", "openai", "http://127.0.0.1:1", True)},
        environments={"dev": EnvironmentRecord("dev", True)},
        profiles={"strict": ProfileRecord("strict", {"*": "block"}, {"*": "redact"}, "alert")},
    ),
    {"search": ("ranking", "suggest")},
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A fresh state."""
    opened = State(tmp_path)
    yield opened
    opened.close()


def test_a_fresh_state_is_the_empty_estate(state: State) -> None:
    """Nothing is governed, at revision 0, and the default profile is there."""
    assert state.load() == Estate()
    assert state.load().snapshot.profiles.keys() == {"default"}


def test_what_is_put_in_comes_out(state: State, tmp_path: Path) -> None:
    """Every field of every record, also after the file was closed and opened."""
    state.replace(Estate(), FULL)
    assert state.load() == FULL
    state.close()
    again = State(tmp_path)
    assert again.load() == FULL
    again.close()


def test_what_left_is_gone(state: State) -> None:
    """Replacing takes records away, too."""
    state.replace(Estate(), FULL)
    bare = replace(FULL, snapshot=replace(FULL.snapshot, revision="2", keys={}), teams={})
    state.replace(FULL, bare)
    assert state.load() == bare


def test_two_who_change_the_same_state_do_not_overwrite_each_other(state: State, tmp_path: Path) -> None:
    """The second one is refused, and the first one's change stays."""
    other = State(tmp_path)
    state.replace(Estate(), FULL)
    with pytest.raises(Unusable, match="apply again"):
        other.replace(Estate(), replace(FULL, teams={}))
    assert other.load() == FULL
    other.close()


def test_a_change_that_breaks_half_way_leaves_nothing(state: State, tmp_path: Path) -> None:
    """A write that fails in the middle is rolled back: records and revision are as before."""
    state.replace(Estate(), FULL)
    spoiler = sqlite3.connect(tmp_path / "state" / "portcullis.db")
    spoiler.execute("CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    spoiler.commit()
    spoiler.close()
    with pytest.raises(Unusable, match="nothing was changed"):
        state.replace(FULL, replace(FULL, snapshot=replace(FULL.snapshot, revision="2", keys={})))
    assert state.load() == FULL


def test_the_file_is_its_owners_only(state: State, tmp_path: Path) -> None:
    """0700 and 0600, for SQLite's companions too; a folder that others may enter is refused."""
    state.replace(Estate(), FULL)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]}
    assert "portcullis.db-wal" in modes
    assert {mode & 0o077 for mode in modes.values()} == {0}
    (tmp_path / "state").chmod(0o755)
    with pytest.raises(Unusable, match="chmod 700"):
        State(tmp_path)


def test_a_file_of_another_version_is_refused(state: State, tmp_path: Path) -> None:
    """A newer format is not guessed at."""
    state.close()
    other = sqlite3.connect(tmp_path / "state" / "portcullis.db")
    other.execute("PRAGMA user_version = 7")
    other.close()
    with pytest.raises(Unusable, match="format 7"):
        State(tmp_path)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """What is no database is refused by name."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "portcullis.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unusable, match=r"portcullis\.db: can't be used"):
        State(tmp_path)


@pytest.mark.parametrize("document", ["{}", "[", '{"name": 1}', "[1]"])
def test_a_damaged_record_is_one_sentence(state: State, document: str) -> None:
    """A record of another shape is not half used."""
    state.replace(Estate(), FULL)
    state._db.execute("UPDATE records SET document = ? WHERE kind = 'keys'", [document])
    with pytest.raises(Unusable, match="restore it from your backup"):
        state.load()
