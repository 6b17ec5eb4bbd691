"""All targets: what each is called, what it demands, and how its inputs are changed. An input is bytes as they would come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from fuzz import mutation, mutation_streams, of_answers, of_codings, of_json, of_requests, of_sse, of_streams, of_texts

from extproc.core import dialects
from extproc.core.dialects import Route

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """`check(data, closely)` raises where the oracle is broken; `mutate` and `cross` are as those of `mutation`. `longest`: bytes of an input. `about`: the code that it is there for."""

    name: str
    check: Any
    mutate: mutation.Mutator
    cross: Any = mutation.crossed
    longest: int = 4096
    about: str = "extproc/core"

    @property
    def corpus(self) -> Path:
        """Where its inputs are kept."""
        return CORPUS / self.name


def _of_route(route: Route) -> list[Target]:
    found = [
        Target(f"{route.name}_request", partial(of_requests.check, route), mutation.json_text, mutation.crossed_json),
        Target(f"{route.name}_answer", partial(of_answers.check, route), mutation.json_text, mutation.crossed_json),
    ]
    if route.name in STREAMED:
        found.append(
            Target(f"{route.name}_stream", partial(of_streams.check, route), mutation_streams.stream, mutation_streams.crossed, 6000)
        )
    return found


STREAMED: Final = frozenset({"chat", "completions", "responses", "messages"})
"""Routes that answer in events."""

_ROUTES: Final = [route for route in dialects.ROUTES if route.guard != "no content"]

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (
        Target("json", of_json.check, mutation.json_text, mutation.crossed_json),
        Target("sse", of_sse.check, mutation_streams.stream, mutation_streams.crossed),
        Target("texts", of_texts.check, mutation.text, longest=400, about="extproc/redact"),
        Target("codings", of_codings.check, of_codings.mutated),
        *(target for route in _ROUTES for target in _of_route(route)),
    )
}
