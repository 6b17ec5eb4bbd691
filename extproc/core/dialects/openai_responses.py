"""OpenAI's Responses API: `POST /v1/responses`, whole and as a stream of typed events.

Source: OpenAI's API reference, "Responses" and "Streaming events", and the types of the official Python SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from contracts.errors import Refused
from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import array, caps, count, flag, members, model_of, objects, said, used, without_storing
from extproc.core.dialects.openai_family import credential_header, name, refusal
from extproc.core.dialects.openai_items import Seen, look_at_item, look_at_pictures, look_at_prompt, look_at_shown, look_at_tools
from extproc.core.dialects.openai_openings import opened
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, Call, Channel, Facts
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
_INDEXES: Final = ("output_index", "content_index", "summary_index", "command_index")
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_WHOLE: Final = frozenset({"type", "id", "status", "role", "phase", "obfuscation"})
_NOT_WRITTEN: Final = frozenset(
    {"type", "id", "call_id", "status", "role", "phase", "logprobs", "annotations", "encrypted_content", "output", "outputs", "results"}
)


# ── the request ────────────────────────────────────────────────────────────────


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = members(document, _KNOWN)
    seen = Seen()
    seen.features.update(used(body, _KEEPS))
    if used(body, ("background_options",)):
        seen.features.add("background")
    seen.cached(body.get("prompt_cache_options"))
    look_at_prompt(body.get("prompt"), seen)
    look_at_tools(array(body, "tools"), seen)
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


def _look_at_input(body: dict[str, Any], seen: Seen) -> int:
    """How many items the input has; a text is one."""
    if type(body.get("input")) is str:
        return 1
    items = objects(body, "input")
    if not items and not used(body, _STAND_FOR_INPUT):
        raise Malformed("input is missing or empty")
    for position, item in enumerate(items):
        look_at_item(item, ("input", position), seen)
    return len(items)


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
    seen = Seen()
    output = response.get("output")
    for item in (*(output if type(output) is list else ()), tree.get("item")):
        if type(item) is dict:
            look_at_pictures(item, seen)
            look_at_shown(item.get("content"), seen)
            look_at_shown(item.get("output"), seen)
    look_at_shown([tree.get("part")], seen)
    if tree.get("partial_image_b64"):
        seen.note(IMAGE)
    if kind == "response.audio.delta":
        seen.note(AUDIO)
    for _ in seen.files:
        seen.note(FILE)
    return seen.counts


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
