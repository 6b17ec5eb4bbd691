"""The declarative file: applied, and exported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from controlplane.api.answers import change_schema
from controlplane.api.bodies import Apply
from controlplane.api.call import ACTOR, answered, changing, now
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import read
from controlplane.estate import Changes, Estate
from controlplane.estate.declarative import declared
from controlplane.estate.declared import Declared
from controlplane.estate.export import export
from controlplane.estate.plan import Plan, plan
from controlplane.estate.plan_lines import lines_of
from controlplane.governance import Governance
from controlplane.governance.once import Reply
from controlplane.vault import Vault
from custody.secret import Secret


class _Applying:
    """An edit that makes a file so, and what it has to say about it. It may run twice; what counts is the last plan."""

    def __init__(self, file: Declared, secrets: dict[str, Secret], vault: Vault, actor: str) -> None:
        self._file, self._secrets, self._vault, self._actor = file, secrets, vault, actor
        self._plan: Plan | None = None

    def __call__(self, estate: Estate) -> Changes:
        self._plan = plan(estate, self._file, self._secrets, self._vault, now(), self._actor)
        return self._plan.changes

    def told(self, revision: int, *, dry_run: bool) -> dict[str, Any]:
        """The answer but for changes and planes."""
        notes = self._plan.notes if self._plan else ()
        issued = self._plan.issued if self._plan and not dry_run else {}
        return {"revision": str(revision), "dry_run": dry_run, "notes": list(notes), "keys": dict(issued)}


class File:
    """The calls about the file."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def apply(self, request: web.Request) -> web.Response:
        """Make a file so, or say what that would change."""
        asked = read(Apply, await request.read())
        file = await asyncio.to_thread(declared, asked.document, asked.file)
        applying = _Applying(file, dict(asked.secrets), self._governance.vault, request[ACTOR].name)
        if asked.dry_run:
            estate, changes = await self._governance.planned(applying)
            lines = [line.document() for line in lines_of(estate, changes)]
            return answered({**applying.told(estate.revision, dry_run=True), "changes": lines, "planes": []})
        return await changing(
            self._governance, request, "apply", applying, lambda made: Reply(200, applying.told(made.estate.revision, dry_run=False))
        )

    async def export(self, _request: web.Request) -> web.Response:
        """The running estate as a file, without secrets."""
        text = await asyncio.to_thread(export, self._governance.estate)
        return web.Response(text=text, content_type="text/yaml", headers={"cache-control": "no-store"})

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        applied = change_schema(
            revision={"type": "string", "description": "What is in force now."},
            dry_run={"type": "boolean"},
            notes={"type": "array", "items": {"type": "string"}},
            keys={"type": "object", "additionalProperties": {"type": "string"}, "description": "New keys' secrets, shown this once."},
        )
        yield Endpoint(
            method="POST", path="/apply", run=self.apply, summary="Make a declarative file so", takes=Apply, gives=applied,
            idempotent=True, refuses=(409, 422),
        )  # fmt: skip
        yield Endpoint(
            method="GET", path="/export", run=self.export, summary="The running state as a declarative file, without secrets",
            gives={"type": "string"}, media="text/yaml",
        )  # fmt: skip
