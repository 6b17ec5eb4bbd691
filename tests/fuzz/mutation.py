"""Changes to inputs that keep their form: JSON stays JSON mostly, a stream stays a stream, so that what is tried gets past the door.

An engine's own changes of single bytes come besides; they find what is wrong at the door.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from fuzz import json_places
from fuzz.json_places import NotJSON, Value

Mutator = Callable[[bytes, random.Random], bytes]

MAIL: Final = b"planted000001x@example.com"
CARD: Final = b"4111111111111111"
KEY: Final = b"sk-planted-credential-0001"

PIECES: Final = (
    MAIL, MAIL[:9], MAIL[9:], b"planted000001x\\u0040example.com", b"planted000001x\\\\u0040example.com", b"\\u0070lanted000001x@example.com",
    b"@", b"@example.com", b".", b"com", b"-", b"+", b" ", b"x", b"1", b"0", b"_", b"'",
    CARD, CARD[:5], CARD[5:], b"4111 1111 1111 1111", b"4111-1111-", b"1111-1111", b"378282246310005", b"5018", b"4", b",",
    KEY, KEY[:7], KEY[7:], b"sk-planted-\\u0063redential-0001",
    b"\\\\", b'\\"', b"\\n", b"\\\\n", b"\\u005c", b"\\u0022", b"\\ud83d\\ude00", b"\\\\ud83d", b"\\\\u0", b"\\u0000", b"\\/",
    "é".encode(), "😀".encode(), "漢".encode(), "\u0301".encode(), b"{", b"}", b"[", b"]", b":", b'{\\"to\\": \\"', b'\\"}', b'[\\"', b'{\\"n\\":',
    b"data:text/csv;base64,", b"data:image/png;base64,", b"cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20=", b"https://example.org/a.png", b"application/json",
)  # fmt: skip
"""What may stand in a string, as JSON writes it."""

ATOMS: Final = (
    b"null", b"true", b"false", b"0", b"-1", b"1", b"7", b"0.5", b"1e3", b"1E400", b"-0", b"9007199254740993", b"18446744073709551616", b"1000000",
    CARD, b"-" + CARD, b"4111111111111111.0", b"0.12345678901234567", b'""', b"{}", b"[]", b"[1,2]", b"[[1],[2]]", b'[""]', b'{"":""}',
    b'"%b"' % MAIL, b'"%b"' % CARD, b'"%b"' % KEY, b'"planted000001x\\u0040example.com"', b'"{\\"to\\":\\"%b\\",\\"n\\":%b}"' % (MAIL, CARD),
    b'"data:text/csv;base64,cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20="', b'"cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20="', b'"data:image/png;base64,iVBORw0KGgo="',
    b'{"type":"text","text":"%b"}' % MAIL, b'{"index":0}', b'"\\ud83d"', b'"[DONE]"', b"NaN",
)  # fmt: skip
"""Values."""

NAMES: Final = tuple(
    f'"{name}"'.encode()
    for name in [
        "action",
        "added",
        "annotations",
        "arguments",
        "audio",
        "bytes",
        "call_id",
        "choices",
        "citation",
        "citations",
        "code",
        "command",
        "command_index",
        "commands",
        "completion_tokens",
        "container",
        "content",
        "content_block",
        "content_index",
        "custom",
        "data",
        "definition",
        "delta",
        "details",
        "done",
        "error",
        "event",
        "file",
        "file_data",
        "file_id",
        "file_ids",
        "file_url",
        "finish_reason",
        "function",
        "function_call",
        "id",
        "image_url",
        "include_usage",
        "incomplete_details",
        "index",
        "input",
        "input_audio",
        "input_tokens",
        "item",
        "item_id",
        "iterations",
        "logprobs",
        "max_tokens",
        "media_type",
        "message",
        "messages",
        "metadata",
        "model",
        "n",
        "name",
        "obfuscation",
        "object",
        "output",
        "output_index",
        "output_tokens",
        "outputs",
        "part",
        "partial_image_b64",
        "partial_json",
        "prompt",
        "prompt_tokens",
        "reason",
        "reasoning",
        "refusal",
        "response",
        "result",
        "role",
        "service_tier",
        "skills",
        "source",
        "status",
        "stop_reason",
        "store",
        "stream",
        "stream_options",
        "suffix",
        "summary",
        "summary_index",
        "system",
        "text",
        "thinking",
        "token",
        "tool",
        "tool_calls",
        "tool_changes",
        "tool_use_id",
        "tools",
        "top_logprobs",
        "transcript",
        "type",
        "url",
        "usage",
        "variables",
        "Model",
        "STORE",
        "next_year",
    ]
)
"""Names that some dialect knows, and some that none does."""

KINDS: Final = tuple(
    f'"{kind}"'.encode()
    for kind in [
        "text",
        "image",
        "document",
        "input_text",
        "output_text",
        "input_image",
        "input_file",
        "input_audio",
        "output_audio",
        "image_url",
        "file",
        "refusal",
        "summary_text",
        "reasoning_text",
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "code_interpreter_call",
        "mcp_call",
        "computer_call_output",
        "image_generation_call",
        "tool_use",
        "tool_result",
        "base64",
        "url",
        "content",
        "thinking",
        "container_upload",
        "function",
        "custom",
        "namespace",
        "shell",
        "web_search",
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "error",
        "ping",
        "response.created",
        "response.completed",
        "response.failed",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.custom_tool_call_input.delta",
        "response.code_interpreter_call_code.delta",
        "response.mcp_call_arguments.delta",
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "next_year.delta",
    ]
)
"""Words that members named `type` have, and other enums."""

_SPACE: Final = (b" ", b"\n", b"\t", b"\r\n", b"  ")
_GAPS: Final = re.compile(rb"(?<=[{}\[\],:])")
_EVENTS: Final = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")
_DATA: Final = re.compile(rb"(?m)^(data: ?)([^\r\n]*)")
_LETTER: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)|[^\\\"\x80-\xff]|[\xc0-\xff][\x80-\xbf]*", re.DOTALL)
_MOST: Final = 4


# ── JSON ───────────────────────────────────────────────────────────────────────


def json_text(raw: bytes, dice: random.Random) -> bytes:
    """JSON text with up to four changes; what is no JSON comes back as it was."""
    for _ in range(dice.randint(1, _MOST)):
        try:
            values = list(json_places.every(json_places.value_of(raw)))
        except NotJSON:
            break
        raw = dice.choice(_OF_JSON)(raw, values, dice)
    return raw


def _replaced(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    at = dice.choice(values)
    return raw[: at.start] + _other(raw, values, dice) + raw[at.end :]


def _other(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    """A value to put somewhere: one of this text, or one of the list."""
    if dice.random() < 0.4:
        other = dice.choice(values)
        return raw[other.start : other.end]
    return dice.choice(dice.choice((ATOMS, ATOMS, KINDS)))


def _removed(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    holder = dice.choice([value for value in values if value.inside] or values)
    if not holder.inside:
        return raw
    number = dice.randrange(len(holder.inside))
    one = holder.inside[number]
    if number:
        return raw[: holder.inside[number - 1].end] + raw[one.end :]
    after = holder.inside[1].whole if len(holder.inside) > 1 else one.end
    return raw[: one.whole] + raw[after:]


def _added(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    holders = [value for value in values if value.kind in ("object", "array")]
    if not holders:
        return raw
    holder = dice.choice(holders)
    new = _other(raw, values, dice)
    if holder.kind == "object":
        new = b"%b:%b" % (dice.choice(NAMES), new)
        if dice.random() < 0.1:
            new += b',"planted000002x@example.com":1,"planted000003x@example.com":2'
    elif holder.inside and dice.random() < 0.5:
        again = dice.choice(holder.inside)
        new = raw[again.start : again.end]
    at = holder.inside[-1].end if holder.inside else holder.start + 1
    return raw[:at] + (b"," if holder.inside else b"") + new + raw[at:]


def _renamed(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    named = [value for value in values if value.named >= 0]
    if not named:
        return raw
    one = dice.choice(named)
    if dice.random() < 0.3:
        return _written(raw, one.named, one.name_end, dice)
    return raw[: one.named] + dice.choice(NAMES) + raw[one.name_end :]


def _kind(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    kinds = [value for value in values if value.named >= 0 and raw[value.named : value.name_end] in (b'"type"', b'"role"')]
    if not kinds:
        return _texted(raw, values, dice)
    one = dice.choice(kinds)
    return raw[: one.start] + dice.choice(KINDS) + raw[one.end :]


def _texted(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    strings = [value for value in values if value.kind == "string"]
    if not strings:
        return raw
    one = dice.choice(strings)
    return _written(raw, one.start, one.end, dice)


def _written(raw: bytes, start: int, end: int, dice: random.Random) -> bytes:
    """Another text in a string: something put in, cut out, or written as an escape."""
    letters = _LETTER.findall(raw[start + 1 : end - 1])
    at = dice.randint(0, len(letters))
    match dice.randrange(4):
        case 0 if letters:
            letters[at : at + dice.randint(1, 12)] = []
        case 1 if letters:
            letters = [_escaped(letter) if dice.random() < 0.3 else letter for letter in letters]
        case _:
            letters[at:at] = [dice.choice(PIECES) for _ in range(dice.randint(1, 3))]
    return raw[: start + 1] + b"".join(letters) + raw[end - 1 :]


def _escaped(letter: bytes) -> bytes:
    return b"\\u%04x" % letter[0] if len(letter) == 1 else letter


def _wrapped(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one = dice.choice(values)
    before, after = dice.choice(((b"[", b"]"), (b'{"text":', b"}"), (b'{"content":', b"}"), (b"[" * 20, b"]" * 20)))
    return raw[: one.start] + before + raw[one.start : one.end] + after + raw[one.end :]


def _quoted(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    """A value as JSON in a string."""
    one = dice.choice(values)
    inside = raw[one.start : one.end].replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return raw[: one.start] + b'"%b"' % inside.replace(b"\t", b"\\t") + raw[one.end :]


def _spaced(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one = dice.choice(values)
    at = dice.choice((one.start, one.end, one.whole))
    return raw[:at] + dice.choice(_SPACE) + raw[at:]


def _swapped(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one, other = sorted((dice.choice(values), dice.choice(values)), key=lambda value: value.start)
    if one.end > other.start:
        return raw
    return raw[: one.start] + raw[other.start : other.end] + raw[one.end : other.start] + raw[one.start : one.end] + raw[other.end :]


_OF_JSON: Final = (
    _replaced,
    _replaced,
    _removed,
    _added,
    _added,
    _renamed,
    _kind,
    _texted,
    _texted,
    _texted,
    _wrapped,
    _quoted,
    _spaced,
    _swapped,
)


def crossed_json(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """JSON text with a value of another; as it was where one of them is no JSON."""
    try:
        here = dice.choice(list(json_places.every(json_places.value_of(raw))))
        there = dice.choice(list(json_places.every(json_places.value_of(other))))
    except NotJSON:
        return raw
    return raw[: here.start] + other[there.start : there.end] + raw[here.end :]


# ── event streams ──────────────────────────────────────────────────────────────


def stream(raw: bytes, dice: random.Random) -> bytes:
    """A stream with up to four changes: to its events' JSON, to its events, and to how its lines end."""
    for _ in range(dice.randint(1, _MOST)):
        events = [event for event in _EVENTS.split(raw) if event] or [b"data: {}\n\n"]
        if dice.random() < 0.6:
            at = dice.randrange(len(events))
            events[at] = _with_json(events[at], dice, json_text)
        else:
            dice.choice(_OF_STREAMS)(events, dice)
        raw = b"".join(events)
    return raw


