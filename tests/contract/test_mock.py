"""The mock provider as its clients see it: what it remembers, and what it can be told to do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mock_client import ASK, GONE, STREAM, Client, mocked

from controlplane.mock.http1 import Request
from controlplane.mock.received import Received
from controlplane.mock.says import DEFAULT_TEXT
from controlplane.mock.script import FAULTS, KINDS, BadScript, Step, read_steps


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a mock of its own."""
    async with mocked() as client:
        yield client


def deltas(body: bytes) -> str:
    """The text of an OpenAI stream."""
    events = [line[6:] for line in body.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    return "".join(c["delta"].get("content") or "" for e in events[:-1] for c in json.loads(e)["choices"])


async def test_received_is_what_came(client: Client) -> None:
    """Method, path, headers and raw body of everything but the control calls; DELETE forgets."""
    raw = b'{ "model":"tiny",  "messages": [] , "x": "\xc3\xa9 \xff"}'
    async with client.session.post(f"{client.url}/v1/chat/completions?a=b", data=raw, headers={"X-One": "1"}) as answer:
        await answer.read()
    await client.session.get(f"{client.url}/elsewhere")
    first, second = await client.received()
    assert (first["method"], first["path"], first["headers"]["x-one"]) == ("POST", "/v1/chat/completions?a=b", "1")
    assert first["body"] == '{ "model":"tiny",  "messages": [] , "x": "é \\xff"}'
    assert (second["method"], second["path"]) == ("GET", "/elsewhere")
    await client.session.delete(f"{client.url}/__received")
    assert await client.received() == []


async def test_chunked_requests_are_read(client: Client) -> None:
    """A body without content-length arrives whole."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"model"', b': "tiny"', b"}"):
            yield piece

    async with client.session.post(f"{client.url}/v1/chat/completions", data=pieces()) as answer:
        assert json.loads(await answer.read())["model"] == "tiny"
    assert (await client.received())[0]["body"] == '{"model": "tiny"}'


async def test_steps_are_used_in_order_and_then_the_default_is_back(client: Client) -> None:
    """Two of one step, one of the next, then what it says anyway."""
    await client.script({"text": "a", "repeat": 2}, {"echo": True})
    said = [json.loads((await client.chat())[1])["choices"][0]["message"]["content"] for _ in range(4)]
    assert said == ["a", "a", "Hello there", DEFAULT_TEXT]


async def test_a_step_for_ever_ends_with_delete(client: Client) -> None:
    """`repeat` 0 answers all that follow, until the script is dropped."""
    await client.script({"status": 503, "repeat": 0})
    assert [(await client.chat())[0].status for _ in range(3)] == [503, 503, 503]
    await client.session.delete(f"{client.url}/__script")
    assert (await client.chat())[0].status == 200


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"txt": "a"}, "txt"),
        ({"fault": "boom"}, "boom"),
        ({"status": "200"}, "status"),
        ({"chunk_sizes": [0]}, "chunk_sizes"),
        (7, "object"),
        ({"headers": {"a": "b\r\n"}}, "headers"),
        ({"trailers": {"a": 1}}, "trailers"),
        ({"bulk": -1}, "bulk"),
        ({"reasoning": [1]}, "reasoning"),
    ],
)
async def test_a_wrong_script_is_refused_by_name(client: Client, document: Any, named: str) -> None:
    """400, and the sentence names the field."""
    async with client.session.post(f"{client.url}/__script", json=document) as answer:
        assert answer.status == 400
        assert named in (await answer.json())["error"]


async def test_errors_have_the_dialects_shape(client: Client) -> None:
    """Status and headers as scripted, the body as each dialect writes errors."""
    await client.script({"status": 429, "headers": {"Retry-After": "7"}, "repeat": 2})
    first, body = await client.chat()
    assert (first.status, first.headers["retry-after"], json.loads(body)["error"]["code"]) == (429, "7", "mock_429")
    _, other = await client.chat(path="/v1/messages")
    assert json.loads(other)["type"] == "error"


async def test_trailers_are_real(client: Client) -> None:
    """Trailers come after the last chunk, announced in the head."""
    await client.script({"trailers": {"x-checksum": "abc"}})
    reader, writer = await _raw(client.url, b"{}")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"trailer: x-checksum\r\n" in answer
    assert answer.endswith(b"\r\n0\r\nx-checksum: abc\r\n\r\n")


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5))
async def test_any_cut_gives_the_same_bytes(sizes: list[int]) -> None:
    """However the body's bytes are cut, joined they are the uncut ones."""
    async with mocked() as client:
        await client.script({"text": "größer 🙂 text"}, {"text": "größer 🙂 text", "chunk_sizes": sizes})
        (_, whole), (_, cut) = await client.chat(STREAM), await client.chat(STREAM)
    assert cut == whole.replace(b"chatcmpl-mock1", b"chatcmpl-mock2")
    assert deltas(cut) == "größer 🙂 text"


async def test_chunks_are_the_body(client: Client) -> None:
    """`chunks` replaces the body, one HTTP chunk each."""
    await client.script({"chunks": ["data: a", "b\n\n"]})
    answer, body = await client.chat(STREAM)
    assert (answer.headers["transfer-encoding"], body) == ("chunked", b"data: ab\n\n")


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
async def test_faults_instead_of_an_answer(client: Client, fault: str) -> None:
    """No answer arrives, and the request is on record all the same."""
    await client.script({"fault": fault})
    with pytest.raises(GONE):
        await client.chat()
    assert len(await client.received()) == 1


@pytest.mark.parametrize("ask", [ASK, STREAM])
@pytest.mark.parametrize("fault", ["reset_mid", "truncated"])
async def test_faults_in_the_middle(client: Client, fault: str, ask: dict[str, Any]) -> None:
    """The head arrives, ten bytes of the body do, and then it breaks off."""
    await client.script({"fault": fault, "after_bytes": 10})
    async with client.session.post(f"{client.url}/v1/chat/completions", json=ask) as answer:
        assert answer.status == 200
        assert len(await answer.content.readexactly(10)) == 10
        with pytest.raises(GONE):
            await answer.content.readexactly(1)


@pytest.mark.parametrize(("fault", "head"), [("stall", False), ("stall_mid", True)])
async def test_a_stall_lasts_until_the_client_gives_up(client: Client, fault: str, head: bool) -> None:
    """Nothing more comes; the mock itself goes on serving others."""
    await client.script({"fault": fault, "after_bytes": 5})
    reader, writer = await _raw(client.url, json.dumps(ASK).encode())
    if head:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(5)
    assert (await client.chat())[0].status == 200
    assert not reader.at_eof()
    writer.close()
    await writer.wait_closed()


async def test_faults_of_the_body(client: Client) -> None:
    """`garbage_body` is no JSON under a JSON head; `encoded` is gzip that says so."""
    await client.script({"fault": "garbage_body"}, {"fault": "encoded"})
    garbage, body = await client.chat()
    assert garbage.content_type == "application/json"
    with pytest.raises(ValueError, match=r"JSON|utf-8|decode"):
        json.loads(body)
    encoded, packed = await client.chat()
    assert encoded.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed))["object"] == "chat.completion"


