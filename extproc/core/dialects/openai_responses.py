"""OpenAI's Responses API: `POST /v1/responses`, whole and as a stream of typed events.

Source: OpenAI's API reference, "Responses" and "Streaming events", and the types of the official Python SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from contracts.errors import Refused
from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import (
    Media,
    array,
    caps,
    count,
    flag,
    is_data_url,
    members,
    model_of,
    objects,
    said,
    used,
    without_storing,
)
from extproc.core.dialects.openai_family import credential_header, name, refusal
from extproc.core.dialects.openai_openings import opened
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, Call, Channel, Encoded, Facts
from extproc.core.spans import Added, Change, Replaced

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

done: Final = b"[DONE]"
"""OpenAI sends none here; servers that are compatible with it do."""

_ITEMS_AT: Final = (("input",), ("output",), ("response", "output"), ("item",))
_SAID_OF_AN_ITEM: Final = (
    ("id",), ("type",), ("role",), ("status",), ("call_id",), ("content", "type"), ("output", "type"), ("summary", "type"),
)  # fmt: skip
_SAID_OF_AN_ANSWER: Final = (("id",), ("object",), ("model",), ("status",), ("previous_response_id",))

structural: Final = frozenset(
    {
        *((*above, *way) for above in _ITEMS_AT for way in _SAID_OF_AN_ITEM),
        *((*above, *way) for above in ((), ("response",)) for way in _SAID_OF_AN_ANSWER),
        ("tools", "type"),
        ("type",),
        ("item_id",),
        ("part", "type"),
    }
)

_KEEPS: Final = (*openai_family.KEEPS, "prompt")
_KNOWN: Final = frozenset(_KEEPS) | {
    "background_options", "input", "instructions", "max_output_tokens", "model", "prompt_cache_options", "stream", "tools",
}  # fmt: skip
_STAND_FOR_INPUT: Final = ("prompt", "previous_response_id", "conversation")
_CACHE_LIFE: Final = ("ttl", "prewarm", "comparison_response_id")

_TEXTS: Final = frozenset({"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"})
_IMAGES: Final = frozenset({"input_image", "computer_screenshot"})
_SOUNDS: Final = frozenset({"input_audio", "output_audio"})
_NO_TEXTS: Final = _IMAGES | _SOUNDS | {"input_file"}
_OF_A_FILE: Final = ("file_data", "file_url", "file_id")
_PARTS: Final[Mapping[str, str]] = {
    "message": "content", "reasoning": "content", "function_call_output": "output", "custom_tool_call_output": "output",
}  # fmt: skip
"""Where items have parts."""

_READABLE: Final = frozenset(_PARTS) | {
    "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "compaction", "compaction_trigger",
    "computer_call", "computer_call_output", "configuration_update", "custom_tool_call", "file_search_call", "function_call",
    "image_generation_call", "item_reference", "local_shell_call", "local_shell_call_output", "mcp_approval_request",
    "mcp_approval_response", "mcp_call", "mcp_list_tools", "program", "program_output", "shell_call", "shell_call_output",
    "tool_search_call", "tool_search_output", "web_search_call",
}  # fmt: skip
"""Items that hold nothing but text, or that `_look_at_item` knows."""

_INDEXES: Final = ("output_index", "content_index", "summary_index", "command_index")
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_WHOLE: Final = frozenset({"type", "id", "status", "role", "phase", "obfuscation"})
_NOT_WRITTEN: Final = frozenset(
    {"type", "id", "call_id", "status", "role", "phase", "logprobs", "annotations", "encrypted_content", "output", "outputs", "results"}
)


# ── the request ────────────────────────────────────────────────────────────────


class _Seen(Media):
    """What of a request is no text, what it uses at the provider, and how many tools it has, as they are met."""

    def __init__(self) -> None:
        super().__init__()
        self.features: set[str] = set()
        self.tools = 0

    def stored(self, kind: str) -> None:
        """Something by its id: the provider has it, and it never passes."""
        self.features.add("files")
        self.note(kind)

    def cached(self, options: Any) -> None:
        """How the prompt's cache is kept; only to say where it begins is nothing."""
        if options is not None and (type(options) is not dict or used(options, _CACHE_LIFE)):
            self.features.add("prompt_cache_retention")


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = members(document, _KNOWN)
    seen = _Seen()
    seen.features.update(used(body, _KEEPS))
    if used(body, ("background_options",)):
        seen.features.add("background")
    seen.cached(body.get("prompt_cache_options"))
    _look_at_prompt(body.get("prompt"), seen)
    _look_at_tools(array(body, "tools"), seen)
    ceiling = count(body, "max_output_tokens")
    return Call(
        model=_model(body),
        stream=flag(body, "stream"),
        max_tokens=ceiling,
        messages=_look_at_input(body, seen),
        tools=seen.tools,
        unread=seen.counts,
        files=tuple(seen.files),
        features=tuple(sorted(seen.features)),
        asks=_not_storing_unasked(body),
        forgets=without_storing(body) if flag(body, "store") else (),
        caps=None if ceiling else caps(body, "max_output_tokens"),
    )


