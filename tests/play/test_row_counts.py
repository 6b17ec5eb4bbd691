"""What the row says of an answer: tokens where the provider gives none, and nothing of a text where it says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from playbook import (
    answer_head,
    chat,
    completion,
    emits,
    ends,
    governed,
    head,
    piece,
    play,
    refuses,
    replies,
    to,
)

from extproc.core.effects import PassAnswerHead, PassBody

ADDRESS = "joe@example.com"


@pytest.mark.parametrize("counted", [{"prompt_tokens": 0}, {"prompt_tokens": None}, {"prompt_tokens": -1}])
def test_a_prompt_is_never_free(counted: dict[str, Any]) -> None:
    """A provider that counts no input, or nothing that is a count, is not taken at its word."""
    row = play(head(), *governed(), to(answer_head()), replies(PassAnswerHead), to(completion(**counted)), ends(PassBody), emits())
    assert row.input_tokens > 0
    assert (row.output_tokens, row.usage_source) == (3, "estimated")


@pytest.mark.parametrize("answer", ["no JSON at all", '{"a": 1, "a": 2}'])
def test_an_answer_that_nobody_could_read_was_paid_for(answer: str) -> None:
    """The provider did the work, so its prompt counts at least."""
    last = piece(answer, end=True)
    row = play(head(), *governed(), to(answer_head()), replies(PassAnswerHead), to(last), refuses(502, "upstream_error"), emits())
    assert row.input_tokens > 0
    assert row.cost_nanousd > 0
    assert row.usage_source == "estimated"


def test_a_compressed_answer_was_paid_for() -> None:
    """It is refused by its head alone."""
    coded = answer_head(200, "application/json", "via_upstream", ("content-encoding", "gzip"))
    row = play(head(), *governed(), to(coded), refuses(502, "upstream_error"), emits())
    assert row.cost_nanousd > 0


def test_a_request_that_the_provider_refused_costs_nothing() -> None:
    """Providers take nothing for an error."""
    row = play(
        head(),
        *governed(),
        to(answer_head(500)),
        replies(PassAnswerHead),
        to(piece("{}", end=True)),
        refuses(502, "upstream_error"),
        emits(),
    )
    assert (row.input_tokens, row.cost_nanousd, row.usage_source) == (0, 0, "none")


def test_a_path_and_an_agent_are_in_the_row_without_what_is_looked_for() -> None:
    """The path that nobody serves and the agent's name are the caller's text."""
    said = {":path": f"/v1/{ADDRESS}?key=x", "user-agent": f"app/1 ({ADDRESS})"}
    asked = head()
    asked = replace(asked, headers=(*((name, text) for name, text in asked.headers if name not in said), *said.items()))
    row = play(asked, refuses(404, "unknown_route"), emits())
    assert (row.path, row.user_agent) == ("/v1/[EMAIL_ADDRESS]", "app/1 ([EMAIL_ADDRESS])")


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_says_of_itself_is_in_the_row_without_what_is_looked_for(stream: bool) -> None:
    """A provider may put anything there; the app gets it redacted, and the row is kept for years."""
    said = {"id": f"id {ADDRESS}", "model": f"model {ADDRESS}"}
    choice = {"index": 0, "finish_reason": f"why {ADDRESS}", "delta" if stream else "message": {"content": "hi"}}
    body = json.dumps({**said, "choices": [choice]})
    kind = "text/event-stream" if stream else "application/json"
    last = piece(f"data: {body}\n\n" if stream else body, end=True)
    row = play(
        head(), *governed(body=chat(stream=stream)), to(answer_head(200, kind)), replies(PassAnswerHead), to(last), ends(PassBody), emits()
    )
    assert (row.model_served, row.provider_request_id) == ("model [EMAIL_ADDRESS]", "id [EMAIL_ADDRESS]")
    assert row.finish_reason == "why [EMAIL_ADDRESS]"
