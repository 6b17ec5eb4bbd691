"""A caller of the control plane's API. Standard library only: the command line should start at once."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from contracts.errors import PortcullisError, Unusable

BASE: Final = "/api/v1"
_PATIENCE_S: Final = 150.0
_DONE: Final = range(200, 300)
_UNAVAILABLE: Final = range(502, 505)
_KEY_BYTES: Final = 16
_COMES_BACK_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.2


class SystemDownError(PortcullisError):
    """The system, or the part that was asked for, does not answer."""


class DeclinedError(PortcullisError):
    """The control plane understood, and said no. `code` is for programs; the text, for people, has a line for each field to blame."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class AwayError(SystemDownError):
    """Nobody listens: the call was not carried out."""


class BrokenOffError(SystemDownError):
    """The connection broke: whether the call was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered. `tag` is the record's ETag, where it has one."""

    tag: str
    body: bytes = field(repr=False)

    def document(self) -> Any:
        """The JSON in it; None where there is nothing in it."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Client:
    """The API at `url`, called with the admin token. Each call raises DeclinedError or SystemDownError."""

    url: str
    token: str = field(repr=False)
    patience_s: float = _PATIENCE_S

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer."""
        answer = self.ask(method, path, body, headers)
        try:
            return answer.document()
        except ValueError:
            raise SystemDownError(f"what answers at {self.url} is no control plane; see --data or PORTCULLIS_CONTROL") from None

    def once(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer of a call that must not be carried out twice: a broken connection is tried once more, as the same call.

        Control may have ended in the middle of it; whoever runs it starts it again, which is waited for.
        """
        headers = {"idempotency-key": secrets.token_hex(_KEY_BYTES)}
        try:
            return self.call(method, path, body, headers)
        except BrokenOffError as broken:
            end = time.monotonic() + _COMES_BACK_S
            while time.monotonic() < end:
                time.sleep(_LOOK_EVERY_S)  # at first too: a process that ends may still take a connection, and break it as well
                with contextlib.suppress(AwayError):
                    return self.call(method, path, body, headers)
            raise broken from None

    def fresh(self, what: str, path: str, body: object) -> Any:
        """The JSON answer of a call that makes `what`. Where there is one already, that is said, and not how it was asked."""
        try:
            return self.call("PUT", path, body, {"if-none-match": "*"})
        except DeclinedError as error:
            if error.code != "changed_meanwhile":
                raise
            raise DeclinedError(f"{what} is there already, and stays as it is; change that one, or take another name.") from None

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer as it came."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.patience_s)
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **(headers or {})}
        try:
            connection.connect()
        except OSError:
            raise AwayError(f"the control plane at {self.url} does not answer; is `portcullis up` running?") from None
        try:
            connection.request(method, f"{parts.path.rstrip('/')}{path}", json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            raise BrokenOffError(f"the control plane at {self.url} broke off its answer; look at what is there, and try again") from None
        finally:
            connection.close()
        if answer.status not in _DONE:
            raise _complaint(answer.status, raw)
        return Answer(answer.headers.get("etag", ""), raw)


def path_of(*names: str) -> str:
    """A path of the API; names may hold slashes."""
    return "/".join([BASE, *(quote(name, safe="") for name in names)])


def _complaint(status: int, raw: bytes) -> PortcullisError:
    """What the problem document says, and for what is no problem document, that it is none."""
    try:
        document = json.loads(raw)
        detail, code = str(document["detail"]), str(document.get("code", ""))
        blamed = [f"{error['field']}: {error['detail']}" for error in document.get("errors", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return SystemDownError(f"what answers is no control plane (HTTP {status}); see --data or PORTCULLIS_CONTROL")
    text = _lines(detail, blamed)
    return SystemDownError(text) if status in _UNAVAILABLE else DeclinedError(text, code)


def _lines(detail: str, blamed: Sequence[str]) -> str:
    """The sentence, then the fields to blame; a sentence that only repeats the fields is left out."""
    if not blamed:
        return detail
    repeats = detail in {"; ".join(blamed), "\n".join(blamed)}
    return "\n".join(blamed if repeats else [detail, *blamed])


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
