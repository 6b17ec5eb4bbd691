"""`GET /v1/models` of a gate with many models: decided a few at a time, so that others are served in between."""

from __future__ import annotations

import json
from dataclasses import replace

from playbook import ALLOWED, DENIED, SNAPSHOT, WORLD, AskPolicy, asks, emits, ends, head, play

from extproc.core.effects import OwnAnswer, Pause
from extproc.core.exchange import AT_A_TIME

COUNT = 2 * AT_A_TIME + 3
MODELS = {f"m{number:02}": replace(SNAPSHOT.models["cheap"], name=f"m{number:02}") for number in range(COUNT)}
MANY = replace(WORLD, snapshot=replace(SNAPSHOT, models=MODELS))


def test_the_list_pauses_while_it_is_made() -> None:
    """Each model is decided on, and nobody waits for more than a few of them."""
    script: list[object] = []
    for number in range(1, COUNT + 1):
        script += [asks(Pause)] if number % AT_A_TIME == 0 else []
        script.append(asks(AskPolicy, ALLOWED if number % 2 else DENIED))
    listed: list[OwnAnswer] = []
    asked = replace(head(), end=True)
    target = {":method": "GET", ":path": "/v1/models"}
    asked = replace(asked, headers=tuple((name, target.get(name, value)) for name, value in asked.headers))
    play(asked, *script, ends(OwnAnswer, listed.append), emits(outcome="served", route="models", allow=True), world=MANY)
    assert [model["id"] for model in json.loads(listed[0].body)["data"]] == list(MODELS)[::2]
