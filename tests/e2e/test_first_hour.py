"""docs/your-first-hour.md, typed as it stands, from its first command to its last, in a fresh working folder."""

from __future__ import annotations

import contextlib
import json
import re
import stat
from pathlib import Path
from typing import Final

import pytest
from plain_http import ask
from reader_desk import Desk, blocks, commands, fresh_desk
from stack import eventually, free_port

OF_CI: Final = "make demo ARGS=--once"
"""A line of .ci/run, on a bare machine."""
MOCK: Final = ".venv/bin/portcullis mock --port 9901"
UP: Final = ".venv/bin/portcullis up"


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """Its text."""
    return (root / "docs" / "your-first-hour.md").read_text("utf-8")


def test_it_begins_with_what_ci_runs(root: Path, page: str) -> None:
    """The first command is tested on a bare machine; the next two stay on."""
    assert [line for block in blocks(page, "console") for line in commands(block)][:3] == [OF_CI, MOCK, UP]
    assert re.search(rf"^{OF_CI}\b", (root / ".ci" / "run").read_text("utf-8"), re.MULTILINE)


class Reader:
    """Types the page's commands one after the other; its ports are ours."""

    def __init__(self, desk: Desk, page: str, port: int) -> None:
        self.desk, self._port = desk, port
        self._lines = iter([line for block in blocks(page, "console") for line in commands(block)])

    def ours(self, text: str) -> str:
        """The page's text with the addresses of this test."""
        mock = text.replace("127.0.0.1:9901", f"127.0.0.1:{self._port}").replace("--port 9901", f"--port {self._port}")
        return mock.replace("http://127.0.0.1:8080", self.desk.gateway) if "8080" in mock else mock

    def next(self, starts: str) -> str:
        """The next command, which starts so."""
        line = next(self._lines)
        assert line.removeprefix(".venv/bin/portcullis ").startswith(starts), line
        return line

    def type(self, starts: str) -> str:
        """Run the next command, which starts so; what it prints."""
        return self.desk.run(self.ours(self.next(starts)))

    def rest(self) -> list[str]:
        """What was not typed."""
        return list(self._lines)


@pytest.mark.timeout(240)
def test_a_reader_has_a_team_with_keys(root: Path, page: str) -> None:
    """Every command succeeds and shows what the page says of it."""
    with fresh_desk(root) as desk, contextlib.ExitStack() as running:
        reader = Reader(desk, page, free_port())
        reader.next(OF_CI)
        running.enter_context(desk.open(reader.ours(reader.next("mock")), "mock.log"))
        log = running.enter_context(desk.open(reader.next("up"), "up.log"))
        eventually((desk.folder / "data" / "run" / "ready.json").exists, "the system", 90)

        assert "nothing is wrong" in reader.type("doctor")
        models_and_a_team(reader, page)
        secrets = keys(reader, page)
        revoked(reader)
        as_a_file(reader)
        assert reader.rest() == []
        provider = (desk.folder / "provider.key").read_text("utf-8").strip()
        assert all(secret not in log.read_text("utf-8") for secret in (provider, *secrets))


def models_and_a_team(reader: Reader, page: str) -> None:
    """A provider, its credential, a model with its price, the organisation, an environment, a team, a project."""
    reader.type("provider add")
    reader.type("(umask 077")
    assert stat.S_IMODE((reader.desk.folder / "provider.key").stat().st_mode) == 0o600
    reader.type("credential set")
    reader.type("model add")
    (shown,) = blocks(page, "text")
    assert words(reader.type("models")) == words(shown)
    for starts in ("organisation set", "environment add", "team add", "project add"):
        reader.type(starts)


def words(text: str) -> list[str]:
    """A table without its padding."""
    return text.split()


def keys(reader: Reader, page: str) -> list[str]:
    """A key is made, used, rotated; its secrets."""
    desk = reader.desk
    reader.type("key create ranking-dev")
    first = (desk.folder / "app.key").read_text("utf-8").strip()
    (code,) = blocks(page, "python")
    done = desk.python(reader.ours(code))
    assert done.returncode == 0, done.stderr
    assert "mock provider" in done.stdout

    asking = reader.next("audit query")
    row = eventually(lambda: (lines := desk.run(asking).splitlines())[1:] and lines[1], "the row")
    assert row.split()[:4] == ["acme", "ranking-dev", "cheap", "served"]
    assert "EMAIL_ADDRESS" in row
    assert "declared:4" in row
    assert reader.type("key usage").splitlines()[1].split()[1] == "1"

    reader.type("key rotate")
    second = (desk.folder / "app-2.key").read_text("utf-8").strip()
    for _ in (first, second):
        assert [model["id"] for model in json.loads(reader.type("curl"))["data"]] == ["cheap"]
    asking = reader.next("audit query")
    marked = eventually(
        lambda: (lines := desk.run(asking).splitlines()[1:]) and all(line.split()[1] == "models" for line in lines) and lines, "two rows"
    )
    assert sorted(line.split()[2] for line in marked) == ["false", "true"]
    return [first, second]


def revoked(reader: Reader) -> None:
    """Once the command is back, both secrets are refused."""
    reader.type("key revoke")
    assert json.loads(reader.type("curl"))["error"]["code"] == "invalid_api_key"
    first = (reader.desk.folder / "app.key").read_text("utf-8").strip()
    assert ask(reader.desk.gateway, "GET", "/v1/models", authorization=f"Bearer {first}").status == 401


def as_a_file(reader: Reader) -> None:
    """The export names everything but secrets, and applying it changes nothing."""
    reader.type("key create ranking ")
    reader.type("export")
    text = (reader.desk.folder / "gate.yaml").read_text("utf-8")
    assert all(name in text for name in ("acme", "house", "house-main", "cheap", "dev", "search", "ranking"))
    assert "pcl_" not in text
    assert "nothing to change" in reader.type("apply")