def _model(body: Mapping[str, Any]) -> str:
    if body.get("model") is None and body.get("prompt") is not None:
        raise Malformed("model is missing: the one that a stored prompt names can't be governed")
    return model_of(body)


def _not_storing_unasked(body: Mapping[str, Any]) -> tuple[Change, ...]:
    """A provider that is not told keeps request and answer for weeks. An app that wants that says so, and a rule is asked."""
    if "store" not in body:
        return (Added((), "store", b"false"),)
    return (Replaced(("store",), b"false"),) if body["store"] is None else ()


def _look_at_input(body: dict[str, Any], seen: _Seen) -> int:
    """How many items the input has; a text is one."""
    if type(body.get("input")) is str:
        return 1
    items = objects(body, "input")
    if not items and not used(body, _STAND_FOR_INPUT):
        raise Malformed("input is missing or empty")
    for position, item in enumerate(items):
        _look_at_item(item, ("input", position), seen)
    return len(items)


def _look_at_item(item: dict[str, Any], path: Path, seen: _Seen) -> None:
    kind = item.get("type")
    if kind is None:
        # Both may leave their type out, and a reference is nothing but an id.
        kind = "message" if "role" in item or "content" in item else "item_reference"
    if type(kind) is not str:
        raise Malformed("input holds an item whose type is no string")
    if kind == "item_reference":
        seen.features.add("previous_response_id")
    elif kind in _PARTS:
        _look_at_parts(item.get(_PARTS[kind]), (*path, _PARTS[kind]), seen)
    elif kind in ("additional_tools", "tool_search_output"):
        _look_at_tools(array(item, "tools"), seen)
    elif kind not in _READABLE:
        seen.note(FILE)
    _look_at_pictures(item, seen)


def _look_at_parts(parts: Any, path: Path, seen: _Seen) -> None:
    """Note what is no text. A number in the place of text would be read by some and not by others: refused."""
    if parts is None or type(parts) is str:
        return
    if type(parts) is not list or not all(type(part) is dict and type(part.get("type")) is str for part in parts):
        raise Malformed("input holds a content or output that is neither a string nor an array of parts with a type")
    for position, part in enumerate(parts):
        _look_at_part(part, (*path, position), seen)


def _look_at_part(part: dict[str, Any], path: Path, seen: _Seen) -> None:
    """Note what of a part is no text. Some readers go by its type, others by the members that it has: either is enough."""
    kind = seen.kind(part)
    seen.cached(part.get("prompt_cache_breakpoint"))
    if kind in _IMAGES or used(part, ("image_url",)):
        _look_at_image(part, seen)
    if kind == "input_file" or used(part, _OF_A_FILE if kind not in _IMAGES else ()):
        _look_at_file(part, path, seen)
    if kind in _SOUNDS or used(part, ("input_audio",)):
        seen.note(AUDIO)
    if kind not in _TEXTS and kind not in _NO_TEXTS:
        seen.note(FILE)


def _look_at_image(part: dict[str, Any], seen: _Seen) -> None:
    """An image is at the provider, behind a URL, or in a URL that holds it; those are met where all texts are looked at."""
    if part.get("file_id") is not None:
        seen.stored(IMAGE)
    if part.get("image_url") is not None:
        seen.reference(part["image_url"])
    elif part.get("file_id") is None:
        seen.note(IMAGE)


