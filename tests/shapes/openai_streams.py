"""Streams of chat completions, legacy completions and responses, after OpenAI's API reference and SDK types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from shapes.streams import Document, Site, Stream

DONE: Final = b"data: [DONE]\n\n"


# ── chat completions ───────────────────────────────────────────────────────────


def _chunk(*choices: Document, usage: Document | None = None, **more: Any) -> Document:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1", "system_fingerprint": "fp_1"}
    return {**frame, "choices": list(choices), "usage": usage, **more}


def _delta(choice: int, delta: Document, **more: Any) -> Document:
    return _chunk({"index": choice, "delta": delta, "logprobs": None, "finish_reason": None, **more})


def _spelt(piece: str) -> Document:
    """Log probabilities of a piece, which spell it again as text and as bytes."""
    token = {"token": piece, "bytes": list(piece.encode()), "logprob": -0.25}
    return {"content": [{**token, "top_logprobs": [token, {"token": "other", "bytes": [111], "logprob": -3.0}]}], "refusal": None}


def _call(choice: int, index: int, member: str, name: str, piece: str) -> Document:
    return _delta(choice, {"tool_calls": [{"index": index, member: {name: piece}}]})


def _chat_site(name: str, choice: int, member: str) -> Site:
    return Site(name, lambda piece: _delta(choice, {member: piece}), ("choices", 0, "delta", member))


def _call_site(name: str, index: int, member: str, inside: str, choice: int = 0) -> Site:
    kind = "function" if member == "function" else "custom"
    opens = _delta(
        choice,
        {"tool_calls": [{"index": index, "id": f"call_{index}", "type": kind, member: {} if inside == "name" else {"name": "send"}}]},
    )
    path = ("choices", 0, "delta", "tool_calls", 0, member, inside)
    return Site(name, partial(_call, choice, index, member, inside), path, opens=(opens,))


CHAT: Final = Stream(
    before=(_delta(0, {"role": "assistant", "content": ""}), _delta(1, {"role": "assistant", "content": ""})),
    sites=(
        _chat_site("content", 0, "content"),
        _chat_site("content of the second choice", 1, "content"),
        Site(
            "content with logprobs",
            lambda piece: _delta(2, {"content": piece}, logprobs=_spelt(piece)),
            ("choices", 0, "delta", "content"),
        ),
        _chat_site("refusal", 0, "refusal"),
        _chat_site("reasoning_content", 0, "reasoning_content"),
        _chat_site("a text of next year", 0, "thoughts_of_next_year"),
        _call_site("arguments", 0, "function", "arguments"),
        _call_site("arguments of a parallel call", 1, "function", "arguments"),
        _call_site("arguments in the second choice", 0, "function", "arguments", choice=1),
        _call_site("a call's name", 2, "function", "name"),
        _call_site("a custom tool's input", 3, "custom", "input"),
        Site(
            "arguments of the old function call",
            lambda piece: _delta(0, {"function_call": {"arguments": piece}}),
            ("choices", 0, "delta", "function_call", "arguments"),
        ),
        Site(
            "transcript",
            lambda piece: _delta(0, {"audio": {"transcript": piece}}),
            ("choices", 0, "delta", "audio", "transcript"),
        ),
    ),
    end=lambda _texts: [
        *(_chunk({"index": choice, "delta": {}, "logprobs": None, "finish_reason": "stop"}) for choice in range(3)),
        _chunk(usage={"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}),
    ],
    mark=DONE,
)


# ── legacy completions ─────────────────────────────────────────────────────────


def _completion(choice: int, text: str, logprobs: Document | None = None, finish: str | None = None) -> Document:
    frame = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "tiny-1", "system_fingerprint": "fp_1"}
    return {**frame, "choices": [{"index": choice, "text": text, "logprobs": logprobs, "finish_reason": finish}]}


def _spelt_in_lists(piece: str) -> Document:
    return {"tokens": [piece], "token_logprobs": [-0.25], "top_logprobs": [{piece: -0.25, "other": -3.0}], "text_offset": [0]}


def _completion_site(name: str, choice: int, *, spelt: bool = False) -> Site:
    return Site(name, lambda piece: _completion(choice, piece, _spelt_in_lists(piece) if spelt and piece else None), ("choices", 0, "text"))


COMPLETIONS: Final = Stream(
    before=(),
    sites=(
        _completion_site("text", 0),
        _completion_site("text of the second choice", 1),
        _completion_site("text with logprobs", 2, spelt=True),
    ),
    end=lambda _texts: [
        *(_completion(choice, "", finish="stop") for choice in range(3)),
        _completion(0, "") | {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}},
    ],
    mark=DONE,
)


# ── responses ──────────────────────────────────────────────────────────────────


def _response(status: str, output: list[Document], usage: Document | None = None) -> Document:
    frame = {"id": "resp_1", "object": "response", "created_at": 1, "model": "tiny-1", "status": status, "error": None, "tools": []}
    return {**frame, "output": output, "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto"}


def _item_site(
    name: str,
    number: int,
    event: str,
    made: Callable[[str], Document],
    member: str,
    *,
    part: Callable[[str], Document] | None = None,
    **place: Any,
) -> Site:
    """A text of an item: its deltas, its `done` event, its part and its item, which all have it again."""
    at = {"output_index": number, "item_id": f"item_{number}", **place}
    parts = event.rpartition(".")[0].rpartition(".")[2]  # reasoning_summary_text and the like
    kind = "reasoning_summary_part" if "summary" in parts else "content_part"

    def begin(piece: str) -> tuple[Document, ...]:
        item = made("") if part else made(piece)
        added = {"type": "response.output_item.added", "output_index": number, "item": {**item, "status": "in_progress"}}
        return (added, {"type": f"response.{kind}.added", **at, "part": part(piece)}) if part else (added,)

    begins_at = ("part", next(name for name, value in part("?").items() if value == "?")) if part else ("item", member)

    def repeats(text: str) -> list[Document]:
        done = [{"type": event.replace(".delta", ".done"), **at, member: text}]
        if part:
            done.append({"type": f"response.{kind}.done", **at, "part": part(text)})
        return [*done, {"type": "response.output_item.done", "output_index": number, "item": made(text)}]

    return Site(name, lambda piece: {"type": event, **at, "delta": piece}, ("delta",), repeats, begin(""), begin, begins_at)


def _message(number: int, part: Callable[[str], Document], text: str) -> Document:
    return {"type": "message", "id": f"item_{number}", "role": "assistant", "status": "completed", "content": [part(text)] if text else []}


def _text(text: str) -> Document:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _refused(text: str) -> Document:
    return {"type": "refusal", "refusal": text}


def _thought(text: str) -> Document:
    return {"type": "reasoning_text", "text": text}


def _summary(text: str) -> Document:
    return {"type": "summary_text", "text": text}


def _item(number: int, kind: str, **members: Any) -> Document:
    return {"type": kind, "id": f"item_{number}", "status": "completed", **members}


def _with_logprobs(site: Site) -> Site:
    def event(piece: str) -> Document:
        token = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode())}
        return {**site.event(piece), "logprobs": [{**token, "top_logprobs": [{"token": piece, "logprob": -0.25}]}]}

    def repeats(text: str) -> list[Document]:
        spelt = [{"token": sign, "logprob": -0.25, "bytes": list(sign.encode()), "top_logprobs": []} for sign in text]
        done, part, item = site.repeats(text)
        content = [{**item["item"]["content"][0], "logprobs": spelt}]
        return [
            {**done, "logprobs": spelt},
            {**part, "part": {**part["part"], "logprobs": spelt}},
            {**item, "item": {**item["item"], "content": content}},
        ]

    return replace(site, event=event, repeats=repeats)


_MADE: Final[tuple[tuple[str, Callable[[str], Document]], ...]] = (
    ("text", partial(_message, 0, _text)),
    ("refusal", partial(_message, 1, _refused)),
    ("arguments", lambda text: _item(2, "function_call", name="send", call_id="call_2", arguments=text)),
    ("a custom tool's input", lambda text: _item(3, "custom_tool_call", name="shell", call_id="call_3", input=text)),
    ("code", lambda text: _item(4, "code_interpreter_call", code=text, container_id="cntr_1", outputs=[])),
    ("arguments at a server", lambda text: _item(5, "mcp_call", name="send", server_label="mail", arguments=text)),
    ("reasoning", lambda text: _item(6, "reasoning", summary=[], content=[_thought(text)] if text else [])),
    ("reasoning's summary", lambda text: _item(7, "reasoning", summary=[_summary(text)] if text else [])),
    ("text with logprobs", partial(_message, 8, _text)),
)
_ITEM: Final = dict(_MADE)


def _shell(member: str) -> Site:
    at = {"output_index": 10, "item_id": "item_10", "command_index": 0}
    output = {"outcome": {"type": "exit", "exit_code": 0}, "stdout": "", "stderr": ""}
    return Site(
        f"a command's {member}",
        lambda piece: {"type": "response.shell_call_output_content.delta", **at, "delta": {member: piece}},
        ("delta", member),
        lambda text: [{"type": "response.shell_call_output_content.done", **at, "output": [{**output, member: text}]}],
    )


def _loose(name: str, event: str, done: str, member: str, **place: Any) -> Site:
    def begin(piece: str) -> tuple[Document, ...]:
        return ({"type": event.replace(".delta", ".added"), **place, member: piece},)

    return Site(
        name,
        lambda piece: {"type": event, **place, "delta": piece},
        ("delta",),
        lambda text: [{"type": done, **place, **({member: text} if member else {})}],
        begin=begin if member == "command" else None,
        begins_at=(member,),
    )


def _ends(texts: Mapping[str, str]) -> list[Document]:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 16,
    }
    output = [made(texts[name]) for name, made in _MADE if name in texts]
    return [{"type": "response.completed", "response": _response("completed", output, usage)}]


_PLACED: Final = partial(_item_site)

RESPONSES: Final = Stream(
    before=(
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.in_progress", "response": _response("in_progress", [])},
    ),
    sites=(
        _PLACED("text", 0, "response.output_text.delta", _ITEM["text"], "text", part=_text, content_index=0),
        _PLACED("refusal", 1, "response.refusal.delta", _ITEM["refusal"], "refusal", part=_refused, content_index=0),
        _PLACED("arguments", 2, "response.function_call_arguments.delta", _ITEM["arguments"], "arguments"),
        _PLACED("a custom tool's input", 3, "response.custom_tool_call_input.delta", _ITEM["a custom tool's input"], "input"),
        _PLACED("code", 4, "response.code_interpreter_call_code.delta", _ITEM["code"], "code"),
        _PLACED("arguments at a server", 5, "response.mcp_call_arguments.delta", _ITEM["arguments at a server"], "arguments"),
        _PLACED("reasoning", 6, "response.reasoning_text.delta", _ITEM["reasoning"], "text", part=_thought, content_index=0),
        _PLACED(
            "reasoning's summary",
            7,
            "response.reasoning_summary_text.delta",
            _ITEM["reasoning's summary"],
            "text",
            part=_summary,
            summary_index=0,
        ),
        _with_logprobs(
            _PLACED("text with logprobs", 8, "response.output_text.delta", _ITEM["text with logprobs"], "text", part=_text, content_index=0)
        ),
        _loose(
            "a command", "response.shell_call_command.delta", "response.shell_call_command.done", "command", output_index=9, command_index=0
        ),
        _shell("stdout"),
        _shell("stderr"),
        _loose("transcript", "response.audio.transcript.delta", "response.audio.transcript.done", ""),
        _loose(
            "a text of next year", "response.thing_of_next_year.delta", "response.thing_of_next_year.done", "text", output_index=11, item_id="item_11"
        ),
    ),
    end=_ends,
    named=True,
)  # fmt: skip
