"""Spool and access log joined: each exchange gets one row, from whoever saw it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.access_line import Line, parse
from ingest.witness import GONE_GRACE, GRACE, OPEN_GRACE, ORPHAN_GRACE, SECOND, Known, Life, Story, Writer, Writers

ID = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"
ENVOY_ID = "5c2e9b7d-1f00-4d04-8a11-0199f3b27c1e"
NOON = 1_795_500_000 * SECOND
ALIVE = Writers((Writer("w1", Life.ALIVE),))
STOPPED = Writers((Writer("w1", Life.STOPPED),))
DEAD = Writers((Writer("w1", Life.DEAD),))
NOTHING = Known()
SUCCESSOR = Writers((Writer("w2", Life.ALIVE),))


def _line(exchange: str = ID, at: str = "1:0", **fields: Any) -> Line:
    said = {
        "id": exchange or None,
        "envoy_id": ENVOY_ID,
        "time": "2026-11-24T06:00:00.000000Z",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "flags": "-",
        "details": "via_upstream",
        "duration_ms": 0,
        **fields,
    }
    return parse(json.dumps(said).encode(), at)


def _row(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "time": NOON, "envoy_id": ENVOY_ID, "outcome": "served", "termination": "complete", "key_id": "k", **fields}


def _intent(story: Story) -> None:
    story.intent(_row(outcome="", termination="", team="search", credential="main"), 1, "w1")


def _decide(story: Story, now: int, writers: Writers = ALIVE, known: Known = NOTHING) -> list[dict[str, Any]]:
    """One turn with the spool read up to now; what is written by it."""
    story.settle(story.overdue(now, now, writers), known)
    rows, story.rows = story.rows, []
    return rows


@pytest.mark.parametrize("row_first", [True, False])
@pytest.mark.parametrize("named", [ID, ""])
def test_a_row_and_its_line_are_one_exchange(row_first: bool, named: str) -> None:
    """Whichever comes first, and whether the line knows our id or only Envoy's, the row alone is written."""
    story = Story()
    steps = [lambda: story.row(_row(), NOON), lambda: story.line(_line(named))]
    for step in steps if row_first else reversed(steps):
        step()

    written = _decide(story, NOON + OPEN_GRACE * 2)

    assert [row["id"] for row in written] == [ID]
    assert "witness" not in written[0]
    assert (story.waiting, story.counts["witnessed"]) == (0, 0)


@pytest.mark.parametrize("named", [ID, ""])
def test_a_line_whose_row_was_read_is_an_echo_once(named: str) -> None:
    """It is counted and needs no more reading; the same id again is another exchange's line."""
    story = Story()
    story.row(_row(), NOON)

    assert story.echo(named, ENVOY_ID)
    assert not story.echo(named, ENVOY_ID)
    assert (story.counts["lines"], story.waiting) == (1, 0)


def test_a_line_that_something_waits_for_is_no_echo() -> None:
    """A row with termination `gone` wants all that it says, and a line without a row becomes one."""
    story = Story()
    story.row(_row(outcome="aborted", termination="gone"), NOON)

    assert not story.echo(ID, ENVOY_ID)
    assert not story.echo("", "")
    assert not story.echo("9d2e9b7d-1f00-4d04-8a11-0199f3b27c1e", ENVOY_ID)
    story.line(_line(flags="DC", status=0))
    assert [row["termination"] for row in _decide(story, NOON)] == ["client_gone"]


def test_a_line_without_a_row_waits_for_its_grace_and_then_becomes_the_row() -> None:
    """What extproc never saw is written by the second witness, with all that its line says."""
    story = Story()
    story.line(_line("", status=503, details="ext_proc_error_gRPC_error_14", client_address="10.2.0.7"))

    assert _decide(story, NOON + GRACE - 1) == []
    (row,) = _decide(story, NOON + GRACE)

    assert row["id"] == ENVOY_ID
    assert (row["witness"], row["outcome"], row["termination"], row["error_code"]) == ("envoy", "refused", "gate_died", "gate_unavailable")
    assert (row["status"], row["client_address"], row["count"], row["time"]) == (503, "10.2.0.7", 1, NOON)
    assert _decide(story, NOON + 10 * GRACE) == []


