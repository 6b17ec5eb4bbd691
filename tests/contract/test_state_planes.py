"""Planes in the state: a token works once, and what signs for planes is made once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from state_parts import event

from controlplane.estate import Changes
from controlplane.state import State
from controlplane.state.values import Authority, Plane, Taken

PLANE = Plane("edge", ("search/ranking", "search/suggest"), "hash", token_until=100, created=1, creator="admin")


def test_a_plane_is_kept_and_removed(state: State) -> None:
    """Each step with its event; a second one of its name is refused where a fresh one is meant, and replaces it where not."""
    told = [event() for _ in range(5)]
    state.put_plane(PLANE, told[:1], fresh=True)
    with pytest.raises(Taken, match="edge"):
        state.put_plane(replace(PLANE, token_hash="other"), told[1:2], fresh=True)
    assert (state.plane("edge"), state.planes(), state.plane("other")) == (PLANE, {"edge": PLANE}, None)
    state.put_plane(replace(PLANE, projects=()), told[2:3])
    assert state.planes() == {"edge": replace(PLANE, projects=())}
    assert (state.remove_plane("edge", told[3:4]), state.remove_plane("edge", told[4:])) == (True, False)
    assert (state.planes(), state.waiting_events(9)) == ({}, [told[0], told[2], told[3]])


def test_a_token_works_once_and_in_time(state: State) -> None:
    """Another token, another plane, a late one, none, a second use: None, and no event."""
    state.put_plane(PLANE, [])
    state.put_plane(replace(PLANE, name="used", token_hash=""), [])
    told = event()
    for name, token, now in (("edge", "guess", 1), ("other", "hash", 1), ("edge", "hash", 100), ("used", "", 1)):
        assert state.enrol(name, token, now, "serial", "sealed", [told]) is None
    enrolled = state.enrol("edge", "hash", 99, "serial", "sealed", [told])
    assert enrolled == state.plane("edge") == replace(PLANE, token_hash="", enrolled=99, serial="serial", sealed="sealed")
    assert state.enrol("edge", "hash", 99, "second", "sealed", [event()]) is None
    assert state.waiting_events(9) == [told]


def test_of_many_who_use_one_token_at_once_one_is_enrolled(state: State) -> None:
    """Exactly one, and its serial is the one that is kept."""
    state.put_plane(PLANE, [])
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: state.enrol("edge", "hash", 1, str(number), "sealed", [event()]), range(8)))
    enrolled = [plane for plane in found if plane]
    assert (enrolled, state.waiting()) == ([state.plane("edge")], 1)


def test_what_signs_for_planes_is_made_once(state: State) -> None:
    """Of several who make one the first is kept, and all are given that one."""
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda number: state.keep_authority(Authority(f"certificate {number}", f"{number}")), range(8)))
    assert found == {state.authority()}


def test_planes_leave_the_estate_alone(state: State) -> None:
    """A step about a plane makes no step of the estate stale."""
    estate = state.load()
    state.put_plane(PLANE, [event()])
    state.commit(estate, Changes(), [])
    assert state.load().revision == 1
