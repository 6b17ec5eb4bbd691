"""What can be seen of a system from its machine, whether it runs or not. Nothing is changed by looking."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.admin_token import token_file
from controlplane.doctor_check import Check
from controlplane.envoy.program import binary, trust_bundle
from controlplane.policy.check import check as faults
from controlplane.supervisor.checks import free
from extproc.config import policy_folder
from extproc.edge.kek import KekFile, KekVariable, kek_of

_OTHERS: Final = 0o077


def on_disk(settings: Settings) -> Iterator[Check]:
    """The data folder, the vault's keys, the admin token, room."""
    data = settings.data
    if not data.exists():
        yield Check("data", "ok", f"{data} is not there yet; the first `portcullis up` makes it")
    else:
        yield _private("data", data, folder=True)
        yield from _files(settings)
        yield _room(settings)


def _files(settings: Settings) -> Iterator[Check]:
    yield _vault(settings)
    token = token_file(settings.data)
    if token.exists():
        yield _private("admin token", token)


def _vault(settings: Settings) -> Check:
    """The keys, tried on a record."""
    kek = kek_of(settings)
    if isinstance(kek, KekVariable) and not kek.exists():
        return Check("vault", "warn", f"{kek} is not set here", f"set {kek.name} where `portcullis up` runs")
    if isinstance(kek, KekFile) and not kek.exists():
        if not (settings.data / "state").exists():
            return Check("vault", "ok", f"{kek} is not there yet; the first `portcullis up` makes it")
        told = f"{kek} is gone, and the state holds records sealed under it"
        return Check("vault", "wrong", told, "restore the file from your backup: without it no credential and no key can be used")
    try:
        kek.read()
    except Unusable as error:
        return Check("vault", "wrong", "the keys can't be used", str(error))
    return Check("vault", "ok", str(kek))


def _private(name: str, path: Path, *, folder: bool = False) -> Check:
    try:
        found = path.stat()
    except OSError as error:
        return Check(name, "wrong", f"{path} can't be looked at: {error.strerror}", "run as the user who started the system")
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS:
        return Check(name, "wrong", f"{path} is open to other users (mode {mode:o})", f"chmod {'700' if folder else '600'} {path}")
    if not os.access(path, os.R_OK | (os.W_OK | os.X_OK if folder else 0)):
        return Check(name, "wrong", f"{path} is another user's", "run as the user who started the system")
    return Check(name, "ok", str(path))


def _room(settings: Settings) -> Check:
    free_bytes = shutil.disk_usage(settings.data).free
    told = f"{free_bytes >> 20} MiB are free; the spool may take {settings.spool.max_bytes >> 20} MiB"
    if free_bytes < settings.spool.max_bytes:
        return Check("disk", "warn", told, "make room, or lower spool.max_bytes")
    return Check("disk", "ok", told)


def programs(settings: Settings) -> Iterator[Check]:
    """The rules, Envoy, trusted certificates, ClickHouse's engine."""
    folder = policy_folder(settings.policy)
    wrong = list(faults(folder)) if folder.is_dir() else None
    if wrong is None:
        yield Check("rules", "wrong", f"there is no folder {folder}", "name the folder of rules in the setting policy")
    elif wrong:
        yield Check("rules", "wrong", f"{len(wrong)} problems in {folder}", "run `portcullis check`, which names each with its line")
    else:
        yield Check("rules", "ok", str(folder))
    try:
        yield Check("envoy program", "ok", str(binary(settings.envoy) or "runs elsewhere"))
    except Unusable as error:
        yield Check("envoy program", "wrong", "there is no Envoy that could be started", str(error))
    bundle = trust_bundle()
    if bundle is None:
        yield Check("certificates", "wrong", "no trusted certificates on this machine, so no https provider can be reached",
                    "install the system's CA certificates, or name a file in SSL_CERT_FILE")  # fmt: skip
    else:
        yield Check("certificates", "ok", str(bundle))
    if settings.audit == "chdb" and find_spec("chdb") is None:
        yield Check("audit", "wrong", "ClickHouse's engine is not installed", "install the extra portcullis[embedded]")


def system(settings: Settings) -> Check:
    """Whether the parts run."""
    file = settings.run / "ready.json"
    try:
        pids: dict[str, int] = json.loads(file.read_bytes()).get("pids", {})
    except FileNotFoundError:
        return Check("system", "down", f"it is not up: there is no {file}", "start it with `portcullis up`")
    except (OSError, ValueError, AttributeError):
        return Check("system", "wrong", f"{file} can't be read", "stop the system and start it again")
    gone = [name for name, pid in pids.items() if not _alive(pid)]
    if gone:
        return Check(
            "system", "down", f"not running: {', '.join(gone)}", "stop `portcullis up` and start it again; what it printed says more"
        )
    return Check("system", "ok", f"runs: {', '.join(pids)}")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ports(settings: Settings) -> Iterator[Check]:
    """Whether the listeners' ports are free, for a system that is to be started."""
    listens = [("gateway.listen", settings.gateway.listen)] if settings.envoy != "external" else []
    for field, listen in [*listens, ("control.listen", settings.control.listen)]:
        try:
            free(field, listen)
        except Unusable as error:
            yield Check(field, "wrong", f"{listen} is taken", str(error))
        else:
            yield Check(field, "ok", f"{listen} is free")
