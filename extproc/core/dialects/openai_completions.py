"""OpenAI's older completions: `POST /v1/completions`, whole and as an event stream.

Source: OpenAI's API reference, "Completions", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Final

from extproc.core.body import Document
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import caps, count, flag, inputs, members, model_of, used
from extproc.core.dialects.openai_choices import channel, done, echo, facts, generated, structural, usage
from extproc.core.dialects.openai_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.shape import Call

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

_KNOWN: Final = frozenset(openai_family.KEEPS) | {"best_of", "max_tokens", "model", "n", "prompt", "stream", "stream_options", "suffix"}


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind.

    Its choices are all that are written and paid for: for each prompt `n`, or `best_of` where that is more.
    """
    body = members(document, _KNOWN)
    prompts, unread = inputs(body, "prompt")
    stream = flag(body, "stream")
    asks, hides = openai_family.usage_asked(body) if stream else ((), False)
    ceiling = count(body, "max_tokens")
    return Call(
        model=model_of(body),
        stream=stream,
        max_tokens=ceiling,
        choices=prompts * max(count(body, "n") or 1, count(body, "best_of") or 1),
        messages=prompts,
        unread=unread,
        features=tuple(sorted(used(body, openai_family.KEEPS))),
        asks=asks,
        caps=None if ceiling else caps(body, "max_tokens"),
        hides_usage=hides,
    )
