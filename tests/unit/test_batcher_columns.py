"""Rows become columns, or are refused by the column's name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.audit import COLUMNS, AuditRow
from ingest.columns import NAMES, PoisonError, by_column

ID = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"


def _row(**changes: Any) -> dict[str, Any]:
    return {**orjson.loads(orjson.dumps(AuditRow(id=ID, time=1))), **changes}


def test_every_column_of_the_contract_can_be_stored() -> None:
    """A blank row has a value for each column, in order."""
    columns = by_column([_row()])

    assert len(columns) == len(COLUMNS)
    assert columns[NAMES.index("id")] == [ID]
    assert columns[NAMES.index("usage_source")] == ["none"]


def test_a_column_the_writer_did_not_know_gets_its_default() -> None:
    """A row of an older version is stored."""
    columns = by_column([{"id": ID, "time": 7}])

    assert columns[NAMES.index("count")] == [1]
    assert columns[NAMES.index("witness")] == ["extproc"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "not-a-uuid"),
        ("id", 5),
        ("time", -1),
        ("time", 1 << 63),
        ("status", 1 << 16),
        ("status", True),
        ("status", 200.0),
        ("team", None),
        ("team", "\ud800"),
        ("stream", 1),
        ("reasons", "a"),
        ("reasons", [1]),
        ("findings_prompt", {"EMAIL": -1}),
        ("findings_prompt", []),
        ("metadata", {"a": 1}),
    ],
)
def test_what_the_column_can_not_hold_is_named(column: str, value: Any) -> None:
    """A poison row is told from the others, also in a batch, without its value in the message."""
    with pytest.raises(PoisonError, match=rf"^column {column}: ") as refused:
        by_column([_row(), _row(**{column: value})])

    assert repr(value) not in str(refused.value)