def _with_json(event: bytes, dice: random.Random, change: Mutator) -> bytes:
    """The event with its data changed; on one line all the same."""
    return _DATA.sub(lambda line: line[1] + re.sub(rb"[\r\n]+", b" ", change(line[2], dice)), event, count=1)


def _less(events: list[bytes], dice: random.Random) -> None:
    del events[dice.randrange(len(events))]


def _again(events: list[bytes], dice: random.Random) -> None:
    events.insert(dice.randint(0, len(events)), dice.choice(events))


def _moved(events: list[bytes], dice: random.Random) -> None:
    events.insert(dice.randint(0, len(events) - 1), events.pop(dice.randrange(len(events))))


def _halved(events: list[bytes], dice: random.Random) -> None:
    """An event in two, each with a part of its longest text."""
    at = dice.randrange(len(events))
    line = _DATA.search(events[at])
    try:
        values = list(json_places.every(json_places.value_of(line[2]))) if line else []
    except NotJSON:
        return
    strings = sorted((value for value in values if value.kind == "string"), key=lambda value: value.end - value.start)
    if not strings or line is None:
        return
    one = strings[-1] if dice.random() < 0.7 else dice.choice(strings)
    start, end = line.start(2) + one.start + 1, line.start(2) + one.end - 1
    letters = _LETTER.findall(events[at][start:end])
    cut = dice.randint(0, len(letters))
    halves = [events[at][:start] + b"".join(half) + events[at][end:] for half in (letters[:cut], letters[cut:])]
    events[at : at + 1] = halves


