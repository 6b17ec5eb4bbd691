"""README's commands, run as they stand there, in their order, in a fresh working folder.

PROOFS lists each of them with how it is proven. A command that is not in the list fails, and so does
an entry whose command README has lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from plain_http import ask as fetch
from reader_desk import Desk, blocks, commands, fresh_desk
from stack import eventually, mock_provider

UP: Final = ".venv/bin/portcullis up"
RUN, HERE, CI = "run in order", "started here", "a line of .ci/run"

PROOFS: Final = {
    "make demo": "tests/e2e/test_demo.py::test_it_stays_up_and_its_key_works",
    "make test": CI,
    "make demo ARGS=--once": CI,
    UP: HERE,
    'OPENAI_API_KEY="$(cat openai.key)" .venv/bin/portcullis apply -f docs/examples/gate.yaml --dry-run': RUN,
    'OPENAI_API_KEY="$(cat openai.key)" .venv/bin/portcullis apply -f docs/examples/gate.yaml --keys-file keys.json': RUN,
    '.venv/bin/portcullis audit query "SELECT time, key_name, model_asked, outcome, findings_prompt, cost_nanousd FROM audit.requests ORDER BY time DESC LIMIT 10"': RUN,
    '.venv/bin/portcullis audit query --json "SELECT team, sum(cost_nanousd) AS nanousd FROM audit.requests GROUP BY team"': RUN,
    ".venv/bin/portcullis audit stats": RUN,
    ".venv/bin/portcullis key revoke ranking-dev": RUN,
    ".venv/bin/portcullis check": RUN,
    # named in the text
    "audit tail": HERE,
    "audit stats": RUN,
    "portcullis doctor": HERE,
    "make check": CI,
    "make bench": CI,
}
"""Command → how it is proven: a word from above, or the test that does."""

SECRET: Final = "sk-of-the-readme-test"


def readme(root: Path) -> str:
    """Its text."""
    return (root / "README.md").read_text("utf-8")


def console(text: str) -> list[str]:
    """The commands of the console blocks."""
    return [line for block in blocks(text, "console") for line in commands(block)]


def named(text: str) -> list[str]:
    """The commands that the text names in passing."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`((?:make|audit|portcullis) [^`]+)`", prose)


def test_each_command_has_its_proof(root: Path) -> None:
    """README and the list name the same commands."""
    assert {*console(readme(root)), *named(readme(root))} == PROOFS.keys()


@pytest.mark.parametrize("command", [command for command, proof in PROOFS.items() if proof == CI])
def test_ci_runs_it(root: Path, command: str) -> None:
    """.ci/run has it at the start of a line; arguments may follow."""
    lines = (root / ".ci" / "run").read_text("utf-8").splitlines()
    assert any(re.match(re.escape(command) + r"( |$)", line) for line in lines)


@pytest.mark.parametrize(("command", "proof"), [(command, proof) for command, proof in PROOFS.items() if "::" in proof])
def test_another_test_runs_it(root: Path, command: str, proof: str) -> None:
    """The test exists, and make's recipe is nothing but the program that it starts."""
    file, _, name = proof.partition("::")
    assert f"def {name}(" in (root / file).read_text("utf-8")
    recipe = re.search(rf"^{command.removeprefix('make ')}:.*\n\t@(.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe is not None
    assert recipe[1] == "$(BIN)/portcullis demo $(ARGS)"


@pytest.fixture
def desk(root: Path) -> Iterator[Desk]:
    """A reader's working folder, with the key of a provider."""
    with fresh_desk(root) as found:
        (found.folder / "openai.key").write_text(SECRET + "\n", "utf-8")
        yield found


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[str]:
    """A mock provider; its address."""
    with mock_provider(tmp_path) as address:
        yield address


def test_the_demo_shows_what_readme_shows(root: Path, desk: Desk) -> None:
    """The three results and the rows, to the letter."""
    (shown,) = blocks(readme(root), "text")
    assert shown in desk.run(".venv/bin/portcullis demo --once")


@pytest.mark.timeout(180)
def test_a_reader_who_follows_it_governs_their_traffic(root: Path, desk: Desk, mock: str) -> None:
    """Each command succeeds; the SDK's snippet is answered, its address redacted, and the audit has its row."""
    lines = [line for line in console(readme(root)) if PROOFS[line] == RUN]
    plan, apply, *later = lines
    with desk.open(UP) as log:
        eventually((desk.folder / "data" / "run" / "ready.json").exists, "the system", 90)
        assert "+ key ranking-dev" in desk.run(plan)
        assert not (desk.folder / "keys.json").exists()
        assert "+ key ranking-dev" in desk.run(apply)
        key = json.loads((desk.folder / "keys.json").read_bytes())["ranking-dev"]
        answers_come_from_the_mock(desk, apply, mock)
        with desk.open(".venv/bin/portcullis audit tail", "tailed") as tail:
            assert "mock provider" in snippet(root, desk, key)
            eventually(lambda: "search/ranking/ranking-dev" in tail.read_text("utf-8"), "the row")
        received = fetch(mock, "GET", "/__received").body.decode()
        assert "jane.doe" not in received
        assert "[EMAIL_ADDRESS" in received
        assert SECRET in received
        assert key not in received
        revoked, table, sums, stats, check = (desk.run(line) for line in later)
        assert "nothing is wrong" in desk.run(".venv/bin/portcullis doctor")
        assert fetch(desk.gateway, "GET", "/v1/models", authorization=f"Bearer {key}").status == 401
    assert "is revoked" in revoked
    assert table.splitlines()[1].split()[2:5] == ["ranking-dev", "gpt-4o-mini", "served"]
    assert json.loads(sums)["rows"][0][0] == "search"
    assert re.search(r"^stored +1$", stats, re.MULTILINE)
    assert check
    assert SECRET not in log.read_text("utf-8")


def answers_come_from_the_mock(desk: Desk, apply: str, mock: str) -> None:
    """The example's provider is out there; here its place is taken by the mock. The key stays what it is."""
    example = desk.folder / "docs" / "examples" / "gate.yaml"
    text = example.read_text("utf-8").replace("url: https://api.openai.com/v1", f"url: {mock}/v1")
    assert mock in text
    example.write_text(text, "utf-8")
    assert "~ provider openai (url: " in desk.run(apply)


def snippet(root: Path, desk: Desk, key: str) -> str:
    """README's Python, with only the address and the key put in; what it prints."""
    (code,) = blocks(readme(root), "python")
    code = code.replace('"http://127.0.0.1:8080/v1"', repr(desk.gateway + "/v1")).replace('"pcl_…"', repr(key))
    assert key in code
    assert desk.gateway in code
    done = desk.python(code)
    assert done.returncode == 0, done.stderr
    return done.stdout
