"""Anthropic's dialect against the types of the official SDK: what the API gains is judged before it passes for known."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types.beta import BetaContentBlock, BetaContentBlockParam, BetaToolUnionParam
from anthropic.types.beta.beta_tool_result_block_param import Content
from anthropic.types.beta.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.beta.message_create_params import MessageCreateParamsBase
from pydantic import BaseModel

from extproc.core.dialects import anthropic_family
from extproc.core.dialects.anthropic_blocks import Blocks

HARMLESS = {
    "cache_control", "compaction", "context_management", "fallback_credit_token", "max_tokens", "messages", "metadata", "model",
    "output_config", "output_format", "stop_sequences", "system", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
}  # fmt: skip
"""Members that neither keep state at the provider nor reach out, nor let anything else answer than the model that was asked."""

HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""The SDK sends these as headers or in the query."""

FILES = {"image", "document", "container_upload"}


def types(union: Any) -> list[str]:
    """Every `type` that the members of a union can have."""
    if isinstance(union, type):
        # Names in the SDK's models are not to be resolved from outside; pydantic has done so.
        union = union.model_fields["type"].annotation if issubclass(union, BaseModel) else get_type_hints(union).get("type")
    return [union] if isinstance(union, str) else [name for each in get_args(union) for name in types(each)]


@pytest.mark.parametrize("params", [MessageCreateParamsBase, MessageCountTokensParams])
def test_every_member_of_a_request_is_judged(params: type) -> None:
    """A member that is in neither list is one that the API gained: read what it does."""
    members = set(get_type_hints(params)) - HEADERS
    assert members - HARMLESS - set(anthropic_family.KEEPS) == set()
    assert not HARMLESS & set(anthropic_family.KEEPS)


def test_every_block_is_known() -> None:
    """A block of the API's is text, or is looked into; only files and images count as such, and those without a source."""
    blocks = {*types(BetaContentBlockParam), *types(BetaContentBlock), *types(Content)}
    assert len(blocks) > 20, "the SDK's types are read"
    for kind in blocks:
        seen = Blocks(set())
        seen.look([{"type": kind}], ("messages", 0, "content"))
        assert bool(seen.media.counts) == (kind in FILES), kind


def test_every_tool_is_known() -> None:
    """Only the adviser, another model, goes by the name for all others."""
    tools = types(BetaToolUnionParam)
    assert len(tools) > 20, "the SDK's types are read"
    other = [kind for kind in tools if anthropic_family.hosted([{"type": kind}]) == {"tool:other"}]
    assert other == ["advisor_20260301"]
