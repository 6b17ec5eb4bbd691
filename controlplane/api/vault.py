"""The vault: what is sealed under which key, and its rotations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from aiohttp import web

from controlplane.actor import Actor
from controlplane.api.answers import exactly
from controlplane.api.bodies import VaultRotation
from controlplane.api.call import ACTOR, answered, once_of
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import read
from controlplane.governance import Governance
from controlplane.governance.once import Reply
from controlplane.vault.rotation import Rotation

_AT_ONCE_S: Final = 1.0
"""A rotation that is over or fails within this is told so in the answer; a longer one goes on behind it."""
_COUNTS: Final = {"type": "object", "additionalProperties": {"type": "integer"}}


class Vaults:
    """The calls about the vault."""

    def __init__(self, governance: Governance, rotation: Rotation) -> None:
        self._governance, self._rotation = governance, rotation
        self._one_at_a_time = asyncio.Lock()

    async def status(self, _request: web.Request) -> web.Response:
        """Key terms, what is sealed under each, peppers, and how far a rotation is."""
        return answered(await self._rotation.status())

    async def rotate(self, request: web.Request) -> web.Response:
        """Begin a rotation, or go on with one that was cut short. The answer is that of `status`.

        It is kept once it is known: who dies before that begins again, and a rotation too many harms nothing.
        """
        actor, what, once = request[ACTOR], read(VaultRotation, await request.read()).what, await once_of(request)
        state, vault = self._governance.state, self._governance.vault
        async with self._one_at_a_time:
            kept = await asyncio.to_thread(once.kept, state, vault) if once else None
            if kept is None:
                await self._begun(actor, what)
                kept = Reply(200, await self._rotation.status())
                if once:
                    await asyncio.to_thread(lambda: state.keep_answer(once.sealed(vault, kept)))
        return answered(kept.document, kept.status)

    async def _begun(self, actor: Actor, what: str) -> None:
        if what == "pepper":
            await self._rotation.pepper(actor)
        else:
            work = asyncio.ensure_future(self._rotation.kek(actor))
            self._governance.watch(work)
            await asyncio.wait([work], timeout=_AT_ONCE_S)
            if work.done():
                work.result()

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        rotation = exactly(
            state={"enum": ["idle", "running", "unfinished"]}, left=int, moved=int, total=int, waiting_for=list[str], note=str
        )
        pepper = exactly(version=int, keys=int, names=list[str])
        gives = exactly(
            keys_from=str, terms=list[int], newest_term=int, sealed={"type": "object", "additionalProperties": _COUNTS},
            rotation=rotation, peppers={"type": "array", "items": pepper},
        )  # fmt: skip
        yield Endpoint(method="GET", path="/vault", run=self.status, summary="What is sealed under which key", gives=gives)
        yield Endpoint(
            method="POST", path="/vault/rotate", run=self.rotate, summary="Seal everything anew, or add a pepper", takes=VaultRotation,
            gives=gives, idempotent=True, refuses=(409, 422),
        )  # fmt: skip