def test_a_line_is_not_decided_before_the_spool_is_read_past_it() -> None:
    """As long as records are unread, one of them may be the row."""
    story = Story()
    story.line(_line(""))

    assert story.overdue(NOON + 100 * GRACE, None, ALIVE) == []
    assert story.overdue(NOON + 100 * GRACE, NOON + GRACE - 1, ALIVE) == []


@pytest.mark.parametrize("writers", [DEAD, STOPPED])
def test_a_line_is_decided_at_once_where_nobody_writes(writers: Writers) -> None:
    """Dead or stopped, extproc will not say more in time."""
    story = Story()
    story.line(_line("", status=503, details="ext_proc_error"))

    assert len(_decide(story, NOON, writers)) == 1


def test_an_open_intent_gives_extproc_a_minute() -> None:
    """Its writer lives, so the row is under way, for a while."""
    story = Story()
    _intent(story)
    story.line(_line())

    assert _decide(story, NOON + OPEN_GRACE - 1) == []
    (row,) = _decide(story, NOON + OPEN_GRACE)
    assert (row["outcome"], row["team"], row["credential"], row["witness"]) == ("served", "search", "main", "envoy")


@pytest.mark.parametrize("writers", [DEAD, SUCCESSOR])
def test_an_open_intent_of_a_dead_writer_crashed(writers: Writers) -> None:
    """The line and the intent make the row at once, also when a successor lives already."""
    story = Story()
    _intent(story)
    story.line(_line(status=503, details="ext_proc_error", response_bytes=12))

    (row,) = _decide(story, NOON, writers)

    assert (row["id"], row["outcome"], row["termination"]) == (ID, "crashed", "crashed")
    assert (row["team"], row["response_bytes"], row["status"]) == ("search", 12, 503)
    assert story.open == {}


def test_an_intent_whose_writer_and_envoy_both_died_crashed_after_a_grace() -> None:
    """No line will come; the intent itself is the row."""
    story = Story()
    _intent(story)

    assert _decide(story, NOON, DEAD) == []
    assert _decide(story, NOON + ORPHAN_GRACE - 1, DEAD) == []
    (row,) = _decide(story, NOON + ORPHAN_GRACE, DEAD)
    assert (row["outcome"], row["witness"], row["credential"]) == ("crashed", "envoy", "main")
    story.line(_line())
    assert _decide(story, NOON + 2 * OPEN_GRACE, DEAD) == []


def test_a_running_exchange_is_left_alone() -> None:
    """An open intent without a line, of a writer that lives, is an exchange under way, however long."""
    story = Story()
    _intent(story)

    assert _decide(story, NOON + 1000 * OPEN_GRACE) == []


def test_the_gate_stopped_with_a_credential_in_use_is_a_crash_and_not_a_refusal() -> None:
    """Envoy gave up on a stopped extproc after the provider was asked."""
    story = Story()
    _intent(story)
    story.line(_line(status=503, details="ext_proc_error"))

    (row,) = _decide(story, NOON, STOPPED)

    assert (row["outcome"], row["termination"], row["error_code"]) == ("crashed", "gate_died", "gate_unavailable")


@pytest.mark.parametrize("named", [ID, ""])
def test_a_row_after_the_second_witness_spoke_is_late(named: str) -> None:
    """One row an exchange: the later one is counted and dropped, also after a restart of ingest."""
    story = Story()
    story.line(_line(named, status=503, details="ext_proc_error"))
    assert len(_decide(story, NOON, STOPPED)) == 1
    story = Story.from_json(json.loads(json.dumps(story.to_json())))

    story.row(_row(), NOON)

    assert _decide(story, NOON + OPEN_GRACE) == []
    assert story.counts["late"] == 1


