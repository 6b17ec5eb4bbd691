"""Why an edit can't be made. All of them are Unusable, with a sentence for people; the API gives each its status.

Problems    422   fields that are wrong, each with what to do
NotThere    404   no record of that name
Conflict    409   what is there stands in the way: exists, in_use, revoked, not_revoked
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from contracts.errors import Unusable

Fault = tuple[str, str]
"""The path of a field, such as `labels.cost` or `models[1]`, and what is wrong with it."""


class Problems(Unusable):
    """Everything that is wrong with the fields, at once."""

    def __init__(self, errors: Sequence[Fault]) -> None:
        super().__init__("\n".join(f"{field}: {detail}" for field, detail in errors))
        self.errors = tuple(errors)


class NotThere(Unusable):
    """There is no such record."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} '{name}'")
        self.kind, self.name = kind, name


class Conflict(Unusable):
    """The estate as it is does not allow it. `dependents`: (kind, name) of the records that stand in the way."""

    def __init__(
        self, code: Literal["exists", "in_use", "revoked", "not_revoked"], sentence: str, dependents: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(sentence)
        self.code, self.dependents = code, tuple(dependents)
