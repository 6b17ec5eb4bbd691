"""The row of an intent is told from its first bytes, and read when it is asked for."""

from __future__ import annotations

import orjson
import pytest

from contracts.audit import AuditRow
from ingest.unread import UnreadRow

ID = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"
NOON = 1_795_500_000_000_000_000


def _payload(row: AuditRow) -> bytes:
    return b'{"intent":%s}' % orjson.dumps(row)


def test_an_intent_as_extproc_writes_it_is_left_unread() -> None:
    """Its id is known at once; asked for more, it gives what was written."""
    row = AuditRow(id=ID, time=NOON, team="search", findings_prompt={"EMAIL_ADDRESS": 2})

    unread = UnreadRow.of(_payload(row))

    assert unread is not None
    assert unread["id"] == ID
    assert dict(unread) == orjson.loads(orjson.dumps(row))
    assert (unread["team"], unread.get("nope"), len(unread) > 60) == ("search", None, True)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"row":{"id":"' + ID.encode() + b'","time":1,"team":""}}',
        b'{"intent":{"time":1,"id":"' + ID.encode() + b'"}}',
        b'{"intent":{"id":"\\u0061","time":1,"team":""}}',
        b'{"intent":{"id":"a","time":-1,"team":""}}',
        b'{"intent":{"id":"a","time":1.5,"team":""}}',
        b'{"intent":{"id":"a","time":12345678901234567890123,"team":""}}',
        b'{"intent":{"id":"","time":1,"team":""}}',
        b"",
    ],
)
def test_what_begins_otherwise_is_to_be_parsed(payload: bytes) -> None:
    """No guess is made about it."""
    assert UnreadRow.of(payload) is None


@pytest.mark.parametrize("rest", [b'"team', b'"team":""}', b'"team":"\xff"}}', b'"id":"other"}}'])
def test_an_intent_that_is_no_json_or_contradicts_itself_counts_by_its_id(rest: bytes) -> None:
    """Its exchange is not lost, and is the one that was counted."""
    unread = UnreadRow.of(b'{"intent":{"id":"a","time":7,' + rest)

    assert unread is not None
    assert (unread["id"], unread["time"]) == ("a", 7)
    assert dict(unread)["id"] == "a"