def _look_at_file(part: dict[str, Any], path: Path, seen: _Seen) -> None:
    inside = part.get("file_data")
    if part.get("file_id") is not None:
        seen.stored(FILE)
    if part.get("file_url") is not None:
        seen.reference(part["file_url"])
    if type(inside) is not str:
        if inside is not None or not used(part, ("file_id", "file_url")):
            seen.note(FILE)
    elif not is_data_url(inside):
        seen.files.append(Encoded((*path, "file_data")))


def _look_at_pictures(item: Mapping[str, Any], seen: _Seen) -> None:
    """Images that tools have made: screens, drawings, charts. In an answer as in the input that gives it back."""
    kind, output, outputs = item.get("type"), item.get("output"), item.get("outputs")
    if kind == "image_generation_call" and item.get("result"):
        seen.note(IMAGE)
    elif kind == "computer_call_output":
        _look_at_image(output if type(output) is dict else {}, seen)
    elif kind == "code_interpreter_call" and type(outputs) is list:
        for made in outputs:
            if type(made) is dict and made.get("type") == "image":
                seen.reference(made.get("url"))


def _look_at_prompt(prompt: Any, seen: _Seen) -> None:
    """A stored prompt's variables may be parts."""
    variables = prompt.get("variables") if type(prompt) is dict else None
    for variable, value in variables.items() if type(variables) is dict else ():
        if type(value) is dict:
            _look_at_part(value, ("prompt", "variables", variable), seen)


def _look_at_tools(tools: Iterable[Any], seen: _Seen) -> None:
    """Tools, those in a namespace too, and what they bring along."""
    for tool in tools:
        if type(tool) is dict and tool.get("type") == "namespace":
            _look_at_tools(array(tool, "tools"), seen)
            continue
        seen.tools += 1
        place = _place(tool)
        if not (type(tool) is dict and tool.get("type") == "shell" and place.get("type") == "local"):
            seen.features |= openai_family.hosted([tool])
            _look_into_container(place, seen)
        if type(tool) is dict and type(mask := tool.get("input_image_mask")) is dict:
            _look_at_image(mask, seen)


def _place(tool: Any) -> Mapping[str, Any]:
    """Where a tool runs. A container may be named by its id alone."""
    place = (tool.get("container") or tool.get("environment")) if type(tool) is dict else None
    return {"container_id": place} if type(place) is str else place if type(place) is dict else {}


def _look_into_container(place: Mapping[str, Any], seen: _Seen) -> None:
    """A container that is there already has what earlier requests left in it; one that is made may be filled first."""
    if place.get("container_id") is not None:
        seen.features.add("container")
    if place.get("file_ids"):
        seen.stored(FILE)
    skills = place.get("skills")
    for skill in skills if type(skills) is list else ():
        if type(skill) is dict and skill.get("type") == "inline":
            seen.note(FILE)
        else:
            seen.stored(FILE)


# ── the answer ─────────────────────────────────────────────────────────────────


def _response(tree: Any) -> Mapping[str, Any]:
    """The response object: the whole answer, or what an event has of it."""
    found = tree.get("response") if type(tree) is dict and "type" in tree else tree
    return found if type(found) is dict else {}


def usage(tree: Any, before: Usage | None) -> Usage | None:
    """Tokens as the provider counts them; of a stream, with its last event. Searches are counted by the items that tell of them."""
    response = _response(tree)
    found = openai_family.counted(response.get("usage"), "input_tokens", "output_tokens", None)
    items = response.get("output")
    if found is None or type(items) is not list:
        return found or before
    kinds = [said(item, "type") for item in items if _searched(item)]
    return replace(found, web_searches=kinds.count("web_search_call"), file_searches=kinds.count("file_search_call"))


