"""What someone may hand on: a key never grants more than its creator holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contracts.snapshot import KeyRecord
from controlplane.estate.declared_values import ROUTES, matches
from controlplane.estate.edits_problems import Fault


@dataclass(frozen=True, slots=True)
class Holds:
    """What a person or token may reach. `everything` is without bounds; else what is not named is not held.

    `teams`: with all of their projects; `projects`: `team/project`; `models`: names or patterns with one `*`.
    `routes` and `providers` None: all of them.
    """

    everything: bool = False
    teams: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    routes: frozenset[str] | None = frozenset()
    providers: frozenset[str] | None = frozenset()


EVERYTHING: Final = Holds(everything=True)
"""What the admin token holds."""


def exceeds(record: KeyRecord, holds: Holds) -> list[Fault]:
    """Each field by which a key would grant more than is held; none: the key may be handed out."""
    return [] if holds.everything else list(_excess(record, holds))


def _excess(record: KeyRecord, holds: Holds) -> Iterator[Fault]:
    if record.team not in holds.teams and f"{record.team}/{record.project}" not in holds.projects:
        yield "project", f"'{record.team}/{record.project}' is not yours to give; name a project that you hold"
    if record.environment not in holds.environments:
        yield "environment", f"'{record.environment}' is not yours to give; name an environment that you hold"
    for number, pattern in enumerate(record.models):
        if not any(covers(held, pattern) for held in holds.models):
            yield f"models[{number}]", f"'{pattern}' reaches models that you do not hold; name fewer"
    yield from _beyond("routes", record.routes, ROUTES, holds.routes)
    yield from _beyond("providers", record.providers, None, holds.providers)


def _beyond(field: str, named: tuple[str, ...], every: tuple[str, ...] | None, held: frozenset[str] | None) -> Iterator[Fault]:
    """`named` empty stands for `every` one, None: for more than can be told."""
    if held is None:
        return
    if not named and (every is None or not held.issuperset(every)):
        yield field, f"none named is all of them, and you hold only {', '.join(sorted(held)) or 'none'}; name some of these"
    for number, name in enumerate(named):
        if name not in held:
            yield f"{field}[{number}]", f"'{name}' is not yours to give; remove it"


def covers(held: str, asked: str) -> bool:
    """Whether every model that the pattern `asked` fits is one that `held` fits."""
    if "*" not in asked:
        return matches(held, asked)
    if "*" not in held:
        return False
    (start, _, end), (held_start, _, held_end) = asked.partition("*"), held.partition("*")
    # The star may stand for nothing or for anything, so each side must already have all that is held to.
    return start.startswith(held_start) and end.endswith(held_end)
