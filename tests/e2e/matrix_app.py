"""The app's side of a cell: it asks, it may leave, and says in a few words what it saw."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from typing import Any, Final

from plain_http import Reply
from stack import Stack

CODES: Final = frozenset(
    [
        "invalid_request",
        "guardrail_blocked",
        "invalid_api_key",
        "not_allowed",
        "unknown_route",
        "request_too_large",
        "upstream_error",
        "upstream_timeout",
        "policy_unavailable",
        "audit_unavailable",
        "gate_unavailable",
    ]
)
"""Refusals of ours, which must have our error shape; a provider's own 4xx keeps its own."""


class App(threading.Thread):
    """One request on a connection of its own. `head` and `piece` tell that the answer's head, its first piece, is here."""

    def __init__(self, gate: Stack, agent: str, *, model: str = "cheap", stream: bool = False, key: str = "app", cut: int = 0) -> None:
        super().__init__(name=agent, daemon=True)
        self.head, self.piece = threading.Event(), threading.Event()
        self.reply: Reply | None = None
        self.trouble = ""
        self.left = False
        host, _, port = gate.gateway.removeprefix("http://").rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self._body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream}).encode()
        self._cut = cut
        self._headers = {"authorization": f"Bearer {gate.key(key)}", "content-type": "application/json", "user-agent": agent}

    def ask(self) -> App:
        """Send the request (all but the last `cut` bytes of it), and read the answer in a thread."""
        self._connection.putrequest("POST", "/v1/chat/completions", skip_accept_encoding=True)
        for name, value in {**self._headers, "content-length": str(len(self._body))}.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(self._body[: len(self._body) - self._cut])
        self.start()
        return self

    def run(self) -> None:
        """Read to the end, whatever it is."""
        try:
            answer = self._connection.getresponse()
            self.head.set()
            self.reply = self._read(answer)
        except (http.client.HTTPException, OSError) as trouble:
            self.trouble = type(trouble).__name__
        finally:
            self._connection.close()

    def _read(self, answer: http.client.HTTPResponse) -> Reply:
        headers = {name.lower(): value for name, value in answer.getheaders()}
        pieces: list[bytes] = []
        try:
            while piece := answer.read1(1 << 16):
                pieces.append(piece)
                self.piece.set()
        except (http.client.HTTPException, OSError):
            return Reply(answer.status, headers, b"".join(pieces), broken=True)
        return Reply(answer.status, headers, b"".join(pieces), broken=bool(answer.length))

    def leave(self) -> None:
        """Go away without a word."""
        self.left = True
        sock = self._connection.sock
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)

    def saw(self) -> str:
        """What came of it, in the words of the table."""
        self.join(60)
        if self.left:
            return "left"
        return _words(self.reply) if self.reply else f"no answer ({self.trouble or 'none yet'})"


def _words(reply: Reply) -> str:
    if reply.status == 200:
        return _stream(reply) if "event-stream" in reply.headers.get("content-type", "") else _whole(reply)
    error = _error(reply.body)
    wrong = _misshapen(error, reply) if error.get("code") in CODES else []
    return " ".join([f"{reply.status} {error.get('code')}", *wrong])


def _whole(reply: Reply) -> str:
    return "200, cut short" if reply.broken or "choices" not in _object(reply.body) else "200, whole"


def _stream(reply: Reply) -> str:
    events = [event.removeprefix(b"data: ") for event in reply.body.split(b"\n\n") if event]
    pieces = ", pieces" if any("choices" in _object(event) for event in events) else ""
    if reply.broken:
        return f"200{pieces}, then a reset"
    error = _error(events[-1]) if events else {}
    if error:
        return f"200{pieces}, {'then ' if pieces else ''}the event {error.get('code')}"
    return "200, whole stream" if events[-1:] == [b"[DONE]"] else f"200{pieces}, then a clean end"


def _misshapen(error: Mapping[str, Any], reply: Reply) -> list[str]:
    """What is wrong with a refusal's shape: OpenAI's, with the exchange's id in body and header."""
    wrong = [f"without {name}" for name in ("message", "type", "param", "code", "request_id") if name not in error]
    if error.get("type") != ("server_error" if reply.status >= 500 else "invalid_request_error"):
        wrong.append("of another type")
    if not reply.id or error.get("request_id") != reply.id:
        wrong.append("with two ids")
    if reply.headers.get("content-type") != "application/json" or reply.broken:
        wrong.append("no whole JSON")
    return wrong


def _error(body: bytes) -> Mapping[str, Any]:
    error = _object(body).get("error")
    return error if isinstance(error, dict) else {}


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
