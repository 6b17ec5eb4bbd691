"""Tools through real clients: the model's calls, parallel ones, and what the app's tools answered."""

from __future__ import annotations

import json

import pytest
from app import App
from roster import having
from stack import Stack

CALLS = [
    {"name": "look_up", "arguments": {"of": "anna@example.com", "at": 3.5}, "id": "call_1"},
    {"name": "look_up", "arguments": {"of": 'Carl "the Great"\n€', "at": 2}, "id": "call_2"},
]


def read(app: App, gate: Stack, verb: str, sizes: list[int]) -> None:
    """Two calls at once, their results, and an answer."""
    gate.script({"tool_calls": CALLS, "chunk_sizes": sizes}, {"text": ["That is ", "Bert."], "chunk_sizes": sizes})
    came = app.do(verb, prompt="Who is it?")
    assert came.served["calls"] == [
        {"name": "look_up", "arguments": {"of": "[EMAIL_ADDRESS]", "at": 3.5}, "id": "call_1"},
        {"name": "look_up", "arguments": {"of": 'Carl "the Great"\n€', "at": 2}, "id": "call_2"},
    ]
    assert came.text == "That is Bert."
    first, second = (got["body"] for got in gate.mock_received())
    assert "look_up" in first
    assert second.count("Bert, [EMAIL_ADDRESS]") == 2
    assert "bert@" not in second
    assert [call in second for call in ("call_1", "call_2")] == [True, True]


@having("tools")
def test_parallel_tool_calls(app: App, gate: Stack) -> None:
    """Names, ids and arguments come whole; an address in arguments and in results is taken out, and both stay JSON."""
    read(app, gate, "tools", [100_000])


@having("tools_stream")
@pytest.mark.parametrize("sizes", [[1], [11], [100_000]], ids=["bytes", "cut", "whole"])
def test_parallel_tool_calls_streamed(app: App, gate: Stack, sizes: list[int]) -> None:
    """The same in pieces, which the client puts together."""
    read(app, gate, "tools_stream", sizes)


@having("structured")
def test_structured_output(app: App, gate: Stack) -> None:
    """The schema reaches the provider, and the answer parses into it, without the address that was in it."""
    gate.script({"text": json.dumps({"city": 'São "Paulo"', "mail": "anna@example.com"})})
    came = app.do("structured", prompt="Where?")
    assert came.served["value"] == {"city": 'São "Paulo"', "mail": "[EMAIL_ADDRESS]"}
    (got,) = gate.mock_received()
    assert '"city"' in got["body"]
