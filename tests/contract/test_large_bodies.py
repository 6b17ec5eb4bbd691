"""The real exchange with bodies that are large, encoded, or both: read in a worker, and what comes of it is what a small one gets."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import brotli
import offload_work as work
import pytest
from playbook import ALLOWED, KEY_TEXT, PROVIDER_SECRET, WORLD
from transport_servers import client, folder

from contracts.audit import AuditRow, Intent
from contracts.policy import PolicyInput, Verdict
from contracts.snapshot import Snapshot
from custody.secret import Secret
from extproc.core.effects import AT_ONCE, Answer, Compute, Next, PassBody, PassHead
from extproc.core.encodings import zstd
from extproc.core.world import World
from extproc.edge import driver
from extproc.edge.driver import MORE_TIME, Gate
from extproc.edge.grpc_stream import serve
from extproc.edge.offload import Offload
from extproc.edge.proto import ext_proc_pb2 as pb

ADDRESS: Final = "anna.larsen@example.com"
SMALL, LARGE = 10, AT_ONCE // 40
ENCODE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


@dataclass
class Behind:
    """Rules that allow, a spool in memory, a credential that opens."""

    rows: list[AuditRow] = field(default_factory=list)

    def decide(self, _question: PolicyInput) -> Verdict:
        """Allow."""
        return ALLOWED

    def intent(self, _intent: Intent) -> None:
        """On record at once."""

    def row(self, row: AuditRow) -> None:
        """Keep the row."""
        self.rows.append(row)

    def open(self, _snapshot: Snapshot, _name: str) -> Secret:
        """The credential."""
        return PROVIDER_SECRET


@dataclass
class Stream:
    """A stream as the driver sees it."""

    state: Any = None
    asides: list[bytes] = field(default_factory=list)

    def aside(self, message: bytes) -> None:
        """A message that is no reply."""
        self.asides.append(message)

    def fail(self, status: int, why: str) -> None:
        """No exchange here may end so."""
        raise AssertionError(status, why)


@pytest.fixture
async def offload() -> AsyncIterator[Offload]:
    """One worker."""
    made = Offload(workers=1, limit_s=60)
    yield made
    await made.close()


def head_message(coding: str) -> bytes:
    """The request's head."""
    fields = {":method": "POST", ":path": "/v1/chat/completions", "content-type": "application/json", "authorization": f"Bearer {KEY_TEXT}"}
    if coding:
        fields["content-encoding"] = coding
    values = [pb.HeaderValue(key=name, raw_value=value.encode()) for name, value in fields.items()]
    return pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=pb.HeaderMap(headers=values))).SerializeToString()


def body_message(raw: bytes) -> bytes:
    """The request's body."""
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=raw, end_of_stream=True)).SerializeToString()


def chat(lines: int) -> bytes:
    """A chat of so many lines of about 60 bytes, each another, with an address in the first and the last."""
    said = [f"Line {number} of a letter about a parcel, {number * 7919 % 1013}.\n" for number in range(lines)]
    text = f"From {ADDRESS}:\n{''.join(said)}Yours, {ADDRESS}"
    return json.dumps({"model": "cheap", "messages": [{"role": "user", "content": text}]}).encode()


async def asked(
    offload: Offload | None, raw: bytes, coding: str = "", world: World = WORLD
) -> tuple[pb.ProcessingResponse, Behind, Stream]:
    """What the gate says to a body; its row is there if that was its last word."""
    behind, stream = Behind(), Stream()
    gate = Gate(lambda: world, behind, behind, behind, offload)
    first = gate.message(head_message(coding), stream)  # type: ignore[arg-type]  # a stream as far as the driver goes
    assert isinstance(first, bytes)
    said = pb.ProcessingResponse.FromString(first)
    if said.WhichOneof("response") == "request_headers":
        assert not coding or "content-encoding" in said.request_headers.response.header_mutation.remove_headers
        reply: Any = gate.message(body_message(raw), stream)  # type: ignore[arg-type]  # as above
        said = pb.ProcessingResponse.FromString(await reply if isinstance(reply, Awaitable) else reply)
    gate.ended(stream)  # type: ignore[arg-type]  # as above
    while gate.finishing:
        await asyncio.gather(*gate.finishing)
    assert gate.held == 0
    return said, behind, stream


