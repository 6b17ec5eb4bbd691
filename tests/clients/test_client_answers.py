"""Answers through real clients: whole and streamed, with their usage, and with personal data taken out both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from app import App
from roster import having
from stack import PROVIDER_SECRET, Stack

USAGE: dict[str, Any] = {
    "chat": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    "responses": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
    "messages": {"input_tokens": 11, "output_tokens": 7},
}


@having("chat")
def test_a_whole_answer(app: App, gate: Stack) -> None:
    """Its text and usage are the provider's, which got the prompt without the address in it, and its own credential."""
    gate.script({"text": "Good morning, anna@example.com", "usage": USAGE[app.client.route]})
    came = app.do("chat", prompt="From bert@example.org, please")
    assert came.served == {"input": 11, "output": 7}
    assert came.text == "Good morning, [EMAIL_ADDRESS]"
    (got,) = gate.mock_received()
    assert "From [EMAIL_ADDRESS], please" in got["body"]
    assert "bert@" not in json.dumps(got)
    assert PROVIDER_SECRET in json.dumps(got["headers"])
    assert gate.key() not in json.dumps(got)


@having("stream")
@pytest.mark.parametrize("sizes", [[1], [7, 3], [100_000]], ids=["bytes", "cut", "whole"])
def test_a_streamed_answer(app: App, gate: Stack, sizes: list[int]) -> None:
    """An address split over events and chunks is redacted, the text around it is whole, and usage comes."""
    gate.script({"text": ["Write to an", "na@exam", "ple.com, ", "soon"], "chunk_sizes": sizes, "usage": USAGE[app.client.route]})
    came = app.do("stream", prompt="From bert@example.org")
    told = dict(came.served)
    assert came.text == told.pop("whole", came.text) == "Write to [EMAIL_ADDRESS], soon"
    assert told == {"input": 11, "output": 7}
    assert [("bert@" in got["body"], "From [EMAIL_ADDRESS]" in got["body"]) for got in gate.mock_received()] == [(False, True)]


@having("stream")
def test_a_stream_comes_in_pieces(app: App, gate: Stack) -> None:
    """The gate hands on what can't be part of a finding: the app doesn't wait for the end."""
    gate.script({"text": ["Good morning to all of you. "] * 40, "chunk_delay_ms": 5})
    came = app.do("stream")
    assert came.text == "Good morning to all of you. " * 40
    assert len(came.heard) > 5
