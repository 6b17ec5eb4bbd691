"""A caller of the control plane's API. Standard library only: the command line should start at once."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import PortcullisError, Unusable

_PATIENCE_S: Final = 150.0
_UNAVAILABLE: Final = range(502, 505)


class SystemDownError(PortcullisError):
    """The system, or the part that was asked for, does not answer."""


class DeclinedError(PortcullisError):
    """The control plane understood, and said no; the text is its own."""


@dataclass(frozen=True, slots=True)
class Client:
    """The API at `url`, called with the admin token."""

    url: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer. Raises DeclinedError or SystemDownError."""
        connection, answer = self._asked(method, path, body)
        try:
            return json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            raise SystemDownError(f"the control plane at {self.url} broke off its answer; try again") from None
        finally:
            connection.close()

    def _asked(self, method: str, path: str, body: object) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        try:
            connection.request(method, f"{parts.path.rstrip('/')}{path}", json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise SystemDownError(f"the control plane at {self.url} does not answer; is `portcullis up` running?") from None
        if answer.status != http.client.OK:
            try:
                raise _complaint(answer)
            finally:
                connection.close()
        return connection, answer


def _complaint(answer: http.client.HTTPResponse) -> PortcullisError:
    """What the problem document says, and for what is no problem document, that it is none."""
    try:
        detail = json.loads(answer.read())["detail"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return SystemDownError(f"what answers is no control plane (HTTP {answer.status}); see --data or PORTCULLIS_CONTROL")
    return SystemDownError(str(detail)) if answer.status in _UNAVAILABLE else DeclinedError(str(detail))


def find(data: Path | None, environ: Mapping[str, str]) -> Client:
    """The running system: PORTCULLIS_CONTROL and PORTCULLIS_TOKEN, else ready.json under the data folder."""
    folder = data or Path(environ.get("PORTCULLIS_DATA") or "data")
    url, token = environ.get("PORTCULLIS_CONTROL"), environ.get("PORTCULLIS_TOKEN")
    if url and data is None:
        if not token:
            raise Unusable("PORTCULLIS_CONTROL is set and PORTCULLIS_TOKEN is not; set it to the admin token")
        return _client("PORTCULLIS_CONTROL", url, token)
    file = folder / "run" / "ready.json"
    try:
        ready = json.loads(file.read_bytes())
        found, token_file = str(ready["control"]), Path(ready["admin_token_file"])
    except FileNotFoundError:
        raise SystemDownError(f"no running system under {folder}; start it with `portcullis up`, or name its folder with --data") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise Unusable(f"{file}: can't be read; start the system anew with `portcullis up`") from None
    return _client(str(file), found, token or _token(token_file))


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        raise Unusable(f"{file}: the admin token can't be read; run as the user who started the system") from None


def _client(origin: str, url: str, token: str) -> Client:
    """Refuse to show the admin token, and secrets after it, to a network."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not token.isascii() or not token.isprintable():
        raise Unusable(f"{origin}: must be a URL such as http://127.0.0.1:8081, with a token that has no line breaks")
    if parts.scheme == "http" and not _loopback(parts.hostname or ""):
        raise Unusable(f"{origin}: plain HTTP would show the admin token to the network; use https, or run the command on that machine")
    return Client(url.rstrip("/"), token)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
