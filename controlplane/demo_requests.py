"""The demo's three requests, sent through the gate as an application would, and what must be true of each."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.supervisor.probe import place_of

ADDRESS: Final = "anna.schmidt@example.com"
_PATIENCE_S: Final = 30.0
_OK, _FORBIDDEN = 200, 403


@dataclass(frozen=True, slots=True)
class Provider:
    """The mock provider, and the credential that the gate holds for it."""

    port: int
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.port}"

    def received(self) -> list[dict[str, Any]]:
        """What it got so far."""
        _, _, body = _exchange(f"127.0.0.1:{self.port}", "GET", "/__received")
        return [json.loads(line) for line in body.splitlines()]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request. `row`: what its audit row must say; `problem`: what is not as it should be."""

    title: str
    id: str
    lines: Sequence[str]
    row: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    document: Any

    @property
    def id(self) -> str:
        return self.headers.get("x-portcullis-request-id", "")

    @property
    def said(self) -> str:
        try:
            return str(self.document["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            return ""

    @property
    def error(self) -> Mapping[str, Any]:
        found = self.document.get("error") if isinstance(self.document, dict) else None
        return found if isinstance(found, dict) else {}


def outcomes(gateway: str, key: str, provider: Provider) -> list[Outcome]:
    """Send the three requests; what became of them."""
    return [_allowed(gateway, key, provider), _refused(gateway, key, provider), _redacted(gateway, key, provider)]


def _allowed(gateway: str, key: str, provider: Provider) -> Outcome:
    before = len(provider.received())
    reply = _chat(gateway, key, "tiny", "Hello!")
    got = provider.received()[before:]
    shown = [request["headers"].get("authorization") for request in got]
    problem = _first(
        (reply.status == _OK, f"the gate answered {reply.status}"),
        (len(got) == 1, f"the provider got {len(got)} requests"),
        (shown == [f"Bearer {provider.secret}"], "the provider did not get its own credential"),
        (key not in json.dumps(got), "the provider saw the virtual key"),
    )
    lines = [f"{reply.status}  model tiny said: {reply.said}", "The provider saw its own credential, never the virtual key."]
    row = {"outcome": "served", "status": 200, "model_asked": "tiny"}
    return Outcome("Allowed: a model that this key may use", reply.id, lines, row, problem)


def _refused(gateway: str, key: str, provider: Provider) -> Outcome:
    before = len(provider.received())
    reply = _chat(gateway, key, "large", "Hello!")
    got = provider.received()[before:]
    code, message = reply.error.get("code"), reply.error.get("message", "")
    problem = _first(
        (reply.status == _FORBIDDEN, f"the gate answered {reply.status}"),
        (code == "not_allowed", f"the code is {code!r}"),
        (not got, "the provider got the request all the same"),
    )
    lines = [f"{reply.status}  {code}: {message}", "The provider got nothing."]
    row = {"outcome": "refused", "status": 403, "model_asked": "large"}
    return Outcome("Refused by policy: a model that it may not use", reply.id, lines, row, problem)


def _redacted(gateway: str, key: str, provider: Provider) -> Outcome:
    before = len(provider.received())
    prompt = f"Write a short reply to {ADDRESS}, please."
    reply = _chat(gateway, key, "tiny", prompt)
    got = provider.received()[before:]
    read = _prompt_of(got)
    problem = _first(
        (reply.status == _OK, f"the gate answered {reply.status}"),
        (len(got) == 1, f"the provider got {len(got)} requests"),
        (ADDRESS not in json.dumps(got), "the address reached the provider"),
        (read.startswith("Write a short reply to ") and read.endswith(", please."), f"the provider read {read!r}"),
    )
    lines = [f"{reply.status}  the application wrote: {prompt}", f"     the provider read:     {read}"]
    row = {"outcome": "served", "status": 200, "findings_prompt": {"EMAIL_ADDRESS": 1}}
    return Outcome("Redacted: personal data stays inside", reply.id, lines, row, problem)


def _prompt_of(got: Sequence[Mapping[str, Any]]) -> str:
    try:
        return str(json.loads(got[0]["body"])["messages"][0]["content"])
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def _first(*checks: tuple[bool, str]) -> str:
    """What the first check that failed says."""
    return next((text for good, text in checks if not good), "")


def _chat(gateway: str, key: str, model: str, text: str) -> _Reply:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    status, found, raw = _exchange(gateway.removeprefix("http://"), "POST", "/v1/chat/completions", body, headers)
    try:
        return _Reply(status, found, json.loads(raw))
    except ValueError:
        return _Reply(status, found, None)


def _exchange(
    listen: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*place_of(listen), timeout=_PATIENCE_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
