"""Whatever Envoy says, in whatever order, and whatever fails behind: what the gate may never do, and always does.

Here is the driver with the real exchange and the real messages. The oracle: each message has one reply or ends the
stream with an error; a route opens and a credential leaves only in the reply to a request body, and only once an intent
is on record; the app's key is in no reply; and one row comes of it all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from playbook import ALLOWED, DENIED, KEY_TEXT, WORLD, delta

from contracts.audit import OUTCOMES, TERMINATIONS, AuditRow, Intent
from contracts.errors import AuditUnavailable, GateUnavailable, PolicyUnavailable
from contracts.policy import PolicyInput, Verdict
from contracts.snapshot import Snapshot
from custody.secret import Secret
from extproc.edge.driver import Gate
from extproc.edge.proto import ext_proc_pb2 as pb

CREDENTIAL: Final = b"sk-of-the-provider"
BAD_KEY: Final = KEY_TEXT[:-1] + ("0" if KEY_TEXT[-1] != "0" else "1")


# ── what Envoy may say ────────────────────────────────────────────────────────


def headers(end: bool, **fields: str) -> pb.HttpHeaders:
    """A head; `_` begins a pseudo-header's name."""
    named = {name.replace("_", ":", 1) if name.startswith("_") else name.replace("_", "-"): value for name, value in fields.items()}
    entries = [pb.HeaderValue(key=name, raw_value=value.encode()) for name, value in named.items()]
    return pb.HttpHeaders(headers=pb.HeaderMap(headers=entries), end_of_stream=end)


def attributed(message: pb.ProcessingRequest, **fields: str) -> bytes:
    """The message with Envoy's attributes."""
    for name, value in fields.items():
        message.attributes["envoy.filters.http.ext_proc"].fields[name.replace("_", ".", 1)].string_value = value
    return message.SerializeToString()


def request_head(key: str = KEY_TEXT, path: str = "/v1/chat/completions", *, end: bool = False, **more: str) -> bytes:
    """The request's head."""
    fields = {"_method": "POST", "_path": path, "content_type": "application/json", "authorization": f"Bearer {key}", **more}
    return attributed(pb.ProcessingRequest(request_headers=headers(end, **fields)), source_address="10.0.0.7:1", request_id="envoy-1")


def request_body(raw: bytes) -> bytes:
    """The request's body."""
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=raw, end_of_stream=True)).SerializeToString()


def chat(text: str = "hello", model: str = "cheap", **more: Any) -> bytes:
    """A chat request."""
    return request_body(json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode())


def answer_head(
    status: str = "200", kind: str = "application/json", details: str = "via_upstream", *, end: bool = False, **more: str
) -> bytes:
    """The answer's head."""
    fields = {"_status": status, "content_type": kind, **more}
    return attributed(pb.ProcessingRequest(response_headers=headers(end, **fields)), response_code_details=details)


def answer_body(raw: bytes | str, *, end: bool) -> bytes:
    """A piece of the answer's body."""
    body = pb.HttpBody(body=raw.encode() if isinstance(raw, str) else raw, end_of_stream=end)
    return pb.ProcessingRequest(response_body=body).SerializeToString()


