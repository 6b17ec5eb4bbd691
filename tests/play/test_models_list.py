"""`GET /v1/models` of a gate with many models: decided a few at a time, so that others are served in between."""

from __future__ import annotations

import json
from dataclasses import replace

from playbook import ALLOWED, DENIED, SNAPSHOT, WORLD, AskPolicy, asks, emits, ends, head, play

from extproc.core.effects import OwnAnswer, Pause
from extproc.core.exchange import AT_A_TIME
from extproc.core.world import World

COUNT = 2 * AT_A_TIME + 3
MODELS = {f"m{number:02}": replace(SNAPSHOT.models["cheap"], name=f"m{number:02}") for number in range(COUNT)}
MANY = replace(WORLD, snapshot=replace(SNAPSHOT, models=MODELS))


def models_asked(*script: object, world: World, **columns: object) -> list[str]:
    """Ask for the list; the models in the answer."""
    listed: list[OwnAnswer] = []
    asked = replace(head(), end=True)
    target = {":method": "GET", ":path": "/v1/models"}
    asked = replace(asked, headers=tuple((name, target.get(name, value)) for name, value in asked.headers))
    play(asked, *script, ends(OwnAnswer, listed.append), emits(outcome="served", route="models", allow=True, **columns), world=world)
    return [model["id"] for model in json.loads(listed[0].body)["data"]]


def test_the_list_is_of_what_the_rules_would_let_through() -> None:
    """They hear of each model's own provider and price, though the list itself costs nothing, and of the key's scopes."""
    models = {
        "priced": SNAPSHOT.models["cheap"],
        "unpriced": replace(SNAPSHOT.models["cheap"], name="unpriced", prices=()),
        "elsewhere": replace(SNAPSHOT.models["cheap"], name="elsewhere", provider="claude"),
    }
    heard: list[tuple[str, bool, tuple[str, ...]]] = []

    def told(effect: AskPolicy) -> None:
        heard.append((effect.input.provider, effect.input.priced, effect.input.key_addresses))

    keys = {public_id: replace(key, addresses=("10.0.0.0/8",)) for public_id, key in SNAPSHOT.keys.items()}
    world = replace(WORLD, snapshot=replace(SNAPSHOT, models=models, keys=keys))
    script = [asks(AskPolicy, verdict, told) for verdict in (ALLOWED, DENIED, DENIED)]
    assert models_asked(*script, world=world, provider="", credential="") == ["cheap"]
    networks = ("10.0.0.0/8",)
    assert heard == [("local", True, networks), ("local", False, networks), ("claude", True, networks)]


def test_the_list_pauses_while_it_is_made() -> None:
    """Each model is decided on, and nobody waits for more than a few of them."""
    script: list[object] = []
    for number in range(1, COUNT + 1):
        script += [asks(Pause)] if number % AT_A_TIME == 0 else []
        script.append(asks(AskPolicy, ALLOWED if number % 2 else DENIED))
    assert models_asked(*script, world=MANY) == list(MODELS)[::2]
