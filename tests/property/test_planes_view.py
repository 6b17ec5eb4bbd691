"""Planes: any changes, pushed one by one or together, leave a plane with what one whole push would give it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.errors import GateUnavailable
from contracts.settings import Limits
from contracts.snapshot import (
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    LiveSecret,
    ModelRecord,
    ProfileRecord,
    ProviderRecord,
    Record,
    Snapshot,
    TeamRecord,
    document,
)
from contracts.usage import Price, Tier
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.planes.view import CHANGES, NOBODYS, View
from extproc.core.credentials import open_to
from extproc.core.world import Circle, World
from extproc.edge.snapshot_build import Assembly, frames_of
from extproc.edge.snapshot_wire import Item, batches, begin, end, packed, piece, unpacked

MINE = frozenset({"search/ranking"})
NAMES = st.sampled_from(["a", "b", "a-c", "ß\t\n"])
PROJECTS = st.sampled_from(["ranking", "suggest"])

KEYS = st.builds(
    KeyRecord,
    id=st.sampled_from(["id1", "id2", "id3"]),
    name=NAMES,
    secrets=st.just((LiveSecret("00" * 32, 1, None),)),
    team=st.sampled_from(["search", "search", "search", "shop"]),
    project=st.sampled_from(["ranking", "ranking", "ranking", "suggest"]),
    environment=NAMES,
    models=st.lists(st.sampled_from(["a", "a*", "*", "*c", "a*c*"]), max_size=2).map(tuple),
    providers=st.just(()) | st.lists(NAMES, max_size=1).map(tuple),
    profile=st.sampled_from(["default", "a", "b"]),
    disabled=st.sampled_from([False, False, False, True]),
    revoked=st.sampled_from([None, None, None, 5]),
    labels=st.dictionaries(NAMES, st.text(max_size=3), max_size=1),
)
RECORDS: dict[str, st.SearchStrategy[Record]] = {
    "provider": st.builds(ProviderRecord, name=NAMES, dialect=st.just("openai"), url=st.text(max_size=3)),
    "credential": st.builds(
        CredentialRecord, NAMES, NAMES, st.text(max_size=3), st.integers(1, 3), st.sampled_from(["", "search/ranking", "shop/ranking"])
    ),
    "model": st.builds(ModelRecord, name=NAMES, provider=NAMES, credential=st.just("") | NAMES, upstream=NAMES),
    "environment": st.builds(EnvironmentRecord, name=NAMES, unpriced=st.booleans()),
    "team": st.builds(
        TeamRecord,
        st.sampled_from(["search", "shop"]),
        st.lists(PROJECTS, unique=True).map(tuple),
        st.booleans(),
        st.lists(PROJECTS).map(tuple),
    ),
    "profile": st.builds(ProfileRecord, st.sampled_from(["default", "a", "b"]), st.just({"*": "redact"}), st.just({"*": "alert"}), NAMES),
    "key": KEYS,
}
STEP = st.tuples(
    st.lists(
        st.one_of(*(st.tuples(st.just(kind), record, st.booleans()) for kind, record in RECORDS.items())),
        max_size=4,
        unique_by=lambda each: (each[0], each[1].name),
    ),
    st.none() | st.text(max_size=3),
    st.none() | st.dictionaries(st.integers(1, 3), st.text(min_size=1, max_size=3), max_size=2),
)


def changed(estate: Estate, step: Any) -> Changes:
    """The step as changes of this estate. No two keys have one id, as in life."""
    wanted, organisation, peppers = step
    records = []
    for kind, record, stays in wanted:
        there = estate.of(kind)
        if kind == "key" and any(kept.record.id == record.id for name, kept in there.items() if name != record.name):
            continue
        if kind == "key" and any(change.kind == "key" and change.new and change.new.record.id == record.id for change in records):
            continue
        old = there.get(record.name)
        if old or stays:
            records.append(Change(kind, record.name, old, Kept(record) if stays else None))
    return Changes(records, organisation, peppers)


def frames(view: View, touched: list[Any] | None, base: str) -> Iterable[bytes]:
    """A push as control sends it."""
    shown = view.shown
    items: Iterable[Item] = shown.items() if touched is None else (shown.item(touch) for touch in touched)
    yield begin(shown.revision, view.epoch, base)
    yield from (piece(batch) for batch in batches(items))
    yield end(shown.revision)


def taken(assembly: Assembly, pushed: Iterable[bytes]) -> Snapshot:
    """What a plane makes of it."""
    for frame in pushed:
        push = assembly.feed(frame)
    assert push is not None
    assert not push.trouble
    assembly.accept(push)
    return push.snapshot


def plain(snapshot: Snapshot) -> Mapping[str, Any]:
    """All of a snapshot, to compare."""
    return {name: value if isinstance(value, str) else dict(value) for name in Snapshot.__slots__ for value in [getattr(snapshot, name)]}


def after(steps: list[Any]) -> Estate:
    """The estate after these steps."""
    estate = Estate()
    for step in steps:
        estate = estate.after(changed(estate, step))
    return estate


def shown_key(public_id: str, name: str, *models: str) -> tuple[str, Record, bool]:
    """A key of the plane's project, made or changed."""
    return "key", KeyRecord(public_id, name, (), "search", "ranking", "a", models), True