def completion(text: str) -> str:
    """A whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c-1", "object": "chat.completion", "model": "tiny", "choices": [choice], "usage": {"prompt_tokens": 1}})


TRAILERS: Final = pb.ProcessingRequest(response_trailers=pb.HttpTrailers()).SerializeToString()
CARD: Final = "4111 1111 1111 1111"

HEADS: Final = st.sampled_from(
    [request_head()] * 4
    + [
        request_head(BAD_KEY),
        request_head("nothing"),
        request_head(path="/v1/other"),
        request_head(path="/v1/chat/completions?a=1"),
        request_head(end=True),
        request_head(content_encoding="gzip"),
        request_head(x_portcullis_metadata="{"),
        request_head(x_portcullis_user="u-1"),
    ]
)
BODIES: Final = st.sampled_from(
    [chat(), chat(stream=True), chat("write to jane@example.com")] * 2
    + [chat(CARD), chat(model="dear"), chat(model=CARD), request_body(b"{"), request_body(b""), request_body(b'{"model": "cheap"}')]
)
ANSWER_HEADS: Final = st.sampled_from(
    [answer_head(), answer_head(kind="text/event-stream")] * 3
    + [answer_head(status, end=end) for status in ("204", "302", "401", "404", "500") for end in (True, False)]
    + [answer_head("503", details="ext_proc_error"), answer_head("502", details="upstream_reset{x}"), answer_head("413", details="y")]
    + [answer_head(content_encoding="br"), answer_head("0"), answer_head(kind="text/event-stream", end=True)]
)
PIECES: Final = st.sampled_from(
    [
        delta("hello "),
        delta("jane@exam"),
        delta("ple.com", "stop"),
        "data: [DONE]\n\n",
        delta(CARD),
        completion("hi"),
        completion(CARD),
        "data: {",
        "",
        "\n\n",
        b"\xff\xfe",
        "data: 1\n\n",
        completion("jane@example.com"),
        '{"error": {"message": "sk-of-the-provider"}}',
    ]
)
ANSWER_BODIES: Final = st.builds(lambda raw, end: answer_body(raw, end=end), PIECES, st.booleans())
TRUE: Final = st.tuples(HEADS, BODIES, ANSWER_HEADS, st.lists(ANSWER_BODIES, max_size=6), st.sampled_from([(), (TRAILERS,)])).map(
    lambda parts: [*parts[:3], *parts[3], *parts[4]]
)
"""Messages in Envoy's order."""

LIES: Final = st.lists(HEADS | BODIES | ANSWER_HEADS | ANSWER_BODIES | st.just(TRAILERS) | st.binary(max_size=40), max_size=8)
"""Messages in any order, and bytes that are none."""

SAID: Final = TRUE | LIES | st.builds(lambda true, lies, at: [*true[:at], *lies, *true[at:]], TRUE, LIES, st.integers(0, 8))


# ── what may fail behind ──────────────────────────────────────────────────────


@dataclass
class Behind:
    """Rules, spool and vault: each does what `does` says. `seen` keeps the order of things."""

    rules: str = "allow"
    spool: str = "done"
    vault: str = "opens"
    seen: list[str] = field(default_factory=list)
    rows: list[AuditRow] = field(default_factory=list)

    def decide(self, _question: PolicyInput) -> Verdict:
        """Allow, deny, or break."""
        if self.rules == "down":
            raise PolicyUnavailable("The rules can't be asked.")
        if self.rules == "bug":
            raise ZeroDivisionError
        return ALLOWED if self.rules == "allow" else DENIED

    def intent(self, _intent: Intent) -> Awaitable[None] | None:
        """Record at once, or later, or not."""
        if self.spool == "full":
            raise AuditUnavailable("The spool is full.")
        if self.spool == "done":
            self.seen.append("intent")
            return None
        return self._later()

    async def _later(self) -> None:
        await asyncio.sleep(0)
        if self.spool == "fails":
            raise AuditUnavailable("The disk said no.")
        if self.spool == "hangs":
            await asyncio.Event().wait()
        self.seen.append("intent")

    def row(self, row: AuditRow) -> None:
        """Keep the row."""
        self.rows.append(row)

    def open(self, _snapshot: Snapshot, _name: str) -> Secret:
        """The credential."""
        if self.vault == "shut":
            raise GateUnavailable("The credential can't be opened.")
        if self.vault == "bug":
            raise ZeroDivisionError
        self.seen.append("credential")
        return Secret(CREDENTIAL)


BEHIND: Final = st.builds(
    Behind,
    rules=st.sampled_from(["allow"] * 4 + ["deny", "down", "bug"]),
    spool=st.sampled_from(["done", "later", "done", "later", "full", "fails", "hangs"]),
    vault=st.sampled_from(["opens"] * 4 + ["shut", "bug"]),
)


# ── the conversation ──────────────────────────────────────────────────────────