@pytest.mark.parametrize("lines", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("coding", ENCODE)
async def test_a_body_is_read_and_redacted(offload: Offload, coding: str, lines: int) -> None:
    """Whatever its size and coding, the provider gets it plain, without the addresses; the route opens."""
    plain = chat(lines)
    said, behind, _ = await asked(offload, ENCODE[coding](plain), coding)
    sent = said.request_body.response.body_mutation.body
    expected, _, _ = await asked(None, plain)
    assert sent == expected.request_body.response.body_mutation.body
    assert ADDRESS.encode() in plain
    assert ADDRESS.encode() not in sent
    assert json.loads(sent)["model"] == "tiny"
    assert "provider" in said.dynamic_metadata.fields["portcullis"].struct_value.fields
    assert [row.findings_prompt for row in behind.rows] == [{"EMAIL_ADDRESS": 2}]


async def test_large_work_asks_envoy_for_time_and_small_work_does_not(offload: Offload) -> None:
    """A worker is only there once it was needed."""
    _, _, stream = await asked(offload, chat(SMALL))
    assert (stream.asides, offload.pids) == ([], set())
    _, _, stream = await asked(offload, chat(LARGE))
    assert set(stream.asides) == {MORE_TIME}
    assert len(offload.pids) == 1


BLANKS: Final = b" " * (8 << 20)


@pytest.mark.parametrize(
    ("raw", "coding", "status", "code", "words"),
    [
        (b"[" + b" " * AT_ONCE + b"}", "", 400, "invalid_request", "can't be read"),
        (b'{"model": "cheap", "model": "cheap"}' + b" " * AT_ONCE, "", 400, "invalid_request", "can't be read"),
        (gzip.compress(chat(LARGE))[:-1], "gzip", 400, "invalid_request", "one whole stream"),
        (gzip.compress(chat(LARGE)) * 2, "gzip", 400, "invalid_request", "one whole stream"),
        (brotli.compress(BLANKS), "br", 400, "invalid_request", "100 times"),
        (zstd.compress(BLANKS), "zstd", 400, "invalid_request", "100 times"),
        (gzip.compress(chat(10)), "gzip, br", 400, "invalid_request", "more than once"),
        (chat(10), "compress", 400, "invalid_request", "not known"),
        (gzip.compress(chat(LARGE)), "gzip", 413, "request_too_large", "limits.request_bytes"),
    ],
    ids=["no JSON", "a name twice", "cut", "two members", "br bomb", "zstd bomb", "stacked", "unknown", "too large"],
)
async def test_what_can_not_be_read_is_refused(offload: Offload, raw: bytes, coding: str, status: int, code: str, words: str) -> None:
    """By the contract's codes, with a row, and nothing of the body in the refusal; the worker lives."""
    limit = len(chat(LARGE)) - 1 if status == 413 else WORLD.limits.request_bytes
    said, behind, _ = await asked(offload, raw, coding, replace(WORLD, limits=replace(WORLD.limits, request_bytes=limit)))
    assert said.immediate_response.status.code == status
    error = json.loads(said.immediate_response.body)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert ADDRESS not in said.immediate_response.body.decode()
    assert [(row.outcome, row.error_code) for row in behind.rows] == [("refused", code)]


async def test_bytes_in_flight_are_capped(offload: Offload) -> None:
    """One body more than all may hold together is refused for now, and comes through when it is sent again later."""
    tight = replace(WORLD, limits=replace(WORLD.limits, inflight_bytes=len(chat(LARGE)) - 1))
    said, behind, _ = await asked(offload, chat(LARGE), world=tight)
    assert said.immediate_response.status.code == 503
    assert json.loads(said.immediate_response.body)["error"]["code"] == "gate_unavailable"
    assert ("retry-after", b"1") in [(option.header.key, option.header.raw_value) for option in said.immediate_response.headers.set_headers]
    assert [row.outcome for row in behind.rows] == ["refused"]


async def test_a_drain_waits_for_work_under_way(offload: Offload, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """As on SIGTERM: a message that is being worked over gets its reply, after the word that it takes longer."""
    door, nobody = tmp_path / "door", Behind()

    async def story(_world: World, _head: object) -> None:
        await Next(PassHead())
        await Answer(PassBody(str(await Compute(AT_ONCE + 1, work.waits_for, (str(door),))).encode()))

    async def said() -> AsyncIterator[bytes]:
        yield head_message("")
        yield body_message(b"")

    monkeypatch.setattr(driver, "exchange", story)
    with folder() as made:
        server = await serve(made / "s", Gate(lambda: WORLD, nobody, nobody, nobody, offload))
        async with client(made / "s") as call:
            replies = [bytes(reply) async for reply in drained_meanwhile(call(said()), server.drain, door.touch)]
            await server.drained()
        await server.close()
    assert replies[1] == MORE_TIME
    assert int(pb.ProcessingResponse.FromString(replies[2]).response_body.response.body_mutation.body) in offload.pids


async def drained_meanwhile(replies: AsyncIterator[bytes], drain: Callable[[], None], release: Callable[[], None]) -> AsyncIterator[bytes]:
    """The replies; once the work is under way the server drains, and only then may the work end."""
    async for reply in replies:
        if reply == MORE_TIME:
            drain()
            release()
        yield reply
