"""Whatever an app asks for and a provider claims, the row fits its columns: one that does not is never stored."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from playbook import (
    SNAPSHOT,
    WORLD,
    answer_head,
    chat,
    completion,
    emits,
    ends,
    governed,
    head,
    play,
    replies,
    to,
)

from contracts.usage import Price
from extproc.core.effects import PassAnswerHead, PassBody
from ingest import columns

DEAR = replace(
    WORLD, snapshot=replace(SNAPSHOT, models={"cheap": replace(SNAPSHOT.models["cheap"], prices=(Price(10**13, 10**13, "dear"),))})
)


@pytest.mark.parametrize(
    ("asked", "used", "column", "kept"),
    [
        ({"n": 1 << 40}, {}, "choices", 65_535),
        ({"tools": [{"type": "function"}] * 70_000}, {}, "tools", 65_535),
        ({"max_tokens": 1 << 50}, {}, "max_tokens", (1 << 32) - 1),
        ({}, {"completion_tokens": 1 << 60}, "output_tokens", (1 << 53) - 1),
        ({}, {"prompt_tokens": 1 << 52, "completion_tokens": 1 << 53}, "cost_nanousd", (1 << 64) - 1),
    ],
)
def test_a_number_out_of_range_is_kept_as_the_most_there_is(asked: dict[str, Any], used: dict[str, int], column: str, kept: int) -> None:
    """The exchange goes on as ever, and its row can be stored."""
    row = play(
        head(),
        *governed(body=chat(**asked), recorded=lambda record: columns.by_column([stored(record.intent.row)])),
        to(answer_head()),
        replies(PassAnswerHead),
        to(completion("hi", **used)),
        ends(PassBody),
        emits(outcome="served"),
        world=DEAR,
    )
    columns.by_column([stored(row)])
    assert getattr(row, column) == kept


def stored(row: Any) -> dict[str, Any]:
    """The row as the spool keeps it."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(row)))
    return found