async def test_what_is_no_http_gets_400(client: Client) -> None:
    """A line that is no request line is answered, and the connection ends."""
    reader, writer = await asyncio_connection(client.url)
    writer.write(b"hello\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


def test_memory_is_bounded() -> None:
    """The oldest requests go, by count and by bytes, and are counted."""
    received = Received(most_requests=3, most_bytes=10)
    for body in (b"1", b"22", b"333", b"4444", b"55555"):
        received.add(Request("POST", "/", {}, body))
    assert [json.loads(line)["body"] for line in received.lines().splitlines()] == ["4444", "55555"]
    assert received.forgotten == 3


def test_docs_have_every_field_and_fault(root: Path) -> None:
    """docs/reference/mock.md lists each field of a step and each fault."""
    page = (root / "docs/reference/mock.md").read_text("utf-8")
    names = [f.name for f in fields(Step)]
    assert set(names) == set(KINDS)
    assert [name for name in (*names, *FAULTS) if f"| `{name}` |" not in page] == []


def scripts(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and objects, whose fields have the names that a step has."""
    return st.lists(value) | st.dictionaries(st.sampled_from(list(KINDS)), value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), scripts))
def test_any_json_is_a_script_or_refused(document: Any) -> None:
    """Whatever is posted is followed or refused by name, never anything else."""
    with contextlib.suppress(BadScript):
        assert all(isinstance(step, Step) for step in read_steps(document))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=9), lambda value: st.lists(value, max_size=3)
)
FIELDS = ("model", "messages", "input", "prompt", "n", "dimensions", "encoding_format", "logprobs", "include", "stream_options", "tools")
ROUTES = ("chat/completions", "completions", "responses", "embeddings", "moderations", "messages", "messages/count_tokens")


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), st.booleans())
@example({"dimensions": True, "input": "text"}, False)
async def test_any_request_is_answered(document: dict[str, Any], stream: bool) -> None:
    """Whatever is in the fields that the mock reads, every route answers 200 with a whole body."""
    async with mocked() as client:
        for route in ROUTES:
            answer, body = await client.chat({**document, "stream": stream}, f"/v1/{route}")
            assert answer.status == 200
            assert body


def test_as_a_process(tmp_path: Path) -> None:
    """It prints its address, writes its port, and leaves with 0 on SIGTERM."""
    told = tmp_path / "port"
    command = [sys.executable, "-m", "controlplane.mock", "--port", "0", "--port-file", told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as mock:
        assert mock.stdout is not None
        url = mock.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"{url}/__received") as answer:  # noqa: S310 - the mock's own address
            assert answer.status == 200
        mock.terminate()
        assert mock.wait(10) == 0
    assert url == f"http://127.0.0.1:{told.read_text().strip()}"


def test_port_in_use_is_one_sentence() -> None:
    """Exit 1, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([sys.executable, "-m", "controlplane.mock", "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1


async def asyncio_connection(url: str) -> tuple[Any, Any]:
    """A bare connection to a mock."""
    return await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def _raw(url: str, body: bytes) -> tuple[Any, Any]:
    reader, writer = await asyncio_connection(url)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    return reader, writer
