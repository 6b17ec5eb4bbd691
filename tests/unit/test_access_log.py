"""The tail of a log that is appended to, cut off, renamed and begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import access_log
from ingest.access_log import AccessLog, LogCursor


def _read(log: AccessLog) -> list[bytes]:
    """All lines there are."""
    lines, at_end = log.read()
    while not at_end:
        more, at_end = log.read()
        lines += more
    return [line for line, _ in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is, once it is."""
    return tmp_path / "access.jsonl"


def test_lines_come_whole_and_once(path: Path) -> None:
    """What Envoy has written half of is read when it is whole; a later life goes on from the cursor."""
    log = AccessLog(path, LogCursor())
    assert _read(log) == []
    path.write_bytes(b"1\n2\n3")
    assert _read(log) == [b"1\n", b"2\n"]
    log.close()
    with path.open("ab") as file:
        file.write(b"3\n")

    later = AccessLog(path, log.cursor)

    assert _read(later) == [b"33\n"]
    later.close()


def test_a_full_chunk_is_not_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who has read everything may say that nothing came."""
    monkeypatch.setattr(access_log, "CHUNK", 5)
    path.write_bytes(b"1\n2\n3\n")
    log = AccessLog(path, LogCursor())

    assert [log.read()[1], log.read()[1]] == [False, True]
    log.close()


def test_a_renamed_log_is_read_until_the_new_one_has_lines(path: Path) -> None:
    """Envoy goes on writing to the old file until it opens the new one."""
    path.write_bytes(b"1\n")
    log = AccessLog(path, LogCursor())
    assert _read(log) == [b"1\n"]
    old = path.rename(path.with_name("access.jsonl.1"))
    path.touch()
    with old.open("ab") as file:
        file.write(b"2\n")
    assert _read(log) == [b"2\n"]
    with old.open("ab") as file:
        file.write(b"3\n4")
    path.write_bytes(b"5\n")

    assert _read(log) == [b"3\n", b"5\n"]
    log.close()


def test_a_log_renamed_between_two_lives_is_read_to_its_end(path: Path) -> None:
    """It is found by its inode."""
    path.write_bytes(b"1\n")
    log = AccessLog(path, LogCursor())
    assert _read(log) == [b"1\n"]
    log.close()
    with path.open("ab") as file:
        file.write(b"2\n")
    path.rename(path.with_name("access.jsonl.1"))
    path.write_bytes(b"3\n")

    later = AccessLog(path, log.cursor)

    assert _read(later) == [b"2\n", b"3\n"]
    later.close()


def test_a_log_that_was_cut_off_is_read_from_its_start(path: Path) -> None:
    """As copy-and-truncate leaves it."""
    path.write_bytes(b"1\n2\n")
    log = AccessLog(path, LogCursor())
    _read(log)
    path.write_bytes(b"3\n")

    assert _read(log) == [b"3\n"]
    log.close()
