"""The documentation names what exists, and leaves nothing out that it promises to list."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts import errors
from contracts.audit import COLUMNS, TERMINATIONS
from contracts.settings import Settings
from extproc.core import dialects
from extproc.core.dialects import shape

SECTIONS = ("added", "changed", "fixed", "removed", "security")


def pages(root: Path) -> list[Path]:
    """Every page for people."""
    return sorted(
        [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "envoy").glob("*.md"), *(root / "changelog.d").glob("*.md")]
    )


def prose(page: Path) -> str:
    """Its text without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Where a link into the page may lead: its headings, in lower case, with dashes for blanks."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def dead(page: Path) -> list[str]:
    """The page's links that lead nowhere in this project; links to the web are not tried."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        place, _, anchor = link.partition("#")
        target = (page.parent / place) if place else page
        if re.match(r"https?://|mailto:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(f"{page.name}: {link}")
    return found


def test_links_lead_somewhere(root: Path) -> None:
    """Files and headings that pages point to are there."""
    assert [link for page in pages(root) for link in dead(page)] == []


def test_files_that_pages_name_exist(root: Path) -> None:
    """A path in code type that begins with a folder of ours is one of the project's files."""
    folders = "contracts|custody|extproc|ingest|controlplane|policies|envoy|docs|tests|bench|changelog.d"
    gone = [
        f"{page.name}: {path}"
        for page in pages(root)
        for path in re.findall(rf"`((?:{folders})/[\w./-]+)(?:::\w+)?`", prose(page))
        if not (root / path).exists() and page.name != "add-a-rule.md"  # its files are the reader's own
    ]
    assert gone == []


def test_each_invariant_has_its_tests(root: Path) -> None:
    """They are numbered without a gap, and every one names tests that exist."""
    text = (root / "docs" / "invariants.md").read_text("utf-8")
    numbered = re.split(r"^(\d+)\. ", text, flags=re.MULTILINE)[1:]
    assert [int(number) for number in numbered[::2]] == list(range(1, len(numbered) // 2 + 1))
    for number, invariant in zip(numbered[::2], numbered[1::2], strict=True):
        tests = re.findall(r"- `([^`]+)`", invariant)
        assert tests, f"invariant {number} names no test"
        assert [test for test in tests if not is_test(root, test)] == []


def is_test(root: Path, name: str) -> bool:
    """Whether `path::name` is a test of this suite."""
    path, _, function = name.partition("::")
    file = root / path
    if not file.is_file() or not function.startswith("test_"):
        return False
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
        for node in ast.parse(file.read_text("utf-8")).body
    )


def test_decisions_are_numbered_once(root: Path) -> None:
    """Each has a number of its own, without a gap, the same in its name and its title, and says context, decision and consequences."""
    files = sorted((root / "docs" / "adr").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text("utf-8")
        assert text.startswith(f"# {file.name[:4]} · "), file.name
        assert "**Decision.**" in text, file.name


def test_every_refusal_is_in_its_reference(root: Path) -> None:
    """Each code, with its status, is a row of docs/reference/errors.md; and no row is of another."""
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", (root / "docs" / "reference" / "errors.md").read_text("utf-8"), re.MULTILINE)
    assert {(int(status), code) for status, code in rows} == {(kind.status, kind.code) for kind in refusals()}
    assert len(rows) == len({*rows})


def refusals() -> list[type[errors.Refused]]:
    """Every class of refusal."""
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refused) and kind is not errors.Refused
    ]


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    """The drawing at the top of contracts/errors.py has every refusal with its status and code."""
    drawn = re.findall(r"(\w+) +(\d{3}) (\w+)$", errors.__doc__ or "", re.MULTILINE)
    assert {(name, int(status), code) for name, status, code in drawn} == {(kind.__name__, kind.status, kind.code) for kind in refusals()}


def settings_of(kind: Any, before: str = "") -> list[str]:
    """The settings' names, as one writes them."""
    found: list[str] = []
    for entry in fields(kind):
        value = getattr(kind, entry.name)
        found += settings_of(value, f"{before}{entry.name}.") if is_dataclass(value) else [before + entry.name]
    return found


def test_every_setting_is_in_its_reference(root: Path) -> None:
    """A row each in docs/reference/settings.md; and no row is of another."""
    rows = re.findall(r"^\| `([\w.]+)` \| `PORTCULLIS_", (root / "docs" / "reference" / "settings.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(settings_of(Settings()))


@pytest.mark.parametrize("words", [TERMINATIONS, COLUMNS], ids=["terminations", "columns"])
def test_the_audits_words_are_in_its_reference(root: Path, words: dict[str, object]) -> None:
    """Each column and each termination has a row."""
    rows = set(re.findall(r"^\| `(\w+)` \|", (root / "docs" / "reference" / "audit.md").read_text("utf-8"), re.MULTILINE))
    assert words.keys() <= rows


ROUTE = re.compile(
    r"^\| `(\w+)` \| `(\w+) (/\S+)` \| (`/\S+`|none: the gate answers) \| `(\w+)` \| ([^|]+) \| [^|]+ \| (\w+) \|$", re.MULTILINE
)


def test_every_route_is_in_its_reference(root: Path) -> None:
    """With method, paths, dialect, what is looked into and how it is paid; and no row is of another."""
    rows = ROUTE.findall((root / "docs" / "reference" / "routes.md").read_text("utf-8"))
    upstream = {route.name: f"`{route.upstream_path}`" if route.upstream_path else "none: the gate answers" for route in dialects.ROUTES}
    assert rows == [
        (route.name, route.method, route.path, upstream[route.name], route.dialect.name, route.guard, route.price)
        for route in dialects.ROUTES
    ]


def section(page: Path, heading: str) -> str:
    """What stands under a heading of the second order."""
    return page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def named(text: str) -> set[str]:
    """What the first cells of a section's tables name."""
    return {name for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)}


def test_features_are_the_same_on_both_pages(root: Path) -> None:
    """What the rule's page says can be allowed is what the routes' page says is found, and the other way round."""
    found = named(section(root / "docs" / "reference" / "routes.md", "Features"))
    assert found == named(section(root / "docs" / "rules" / "content" / "feature_allowed.md", "Reads"))
    assert {"store", "tool:other"} <= found


def test_every_kind_that_can_t_be_read_is_in_its_reference(root: Path) -> None:
    """With what it stands for."""
    kinds = {getattr(shape, what) for what in ("IMAGE", "AUDIO", "FILE", "TOKENS", "URL")}
    assert kinds <= named(section(root / "docs" / "reference" / "routes.md", "What can't be read"))


def test_fragments_of_the_changelog_say_what_they_are(root: Path) -> None:
    """The ending of the name is one of five words, and there is a sentence."""
    fragments = list((root / "changelog.d").iterdir())
    assert fragments
    for file in fragments:
        assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(SECTIONS)})\.md", file.name), file.name
        assert file.read_text("utf-8")[:1].isupper(), file.name


def test_the_licence_is_the_one_that_is_named(root: Path) -> None:
    """Apache 2.0, in the file and in the package's metadata."""
    assert tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["license"] == "Apache-2.0"
    text = (root / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0" in text
    assert "Portcullis authors" in text
