"""The state, on SQLite and on PostgreSQL: a change is whole or not at all, and what comes out is what went in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from state_parts import FULL, KEY, altered, event, filled, made, removed

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.estate import Changes, Estate
from controlplane.state import State
from controlplane.state.values import ANSWERS_KEPT, Authority, KeptAnswer, Plane, Stale, Unsettled


def test_a_fresh_state_is_the_empty_estate(state: State) -> None:
    """Nothing is governed, at revision 0, and nothing waits."""
    assert state.load() == Estate()
    assert (state.waiting(), state.waiting_events(9), state.planes(), state.answers(), state.authority()) == (0, [], {}, [], None)


def test_what_is_put_in_comes_out(state: State, kept: Settings) -> None:
    """Every field of every record, also after it was closed and opened."""
    estate = filled(state)
    assert state.load() == estate
    assert (estate.revision, estate.organisation, estate.of("key")["one"].record) == (1, "acme", KEY)
    state.close()
    again = State.open(kept)
    assert again.load() == estate
    again.close()


def test_a_change_is_made_as_the_estate_says(state: State) -> None:
    """Records made, altered and removed in one step; organisation and peppers stay where the step does not name them."""
    estate = filled(state)
    other = made("key", replace(KEY, id="K2", name="Zwei"))
    changes = Changes([other, altered(estate, "key", "one", revoked=77), removed(estate, "model", "b")])
    state.commit(estate, changes, [])
    assert state.load() == estate.after(changes)
    assert state.load().organisation == "acme"
    after = estate.after(changes)
    state.commit(after, Changes(peppers={2: "new"}), [])
    assert (state.load().peppers, state.load().revision, state.load().organisation) == ({2: "new"}, 3, "acme")


def test_only_what_changes_is_written(state: State) -> None:
    """One record of a thousand: two rows are touched, its own and the estate's."""
    estate = state.load()
    many = Changes([made("key", replace(KEY, id=f"K{number}", name=f"k{number}")) for number in range(1000)])
    state.commit(estate, many, [])
    estate = estate.after(many)
    touched: list[int] = []

    def count(_db: object, cursor: sa.engine.interfaces.DBAPICursor, statement: str, *_rest: object) -> None:
        touched.append(cursor.rowcount if statement.split(maxsplit=1)[0] in {"UPDATE", "INSERT", "DELETE"} else 0)

    sa.event.listen(state._database.writer, "after_cursor_execute", count)
    state.commit(estate, Changes([altered(estate, "key", "k500", disabled=False)]), [])
    assert sum(touched) == 2


def test_who_changes_what_is_no_longer_so_is_told(state: State, kept: Settings) -> None:
    """The second of two steps from one revision is Stale; nothing of it is there, its event and answer neither."""
    other = State.open(kept)
    empty = other.load()
    estate = filled(state)
    late = KeptAnswer("call", "digest", "sealed", 1)
    with pytest.raises(Stale, match="changed meanwhile"):
        other.commit(empty, Changes([made("key", replace(KEY, name="late"))], "other"), [event()], late)
    assert (other.load(), other.waiting(), other.answers()) == (estate, 0, [])
    with pytest.raises(Stale):
        state.commit(replace(estate, revision=9), Changes(), [])
    other.close()


def test_a_step_that_breaks_half_way_leaves_nothing(state: State) -> None:
    """The last row of a step can't be written: the revision, the records and the events before it are gone too."""
    estate = filled(state)
    twice = event()
    changes = Changes([altered(estate, "key", "one", disabled=False), made("key", replace(KEY, name="new"))], "other")
    with pytest.raises(Unusable, match="nothing was changed") as error:
        state.commit(estate, changes, [twice, twice])
    assert not isinstance(error.value, Stale | Unsettled)
    assert (state.load(), state.waiting()) == (estate, 0)


