"""Carries a rotation of the vault's keys out while traffic runs, and says how far it is.

It may die at any moment: the file of keys holds the older terms until nothing is left under them, and the next
`portcullis vault rotate` goes on where this one stopped (controlplane/vault/terms.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from contracts.errors import Unusable
from controlplane.actor import Actor
from controlplane.estate import Changes, Estate
from controlplane.vault import Vault
from controlplane.vault import peppers as vault_peppers
from controlplane.vault.terms import Moved, Sealed, left, next_changes, next_moves, sealed_in, under, unfinished

PATIENCE_S: Final = 5.0
"""How long a rotation waits for planes to put the last step in force before it leaves the older terms to the next call."""
_LOOK_EVERY_S: Final = 0.05
_NOT_YET: Final = (
    "older terms stay in the file of keys until nothing is left under them and every connected plane has the new ones; run"
    " `portcullis vault rotate` again"
)


class Governed(Protocol):
    """The one way of every change."""

    estate: Estate
    """As it is now."""

    async def change(self, actor: Actor, verb: str, edit: Callable[[Estate], Changes]) -> Any:
        """Make the change that `edit` gives of the estate as it then is; none where it gives none. Raises Unusable."""


class Beside(Protocol):
    """What is kept sealed beside the estate: planes' keys, the authority's, answers of idempotent calls. All methods block."""

    def sealed(self) -> Sequence[Sealed]:
        """All of it."""

    def move(self, moved: Sequence[Moved]) -> None:
        """Put `new` where `old` still is; what has changed since stays as it is. Raises Unusable."""

    def forget(self) -> None:
        """Let what was overwritten leave the disk, the estate's too. Raises Unusable."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a rotation: `state` is idle | running | unfinished; `waiting_for`: planes that are behind; `note`: what is for a person to do."""

    state: str = "idle"
    term: int = 0
    total: int = 0
    moved: int = 0
    waiting_for: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Rotation:
    """The rotations of one control process. One runs at a time; only one control process at a time may run them.

    `behind` names the connected planes that have not put the newest revision in force.
    """

    vault: Vault
    governed: Governed
    beside: Beside
    behind: Callable[[], Sequence[str]]
    patience_s: float = PATIENCE_S
    progress: Progress = field(default_factory=Progress)

    async def kek(self, actor: Actor) -> Progress:
        """Make a new term, move every sealed record to it, forget the older terms; or finish what an earlier call began.

        Raises Unusable: another runs, a record can't be opened, or the keys are a variable and it has no new term.
        """
        with self._alone():
            records = await self.records()
            if not unfinished(self.vault, records):
                await asyncio.to_thread(self.vault.add_term)
            total = len(left(self.vault, records))
            self._said(total=total)
            await self._move(actor, total)
            return await self._finish()

    async def pepper(self, actor: Actor) -> list[int]:
        """Add a pepper; keys move to it as they are used. The peppers there are then. Raises Unusable where too many have keys."""
        await self.governed.change(actor, "pepper.put", lambda estate: vault_peppers.another(self.vault, estate, int(time.time())))
        return sorted(self.governed.estate.peppers)

    async def records(self) -> list[Sealed]:
        """Every sealed record there is."""
        return [*sealed_in(self.governed.estate), *await asyncio.to_thread(self.beside.sealed)]

    async def status(self) -> dict[str, Any]:
        """What `vault status` shows: terms, what is under each, peppers with the keys under each, and the rotation. No secret is in it."""
        records, estate, now = await self.records(), self.governed.estate, int(time.time())
        progress = self.progress
        idle = progress.state != "running"
        state = ("unfinished" if unfinished(self.vault, records) else "idle") if idle else progress.state
        keys = {version: sorted(vault_peppers.kept_under(estate, version, now)) for version in sorted(estate.peppers)}
        return {
            "keys_from": str(self.vault.kek),
            "terms": sorted(self.vault.keyring.terms),
            "newest_term": self.vault.keyring.newest,
            "sealed": {str(term): kinds for term, kinds in under(records).items()},
            "rotation": {
                "state": state,
                "left": len(left(self.vault, records)),
                "moved": progress.moved,
                "total": progress.total,
                "waiting_for": list(self.behind()) if state == "unfinished" else [],
                "note": progress.note,
            },
            "peppers": [{"version": version, "keys": len(names), "names": names[: vault_peppers.NAMED]} for version, names in keys.items()],
        }

    async def _move(self, actor: Actor, total: int) -> None:
        while True:
            # asked at least once, in its turn: every change that was made before is then seen, and every later one is under the new term
            before = self.governed.estate.revision
            await self.governed.change(actor, "credential.rewrap", lambda estate: next_changes(self.vault, estate))
            self._said(total=total, moved=total - len(left(self.vault, await self.records())))
            if self.governed.estate.revision == before or not next_changes(self.vault, self.governed.estate, most=1):
                break
        last: list[Moved] = []
        while (moves := next_moves(self.vault, await asyncio.to_thread(self.beside.sealed))) and _olds(moves) != _olds(last):
            await asyncio.to_thread(self.beside.move, moves)
            self._said(total=total, moved=total - len(left(self.vault, await self.records())))
            last = moves

    async def _finish(self) -> Progress:
        end = time.monotonic() + self.patience_s
        while (behind := tuple(self.behind())) and time.monotonic() < end:  # noqa: ASYNC110 - who waits looks at what planes said
            await asyncio.sleep(_LOOK_EVERY_S)
        if behind or left(self.vault, await self.records()):
            return await self._ended("unfinished", behind, _NOT_YET)
        await asyncio.to_thread(self.beside.forget)
        before = self.vault.keyring
        gone = await asyncio.to_thread(self.vault.forget_old_terms)
        if gone and left(self.vault, await self.records()):  # sealed before there was the new term, kept after the last look
            await asyncio.to_thread(self.vault.use, before)
            return await self._ended("unfinished", (), _NOT_YET)
        lines = ", ".join(str(term) for term in sorted(before.terms)[:-1])
        needed = lines and not gone
        return await self._ended(
            "idle", (), f"nothing is left under older terms: remove their lines ({lines}) from {self.vault.kek}" if needed else ""
        )

    async def _ended(self, state: str, behind: tuple[str, ...], note: str) -> Progress:
        total = self.progress.total
        moved = total - len(left(self.vault, await self.records()))
        self.progress = Progress(state, self.vault.keyring.newest, total, moved, behind, note)
        return self.progress

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self.progress.state == "running":
            raise Unusable("a rotation of the vault's keys is running; `portcullis vault status` shows how far it is")
        self.progress = Progress("running")
        try:
            yield
        finally:
            if self.progress.state == "running":
                self.progress = Progress("unfinished", self.vault.keyring.newest, self.progress.total, self.progress.moved)

    def _said(self, *, total: int, moved: int = 0) -> None:
        self.progress = Progress("running", self.vault.keyring.newest, total, moved)


def _olds(moves: Sequence[Moved]) -> list[str]:
    return [move.old for move in moves]
