"""What a declarative file says, once it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.snapshot import Record


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where the command line finds a credential's secret: an environment variable, or a file beside the declarative one."""

    kind: str
    place: str
    line: int


@dataclass(frozen=True, slots=True)
class Declared:
    """The whole file, checked. `records`: kind → name → record, in the file's order.

    What only comes with an apply is not in them yet: a key's id and secrets, what is sealed of a credential and its version, a price's
    version. `sources`: where each credential's secret is. `notes` are for the person who applies it.
    """

    organisation: str
    records: Mapping[str, Mapping[str, Record]]
    sources: Mapping[str, SecretSource]
    notes: tuple[str, ...] = ()
