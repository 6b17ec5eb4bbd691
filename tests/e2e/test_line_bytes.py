"""Bytes pass the whole line as they are, but for the model's name and what is redacted: prompts, whole answers, streams."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stack import Stack

ODD_PROMPT: Final = (
    '\t{ "unknown_to_us" : [ 1.0, 1E+300, -0, 100000000000000000000, 0.1000 ] ,\r\n'
    '  "messages":[ {"role":"user",  "content" : "caf\\u00e9 \\/ \\ud83d\\ude00 \U0001f600 \\u0000 tab\\t",'
    ' "name_of_next_year":{"b":null , "a":[ ]} } ],\n'
    '  "temperature": 0.70, "seed":9007199254740991 ,"model"  :  "MODEL" }\n \n'
)
"""Whitespace everywhere, every kind of escape, numbers that a parser would write anew, members that nobody knows yet."""

ODD_ANSWER: Final = (
    ' {"id":"x" , "object":"chat.completion","model":"\\u0074iny","new_member":{"z":1E-7,"y":[ 12345678901234567890 ]},\r\n'
    '"choices":[{"index":0 ,"message":{"role":"assistant","content":"caf\\u00E9 \\/ \U0001f600"},"finish_reason":"stop"}] , '
    '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n'
)

ODD_USAGE: Final = 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'

ODD_STREAM: Final = (
    ": a comment, as keep-alives are\n\n"
    'data:{"id":"x","choices":[ {"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    'event: odd\r\nid: 7\r\ndata: {"choices":[{"index":0,"delta":{"content":"caf\\u00e9 \U0001f600 "} }], "new":1.50}\r\n\r\n'
    'data: {"choices":[{"index":0,"delta":{"content":"and more"},"logprobs":null}]}\n\n'
    "retry: 10\n\n"
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    + ODD_USAGE + "data: [DONE]\n\n"
)  # fmt: skip
"""Line ends of all kinds, fields beside `data`, no blank after the colon, a comment, an event without data."""

ADDRESS: Final = "anna.berg@example.com"


def prompt(model: str) -> bytes:
    """The odd prompt for a model."""
    return ODD_PROMPT.replace("MODEL", model).encode()


def provider_got(gate: Stack) -> list[bytes]:
    """Bodies as they arrived."""
    return [got["body"].encode() for got in gate.mock_received()]


# ── prompts ───────────────────────────────────────────────────────────────────


def test_a_prompt_passes_byte_for_byte(gate: Stack) -> None:
    """Nothing to change, so nothing is changed."""
    assert gate.ask(prompt("gpt-4o-mini")).status == 200
    assert provider_got(gate) == [prompt("gpt-4o-mini")]


def test_only_the_model_is_written_anew(gate: Stack) -> None:
    """The name that the provider knows takes the place of the one asked for; all other bytes stay."""
    assert gate.ask(prompt("cheap")).status == 200
    assert provider_got(gate) == [prompt("tiny")]


def test_only_what_is_found_is_taken_out(gate: Stack) -> None:
    """An address, written with an escape, in a member that nobody knows yet."""
    body = prompt("gpt-4o-mini").replace(b'"b":null', b'"b":"to \\u0061nna.berg@example.com\\n"')
    assert gate.ask(body).status == 200
    assert provider_got(gate) == [body.replace(b"\\u0061nna.berg@example.com", b"[EMAIL_ADDRESS]")]


@given(
    between=st.lists(st.sampled_from([" ", "\n", "\r\n", "\t", ""]), min_size=8, max_size=8),
    text=st.text(max_size=40).filter(lambda text: "@" not in text and not any(c.isdigit() for c in text)),
    escape=st.booleans(),
    number=st.sampled_from(["0", "-0.0", "1e5", "3.14159265358979323846", "184467440737095516160"]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_prompt_passes_byte_for_byte(shared_gate: Stack, between: list[str], text: str, escape: bool, number: str) -> None:
    """Whatever its whitespace, escapes and numbers."""
    shared_gate.forget()
    a, b, c, d, e, f, g, h = between
    content = json.dumps(text, ensure_ascii=escape)
    body = (
        f'{a}{{{b}"messages"{c}:{d}[{{"role":"user","content":{e}{content}}}]{f},"extra":{g}{number},"model":"gpt-4o-mini"{h}}}'
    ).encode("utf-8", "surrogatepass")
    assert shared_gate.ask(body).status == 200
    assert provider_got(shared_gate) == [body]


# ── answers ───────────────────────────────────────────────────────────────────

SIZES: Final = ([1], [2, 3], [7, 1, 64], [100_000])


@pytest.mark.parametrize("sizes", SIZES)
def test_a_whole_answer_passes_byte_for_byte(gate: Stack, sizes: list[int]) -> None:
    """In whatever pieces it comes; its length is told."""
    gate.script({"body": ODD_ANSWER, "chunk_sizes": sizes})
    reply = gate.chat()
    assert reply.body == ODD_ANSWER.encode()
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize("sizes", SIZES)
def test_a_stream_passes_byte_for_byte(gate: Stack, sizes: list[int]) -> None:
    """Comments, line ends and fields that we have no use for are the app's."""
    gate.script({"body": ODD_STREAM, "chunk_sizes": sizes})
    assert gate.chat(stream=True, stream_options={"include_usage": True}).body == ODD_STREAM.encode()


