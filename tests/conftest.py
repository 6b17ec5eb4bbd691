"""What every test may ask for: the real programs, and the folders of the project."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is: speed is for the benchmarks. The rest is hypothesis' own, its CI profile too.
settings.register_profile("house", settings(), deadline=None)
settings.load_profile("house")

# A shell has its background jobs ignore Ctrl-C, and whoever they start inherits it: the programs under test must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def need(program: str, *folders: Path) -> Path:
    """Path of a real program, from .tools/bin, PATH or the folders; where it is missing the test is skipped, or fails in CI."""
    found = shutil.which(program, path=os.pathsep.join([str(ROOT / ".tools" / "bin"), os.environ.get("PATH", ""), *map(str, folders)]))
    if found:
        return Path(found)
    line = f"{program} is not on this machine: install it, or put it into .tools/bin"
    if os.environ.get("PORTCULLIS_REQUIRE_ALL") == "1":
        pytest.fail(line)
    pytest.skip(line)


@pytest.fixture(scope="module", autouse=True)
def engines_end_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rego engines must be dropped by the thread that made them; what tests of the policy leave of some in tracebacks is collected now.

    Else the collector finds them whenever it likes, in a thread of some later module.
    """
    yield
    if "test_policy_" in request.node.name:
        gc.collect()


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def opa() -> Path:
    """The real OPA."""
    return need("opa")


@pytest.fixture(scope="session")
def pii_data() -> Path:
    """Folder of third-party samples of personal data, named by PORTCULLIS_PII_DATA."""
    folder = os.environ.get("PORTCULLIS_PII_DATA")
    if not folder:
        pytest.skip("PORTCULLIS_PII_DATA names no folder of samples")
    return Path(folder)
