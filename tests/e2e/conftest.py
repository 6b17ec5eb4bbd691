"""Gates for end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stack import Stack


@pytest.fixture(scope="session")
def shared_gate() -> Iterator[Stack]:
    """One gate for all tests that break nothing; ask for `gate` instead."""
    with Stack() as stack:
        yield stack


@pytest.fixture
def gate(shared_gate: Stack) -> Stack:
    """The shared gate, its mock provider fresh. For tests that leave every part as it was."""
    shared_gate.forget()
    return shared_gate


@pytest.fixture
def own_gate() -> Iterator[Stack]:
    """A gate for this test alone, which may break it."""
    with Stack() as stack:
        yield stack