def test_a_record_that_is_not_as_the_estate_has_it_stops_the_step(state: State) -> None:
    """Someone wrote into the table at this very revision: the step is refused as a whole."""
    estate = filled(state)
    with state._database.writing() as db:
        db.exec_driver_sql("UPDATE records SET version = 40 WHERE kind = 'key'")
    with pytest.raises(Unusable, match="not as the estate has it"):
        state.commit(estate, Changes([removed(estate, "model", "b"), altered(estate, "key", "one", disabled=False)]), [])
    assert state.load().of("model").keys() == {"a", "b"}


@pytest.mark.parametrize("document", ["{}", "[", '{"name": 1}', "[1]", "null"])
def test_a_damaged_record_is_one_sentence(state: State, document: str) -> None:
    """A record of another shape is not half used."""
    filled(state)
    with state._database.writing() as db:
        db.execute(sa.text("UPDATE records SET document = :it WHERE kind = 'key'"), {"it": document})
    with pytest.raises(Unusable, match="restore it from your backup"):
        state.load()


def test_events_wait_in_the_order_of_commits(state: State) -> None:
    """As they were given, whatever their ids and times; what was delivered waits no more, and the rest keeps its order."""
    estate, sent = state.load(), []
    for _ in range(3):
        told = [event(), replace(event(), time=1)]
        sent += told
        state.commit(estate, Changes(), told)
        estate = estate.after(Changes())
    assert state.waiting_events(100) == sent
    assert (state.waiting_events(2), state.waiting()) == (sent[:2], 6)
    state.delivered([sent[0].id, sent[3].id, "unknown"])
    state.delivered([])
    assert state.waiting_events(100) == [sent[1], sent[2], sent[4], sent[5]]


def test_events_show_records_and_no_secrets(state: State) -> None:
    """Before and after come out as they went in; what is sealed or hashed is in no row."""
    estate = state.load()
    state.commit(estate, FULL, [event(change) for change in FULL.records])
    told = {found.name: found for found in state.waiting_events(100)}
    assert told["one"].after is not None
    assert (told["one"].after["models"], told["one"].after["secrets_until"]) == (["a", "b*"], [None, 1_900_000_000])
    assert told["one"].before is None
    with state._database.reading() as db:
        written = " ".join(db.execute(sa.text("SELECT document FROM events")).scalars())
    assert "c2VhbGVk" not in written
    assert "0" * 64 not in written
    assert "1" * 64 not in written


def test_an_answer_is_kept_for_a_day(state: State) -> None:
    """With the change or not at all, as it was sealed; then its key is free again, and a later step sweeps it away."""
    estate = state.load()
    answer = KeptAnswer("call", "digest", "sealed", 1000)
    state.commit(estate, Changes(), [], answer)
    assert state.answered("other") is None
    for now, found in ((1000, answer), (1000 + ANSWERS_KEPT - 1, answer), (1000 + ANSWERS_KEPT, None)):
        state._clock = lambda now=now: float(now)
        assert state.answered("call") == found
    again = replace(answer, digest="another", time=1000 + ANSWERS_KEPT)
    state.commit(estate.after(Changes()), Changes(), [], again)
    assert state.answers() == [again]


def test_what_is_kept_beside_the_estate_is_sealed_anew(state: State) -> None:
    """Answers, planes and what signs for them, by their old seals; one that was sealed anew or is gone meanwhile stays so."""
    estate = state.load()
    answer, plane, authority = KeptAnswer("call", "digest", "a1", 1000), Plane("edge", sealed="p1"), Authority("PEM", "s1")
    state.commit(estate, Changes(), [], answer)
    state.put_plane(plane, [])
    state.put_plane(replace(plane, name="other", sealed="p2"), [])
    state.keep_authority(authority)
    state.reseal({"a1": "A", "p1": "P", "s1": "S", "gone": "G"})
    assert state.answers() == [replace(answer, sealed="A")]
    assert (state.planes()["edge"], state.planes()["other"].sealed) == (replace(plane, sealed="P"), "p2")
    assert state.authority() == replace(authority, sealed="S")
    state.reseal({"a1": "late", "p1": "late", "s1": "late"})
    assert (state.answers()[0].sealed, state.planes()["edge"].sealed, state.authority()) == ("A", "P", replace(authority, sealed="S"))
