"""Answers that are choices: those of chat completions and of the older completions, whole and as event streams.

Source: OpenAI's API reference, and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import said
from extproc.core.dialects.shape import Channel, Facts

done: Final = b"[DONE]"

structural: Final = frozenset({("model",), ("id",), ("object",), ("system_fingerprint",), ("choices", "finish_reason")})

_WHOLE: Final = frozenset({"type", "id", "role"})
_BESIDE: Final = frozenset(
    {
        "logprobs", "finish_reason",
        "native_finish_reason", "stop_reason", "matched_stop",
        "content_filter_offsets", "content_filter_result", "content_filter_results", "content_filters",
    }
)  # fmt: skip
"""Members of a choice that say something about it, those of OpenRouter, vLLM, SGLang and Azure among them; Azure's come with each
event, and after the reason too. They are whole in each."""
_ABOUT: Final = _WHOLE | {"finish_reason"}


def choices(tree: Any) -> list[dict[str, Any]]:
    """The choices of an answer or event."""
    found = tree.get("choices") if type(tree) is dict else None
    return [choice for choice in found if type(choice) is dict] if type(found) is list else []


def usage(tree: Any, before: Usage | None) -> Usage | None:
    """Tokens as the provider counts them. `prompt_tokens` includes cached ones, `completion_tokens` reasoning."""
    return openai_family.counted(tree.get("usage") if type(tree) is dict else None, "prompt_tokens", "completion_tokens", before)


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself; a choice is finished once it names a reason."""
    if type(tree) is not dict:
        return Facts()
    listed = tree.get("choices")
    finished: list[tuple[int, str]] = []
    for position, choice in enumerate(listed if type(listed) is list else ()):
        number = _number(choice, position)
        if reason := said(choice, "finish_reason"):
            finished.append((number, reason))
    return Facts(
        model=said(tree, "model"),
        id=said(tree, "id"),
        reasons=tuple([reason for _, reason in finished]),
        closed=tuple([(number,) for number, _ in finished]),
        failed=bool(tree.get("error")),
        extra=listed == [] and type(tree.get("usage")) is dict,
    )


def channel(tree: Any, path: Path) -> Channel | None:
    """Every string of a choice goes on with the one before it, as the SDKs join them, save kinds, roles and ids.

    Items of an array are told apart by their `index` where they have one, as tool calls do.
    """
    if len(path) < 3 or path[0] != "choices" or path[2] in _BESIDE or path[-1] in _WHOLE:  # noqa: PLR2004 - choices, 0, name
        return None
    node = tree["choices"]
    found: list[str | int] = []
    for step in path[1:]:
        node = node[step]
        found.append(_number(node, step) if type(step) is int else step)
    return tuple(found)


def echo(tree: Any, path: Path) -> Path | None:
    """A choice's `logprobs` spell its text again, token by token."""
    if len(path) < 3 or path[0] != "choices":  # noqa: PLR2004 - choices, 0, message
        return None
    choice = tree["choices"][path[1]]
    return ("choices", path[1], "logprobs") if type(choice) is dict and choice.get("logprobs") is not None else None


def generated(_tree: Any, path: Path) -> bool:
    """Everything in a choice is written by the model, save what is said about it, and the tokens' probabilities."""
    return path[:1] == ("choices",) and path[-1] not in _ABOUT and _BESIDE.isdisjoint(path)


def _number(item: Any, position: int) -> int:
    """The number an item of an array goes by: its `index`, or its position where it has none."""
    index = item.get("index") if type(item) is dict else None
    if index is not None and type(index) is not int:
        raise Malformed("an index is no whole number, so nobody can say which text goes on")
    return position if index is None else index
