"""The one way of every change, on a real state: others change it too, callers leave, providers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import ProviderRecord, TeamRecord
from controlplane.actor import Actor, admin
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.governance import Governance, difference
from controlplane.state import State
from extproc.edge.private_files import private_folder
from tests.contract.planes_parts import plane, soon

ADMIN: Actor = admin("")
Making = Callable[..., Governance]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Making]:
    """Starts governances of one folder, each with a state of its own as another process would have."""
    settings = Settings(data=private_folder(tmp_path / "d"))
    private_folder(settings.run)
    states: list[State] = []

    def make() -> Governance:
        states.append(State.open(settings))
        return Governance.start(settings, states[-1])

    yield make
    for state in states:
        state.close()


def put(kind: str, record: TeamRecord | ProviderRecord) -> Callable[[Estate], Changes]:
    """An edit that makes or changes a record."""

    def edit(estate: Estate) -> Changes:
        old = estate.of(kind).get(record.name)
        return Changes([Change(kind, record.name, old, Kept(record, old.version + 1 if old else 1))])

    return edit


def removed(kind: str, name: str) -> Callable[[Estate], Changes]:
    """An edit that removes a record."""
    return lambda estate: Changes([Change(kind, name, estate.of(kind)[name], None)])


async def test_a_change_on_a_state_that_moved_on_is_decided_anew(started: Making) -> None:
    """Two processes, one state: neither overwrites the other, and planes of the second are told what the first did too."""
    one, two = started(), started()
    listening = await two.publisher.listen(two.settings.run / "snapshot.sock")
    async with plane(two.settings.data) as part:
        await soon(lambda: part.taken)
        await one.change(ADMIN, "team.put", put("team", TeamRecord("first")))
        done = await two.change(ADMIN, "team.put", put("team", TeamRecord("second")))
        assert [report.problem for report in done.planes] == [""]
        assert set(part.taken[-1].teams) == set(two.estate.of("team")) == {"first", "second"}
        assert [change.name for change in done.made.changes.records] == ["second"]
    await listening.close()


async def test_what_was_begun_is_finished_though_the_caller_left(started: Making) -> None:
    """A call that is cancelled in the middle is made all the same, and the next one comes after it."""
    governance = started()
    call = asyncio.ensure_future(governance.change(ADMIN, "team.put", put("team", TeamRecord("left"))))
    await asyncio.sleep(0)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    await governance.change(ADMIN, "team.put", put("team", TeamRecord("next")))
    assert set(governance.estate.of("team")) == {"left", "next"}
    assert governance.estate == governance.state.load()


async def test_changes_at_once_are_made_one_after_the_other(started: Making) -> None:
    """Each sees what the one before it made: none is lost, and the revision grows by one for each."""
    governance = started()
    before = governance.estate.revision

    def longer(estate: Estate) -> Changes:
        kept = estate.of("team").get("t")
        projects = kept.record.projects if kept and isinstance(kept.record, TeamRecord) else ()
        return put("team", TeamRecord("t", (*projects, f"p{len(projects)}")))(estate)

    await asyncio.gather(*(governance.change(ADMIN, "team.put", longer) for _ in range(8)))
    kept = governance.estate.of("team")["t"]
    assert isinstance(kept.record, TeamRecord)
    assert kept.record.projects == tuple(f"p{number}" for number in range(8))
    assert governance.estate.revision == before + 8


async def test_an_edit_that_raises_changes_nothing(started: Making) -> None:
    """Its error is the caller's, and the next change goes on from what was."""
    governance = started()

    def broken(_estate: Estate) -> Changes:
        raise Unusable("no")

    before = governance.estate
    with pytest.raises(Unusable, match="no"):
        await governance.change(ADMIN, "team.put", broken)
    assert governance.estate is before
    await governance.change(ADMIN, "team.put", put("team", TeamRecord("t")))


async def test_a_record_that_a_file_takes_over_is_kept_so_and_no_event(started: Making) -> None:
    """Nothing that anybody sees of it changes; a change of the record itself on the way is an event all the same."""
    governance = started()
    await governance.change(ADMIN, "team.put", put("team", TeamRecord("t")))
    before = len(governance.state.waiting_events(100))

    def taken(*projects: str) -> Callable[[Estate], Changes]:
        def edit(estate: Estate) -> Changes:
            old = estate.of("team")["t"]
            return Changes([Change("team", "t", old, replace(old, record=TeamRecord("t", projects), origin="file"))])

        return edit

    await governance.change(ADMIN, "apply", taken())
    assert governance.state.load().of("team")["t"].origin == "file"
    assert len(governance.state.waiting_events(100)) == before
    await governance.change(ADMIN, "apply", taken("p"))
    assert [event.verb for event in governance.state.waiting_events(100)[before:]] == ["team.put"]


async def test_envoys_files_follow_providers_and_nothing_else(started: Making) -> None:
    """A provider that comes is in them, one that goes is not; a team changes no byte of them, and neither does a restart."""
    governance = started()
    folder = governance.settings.run / "envoy"

    def clusters() -> list[str]:
        return [cluster["name"] for cluster in yaml.safe_load((folder / "cds.yaml").read_text())["resources"]]

    none = clusters()
    await governance.change(ADMIN, "provider.put", put("provider", ProviderRecord("p", "openai", "https://api.openai.com/v1")))
    assert len(clusters()) > len(none)
    files = {file: file.read_bytes() for file in folder.iterdir()}
    await governance.change(ADMIN, "team.put", put("team", TeamRecord("t")))
    started()
    assert {file: file.read_bytes() for file in folder.iterdir()} == files
    await governance.change(ADMIN, "provider.remove", removed("provider", "p"))
    assert clusters() == none


async def test_a_provider_that_envoy_could_not_be_told_is_refused_before_it_is_kept(started: Making) -> None:
    """The files are rendered before the commit: what can't be written down is no change."""
    governance = started()
    with pytest.raises(Unusable):
        await governance.change(ADMIN, "provider.put", put("provider", ProviderRecord("p", "no-dialect", "nonsense")))
    assert governance.state.load() == governance.estate
    assert "p" not in governance.estate.of("provider")


def test_the_difference_of_two_estates_leads_from_one_to_the_other() -> None:
    """Made, changed and removed records, the organisation and the peppers."""
    old = Estate(1, "a", {1: "x"}).after(put("team", TeamRecord("gone"))(Estate())).after(put("team", TeamRecord("stays"))(Estate()))
    new = old.after(removed("team", "gone")(old)).after(Changes([Change("team", "new", None, Kept(TeamRecord("new")))], "b", {2: "y"}))
    changes = difference(old, new)
    assert sorted((change.sign, change.name) for change in changes.records) == [("+", "new"), ("-", "gone")]
    there = old.after(changes)
    assert (there.records, there.organisation, there.peppers) == (new.records, new.organisation, new.peppers)
    assert not difference(new, new)
