"""What unit suites share: a control plane that only writes down what the command line asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recording_control import TOKEN, Recording, recording


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    """It records, and is found by the variables."""
    with recording() as record:
        monkeypatch.setenv("PORTCULLIS_CONTROL", record.url)
        monkeypatch.setenv("PORTCULLIS_TOKEN", TOKEN)
        yield record
