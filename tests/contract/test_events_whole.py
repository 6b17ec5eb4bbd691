"""From a call to control until the question: real control on either database, real ingest, and what a killed control had done."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from control_parts import SECRET, ControlPart, free_port, soon
from test_ingest import Ingest

from contracts.settings import Settings

ASKED = "SELECT verb, kind, name, before, after FROM audit.events ORDER BY time, id"


@pytest.fixture
def control(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> ControlPart:
    """Control, not started, in a folder with a short path."""
    monkeypatch.setenv("PORTCULLIS_STATE", kept.state)
    return ControlPart(Path(tempfile.mkdtemp(prefix="pw")) / "d", free_port())


@pytest.fixture
async def ingest(root: Path, control: ControlPart) -> AsyncIterator[Ingest]:
    """Ingest beside it, started."""
    control.data.mkdir(mode=0o700)
    made = Ingest(root, control.data)
    made.start()
    yield made
    if control.child:
        control.stop()
    made.end(signal.SIGKILL)
    await made.spool.close()
    shutil.rmtree(control.data.parent)


def asked(control: ControlPart) -> list[list[Any]]:
    """The events, as `portcullis audit query` gets them."""
    status, found = control.ask("POST", "/api/v1/audit/query", {"sql": ASKED})
    return found["rows"] if status == 200 else []


async def test_every_change_is_asked_for_afterwards(control: ControlPart, ingest: Ingest) -> None:
    """Apply, a key made, revoked: who and what, before and after, on either database; also what a control did that was then killed."""
    control.start()
    assert control.apply()[0] == 200
    status, made = control.ask(
        "POST", "/api/v1/keys", {"name": "new", "team": "search", "project": "ranking", "environment": "dev", "models": ["cheap"]}
    )
    assert status == 201
    assert control.ask("POST", "/api/v1/keys/new/revoke", {})[0] == 200
    if control.child:
        control.child.kill()
        control.child.wait()
    control.start()
    rows = await soon(lambda: [row for row in asked(control) if row[0] == "key.revoke"] and asked(control))
    verbs = [row[0] for row in rows if row[2] == "new"]
    assert len(verbs) == len([row for row in rows if row[2] == "new"]) == 2
    before, after = (json.loads(side) for side in rows[-1][3:])
    assert (before["revoked"], after["revoked"] > 0, after["team"]) == (None, True, "search")
    assert {row[2] for row in rows} >= {"acme", "local", "other", "main", "cheap", "dev", "search", "one", "two", "new"}
    text = json.dumps(rows)
    assert SECRET not in text
    assert made["secret"].split("_")[2] not in text
    assert "sealed" not in text
