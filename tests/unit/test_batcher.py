"""When a batch is due."""

from __future__ import annotations

from ingest.batcher import Batcher


def test_nothing_is_due_without_rows() -> None:
    """An empty batch is never stored."""
    assert not Batcher().due(10**18)


def test_a_batch_is_due_by_the_age_of_its_first_row() -> None:
    """A second row does not make the first one wait longer."""
    batcher = Batcher(most_age=200)
    batcher.add({"id": "a"}, 1, 1_000)
    batcher.add({"id": "b"}, 1, 1_150)

    assert not batcher.due(1_199)
    assert batcher.due(1_200)


def test_a_batch_is_due_by_count() -> None:
    """Once it is full it is due at once."""
    batcher = Batcher(most_rows=2)
    batcher.add({"id": "a"}, 1, 0)
    assert not batcher.full
    batcher.add({"id": "b"}, 1, 0)

    assert batcher.full
    assert batcher.due(0)


def test_a_batch_is_due_by_bytes() -> None:
    """Long rows make short batches."""
    batcher = Batcher(most_bytes=10)
    batcher.add({"id": "a"}, 10, 0)

    assert batcher.due(0)


def test_taking_empties_it_and_keeps_the_order() -> None:
    """What is taken comes once."""
    batcher = Batcher(most_bytes=2)
    batcher.add({"id": "a"}, 1, 0)
    batcher.add({"id": "b"}, 1, 0)

    assert [row["id"] for row in batcher.take()] == ["a", "b"]
    assert not batcher.full
    assert batcher.take() == []


def test_small_batches_keep_a_pace() -> None:
    """Under load rows wait for each other: an insert costs much, a row in it little. A full batch waits for nothing."""
    batcher = Batcher(most_rows=3, most_age=10, pace=1_000)
    batcher.add({"id": "a"}, 1, 0)
    assert batcher.due(10)
    batcher.take(10)

    batcher.add({"id": "b"}, 1, 20)
    assert not batcher.due(1_009)
    assert batcher.due(1_010)
    assert batcher.due(5)  # the clock was set back
    batcher.add({"id": "c"}, 1, 30)
    batcher.add({"id": "d"}, 1, 30)

    assert batcher.due(30)


def test_taking_nothing_makes_no_row_wait() -> None:
    """A step that only moved cursors on is no batch."""
    batcher = Batcher(most_age=0, pace=1_000)
    assert batcher.take(500) == []
    batcher.add({"id": "a"}, 1, 600)

    assert batcher.due(600)
