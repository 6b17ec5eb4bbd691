"""What control sees of the system's health: each thing that was looked at, how it is, and what to do about it."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from contracts import VERSION
from contracts.errors import Unusable
from contracts.snapshot import CredentialRecord, KeyRecord, ModelRecord, ProviderRecord
from controlplane.api.answers import exactly, old_secret_until
from controlplane.api.audit import AuditDoor
from controlplane.api.call import answered, now
from controlplane.api.endpoint import Endpoint
from controlplane.doctor_check import Check
from controlplane.estate import Estate, addresses
from controlplane.estate.plan_lines import first_few
from controlplane.estate.price_list import priced
from controlplane.governance import Governance
from controlplane.supervisor.probe import ask, place_of
from controlplane.vault import Vault
from custody import store
from extproc.edge.kek import KekFile

_SOON_S: Final = 7 * 24 * 3600
_FULL: Final = 0.05
_LONG_OUTBOX: Final = 1000
_RESOLVE_S: Final = 3.0
_OTHERS: Final = 0o077


def _all_well(name: str, detail: str) -> Check:
    return Check(name, "ok", detail)


class Doctor:
    """The call."""

    def __init__(self, governance: Governance, audit: AuditDoor) -> None:
        self._governance, self._audit = governance, audit

    async def examine(self, _request: web.Request) -> web.Response:
        """Look at everything."""
        return answered({"checks": [check.document() async for check in self._checks()]})

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        check = exactly(name=str, state={"enum": ["ok", "warn", "wrong", "down"]}, detail=str, do=str)
        gives = exactly(checks={"type": "array", "items": check})
        yield Endpoint(method="GET", path="/doctor", run=self.examine, summary="What is wrong, and what to do", gives=gives)

    async def _checks(self) -> AsyncIterator[Check]:
        governance = self._governance
        estate, at = governance.estate, now()
        yield self._planes()
        for check in await self._gateway():
            yield check
        yield await asyncio.to_thread(self._state)
        yield await asyncio.to_thread(self._outbox)
        yield _ingest(answers=await self._audit.answers())
        yield _kek(governance.vault)
        yield await asyncio.to_thread(_credentials, governance.vault, estate)
        yield _disk(str(governance.settings.data))
        yield _soon(estate, at)
        yield _graces(estate, at)
        yield await asyncio.to_thread(_prices, estate, at)
        for check in await _providers(estate):
            yield check

    def _planes(self) -> Check:
        publisher = self._governance.publisher
        reports = publisher.planes()
        late = sorted(report.plane for report in reports if report.revision != publisher.revision or report.problem)
        if not reports:
            return Check("planes", "down", "no data plane is connected", "see what `portcullis up` printed about extproc")
        if late:
            told = f"not on revision {publisher.revision}: {first_few(late)}"
            return Check("planes", "wrong", told, "see the log of extproc; restart it, and it takes everything anew")
        return _all_well("planes", f"{len(reports)} connected, on revision {publisher.revision}")

    async def _gateway(self) -> Sequence[Check]:
        report = await self._governance.gateway.taken()
        if report is None:
            return [Check("envoy", "warn", "no Envoy answers on this machine", "start it, unless it runs elsewhere (envoy: external)")]
        told = _all_well("envoy", f"goes by its files of revision {report.revision}")
        if report.problem:
            told = Check("envoy", "wrong", report.problem, "see the log of Envoy for the reason it refused its files")
        return [told, await _traffic(self._governance.settings.gateway.listen)]

    def _state(self) -> Check:
        try:
            stored = self._governance.state.load().revision
        except Unusable as error:
            return Check("state", "wrong", str(error), "mend the database; traffic goes on meanwhile, changes do not")
        known = self._governance.estate.revision
        if stored != known:
            return Check("state", "warn", f"revision {stored} is stored, {known} in force", "ask again; if it stays so, restart control")
        return _all_well("state", f"revision {stored} is stored")

    def _outbox(self) -> Check:
        try:
            waiting = self._governance.state.waiting()
        except Unusable as error:
            return Check("events", "wrong", str(error), "mend the database")
        if waiting >= _LONG_OUTBOX:
            return Check("events", "warn", f"{waiting} admin events wait to be stored", "see whether ingest is running, and its log")
        return _all_well("events", f"{waiting} admin events wait to be stored")


async def _traffic(listen: str) -> Check:
    """A request without a key: it goes through Envoy and extproc, is refused, and leaves a row like any other, which says who asked."""
    status, _ = await ask(place_of(listen), "GET", "/v1/models", {"User-Agent": f"portcullis-doctor/{VERSION}"})
    if status == HTTPStatus.UNAUTHORIZED:
        return _all_well("gateway", f"asks for a key at {listen}")
    told = f"answers {status} where it should ask for a key" if status else "does not answer in time"
    return Check("gateway", "down", f"{listen} {told}", "see what `portcullis up` printed about envoy and extproc")


def _ingest(*, answers: bool) -> Check:
    if answers:
        return _all_well("ingest", "answers")
    return Check("ingest", "down", "does not answer; rows and events wait meanwhile", "see what `portcullis up` printed about ingest")


def _kek(vault: Vault) -> Check:
    if not isinstance(vault.kek, KekFile):
        return _all_well("vault", f"its keys come from {vault.kek}")
    try:
        mode = stat.S_IMODE(vault.kek.path.stat().st_mode)
    except OSError as error:
        return Check("vault", "wrong", f"{vault.kek}: {error.strerror}", "restore the file from your backup before you stop anything")
    if mode & _OTHERS:
        return Check("vault", "wrong", f"{vault.kek} is open to other users (mode {mode:o})", f"chmod 600 {vault.kek}")
    return _all_well("vault", f"its keys are in {vault.kek}")


def _credentials(vault: Vault, estate: Estate) -> Check:
    broken = []
    for record in estate.each(CredentialRecord):
        try:
            vault.open(store.credential(record.name, record.version), record.sealed)
        except Unusable:
            broken.append(record.name)
    if broken:
        return Check("credentials", "wrong", f"can't be opened: {first_few(broken)}", "set them again: portcullis credential set NAME")
    return _all_well("credentials", f"{len(estate.of('credential'))} can be opened")


def _disk(data: str) -> Check:
    usage = shutil.disk_usage(data)
    told = f"{usage.free >> 20} MiB are free under {data}"
    if usage.free < usage.total * _FULL:
        return Check("disk", "warn", told, "make room: a full disk refuses all traffic")
    return _all_well("disk", told)


def _live_keys(estate: Estate, fits: Callable[[KeyRecord], bool]) -> list[str]:
    return sorted(key.name for key in estate.each(KeyRecord) if key.revoked is None and fits(key))


def _soon(estate: Estate, at: int) -> Check:
    names = _live_keys(estate, lambda key: key.expires is not None and at < key.expires <= at + _SOON_S)
    if names:
        told = f"within a week: {first_few(names)}"
        return Check("keys that expire", "warn", told, "portcullis key edit NAME --expires DATE, or let them")
    return _all_well("keys that expire", "none within a week")


def _graces(estate: Estate, at: int) -> Check:
    names = _live_keys(estate, lambda key: old_secret_until(key, at) is not None)
    if names:
        told = f"the secret before the last rotation still works: {first_few(names)}"
        return Check("old secrets", "warn", told, "see `portcullis key usage NAME` for whether anybody still uses it")
    return _all_well("old secrets", "none is in its grace")


def _prices(estate: Estate, at: int) -> Check:
    names = sorted(model.name for model in estate.each(ModelRecord) if not _has_price(estate, model, at))
    if names:
        told = f"nobody knows what these cost: {first_few(names)}"
        return Check("prices", "warn", told, "declare a price, or allow it: environments.NAME.unpriced: allow")
    return _all_well("prices", "every model has one")


def _has_price(estate: Estate, model: ModelRecord, at: int) -> bool:
    kept = estate.of("provider").get(model.provider)
    if kept is None or not isinstance(kept.record, ProviderRecord):
        return False
    return any(price.holds(at) for price in priced(model, kept.record))


async def _providers(estate: Estate) -> list[Check]:
    records = list(estate.each(ProviderRecord))
    found = await asyncio.gather(*(_provider(record) for record in records))
    wrong = [check for check in found if check is not None]
    return wrong or [_all_well("providers", f"{len(records)} have addresses that may be used")]


async def _provider(record: ProviderRecord) -> Check | None:
    parts = urlsplit(record.url)
    name = f"provider {record.name}"
    try:
        async with asyncio.timeout(_RESOLVE_S):
            infos = await asyncio.get_running_loop().getaddrinfo(parts.hostname or "", parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return Check(name, "wrong", f"{parts.hostname} has no address", "mend its url, or the name service of this machine")
    places = {addresses.verdict_on(ipaddress.ip_address(info[4][0])) for info in infos}
    if "never" in places or ("private" in places and not record.private):
        told = f"{parts.hostname} leads to an address that is not let through"
        return Check(name, "wrong", told, "mend its url; where a private address is meant, say private: true")
    return None