@dataclass
class Stream:
    """A stream as the driver sees it."""

    state: Any = None
    status: int = 0

    def fail(self, status: int, _why: str) -> None:
        """The stream ends with an error."""
        assert status != 0
        self.status = self.status or status


async def talk(said: list[bytes], behind: Behind) -> tuple[Stream, list[tuple[bytes, pb.ProcessingResponse]]]:
    """Say it all, as the transport would; each message with its reply. Stops where Envoy or the transport would."""
    gate, stream = Gate(lambda: WORLD, behind, behind, behind), Stream()
    replies = []
    for message in said:
        try:
            reply = await replied(gate, message, stream)
        except (asyncio.CancelledError, TimeoutError):
            break  # a spool that hangs, and an app that waited long enough
        except Exception:  # noqa: BLE001 - the transport ends the stream with an error then
            stream.fail(13, "raised")
            reply = None
        assert (reply is None) == (stream.status != 0), "one reply, or an error, and never both"
        if reply is None:
            break
        replies.append((message, pb.ProcessingResponse.FromString(reply)))
        if replies[-1][1].WhichOneof("response") == "immediate_response":
            break
    gate.ended(stream)  # type: ignore[arg-type]  # a stream as far as the driver goes
    while gate.finishing:
        await asyncio.gather(*gate.finishing)
    return stream, replies


async def replied(gate: Gate, message: bytes, stream: Stream) -> bytes | None:
    """One message's reply. What never comes is cancelled, as a reset does."""
    reply = gate.message(message, stream)  # type: ignore[arg-type]  # as above
    if reply is None or isinstance(reply, bytes):
        return reply
    task = asyncio.ensure_future(reply)
    for _turn in range(20):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    return await task


@settings(max_examples=400, deadline=None)
@given(SAID, BEHIND)
@example([request_head(), chat(), answer_head(), answer_body(completion("hi"), end=True)], Behind())
@example([request_head(), chat(), answer_head(), answer_body(completion("hi"), end=True), TRAILERS], Behind())
@example([request_head(), chat()], Behind(spool="hangs"))
@example([request_head(), request_head()], Behind())
def test_whatever_comes_the_gate_keeps_its_promises(said: list[bytes], behind: Behind) -> None:
    """The oracle of this file's head."""
    stream, replies = asyncio.run(talk(said, behind))
    began = stream.state is not None
    assert len(behind.rows) == int(began)
    for row in behind.rows:
        assert row.outcome in OUTCOMES
        assert row.termination in TERMINATIONS
    for message, reply in replies:
        keeps_inside(message, reply, behind)
    if replies and not stream.status:
        first = replies[0][1]
        assert first.WhichOneof("response") in {"request_headers", "immediate_response"}
        if first.WhichOneof("response") == "request_headers":
            assert "authorization" in first.request_headers.response.header_mutation.remove_headers


def keeps_inside(message: bytes, reply: pb.ProcessingResponse, behind: Behind) -> None:
    """No key goes out at all, and the credential and the open route only where they may."""
    raw = reply.SerializeToString()
    assert KEY_TEXT.encode() not in raw
    opens = "provider" in reply.dynamic_metadata.fields["portcullis"].struct_value.fields
    assert (CREDENTIAL in raw) == opens
    if opens:
        assert pb.ProcessingRequest.FromString(message).WhichOneof("request") == "request_body"
        assert behind.seen == ["intent", "credential"]
        assert behind.rules == "allow"


def test_an_open_route_is_reached() -> None:
    """The oracle is not empty: a true conversation does open the route, and ends served."""
    behind = Behind(spool="later")
    said = [request_head(), chat("to jane@example.com"), answer_head(), answer_body(completion("hi"), end=True)]
    _, replies = asyncio.run(talk(said, behind))
    assert [reply.WhichOneof("response") for _, reply in replies] == [
        "request_headers",
        "request_body",
        "response_headers",
        "response_body",
    ]
    assert CREDENTIAL in replies[1][1].SerializeToString()
    assert b"jane@example.com" not in replies[1][1].SerializeToString()
    assert (behind.rows[0].outcome, behind.rows[0].allow) == ("served", True)
