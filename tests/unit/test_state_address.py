"""The setting `state`: which addresses are taken, and that a refused one is never repeated."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.state_address import state


@pytest.mark.parametrize(
    "text",
    [
        "sqlite",
        "postgresql://pc@db.example/portcullis",
        "postgres://db:5433/portcullis?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://pc@[::1]:5432/x?passfile=/run/secrets/pgpass",
        "postgresql://pc@/portcullis?host=/run/postgresql",
    ],
)
def test_addresses_that_are_taken(text: str) -> None:
    """As libpq writes them: a host or a socket's folder, and a database."""
    assert state(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be sqlite or"),
        ("SQLite", "must be sqlite or"),
        ("mysql://hunter2@db/x", "must be sqlite or"),
        ("postgresql:hunter2", "must be sqlite or"),
        ("postgresql://pc:hunter2@db/x", "holds a password"),
        ("postgresql://pc:@db/x", "holds a password"),
        ("postgresql://pc@db/x?password=hunter2", "holds a password"),
        ("postgresql://pc@db/x?sslpassword=hunter2", "holds a password"),
        ("postgresql://pc@db/x?options=hunter2", "has a parameter that is none of"),
        ("postgresql://pc@db/x?hunter2", "parameters can't be read"),
        ("postgresql://pc@db:hunter2/x", "port or parameters can't be read"),
        ("postgresql://[hunter2/x", "can't be read"),
        ("postgresql://pc@db:0/hunter2", "its port is missing"),
        ("postgresql://pc@/hunter2", "its host is missing"),
        ("postgresql://hunter2", "its database is missing"),
        ("postgresql://hunter2/a/b", "its database is missing"),
        ("postgresql://db/x#hunter2", "its database is missing"),
    ],
)
def test_addresses_that_are_refused(text: str, words: str) -> None:
    """With what is wrong, and nothing of what was written."""
    with pytest.raises(ValueError, match=words) as error:
        state(text)
    assert "hunter2" not in str(error.value)


@given(st.text(max_size=40), st.sampled_from(["", "postgresql://", "postgresql://u:", "postgresql://u@h/d?"]))
def test_any_text_is_taken_or_refused(text: str, start: str) -> None:
    """No other error, whatever is written."""
    with contextlib.suppress(ValueError):
        assert state(start + text) == start + text
