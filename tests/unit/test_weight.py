"""How much work a body is taken for: what is slow to look into goes away from the event loop though it is small."""

from __future__ import annotations

import pytest

from extproc.core.effects import AT_ONCE
from extproc.core.places import weight


@pytest.mark.parametrize("slow", [b"@a.", b"x@a.aa ", b"\\\\"])
def test_few_kilobytes_of_what_is_slow_are_a_large_body(slow: bytes) -> None:
    """200 KB of them on the event loop would hold up everybody for half a second."""
    assert weight(slow * (16 << 10)) > AT_ONCE


def test_many_findings_are_much_work() -> None:
    """Each is edited by itself."""
    assert weight(b"", found=1000) > AT_ONCE


def test_a_usual_body_weighs_little_more_than_its_bytes() -> None:
    """Prose with some addresses in it, and lines that end."""
    raw = b"Write to ann@example.com, then go on with that.\\n" + b"word and word\\n" * 200
    assert len(raw) <= weight(raw, found=1) < 2 * len(raw)