def test_a_row_twice_in_the_spool_is_one_row() -> None:
    """A writer that was not sure whether the disk had it writes it again."""
    story = Story()
    story.row(_row(), NOON)
    story.row(_row(), NOON)

    assert len(_decide(story, NOON)) == 1
    assert story.counts["duplicate"] == 1


def test_what_clickhouse_knows_is_not_written_again() -> None:
    """After a restart nothing is remembered of rows that were stored before; the database is."""
    story = Story()
    story.line(_line())
    story.line(_line("", at="1:300", envoy_id="9d2e9b7d-1f00-4d04-8a11-0199f3b27c1e"))

    assert _decide(story, NOON + GRACE, ALIVE, Known(frozenset({ID}), frozenset({"9d2e9b7d-1f00-4d04-8a11-0199f3b27c1e"}))) == []
    assert (story.waiting, story.counts["witnessed"]) == (0, 0)


def test_an_envoy_id_used_twice_is_two_exchanges() -> None:
    """An app that sets x-request-id itself hides nothing."""
    story = Story()
    for at in ("1:0", "1:300"):
        story.line(_line("", at=at, status=404, details="route_not_found"))

    first, second = _decide(story, NOON + GRACE)

    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("fields", "outcome", "termination"),
    [
        ({"flags": "DC", "details": "downstream_remote_disconnect", "status": 0}, "aborted", "client_gone"),
        ({"flags": "UC", "details": "upstream_reset_after_response_started{connection_termination}"}, "failed", "upstream_reset"),
        ({"status": 503, "details": "ext_proc_error"}, "crashed", "gate_died"),
        ({}, "served", "complete"),
    ],
)
@pytest.mark.parametrize("row_first", [True, False])
def test_who_went_away_is_told_by_the_line(fields: dict[str, Any], outcome: str, termination: str, row_first: bool) -> None:
    """A row with termination `gone` takes its end from Envoy, and stays extproc's row."""
    story = Story()
    _intent(story)
    steps = [lambda: story.row(_row(outcome="aborted", termination="gone", status=0), NOON), lambda: story.line(_line(**fields))]
    for step in steps if row_first else reversed(steps):
        step()

    (row,) = _decide(story, NOON)

    assert (row["outcome"], row["termination"], row.get("credential", "")) == (outcome, termination, "")
    assert row["envoy_details"] == fields.get("details", "via_upstream")


def test_a_gone_row_of_which_no_line_comes_crashed_with_envoy() -> None:
    """Envoy writes a line for each exchange, so it died; the row does not wait for ever, and survives a restart while it waits."""
    story = Story()
    story.row(_row(outcome="aborted", termination="gone"), NOON)
    assert _decide(story, NOON + GONE_GRACE - 1) == []

    story = Story.from_json(json.loads(json.dumps(story.to_json())))

    (row,) = _decide(story, NOON + GONE_GRACE)
    assert (row["outcome"], row["termination"], row["error_code"]) == ("crashed", "gate_died", "gate_unavailable")
    assert row["key_id"] == "k"


def test_lines_that_wait_survive_a_restart_and_are_counted_once() -> None:
    """The ledger holds them."""
    story = Story()
    story.line(_line("", status=503, details="ext_proc_error"))

    story = Story.from_json(json.loads(json.dumps(story.to_json())))

    assert story.counts["lines"] == 1
    assert len(_decide(story, NOON + GRACE)) == 1


def test_an_aggregated_row_is_remembered_over_a_restart_until_its_line_comes() -> None:
    """ClickHouse does not know a row that was only counted, so the ledger must."""
    story = Story()
    story.row(_row(key_id="", outcome="refused"), NOON)
    story = Story.from_json(json.loads(json.dumps(story.to_json([ID]))))

    story.line(_line(""))

    assert _decide(story, NOON + OPEN_GRACE) == []


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"time": "yesterday"}', b'{"time": "2026-11-24T06:00:00"}', b"\xff\n"])
def test_a_line_that_is_none_of_ours_is_refused(text: bytes) -> None:
    """Whatever stands in the log, reading it gives a line or ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the claim
        parse(text, "1:0")
