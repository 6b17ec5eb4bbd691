"""Which of a provider's credentials an exchange may be made with."""

from __future__ import annotations

from typing import Final

from contracts.errors import GateUnavailable
from contracts.snapshot import KeyRecord, ModelRecord, Snapshot
from extproc.core.world import Circle, World

NONE_OPEN: Final = "The gate has no credential for this model that your key's project may use now. Tell whoever runs the gate."


def open_to(world: World, model: ModelRecord, key: KeyRecord) -> Circle:
    """The credentials that a key's exchange with a model may use; no members: its provider has none, and is asked without one.

    The one that the model names, else those of its provider: those of the key's project alone where there are any, else those of
    no project. Raises GateUnavailable where there are some and none of them is open: another's is never used instead.
    """
    project = f"{key.team}/{key.project}"
    if model.credential:
        circle = Circle(model.provider, _named(world.snapshot, model, project))
    else:
        own, shared = (world.circles.get((model.provider, whose)) for whose in (project, ""))
        if shared is None:
            return Circle(model.provider, ())
        circle = own or shared
    if not circle.members:
        raise GateUnavailable(NONE_OPEN, reasons=("no_credential",))
    return circle


def _named(snapshot: Snapshot, model: ModelRecord, project: str) -> tuple[str, ...]:
    """The model's own credential, if it is there, open, and its provider's: a secret is shown to nobody else."""
    record = snapshot.credentials.get(model.credential)
    if record is None or record.provider != model.provider or record.draining or record.project not in ("", project):
        return ()
    return (record.name,)
