"""The estate in force, and the one way of every change to it.

    edit (pure) ─► State.commit (records, events, kept answer: one transaction) ─► Estate.after ─► Envoy's files ─► planes ─► reply

One change at a time, away from the event loop. Cut short anywhere, the next start goes on from what was committed: Envoy's files are
rendered from it, and a plane that connects is told the whole of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import KeyRecord, ProviderRecord
from controlplane.actor import Actor
from controlplane.estate import Change, Changes, Estate
from controlplane.estate.holds import EVERYTHING
from controlplane.governance.events import events_of, fresh_id
from controlplane.governance.gateway import Gateway, providers_of
from controlplane.governance.once import Made, Once, Reply
from controlplane.planes.snapshots import PlaneReport, Publisher, Rehashed
from controlplane.state import State
from controlplane.state.values import Stale, Unsettled
from controlplane.vault import Vault, open_vault
from controlplane.vault.terms import settled

log = logging.getLogger("control.governance")

T = TypeVar("T")
Edit = Callable[[Estate], Changes]
SYSTEM: Final = "control"
"""The actor of what control does by itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a change. `planes`: what each said about it. `reply`: what a call of this idempotency key is answered."""

    made: Made
    planes: tuple[PlaneReport, ...]
    reply: Reply | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """From the estate that the planes know (`old`) to `new`, by the changes `told` to them. `made`: what the caller asked for."""

    old: Estate
    new: Estate
    told: Changes
    made: Made
    reply: Reply | None = field(default=None, repr=False)


class Governance:
    """Holds the estate, and changes it."""

    def __init__(self, settings: Settings, state: State, vault: Vault, estate: Estate) -> None:
        self.settings, self.state, self.vault, self.estate = settings, state, vault, estate
        self.publisher = Publisher(estate, self._heard)
        self.gateway = Gateway(settings)
        self.on_rehashed: Rehashed = lambda _reports, _may: None
        self.outbox_woken: Callable[[], None] = lambda: None
        self._one_at_a_time = asyncio.Lock()
        self._unsure = False
        self._under_way: set[asyncio.Future[Any]] = set()

    @classmethod
    def start(cls, settings: Settings, state: State) -> Governance:
        """Open the vault, make the pepper on the first start, and write Envoy's files. Blocks; raises Unusable."""
        estate = state.load()
        vault = open_vault(settings, estate)
        if not estate.peppers:
            changes = Changes(peppers=vault.first_pepper())
            state.commit(estate, changes, events_of(system(), "pepper.put", estate, changes))
            estate = estate.after(changes)
        governance = cls(settings, state, vault, estate)
        try:
            governance.gateway.restore(estate)
        except OSError as error:
            raise Unusable(f"{settings.run / 'envoy'}: can't be written: {error.strerror}; start again when it can") from None
        return governance

    async def change(self, actor: Actor, verb: str, edit: Edit, once: Once | None = None) -> Done:
        """Make a change and wait until it is in force. Raises what the edit raises, and Unusable; then nothing was changed.

        Who asked may go away meanwhile: what was begun is finished.
        """
        return await self._finished(self._changed(actor, verb, edit, once))

    async def planned(self, edit: Edit) -> tuple[Estate, Changes]:
        """What a change would do now; nothing is done."""
        estate = self.estate
        changes = await asyncio.to_thread(edit, estate)
        await asyncio.to_thread(self._renderable, estate, changes)
        return estate, changes

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _finished(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _changed(self, actor: Actor, verb: str, edit: Edit, once: Once | None) -> Done:
        async with self._one_at_a_time:
            if self._unsure:
                await self._look_again()
            try:
                step = await asyncio.to_thread(self._committed, actor, verb, edit, once)
            except Unsettled:
                self._unsure = True
                await self._look_again()
                raise
            self.estate = step.new
            telling = asyncio.ensure_future(self._told(step))
            if _providers(step.told):
                await telling  # Envoy's files and the planes take turns, and so do this change and the next
        self.outbox_woken()
        # The planes' answers are waited for outside: a slow plane holds up whoever changed something, and nobody after.
        return Done(step.made, tuple(await telling), step.reply)

    def _heard(self, reports: Mapping[str, Any], may: Callable[[KeyRecord], bool]) -> None:
        """A plane has hashed keys anew."""
        self.on_rehashed(reports, may)

    def watch(self, task: asyncio.Future[Any]) -> None:
        """Let something go on that nobody waits for any more; what goes wrong with it is logged."""
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("%s", task.exception())

    # ── in a thread ────────────────────────────────────────────────────────────

    def _committed(self, actor: Actor, verb: str, edit: Edit, once: Once | None) -> _Step:
        old = self.estate
        try:
            return self._tried(old, old, actor, verb, edit, once)
        except Stale:
            log.warning("another process changed the state; deciding anew")
            return self._tried(old, self.state.load(), actor, verb, edit, once)

    def _tried(self, known: Estate, estate: Estate, actor: Actor, verb: str, edit: Edit, once: Once | None) -> _Step:
        """Decide on `estate` and commit. `known` is what the planes were told last."""
        kept = once.kept(self.state, self.vault) if once else None
        changes = Changes() if kept else settled(self.vault, estate, edit(estate))
        if not changes:
            made = Made(estate, estate)
            return _Step(known, estate, difference(known, estate), made, kept or (once.replying(made) if once else None))
        self._renderable(estate, changes)
        after = estate.after(changes)
        made = Made(estate, after, changes)
        reply = once.replying(made) if once else None
        answer = once.sealed(self.vault, reply) if once and reply else None
        self.state.commit(estate, changes, events_of(actor, verb, estate, changes), answer)
        return _Step(known, after, changes if estate is known else difference(known, after), made, reply)

    def _renderable(self, estate: Estate, changes: Changes) -> None:
        """Providers that Envoy's files could not hold are refused before anything is kept."""
        if _providers(changes):
            self.gateway.render("0", providers_of(estate.after(changes)))

    async def _look_again(self) -> None:
        """What the database holds is what counts. Raises Unusable where it does not answer; then the next change looks first."""
        estate = await asyncio.to_thread(self.state.load)
        step = _Step(self.estate, estate, difference(self.estate, estate), Made(estate, estate))
        self.estate, self._unsure = estate, False
        if step.new.revision != step.old.revision:
            await self._told(step)

    # ── telling ────────────────────────────────────────────────────────────────

    async def _told(self, step: _Step) -> list[PlaneReport]:
        """Planes, and Envoy where it runs beside us, have answered or are named as late."""
        providers = _providers(step.told)
        if not providers:
            return await self.publisher.publish(step.new, step.told)
        coming, leaving = providers_of(step.new), [change for change in providers if change.new is None]
        envoy: list[PlaneReport] = []
        if len(leaving) < len(providers):
            envoy = await self._gateway_told(f"{step.new.revision}{'+' if leaving else ''}", {**providers_of(step.old), **coming})
        planes = await self.publisher.publish(step.new, step.told)
        if leaving:
            envoy = await self._gateway_told(str(step.new.revision), coming)
        return [*planes, *envoy]

    async def _gateway_told(self, version: str, providers: Mapping[str, ProviderRecord]) -> list[PlaneReport]:
        try:
            await asyncio.to_thread(self.gateway.put, version, providers)
        except OSError as error:
            why = f"its files can't be written: {error.strerror}; it goes on with the providers of before. Restart control when it can"
            return [PlaneReport("envoy", "", why)]
        report = await self.gateway.taken()
        return [report] if report else []


def _providers(changes: Changes) -> list[Change]:
    return [change for change in changes.records if change.kind == "provider"]


def difference(old: Estate, new: Estate) -> Changes:
    """What makes `new` of `old`."""
    found = []
    for kind, there in new.records.items():
        before = old.of(kind)
        if there is before:
            continue
        found += [Change(kind, name, before.get(name), kept) for name, kept in there.items() if before.get(name) != kept]
        found += [Change(kind, name, kept, None) for name, kept in before.items() if name not in there]
    return Changes(
        found,
        new.organisation if new.organisation != old.organisation else None,
        new.peppers if new.peppers != old.peppers else None,
    )


def system() -> Actor:
    """Control itself."""
    return Actor(SYSTEM, EVERYTHING, fresh_id())
