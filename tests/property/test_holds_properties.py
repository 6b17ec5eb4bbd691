"""What a key may grant: whatever it would let through beyond what its creator holds is found."""

from __future__ import annotations

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.snapshot import KeyRecord
from controlplane.estate.declared_values import ROUTES, matches
from controlplane.estate.holds import EVERYTHING, Holds, covers, exceeds

MODELS = (
    [""] + ["".join(letters) for size in (1, 2, 3, 4) for letters in product("ab-", repeat=size)] + ["gpt-4o", "gpt-3", "gpt-4", "xgpt-4o"]
)
PATTERNS = st.sampled_from(["gpt-*", "gpt-4*", "*4o", "gpt-4o", "*"]) | st.builds(
    lambda text, at, star: f"{text[:at]}*{text[at:]}" if star else text or "a", st.text("ab-", max_size=3), st.integers(0, 3), st.booleans()
)
TEAMS, ENVIRONMENTS, PROVIDERS = ("s", "t"), ("dev", "prod"), ("p", "q", "r")
KEYS = st.builds(
    KeyRecord,
    id=st.just("i"),
    name=st.just("k"),
    secrets=st.just(()),
    team=st.sampled_from(TEAMS),
    project=st.sampled_from(("x", "y")),
    environment=st.sampled_from(ENVIRONMENTS),
    models=st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    routes=st.lists(st.sampled_from(ROUTES), max_size=3).map(tuple),
    providers=st.lists(st.sampled_from(PROVIDERS), max_size=2).map(tuple),
)
HOLDS = st.builds(
    Holds,
    teams=st.frozensets(st.sampled_from(TEAMS), max_size=1),
    projects=st.frozensets(st.sampled_from(("s/x", "s/y", "t/x"))),
    environments=st.frozensets(st.sampled_from(ENVIRONMENTS)),
    models=st.frozensets(PATTERNS, max_size=4),
    routes=st.none() | st.frozensets(st.sampled_from(ROUTES)),
    providers=st.none() | st.frozensets(st.sampled_from(PROVIDERS)),
)


def granted(key: KeyRecord, holds: Holds) -> bool:
    """Whether all that the key lets through is held: asked request by request, without looking at patterns."""
    reached = [model for model in MODELS if any(matches(pattern, model) for pattern in key.models)]
    return (
        (key.team in holds.teams or f"{key.team}/{key.project}" in holds.projects)
        and key.environment in holds.environments
        and all(any(matches(pattern, model) for pattern in holds.models) for model in reached)
        and all(holds.routes is None or route in holds.routes for route in key.routes or ROUTES)
        and all(holds.providers is None or provider in holds.providers for provider in key.providers or (*PROVIDERS, "to come"))
    )


@given(KEYS, HOLDS)
@example(
    KeyRecord("i", "k", (), "s", "x", "dev", ("gpt-*",)),
    Holds(False, frozenset("s"), frozenset(), frozenset(("dev",)), frozenset(("gpt-4*",)), None, None),
)
def test_a_key_that_grants_more_is_always_found(key: KeyRecord, holds: Holds) -> None:
    """Where nothing exceeds, every request that the key lets through is one that its creator could make."""
    assert exceeds(key, holds) or granted(key, holds)
    assert exceeds(key, EVERYTHING) == []


@given(KEYS, HOLDS)
def test_what_is_held_as_it_is_may_be_given(key: KeyRecord, holds: Holds) -> None:
    """A key made of just what is held exceeds nothing: no one is kept from handing on what is his."""
    own = Holds(
        False, frozenset((key.team,)), frozenset(), frozenset((key.environment,)), frozenset(key.models) | holds.models,
        frozenset(key.routes) or None, frozenset(key.providers) or None,
    )  # fmt: skip
    assert exceeds(key, own) == []


@given(PATTERNS, PATTERNS)
def test_a_pattern_covers_what_it_has_in_full(held: str, asked: str) -> None:
    """Judged by the models themselves."""
    if covers(held, asked):
        assert all(matches(held, model) for model in MODELS if matches(asked, model))


@given(PATTERNS, st.sampled_from(MODELS))
def test_a_name_is_covered_just_where_it_fits(held: str, model: str) -> None:
    """No more, no less."""
    assert covers(held, model) == matches(held, model)