MODEL = ("model", ModelRecord("a", "a", "", "a"), True)


@pytest.mark.parametrize("projects", [None, MINE], ids=["all", "some"])
@settings(max_examples=200)
@given(steps=st.lists(STEP, max_size=8), told_after=st.lists(st.booleans(), min_size=8, max_size=8))
@example(steps=[([shown_key("id1", "a")], None, None), ([shown_key("id2", "a")], None, None)], told_after=[True] * 8)
@example(
    steps=[([MODEL], None, None), ([shown_key("id1", "a", "*")], None, None), ([shown_key("id1", "a")], None, None)], told_after=[True] * 8
)
@example(steps=[([], None, {1: "x"}), ([], None, {2: "y"})], told_after=[True] * 8)
def test_changes_pushed_give_what_a_whole_push_gives(projects: frozenset[str] | None, steps: list[Any], told_after: list[bool]) -> None:
    """Whichever steps a plane is told of at once: it has the snapshot of a plane that comes new, and so has its copy."""
    estate = Estate()
    view = View(estate, projects)
    plane = Assembly()
    taken(plane, frames(view, None, ""))
    for step, told in zip([*steps, ([], None, None)], [*told_after[: len(steps)], True], strict=True):
        changes = changed(estate, step)
        estate = estate.after(changes)
        view.after(estate, changes)
        if told:
            base = plane.snapshot.revision
            taken(plane, frames(view, view.since(plane.epoch, base), base))
            fresh = taken(Assembly(), frames(View(estate, projects), None, ""))
            assert plain(plane.snapshot) == plain(fresh)
    assert plain(taken(Assembly(), frames_of(plane.snapshot, plane.epoch))) == plain(fresh)


@given(steps=st.lists(STEP, max_size=6))
def test_a_plane_of_some_projects_gets_only_what_their_keys_reach(steps: list[Any]) -> None:
    """No key, team or credential of another project; no key that can't be used."""
    estate = after(steps)
    shown = taken(Assembly(), frames(View(estate, MINE), None, ""))
    assert {f"{key.team}/{key.project}" for key in shown.keys.values()} <= MINE
    assert not [key for key in shown.keys.values() if key.disabled or key.revoked]
    assert {(team.name, project) for team in shown.teams.values() for project in team.projects} <= {("search", "ranking")}
    assert {credential.project for credential in shown.credentials.values()} <= {"", NOBODYS, *MINE}
    reached = {model.provider for model in shown.models.values()}
    told = {json.dumps(document(credential)) for credential in shown.credentials.values() if credential.project == NOBODYS}
    assert told <= {json.dumps(document(CredentialRecord(f"-/{name}", name, "", 0, NOBODYS))) for name in reached}
    assert set(shown.providers) <= reached
    assert {credential.provider for credential in shown.credentials.values() if not shown.models} == set()


OTHERS = ("credential", CredentialRecord("b", "a", "x", 1, "shop/ranking"), True)


@given(steps=st.lists(STEP, max_size=6))
@example(steps=[([MODEL, OTHERS, shown_key("id1", "a", "*")], None, None)])
def test_a_plane_of_some_projects_chooses_the_same_credentials_as_one_of_all(steps: list[Any]) -> None:
    """Also none at all: a provider whose credentials are all other projects' is not asked without one."""
    estate = after(steps)
    some, whole = (taken(Assembly(), frames(View(estate, projects), None, "")) for projects in (MINE, None))
    for key in some.keys.values():
        for name in some.models:
            assert circle(some, key, name) == circle(whole, key, name)


def circle(snapshot: Snapshot, key: KeyRecord, model: str) -> Circle | None:
    """The credentials that an exchange may be made with; None where it is refused."""
    try:
        return open_to(World(snapshot, Limits(), "one", "1", {}), snapshot.models[model], key)
    except GateUnavailable:
        return None


def test_a_plane_that_was_away_too_long_is_sent_everything() -> None:
    """Beyond the steps that are remembered, and of another epoch, nothing is known of what changed."""
    estate = Estate()
    view = View(estate, None)
    for _ in range(CHANGES + 1):
        changes = Changes(organisation="a")
        estate = estate.after(changes)
        view.after(estate, changes)
    assert view.since(view.epoch, "0") is None
    assert view.since(view.epoch, "1") == [("organisation", "", "")]
    assert view.since(view.epoch, view.shown.revision) == []
    assert view.since("another", view.shown.revision) is None


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("model", ModelRecord("m", "p", "", "u", (Price(1, 2, "v", above=(Tier(3, None, above=4),), daily=(5, 6), cache_read=0),))),
        ("key", KeyRecord("i", "k", (LiveSecret("h", 2, 9), LiveSecret("g")), "t", "p", "e", ("*",), max_tokens=1, labels={"a": "b"})),
        ("profile", ProfileRecord("p", {"*": "redact"}, {"EMAIL_ADDRESS": "alert"}, "block")),
    ],
)
def test_a_record_comes_as_it_went(kind: str, record: Record) -> None:
    """Whatever is nested in it."""
    assert unpacked(kind, packed(record)) == record
