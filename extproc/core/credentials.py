"""Which of a provider's credentials an exchange may be made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.errors import GateUnavailable
from contracts.snapshot import CredentialRecord, KeyRecord, ModelRecord
from extproc.core.world import World

NONE_OPEN: Final = "The gate has no credential for this model that your key's project may use now. Tell whoever runs the gate."


@dataclass(frozen=True, slots=True)
class Circle:
    """Credentials that are used in turn, by name, in the order of their names. `name` tells one circle from another."""

    name: str
    members: tuple[str, ...]


def open_to(world: World, model: ModelRecord, key: KeyRecord) -> Circle:
    """The credentials that a key's exchange with a model may use; no members: its provider has none, and is asked without one.

    The one that the model names, else those of its provider: those of the key's project alone where there are any, else those of
    no project. Raises GateUnavailable where there are some and none of them is open: another's is never used instead.
    """
    there = _named(world, model) if model.credential else world.credentials.get(model.provider, ())
    if not there and not model.credential:
        return Circle(model.provider, ())
    project = f"{key.team}/{key.project}"
    own = [record for record in there if record.project == project]
    members = tuple(record.name for record in own or [record for record in there if not record.project] if not record.draining)
    if not members:
        raise GateUnavailable(NONE_OPEN, reasons=("no_credential",))
    return Circle(f"{model.provider} {project}" if own else model.provider, members)


def _named(world: World, model: ModelRecord) -> tuple[CredentialRecord, ...]:
    """The model's own credential, if it is there and its provider's: a secret is shown to nobody else."""
    record = world.snapshot.credentials.get(model.credential)
    return (record,) if record and record.provider == model.provider else ()
