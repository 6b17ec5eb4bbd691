"""OpenAI's older completions, `POST /v1/completions`: what a request asks for, and what an answer says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_completions
from extproc.core.places import search
from extproc.core.spans import Added
from extproc.core.stream import StreamedAnswer

ROUTE = dialects.named("completions")
REDACT = Actions({"*": "redact"}, {"*": "redact"})


def call(**members: Any) -> Call:
    """What a request with these members asks for."""
    return openai_completions.call(read(orjson.dumps({"model": "cheap", **members}), max_depth=64))


# ── the request ────────────────────────────────────────────────────────────────


def test_a_request_says_what_it_asks_for() -> None:
    """Every fact that rules and the row need; a stream is asked for its usage."""
    assert call(prompt="Once") == Call("cheap", messages=1, caps=Added((), "max_tokens", b"0"))
    assert call(prompt=["a", "b"], n=2, max_tokens=7, stream=True, suffix="!") == Call(
        "cheap",
        stream=True,
        max_tokens=7,
        choices=4,
        messages=2,
        asks=(Added((), "stream_options", b'{"include_usage":true}'),),
        hides_usage=True,
    )
    assert call(prompt="x", stream=True, stream_options={"include_usage": True}).asks == ()


@pytest.mark.parametrize(
    ("members", "choices"),
    [({}, 1), ({"n": 3}, 3), ({"best_of": 5}, 5), ({"n": 2, "best_of": 5}, 5), ({"prompt": ["a", "b", "c"], "best_of": 2}, 6)],
)
def test_all_that_is_written_and_paid_for_is_counted(members: dict[str, Any], choices: int) -> None:
    """The best of several is chosen by the provider, which charges for all of them; each prompt gets its own."""
    assert call(**{"prompt": "x", **members}).choices == choices


@pytest.mark.parametrize(
    ("prompt", "prompts", "unread"),
    [
        ("x", 1, {}),
        ("", 1, {}),
        (None, 1, {}),
        ([], 1, {}),
        (["a", "b"], 2, {}),
        ([9906, 1917], 1, {"UNSCANNED_TOKENS": 1}),
        ([[9906], [1917, 3]], 2, {"UNSCANNED_TOKENS": 2}),
        (["a", [9906]], 2, {"UNSCANNED_TOKENS": 1}),
        ([[]], 1, {"UNSCANNED_TOKENS": 1}),
    ],
)
def test_token_ids_can_not_be_read(prompt: Any, prompts: int, unread: dict[str, int]) -> None:
    """One finding for each prompt that is written in them."""
    asked = call(prompt=prompt)
    assert (asked.messages, asked.unread) == (prompts, unread)


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("prompt", [1, True, {}, [None], [{}], [True], [1.0], ["a", 1], [["a"]], [[1.5]], [[True]], [[[1]]]]),
        ("model", [None, 1, ""]),
        ("stream", [1, "true"]),
        ("stream_options", [1, []]),
        ("n", [0, "1", 1.5]),
        ("best_of", [0, -1, True]),
        ("max_tokens", [0, "5"]),
    ],
)
def test_what_is_of_another_kind_is_named(member: str, values: list[Any]) -> None:
    """The refusal names the member and never its value."""
    for value in values:
        with pytest.raises(Malformed, match=member):
            call(**{"prompt": "x", "stream": True, member: value})


@pytest.mark.parametrize("name", ["Prompt", "Best_Of", "SUFFIX", "Store"])
def test_a_member_in_another_case_is_refused(name: str) -> None:
    """Some providers would read it as the member that it is not here."""
    with pytest.raises(Malformed, match=f"{name.casefold()} is written in another case"):
        call(**{name: "x"})


def test_what_keeps_state_is_named() -> None:
    """A provider that is only like OpenAI may know these members here too."""
    assert call(prompt="x", store=True, service_tier="flex").features == ("service_tier", "store")


def test_every_text_of_a_prompt_is_looked_into() -> None:
    """Prompt, suffix, stop words, the end user, and members nobody knows."""
    a = "jane@example.com"
    body = {"model": a, "prompt": [a, f"x {a}"], "suffix": a, "stop": [a], "user": a, "logit_bias": {a: 1}, "next_years_member": {"x": a}}
    document = read(orjson.dumps(body), max_depth=64)
    found = search(document, openai_completions.structural).places
    assert [(place.path, place.token) for place in found] == [(leaf.path, leaf.token) for leaf in document.leaves() if a in leaf.text]


# ── the answer ─────────────────────────────────────────────────────────────────


def logprobs(*tokens: str) -> dict[str, Any]:
    """The tokens of a text, spelled out."""
    return {
        "tokens": list(tokens),
        "token_logprobs": [-0.5 for _ in tokens],
        "top_logprobs": [{token: -0.5} for token in tokens],
        "text_offset": list(range(len(tokens))),
    }


def test_a_whole_answer_is_read() -> None:
    """Each choice's text is redacted, and the tokens that spell a changed one go; facts and usage are known."""
    answer = {
        "id": "cmpl-1",
        "object": "text_completion",
        "model": "tiny-2026",
        "choices": [
            {"text": "to jane@example.com", "index": 0, "logprobs": logprobs("to ", "jane", "@example.com"), "finish_reason": "stop"},
            {"text": "hi", "index": 1, "logprobs": logprobs("hi"), "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }
    got = buffered(ROUTE, orjson.dumps(answer), REDACT, 64)
    assert got.body is not None
    left = orjson.loads(got.body)["choices"]
    assert [choice["text"] for choice in left] == ["to [EMAIL_ADDRESS]", "hi"]
    assert [choice["logprobs"] for choice in left] == [None, logprobs("hi")]
    assert (got.model, got.id, got.finish_reasons, got.usage) == ("tiny-2026", "cmpl-1", ("stop", "length"), Usage(9, 5))


def test_what_was_written_is_measured() -> None:
    """Where the provider counts nothing: the texts, and not the tokens that spell them again."""
    answer = {"choices": [{"text": "héllo", "index": 0, "logprobs": logprobs("héllo"), "finish_reason": "stop"}]}
    assert buffered(ROUTE, orjson.dumps(answer), REDACT, 64).text_bytes_out == len("héllo".encode())


def event(text: str, index: int = 0, finish: str | None = None, spelled: dict[str, Any] | None = None) -> bytes:
    """One event of a stream."""
    choice = {"text": text, "index": index, "logprobs": spelled, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "cmpl-1", "object": "text_completion", "model": "tiny-2026", "choices": [choice]}) + b"\n\n"


def test_a_choices_text_goes_on_from_event_to_event() -> None:
    """Two choices in turn are two texts; a finding over several events is taken out with the tokens that spell it."""
    stream = [
        event("ask ja", spelled=logprobs("ask ", "ja")),
        event("bob@exam", 1),
        event("ne@example.com", spelled=logprobs("ne@example.com")),
        event("ple.org or", 1),
        event(" now", spelled=logprobs(" now")),
        event("", 0, "stop"),
        event("", 1, "length"),
        b'data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}\n\n',
        b"data: [DONE]\n\n",
    ]
    answer = StreamedAnswer(ROUTE, REDACT, hides_usage=True)
    out = b"".join(map(answer.feed, stream)) + answer.finish()
    left = [orjson.loads(line[6:])["choices"][0] for line in out.split(b"\n\n")[:-2]]
    texts = ["".join(choice["text"] for choice in left if choice["index"] == index) for index in (0, 1)]
    assert texts == ["ask [EMAIL_ADDRESS] now", "[EMAIL_ADDRESS] or"]
    assert [choice["logprobs"] for choice in left if choice["index"] == 0] == [None, None, logprobs(" now"), None]
    assert out.endswith(b"data: [DONE]\n\n")
    assert (answer.usage, answer.finish_reasons, answer.done, answer.model) == (Usage(9, 7), ["stop", "length"], True, "tiny-2026")


def test_each_piece_of_text_belongs_to_its_choice() -> None:
    """By the choice's number; the reason why it ended and its tokens are no part of the text."""
    tree = orjson.loads(event("x", 3, "stop", logprobs("x"))[6:])
    assert openai_completions.channel(tree, ("choices", 0, "text")) == (3, "text")
    assert openai_completions.channel(tree, ("choices", 0, "finish_reason")) is None
    assert openai_completions.channel(tree, ("choices", 0, "logprobs", "tokens", 0)) is None
    assert openai_completions.channel(tree, ("id",)) is None
