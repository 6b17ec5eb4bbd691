"""Events of a response that is streamed (platform.openai.com/docs/api-reference/responses-streaming).

Every text comes in deltas and then whole, up to four times: when it is done, when its part is, when
its item is, and in the response at the end. A bulk text is therefore said in many messages, and the
last event leaves the output out, as the SDKs allow: else no stream could be long and cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, zip_longest
from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.responses import Item, ended, items, message, response
from controlplane.mock.says import Says

BULK_MESSAGE: Final = 16 << 10
"""Bytes of text in one message of a bulk stream, about."""
Event = Callable[..., bytes]


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `response.completed`, `.incomplete` or `.failed`."""
    event = _numbered()
    begun = response(ask, says, "in_progress", [])
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    output: list[dict[str, Any]] | None = None if says.bulk else []
    for index, item in enumerate(_bulk(ask, says) if says.bulk else items(ask, says, says.pieces)):
        yield from _ITEMS[item.kind](event, index, item)
        if output is not None:
            output.append(item.done)
    status = ended(says)
    yield event(f"response.{status}", response=response(ask, says, status, output))


def _numbered() -> Event:
    numbers = count()

    def event(kind: str, **fields: Any) -> bytes:
        document = {"type": kind, **fields, "sequence_number": next(numbers)}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document))

    return event


def _bulk(ask: Ask, says: Says) -> Iterator[Item]:
    """The text in messages of about BULK_MESSAGE, between what comes before it and what comes after it."""
    others = list(items(ask, says, []))
    yield from (item for item in others if item.kind == "reasoning")
    for index, pieces in enumerate(_groups(says.said())):
        yield message(ask, says, index, pieces)
    yield from (item for item in others if item.kind != "reasoning")


def _groups(pieces: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += len(piece.encode())
        if size >= BULK_MESSAGE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _message(event: Event, index: int, item: Item) -> Iterator[bytes]:
    where = {"item_id": item.done["id"], "output_index": index, "content_index": 0}
    part = item.done["content"][0]
    yield _added(event, index, item, status="in_progress", content=[])
    yield event("response.content_part.added", **where, part={**part, "text": "", "logprobs": []})
    for piece, logprobs in zip_longest(item.pieces, part["logprobs"]):
        yield event("response.output_text.delta", **where, delta=piece, logprobs=[logprobs] if logprobs else [])
    yield event("response.output_text.done", **where, text=part["text"], logprobs=part["logprobs"])
    yield event("response.content_part.done", **where, part=part)
    yield event("response.output_item.done", output_index=index, item=item.done)


def _call(event: Event, index: int, item: Item) -> Iterator[bytes]:
    where = {"item_id": item.done["id"], "output_index": index}
    yield _added(event, index, item, status="in_progress", arguments="")
    for piece in item.pieces:
        yield event("response.function_call_arguments.delta", **where, delta=piece)
    yield event("response.function_call_arguments.done", **where, arguments=item.done["arguments"])
    yield event("response.output_item.done", output_index=index, item=item.done)


def _reasoning(event: Event, index: int, item: Item) -> Iterator[bytes]:
    where = {"item_id": item.done["id"], "output_index": index, "summary_index": 0}
    part = item.done["summary"][0]
    yield _added(event, index, item, summary=[])
    yield event("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
    for piece in item.pieces:
        yield event("response.reasoning_summary_text.delta", **where, delta=piece)
    yield event("response.reasoning_summary_text.done", **where, text=part["text"])
    yield event("response.reasoning_summary_part.done", **where, part=part)
    yield event("response.output_item.done", output_index=index, item=item.done)


def _added(event: Event, index: int, item: Item, **still: Any) -> bytes:
    return event("response.output_item.added", output_index=index, item={**item.done, **still})


_ITEMS: Final = {"message": _message, "function_call": _call, "reasoning": _reasoning}