def _searched(item: Any) -> bool:
    """Whether a call of a search tool is one that is paid for: pages that it only opens or looks into are not."""
    action = item.get("action") if type(item) is dict else None
    return said(action, "type") in {"", "search"}


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself; a stream has its reason in the event that ends it."""
    if type(tree) is not dict:
        return Facts()
    kind, response = said(tree, "type"), _response(tree)
    status, error = said(response, "status"), kind == "error" or bool(tree.get("error"))
    over = kind in _ENDS or "type" not in tree
    reason = said(response.get("incomplete_details"), "reason") or status or kind.rpartition(".")[2]
    return Facts(
        model=said(response, "model"),
        id=said(response, "id"),
        reasons=(reason,) if over and reason else (),
        closed=_closed(tree, kind),
        failed=error or kind == "response.failed" or status == "failed",
        done=error or kind in _ENDS,
        repeats=bool(response) or kind.endswith(".done"),
        unread=_unread(tree, kind, response),
    )


def _closed(tree: dict[str, Any], kind: str) -> tuple[Channel, ...]:
    """Which texts end with an event: one, or all of a part or an item."""
    text, _, what = kind.rpartition(".")
    where = _where(tree)
    if what != "done" or not text:
        return ()
    if text.endswith("_item"):
        return (where[:3],) if where[1:2] == ("output_index",) else ()
    if text.endswith("_part"):
        return (where,) if len(where) > 3 else ()  # noqa: PLR2004 - more than the item's number
    return ((*where, text),)


def _where(tree: Mapping[str, Any]) -> Channel:
    """Which text of the answer an event is about, by its numbers. All of them may fall behind together: they come one after the other."""
    found: list[str | int] = [""]
    for index in _INDEXES:
        number = tree.get(index)
        if number is None:
            continue
        if type(number) is not int:
            raise Malformed("an index is no whole number, so nobody can say which text goes on")
        found += (index, number)
    return tuple(found)


def _unread(tree: dict[str, Any], kind: str, response: Mapping[str, Any]) -> Mapping[str, int]:
    seen = _Seen()
    output = response.get("output")
    for item in (*(output if type(output) is list else ()), tree.get("item")):
        if type(item) is dict:
            _look_at_pictures(item, seen)
            _look_at_shown(item.get("content"), seen)
            _look_at_shown(item.get("output"), seen)
    _look_at_shown([tree.get("part")], seen)
    if tree.get("partial_image_b64"):
        seen.note(IMAGE)
    if kind == "response.audio.delta":
        seen.note(AUDIO)
    for _ in seen.files:
        seen.note(FILE)
    return seen.counts


def _look_at_shown(parts: Any, seen: _Seen) -> None:
    """Parts of an answer that are known to be no text. A kind yet unknown is read as text: it is the provider's, not the app's."""
    for part in parts if type(parts) is list else ():
        if type(part) is dict and said(part, "type") in _NO_TEXTS:
            _look_at_part(part, (), seen)


def channel(tree: Any, path: Path) -> Channel | None:
    """Every string of an event of deltas goes on with the one before it, save kinds, ids and what is said about it.

    What is announced may begin with the first of them.
    """
    if type(tree) is not dict:
        return None
    kind, last = tree.get("type"), path[-1]
    if type(kind) is not str:
        if tree.get("error"):
            return None
        raise Malformed("an event has no type, so nobody can say which text goes on")
    if not kind.endswith(".delta"):
        return opened(tree, kind, _where(tree), path)
    if last in _WHOLE or "logprobs" in path or (type(last) is str and last.endswith("_id")):
        return None
    return (*_where(tree), kind.removesuffix(".delta"), *path)


def echo(tree: Any, path: Path) -> Path | None:
    """The `logprobs` beside a text spell it again, token by token."""
    if "logprobs" in path:
        return path[: path.index("logprobs") + 1]
    node = tree
    for step in path[:-1]:
        node = node[step]
    return (*path[:-1], "logprobs") if type(node) is dict and node.get("logprobs") else None


def generated(tree: Any, path: Path) -> bool:
    """What the output's items hold is written by the model, save what is said about it. Of a stream that is its deltas, once."""
    return path[:1] == ("output",) and "type" not in tree and _NOT_WRITTEN.isdisjoint(path[2:])


def stream_refusal(error: Refused, request_id: str) -> bytes:
    """The last event of a stream that is cut. The official SDKs raise APIError on its `error`; the rest is the documented event."""
    told = orjson.loads(refusal(error, request_id))
    event = {"type": "error", "code": error.code, "message": error.message, "param": None, "sequence_number": 0, **told}
    return b"event: error\ndata: %b\n\n" % orjson.dumps(event)