@pytest.mark.parametrize("sizes", SIZES)
def test_only_a_usage_that_nobody_asked_for_is_left_out(gate: Stack, sizes: list[int]) -> None:
    """The gate asked for it; the event goes, and no byte of any other."""
    gate.script({"body": ODD_STREAM, "chunk_sizes": sizes})
    assert gate.chat(stream=True).body == ODD_STREAM.replace(ODD_USAGE, "").encode()


def test_only_the_usage_is_asked_for(gate: Stack) -> None:
    """Where an app streams, one member is added at the end of its prompt."""
    body = prompt("gpt-4o-mini").replace(b'"temperature"', b'"stream":true,"temperature"')
    assert gate.ask(body).status == 200
    assert provider_got(gate) == [body.replace(b'"gpt-4o-mini" }', b'"gpt-4o-mini" ,"stream_options":{"include_usage":true}}')]


@given(sizes=st.lists(st.integers(1, 120), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_split_of_a_stream_gives_the_same_bytes(shared_gate: Stack, sizes: list[int]) -> None:
    """Also where a split falls into a character, a line end or an address, which is taken out the same way."""
    pieces = [ADDRESS[:4], ADDRESS[4:12], ADDRESS[12:]]
    events = "".join(f'data: {{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}\n\n' for piece in pieces)
    told = 'data: {"choices":[{"index":0,"delta":{"content":"caf\\u00e9 \U0001f600 "} }]}\n\n'
    end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\n\n'
    shared_gate.forget()
    shared_gate.script({"body": told + events + end, "chunk_sizes": sizes})
    left = events.replace(pieces[0], "[EMAIL_ADDRESS]").replace(pieces[1], "").replace(pieces[2], "")
    assert shared_gate.chat(stream=True).body.decode() == told + left + end


def test_only_the_finding_in_an_answer_is_taken_out(gate: Stack) -> None:
    """The rest of a whole answer stays as the provider wrote it."""
    body = ODD_ANSWER.replace("caf\\u00E9", f"caf\\u00E9 {ADDRESS}")
    gate.script({"body": body})
    assert gate.chat().body == body.replace(ADDRESS, "[EMAIL_ADDRESS]").encode()


def test_a_provider_s_refusal_passes_byte_for_byte(gate: Stack) -> None:
    """A 4xx is the app's to read."""
    body = ' {"error" : {"message":"no \\u0041 like that", "code":null, "n":1.0} }\n'
    gate.script({"status": 422, "body": body})
    reply = gate.chat()
    assert (reply.status, reply.body) == (422, body.encode())
