"""The reference page is what the code says."""

from __future__ import annotations

from pathlib import Path

from contracts.audit import COLUMNS
from ingest.reference import page


def test_the_page_is_generated(root: Path) -> None:
    """Edit contracts/audit.py, then run `python -m ingest.reference`."""
    assert (root / "docs" / "reference" / "audit.md").read_text(encoding="utf-8") == page()


def test_every_column_is_explained() -> None:
    """Type, meaning and example are given for each, and none breaks the table."""
    for name, meta in COLUMNS.items():
        assert meta["doc"], name
        assert meta["example"], name
        assert "|" not in "".join(meta.values()), name
