"""What is kept sealed beside the estate; and a rotation of all that is sealed, in a running control."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.governance import Governance
from controlplane.state import State
from controlplane.vault.rotation import Rotation
from controlplane.vault.terms import Moved, Sealed
from custody import store


class KeptBeside:
    """Sealed records that the state keeps beside the estate."""

    def __init__(self, state: State) -> None:
        self._state = state

    def sealed(self) -> list[Sealed]:
        """Planes' keys, the key that signs their certificates, answers of idempotent calls."""
        authority = self._state.authority()
        found = [Sealed(store.authority(), authority.sealed)] if authority else []
        found += [Sealed(store.plane(plane.name), plane.sealed) for plane in self._state.planes().values() if plane.sealed]
        return [*found, *(Sealed(store.answer(answer.key), answer.sealed) for answer in self._state.answers())]

    def move(self, moved: Sequence[Moved]) -> None:
        """Put each under its new seal, unless it has another one meanwhile."""
        self._state.reseal({move.old: move.new for move in moved})

    def forget(self) -> None:
        """Let the old seals leave the disk."""
        self._state.forget()


def rotation_of(governance: Governance) -> Rotation:
    """The rotations of this control; there is one such object in a process."""

    def behind() -> list[str]:
        there = governance.publisher.revision
        return [report.plane for report in governance.publisher.planes() if report.revision != there or report.problem]

    return Rotation(governance.vault, governance, KeptBeside(governance.state), behind)
