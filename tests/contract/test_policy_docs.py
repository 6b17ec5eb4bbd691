"""The pages about rules: the how-to's own files, run; and one page of fixed headings for each rule."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from contracts.policy import Principal
from controlplane.policy.check import check
from extproc.edge.policy_embedded import SAMPLE, EmbeddedPolicy
from extproc.edge.policy_notes import notes
from tests.policy_folders import POLICIES, asking, copied

DOCS = POLICIES.parent / "docs"
HOW_TO = (DOCS / "how-to" / "add-a-rule.md").read_text()
FILES = dict(re.findall(r"^`policies/([^`\n]+)`\n```rego\n(.*?)^```", HOW_TO, re.DOTALL | re.MULTILINE))
HEADINGS = ["Summary", "Denies with", "Reads", "Configuration", "Rationale"]
RULES = sorted((POLICIES / "gateway" / "rules").glob("*/*/"))


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A copy of the policies with the files that the how-to shows."""
    return copied(tmp_path, FILES)


def test_how_to_shows_a_rule_and_its_test() -> None:
    """Both files stand on the page under their paths."""
    assert [Path(name).name for name in FILES] == ["dev_prompt.rego", "dev_prompt_test.rego"]


def test_how_to_adds_a_folder_and_nothing_else(extended: Path) -> None:
    """The new rule is found by its folder, and refuses with the page's own words."""
    assert check(extended) == []
    policy = EmbeddedPolicy.load(extended)
    in_dev = Principal("example", "example", "example", "dev", "000000000000", "example")
    (reason,) = policy.decide(asking(principal=in_dev, request_bytes=50001)).reasons
    (shown,) = re.findall(r"^```json\n(.*?)^```", HOW_TO, re.DOTALL | re.MULTILINE)
    assert {"code": reason.code, "message": reason.message} == json.loads(shown)
    assert policy.decide(asking(principal=in_dev, request_bytes=50000)).allow
    assert policy.decide(asking(request_bytes=50001)).allow
    assert SAMPLE.principal.environment != "dev"


def test_how_tos_commands_pass(opa: Path, extended: Path) -> None:
    """Each of OPA's commands on the page succeeds with the new rule in place."""
    commands = re.findall(r"^opa (.*)$", HOW_TO, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        run = subprocess.run([str(opa), *command.split()], cwd=extended.parent, capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("folder", RULES, ids=lambda folder: folder.name)
def test_each_rule_has_its_page(folder: Path) -> None:
    """With the fixed headings, and every code that the rule can give."""
    page = (DOCS / "rules" / folder.parent.name / f"{folder.name}.md").read_text()
    assert page.startswith(f"# {folder.parent.name}/{folder.name}\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS
    for note in notes((folder / f"{folder.name}.rego").read_text()):
        assert f"`{note.code}`" in page
