"""Every kind has a table of texts that must and must not match, and every row of it holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.redact.scanner import DETECTORS, KINDS, scan

TABLES = {
    path.stem.removeprefix("redact_").upper(): yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent.parent / "golden").glob("redact_*.yml"))
}


def rows(part: str) -> list[Any]:
    """All rows of one part of all tables, each with the kind it is about."""
    return [pytest.param(kind, row, id=f"{kind}-{number}") for kind, table in TABLES.items() for number, row in enumerate(table[part])]


def test_every_kind_has_its_table_and_every_table_its_kind() -> None:
    """A detector without a table, or a table without a detector, is a mistake."""
    assert set(TABLES) == set(KINDS)
    assert len(KINDS) == len(set(KINDS)) == len(DETECTORS)
    assert all(table["match"] and table["no_match"] for table in TABLES.values())


@pytest.mark.parametrize(("kind", "row"), rows("match"))
def test_what_must_match_matches_exactly(kind: str, row: dict[str, Any]) -> None:
    """The stretches that the table lists are found, with their exact ends, and nothing else is."""
    found = scan(row["text"])

    assert [row["text"][finding.start : finding.end] for finding in found] == row["found"]
    assert {finding.kind for finding in found} == {kind}
    assert all(re.fullmatch(r"[a-z_]+", finding.rule) for finding in found)


@pytest.mark.parametrize(("kind", "row"), rows("no_match"))
def test_what_must_not_match_does_not(kind: str, row: str) -> None:
    """Look-alikes are left alone."""
    assert scan(row) == [], kind
