"""What ingest's socket answers: JSON that holds whatever the database gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.answers import answered


@pytest.mark.parametrize("value", [7, 1 << 64, (1 << 200) + 1, "\ud800", "ß", None, [1 << 65]])
def test_an_answer_holds_what_it_is_given(value: Any) -> None:
    """Sums beyond 64 bits and halves of surrogate pairs too, which the quick writer of JSON can't write."""
    body = answered({"value": value}).body
    assert isinstance(body, bytes)
    assert json.loads(body) == {"value": value}
