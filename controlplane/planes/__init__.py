"""Planes on other machines: who may be one, and their way in.

    add        ► a one-time token, shown once; its hash is kept
    enrol      token ► certificate, and a key of the plane's own, under which control seals whatever it sends there
    talk       the certificate's plane, if it is on record, gets the records of its projects
    remove     ► refused from then on, and hung up at once

What a plane had stays what it knew: whoever removes one that can't be trusted any more rotates the credentials that it had.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contracts.enrolment import EnrolToken
from contracts.errors import Unusable
from contracts.events import AdminEvent
from controlplane.planes.authority import Peer, Signer, new_authority, peer_of
from controlplane.planes.door import Door, Visit, listener_at
from controlplane.planes.snapshots import GREETING_S, PlaneReport, Publisher
from controlplane.planes.view import Reseal
from controlplane.state import State
from controlplane.state.values import KeptAnswer, Plane
from controlplane.vault import Vault
from custody import store
from custody.envelope import KEY_BYTES, SEAL_DICE, Label
from custody.keyring import Keyring
from custody.secret import Secret
from extproc.edge.snapshot_wire import framed, message, read_message, receive

AWAY: Final = "is not connected and goes by what it had; a plane that is gone for good is forgotten by `portcullis plane remove`"
TOKEN_S: Final = 3600
"""How long a token may be used."""
_FIRST_BYTES: Final = 64 << 10
"""Most that is read of somebody unknown."""
_USED: Final = "the token was used, has expired, or is another plane's; make a new one: `portcullis plane remove`, then `plane add`"
_REMOVED: Final = "this plane was removed; enrol it anew with a token of `portcullis plane add`, in a fresh data folder"

Answering = Callable[[str], KeptAnswer | None]
"""What a call that made this token is answered, as it is kept; None: it isn't."""
EventsOf = Callable[[str, str], Sequence[AdminEvent]]
"""Verb and plane → the events to keep."""


class Planes:
    """The planes of other machines. Methods that touch the state do so in a thread."""

    def __init__(self, state: State, vault: Vault, publisher: Publisher, events_of: EventsOf) -> None:
        self._state, self._vault, self._publisher, self._events_of = state, vault, publisher, events_of
        self._signer: Signer | None = None
        self._removals = 0
        self._door: Door | None = None

    async def add(
        self,
        name: str,
        projects: Sequence[str],
        creator: str,
        events: Sequence[AdminEvent] = (),
        answering: Answering | None = None,
    ) -> str:
        """Put a plane on record and give its token, for this once. Raises Taken, Unusable."""
        secret, now = secrets.token_hex(32), int(time.time())
        plane = Plane(name, tuple(projects), token_hash=_hash(secret), token_until=now + TOKEN_S, created=now, creator=creator)
        signer = await self.signer()
        token = EnrolToken(name, secret, signer.fingerprint).text()
        await asyncio.to_thread(self._state.put_plane, plane, events, fresh=True, answer=answering(token) if answering else None)
        return token

    async def remove(self, name: str, events: Sequence[AdminEvent] = ()) -> bool:
        """Take a plane off the record and hang up on it; whether there was one."""
        there = await asyncio.to_thread(self._state.remove_plane, name, events)
        self._removals += 1
        self._publisher.hang_up(name)
        return there

    async def on_record(self) -> Mapping[str, Plane]:
        """All planes that may come, by name."""
        return await asyncio.to_thread(self._state.planes)

    async def away(self, project: str) -> list[PlaneReport]:
        """Enrolled planes that get this project's records ("team/project") and are not connected: nobody can tell them anything now."""
        connected = {report.plane for report in self._publisher.planes()}
        record = await self.on_record()
        return [
            PlaneReport(name, "", AWAY)
            for name, plane in sorted(record.items())
            if plane.enrolled and name not in connected and (not plane.projects or project in plane.projects)
        ]

    async def signer(self) -> Signer:
        """What signs; made at the first need."""
        if self._signer is None:
            kept = await asyncio.to_thread(self._state.authority)
            if kept is None:
                kept = await asyncio.to_thread(self._state.keep_authority, new_authority(self._vault))
            self._signer = Signer(kept, self._vault)
        return self._signer

    async def listen(self, listen: str) -> None:
        """Listen for planes at HOST:PORT. Raises Unusable where that can't be."""
        context = (await self.signer()).listener()
        self._door = Door(listener_at(listen), context, self.welcome)
        self._door.open()

    async def close(self) -> None:
        """Stop listening, and hang up."""
        if self._door is not None:
            await self._door.close()

    # ── the way in ─────────────────────────────────────────────────────────────

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, visit: Visit) -> None:
        """One connection from another machine."""
        async with self._publisher.guarded(writer):
            async with asyncio.timeout(GREETING_S):
                said = read_message(await receive(reader, _FIRST_BYTES))
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            try:
                if certificate:
                    await self._known(peer_of(certificate), said, reader, writer, visit)
                else:
                    writer.write(framed(message(await self._unknown(said))))
            except Unusable as error:
                writer.write(framed(message({"refused": str(error)})))
            await writer.drain()

    async def _unknown(self, said: Mapping[str, Any]) -> Mapping[str, str]:
        signer = await self.signer()
        if "authority" in said:
            return {"authority": signer.pem}
        asked = said["enrol"]
        name, secret, now = str(asked["plane"]), _hash(str(asked["secret"])), int(time.time())
        plane = await self._on_record(name)
        if plane is None or not hmac.compare_digest(plane.token_hash, secret):
            raise Unusable(_USED)  # before anything is signed or written: anybody may ask
        key = Secret(os.urandom(KEY_BYTES))
        certificate, serial = signer.sign(str(asked["request"]), name)
        sealed, events = self._vault.seal(store.plane(name), key), self._events_of("plane.enrol", name)
        if await asyncio.to_thread(self._state.enrol, name, secret, now, serial, sealed, events) is None:
            raise Unusable(_USED)
        return {"certificate": certificate, "keys": store.written(Keyring({1: key})).decode()}

    async def _known(
        self, peer: Peer, said: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, visit: Visit
    ) -> None:
        plane = await self._on_record(peer.plane)
        if plane is None or plane.enrolled is None or plane.serial != peer.serial:
            raise Unusable(_REMOVED)
        visit.end()
        if "renew" in said:
            certificate, _ = (await self.signer()).sign(str(said["renew"]), plane.name, plane.serial)
            writer.write(framed(message({"certificate": certificate})))
            return
        greeting = {**said, "plane": plane.name}
        await self._publisher.talk(reader, writer, greeting, frozenset(plane.projects) or None, self._reseal(plane))

    async def _on_record(self, name: str) -> Plane | None:
        """The plane, as no removal that was made meanwhile would have it otherwise."""
        while True:
            removals = self._removals
            plane = await asyncio.to_thread(self._state.plane, name)
            if removals == self._removals:
                return plane

    def _reseal(self, plane: Plane) -> Reseal:
        """Seals anew, under the plane's key. What has not changed since it was sent has not changed on the plane either."""
        keyring = Keyring({1: self._vault.open(store.plane(plane.name), plane.sealed)})
        done: dict[tuple[Label, str], str] = {}

        def reseal(label: Label, sealed: str) -> str:
            if (label, sealed) not in done:
                done[label, sealed] = keyring.seal(label, self._vault.open(label, sealed), os.urandom(SEAL_DICE))
            return done[label, sealed]

        return reseal


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
