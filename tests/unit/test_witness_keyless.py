"""Refusals without a key: ten rows a minute and source, then a count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.keyless import MINUTE, MOST_WINDOWS, ROWS_A_MINUTE, SETTLE, Keyless, is_keyless, prefix

NOON = 29_925_000 * MINUTE


def _row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "time": NOON + number,
        "error_code": "invalid_api_key",
        "client_address": "10.2.0.7",
        "outcome": "refused",
        **fields,
    }


def test_ten_are_written_and_the_rest_is_one_row_with_the_count() -> None:
    """The sum of counts is the number of exchanges."""
    keyless = Keyless()

    written = [row for row in map(_row, range(25)) if keyless.admit(row)]

    assert len(written) == ROWS_A_MINUTE
    assert keyless.held == 15
    assert keyless.due(NOON + MINUTE + SETTLE - 1) == []
    (counted,) = keyless.due(NOON + MINUTE + SETTLE)
    assert (counted["count"], counted["client_address"], counted["error_code"], counted["id"]) == (
        15,
        "10.2.0.0/24",
        "invalid_api_key",
        "10",
    )
    assert keyless.due(NOON + 9 * MINUTE) == []


def test_a_minute_with_ten_needs_no_count() -> None:
    """Nothing held back, nothing more to say."""
    keyless = Keyless()
    for number in range(ROWS_A_MINUTE):
        assert keyless.admit(_row(number))

    assert keyless.due(NOON + 9 * MINUTE) == []


@pytest.mark.parametrize(
    "other", [{"client_address": "10.2.1.7"}, {"error_code": "unknown_route"}, {"time": NOON + MINUTE}, {"client_address": "2001:db8::1"}]
)
def test_another_source_reason_or_minute_has_ten_of_its_own(other: dict[str, Any]) -> None:
    """One noisy source does not hide another."""
    keyless = Keyless()
    for number in range(20):
        keyless.admit(_row(number))

    assert keyless.admit(_row(99, **other))


def test_what_is_held_survives_a_restart() -> None:
    """The ledger holds the counts, as JSON."""
    keyless = Keyless()
    for number in range(25):
        keyless.admit(_row(number))

    keyless = Keyless.from_json(json.loads(json.dumps(keyless.to_json())))

    assert not keyless.admit(_row(26))
    assert [row["count"] for row in keyless.due(NOON + 2 * MINUTE)] == [16]


def test_memory_is_bounded_and_the_sum_stays_right() -> None:
    """More sources than windows share one; none is lost."""
    keyless = Keyless()
    total = MOST_WINDOWS + 500
    written = sum(keyless.admit(_row(number, client_address=f"2001:db8:{number:x}::1")) for number in range(total))

    assert len(keyless.to_json()) <= MOST_WINDOWS + 1
    assert written + sum(row["count"] for row in keyless.due(NOON + 2 * MINUTE)) == total


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.2.0.7", "10.2.0.0/24"),
        ("::ffff:10.2.0.7", "10.2.0.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", ""),
    ],
)
def test_prefix(address: str, expected: str) -> None:
    """/24 and /64; what is no address shares one prefix."""
    assert prefix(address) == expected


def test_only_what_anyone_can_bring_about_is_keyless() -> None:
    """Refused, or broken off by the app, without a known key. A known key's rows are all written, and so is all else."""
    assert is_keyless({"outcome": "refused", "key_id": ""})
    assert is_keyless({"outcome": "refused"})
    assert is_keyless({"outcome": "aborted"})
    assert not is_keyless({"outcome": "refused", "key_id": "4rT9"})
    assert not is_keyless({"outcome": "aborted", "key_id": "4rT9"})
    assert not is_keyless({"outcome": "failed", "key_id": ""})


def test_a_flood_of_resets_is_ten_rows_and_a_count() -> None:
    """They have no code; the row that counts them says how they ended."""
    keyless = Keyless()
    aborted = {"outcome": "aborted", "termination": "client_gone", "error_code": ""}

    written = [row for row in (_row(number, **aborted) for number in range(300)) if keyless.admit(row)]
    (counted,) = keyless.due(NOON + 2 * MINUTE)

    assert len(written) == ROWS_A_MINUTE
    assert (counted["outcome"], counted["termination"], counted["count"]) == ("aborted", "client_gone", 290)
