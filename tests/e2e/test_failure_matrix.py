"""Nothing passes when a part fails: the cells of matrix_cells.py, each through real Envoy, and docs/failure-matrix.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from matrix_cells import CELLS, GROUPS, Cell
from matrix_run import Observed, observe
from matrix_table import PAGE, page

Seen = Callable[[str], Observed]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What was seen of a group; it is run once for all of its tests, also where that fails."""
    ran: dict[str, Observed | Exception] = {}

    def once(group: str) -> Observed:
        if group not in ran:
            try:
                ran[group] = observe(group)
            except (AssertionError, OSError) as failure:
                ran[group] = failure
        found = ran[group]
        if isinstance(found, Exception):
            raise found
        return found

    return once


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(seen: Seen, cell: Cell) -> None:
    """The app, the provider and the one row are as the table says."""
    assert seen(cell.group).cells[cell.name] == cell.expected


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_ungoverned_reached_the_provider(seen: Seen, group: str) -> None:
    """Whatever reached the mock has the provider's credential, no virtual key anywhere, and a row that stems from an intent."""
    observed = seen(group)
    assert observed.leaks == []
    assert observed.unrecorded == []


@pytest.mark.parametrize("group", GROUPS)
def test_all_counts_agree(seen: Seen, group: str) -> None:
    """Requests sent = Envoy's counter = exchanges stored since Envoy began; nothing is open, waiting, dead or doubled."""
    observed = seen(group)
    stats = observed.stats
    assert observed.envoy == stats["envoy"] == stats["stored_since"] == stats["stored"] == observed.sent
    assert [stats[name] for name in ("envoy_active", "open", "spooled", "unread_bytes", "dead", "duplicate", "corrupt")] == [0] * 7
    assert observed.still_active == 0


@pytest.mark.parametrize("group", GROUPS)
def test_it_serves_again(seen: Seen, group: str) -> None:
    """After all that, the next request is answered."""
    assert seen(group).serves_again == "200"


def test_every_failure_is_tried_both_ways() -> None:
    """Names are unique, and each failure is there for unary and streamed requests, save those that only a stream can have."""
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    tried = {(cell.part, cell.failure, cell.when, cell.mode) for cell in CELLS}
    one_way = {(part, failure, when) for part, failure, when, mode in tried if (part, failure, when, _other(mode)) not in tried}
    assert {when for _, _, when in one_way} <= {"later in the answer's body"}


def _other(mode: str) -> str:
    return "unary" if mode == "stream" else "stream"


def test_the_page_is_the_table() -> None:
    """docs/failure-matrix.md is what `python tests/e2e/matrix_table.py` writes."""
    assert PAGE.read_text("utf-8") == page([(cell, cell.expected) for cell in CELLS])
