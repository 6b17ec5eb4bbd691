"""Providers, models, environments and profiles: their fields, and what `list` shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controlplane.cli import values
from controlplane.cli.record import Field, Noun, add_verbs, of
from controlplane.cli.tree import Verbs, noun

PROVIDER: Final = Noun(
    "provider",
    (
        Field("dialect", "how its API speaks: openai or anthropic", needed=True),
        Field("url", "scheme, host, port and path, such as https://api.openai.com/v1", needed=True),
        Field("insecure", "plain HTTP to another machine is meant", values.YES),
        Field("private", "an address in a private range is meant", values.YES),
    ),
    {name: of(name) for name in ("name", "dialect", "url", "insecure", "private")},
)

MODEL: Final = Noun(
    "model",
    (
        Field("provider", "the provider that runs it", values.NAME, needed=True),
        Field("credential", "the credential it is asked with; left out: one of the provider's", values.NAME),
        Field("model", "the name that the provider knows; left out: the same", values.NAME),
        Field("priced_as", "the entry of the price list, such as openai/gpt-4o-mini, if the URL does not tell it", values.NAME),
        Field(
            "price",
            "US dollars for a million tokens: input=0.15,output=0.60, or JSON for more; none: of the price list",
            values.PRICE,
        ),
    ),
    {},
)

ENVIRONMENT: Final = Noun(
    "environment",
    (
        Field("zero_data_retention", "nothing of prompts and answers is kept anywhere", values.YES),
        Field("content", "whether prompts and answers are kept", choices=("full", "none")),
        Field("keep_rows", "how long rows are kept, such as 400d", values.AGE),
        Field("keep_content", "how long prompts and answers are kept, such as 3d", values.AGE),
        Field("unpriced", "models whose price nobody knows may run", values.YES),
    ),
    {name: of(name) for name in ("name", "zero_data_retention", "content", "keep_rows", "keep_content", "unpriced")},
)

PROFILE: Final = Noun(
    "profile",
    (
        Field(
            "prompt",
            "by kind of personal data what is done in prompts; '*' is required",
            values.ACTIONS,
            needed=True,
            merged=True,
        ),
        Field(
            "answer",
            "by kind of personal data what is done in answers; '*' is required",
            values.ACTIONS,
            needed=True,
            merged=True,
        ),
        Field("unscanned", "for what can't be scanned: allow, alert or block"),
    ),
    {
        "name": of("name"),
        "prompt": lambda record: _actions(record["prompt"]),
        "answer": lambda record: _actions(record["answer"]),
        "unscanned": of("unscanned"),
    },
)


def add_nouns(verbs: Verbs) -> None:
    """Their verbs."""
    add_verbs(noun(verbs, "provider", "where models are run"), PROVIDER)
    add_verbs(noun(verbs, "environment", "what may be kept, and for how long"), ENVIRONMENT)
    add_verbs(noun(verbs, "profile", "what is done about personal data"), PROFILE)


def _actions(found: Mapping[str, Any]) -> str:
    return " ".join(f"{kind}={action}" for kind, action in found.items())
