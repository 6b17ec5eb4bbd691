"""What of a provider's count each dialect makes of it, where tokens are paid apart. Costs are in tests/golden/prices.yml."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.usage import Usage
from extproc.core.dialects import anthropic_messages, openai_chat, openai_embeddings, openai_responses


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(9, cache_read=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(9, cache_read=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(9, cache_read=5)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4, "image_tokens": 3}}, Usage(9, input_audio=4, input_image=3)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 40}}, Usage(9, input_audio=9)),
        ({"completion_tokens": 9, "completion_tokens_details": {"audio_tokens": 4}}, Usage(0, 9, output_audio=4)),
        ({"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10, "reasoning_tokens": 4}, Usage(1, 9, reasoning=4)),
        ({"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 14}, Usage(1, 13, reasoning=4)),
        ({"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 3}, Usage(1, 9)),
        ({"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 2**63}, Usage(1, 2**53 - 2, reasoning=2**53 - 11)),
        ({"prompt_tokens": -5, "completion_tokens": 7, "total_tokens": 17}, Usage(0, 7)),
        ({"completion_tokens": 7, "total_tokens": 17}, Usage(0, 7)),
        ({"prompt_tokens": 1, "num_search_queries": 3}, Usage(1, web_searches=3)),
        ({"prompt_tokens": 1, "num_search_queries": -3, "cached_tokens": "4"}, Usage(1)),
    ],
)
def test_classes_of_openai_shapes(counts: Any, expected: Usage) -> None:
    """By the names that vendors have for them; no part is more than its whole."""
    assert openai_chat.usage({"usage": counts}, None) == expected


@pytest.mark.parametrize(
    ("output", "searches"),
    [
        ([], (0, 0)),
        ([{"type": "web_search_call", "action": {"type": "search"}}, {"type": "file_search_call", "queries": ["x"]}], (1, 1)),
        ([{"type": "web_search_call"}], (1, 0)),
        ([{"type": "web_search_call", "action": {"type": "find_in_page"}}, {"type": "message"}, None, 5], (0, 0)),
        (None, (0, 0)),
        ({"type": "web_search_call"}, (0, 0)),
    ],
)
def test_searches_of_the_responses_api(output: Any, searches: tuple[int, int]) -> None:
    """Counted where the answer's usage stands, so that a stream counts none twice."""
    found = openai_responses.usage({"usage": {"input_tokens": 5}, "output": output}, None)
    assert found == Usage(5, web_searches=searches[0], file_searches=searches[1])
    assert openai_responses.usage({"type": "response.in_progress", "response": {"usage": None, "output": output}}, found) == found


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [{"input_tokens": 5, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_1h_input_tokens": 20}}],
            Usage(35, cache_write=30, cache_write_1h=20),
        ),
        (
            [{"input_tokens": 5, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_1h_input_tokens": 40}}],
            Usage(35, cache_write=30, cache_write_1h=30),
        ),
        (
            [
                {"input_tokens": 5, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_1h_input_tokens": 20}},
                {"output_tokens": 7, "cache_creation_input_tokens": 30, "server_tool_use": {"web_search_requests": 2}},
                {"output_tokens": 9, "server_tool_use": {"web_search_requests": 0}},
            ],
            Usage(35, 9, cache_write=30, cache_write_1h=20, web_searches=2),
        ),
        ([{"output_tokens": 1, "cache_creation": [], "server_tool_use": None}], Usage(0, 1)),
    ],
)
def test_classes_of_anthropics(events: list[Any], expected: Usage) -> None:
    """What an event leaves out, or says is zero, takes nothing back from those before it."""
    usage = None
    for counts in events:
        usage = anthropic_messages.usage({"type": "message_delta", "usage": counts}, usage)
    assert usage == expected


def test_rounds_beside_the_sum_have_hours_too() -> None:
    """Of the cache that a compaction wrote."""
    beside = {"type": "compaction", "cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 10}}
    counts = {"input_tokens": 5, "cache_creation_input_tokens": 30, "iterations": [beside, {"type": "message"}]}
    assert anthropic_messages.usage({"type": "message", "usage": counts}, None) == Usage(45, cache_write=40, cache_write_1h=10)


def test_embeddings_are_counted_by_whatever_total_there_is() -> None:
    """The prompt's where it is told; and nothing said is nothing known."""
    assert openai_embeddings.usage({"usage": {"total_tokens": 10}}, None) == Usage(10)
    assert openai_embeddings.usage({"usage": {"prompt_tokens": 0, "total_tokens": 10}}, None) == Usage(0)
    assert openai_embeddings.usage({"usage": {}}, None) is None
    assert openai_embeddings.usage({"usage": None}, Usage(3)) == Usage(3)


COUNTS = st.integers(-3, 2**60) | st.none() | st.booleans() | st.text(max_size=2)
DETAILS = st.dictionaries(
    st.sampled_from(("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens")), COUNTS
)


@given(
    st.dictionaries(
        st.sampled_from(("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "num_search_queries")),
        COUNTS,
    ),
    DETAILS | st.none(),
    DETAILS | st.none(),
)
def test_no_count_makes_a_part_larger_than_its_whole(counts: dict[str, Any], came: Any, went: Any) -> None:
    """Whatever a provider sends."""
    usage = openai_chat.usage({"usage": counts | {"prompt_tokens_details": came, "completion_tokens_details": went}}, None)
    if usage is not None:
        assert max(usage.cache_read, usage.cache_write, usage.input_audio, usage.input_image) <= usage.input
        assert max(usage.reasoning, usage.output_audio) <= usage.output
        assert min(vars_of(usage)) >= 0


def vars_of(usage: Usage) -> list[int]:
    """Every count."""
    return [getattr(usage, name) for name in Usage.__slots__]
