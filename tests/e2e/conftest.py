"""Gates for end-to-end tests, and what stands around Envoy where it stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attack_stage import Seen, Stage
from scripted_processor import Processor, processor
from stack import Stack
from watched_provider import Provider, provider


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


@pytest.fixture(scope="module")
def module_gate() -> Iterator[Stack]:
    """A gate of the module's own: what a test breaks of it has come back at the test's end."""
    with Stack() as stack:
        yield stack


# ── a gate under attack ────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A gate of the module's own, to be attacked."""
    with Stack() as stack:
        yield Stage(stack)


@pytest.fixture(scope="module")
def seen(stage: Stage, request: pytest.FixtureRequest) -> dict[str, Seen]:
    """What was seen of each of the module's ATTACKS, all done."""
    return stage.observe(request.module.ATTACKS)


# ── around an Envoy that a module starts ───────────────────────────────────────


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short: sockets live in it."""
    with TemporaryDirectory(prefix="pcl") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    """The provider."""
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def judge(folder: Path) -> Iterator[Processor]:
    """The processor."""
    with processor(folder / "x.sock") as made:
        yield made