def _beside(events: list[bytes], dice: random.Random) -> None:
    """A line besides the data."""
    line = dice.choice((b": ", b"event: ", b"id: ", b"retry: ", b"data: ", b"", b"data", b"next: ")) + dice.choice(
        (b"", b"x", MAIL, KEY, b"error")
    )
    at = dice.randrange(len(events))
    events[at] = line + dice.choice((b"\n", b"\n\n", b"\r\n", b"\r")) + events[at]


def _line_ends(events: list[bytes], dice: random.Random) -> None:
    end = dice.choice((b"\n", b"\r\n", b"\r"))
    which = range(len(events)) if dice.random() < 0.5 else [dice.randrange(len(events))]
    for at in which:
        events[at] = re.sub(rb"\r\n|\r|\n", end, events[at])


def _on_lines(events: list[bytes], dice: random.Random) -> None:
    """Data on several lines."""
    at = dice.randrange(len(events))
    line = _DATA.search(events[at])
    gaps = [gap.start() for gap in _GAPS.finditer(line[2])] if line else []
    if line and gaps:
        cut = line.start(2) + dice.choice(gaps)
        events[at] = events[at][:cut] + b"\ndata: " + events[at][cut:]


def _marked(events: list[bytes], dice: random.Random) -> None:
    new = dice.choice(
        (b"data: [DONE]\n\n", b"data: [DONE]", b"data:[DONE]\r\n\r\n", b"\xef\xbb\xbf", b": ping\n\n", b"event: ping\ndata: {}\n\n", b"\n")
    )
    events.insert(dice.choice((0, len(events), dice.randint(0, len(events)))), new)


def _ended(events: list[bytes], dice: random.Random) -> None:
    events[-1] = events[-1][: dice.randint(0, len(events[-1]))]


_OF_STREAMS: Final = (_less, _again, _again, _moved, _halved, _halved, _halved, _beside, _line_ends, _on_lines, _marked, _ended)


def crossed_stream(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """A stream with events of another, or with a value of another's event."""
    here, there = [[event for event in _EVENTS.split(one) if event] or [b"\n"] for one in (raw, other)]
    at = dice.randrange(len(here))
    if dice.random() < 0.5:
        found = _DATA.search(dice.choice(there))
        here[at] = _with_json(here[at], dice, lambda data, more: crossed_json(data, found[2] if found else b"", more))
    else:
        start = dice.randrange(len(there))
        here[at:at] = there[start : start + dice.randint(1, 3)]
    return b"".join(here)


# ── texts ──────────────────────────────────────────────────────────────────────

_IN_TEXT: Final = tuple(dict.fromkeys([*PIECES, *(piece.replace(b"\\\\", b"\\").replace(b'\\"', b'"') for piece in PIECES)]))


def text(raw: bytes, dice: random.Random) -> bytes:
    """A text with something put in, taken out or written again."""
    for _ in range(dice.randint(1, _MOST)):
        start = dice.randint(0, len(raw))
        end = min(len(raw), start + dice.randint(0, 20))
        match dice.randrange(4):
            case 0:
                raw = raw[:start] + raw[end:]
            case 1:
                raw = raw[:end] + raw[start:]
            case _:
                raw = raw[:start] + b"".join(dice.choice(_IN_TEXT) for _ in range(dice.randint(1, 3))) + raw[start:]
    return raw


def crossed(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one and the end of the other."""
    return raw[: dice.randint(0, len(raw))] + other[dice.randint(0, len(other)) :]
