"""What items of OpenAI's Responses API hold that is no text, and which of it is at the provider: in requests and in answers.

Source: OpenAI's API reference, "Responses", and the types of the official Python SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from extproc.core.body import Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import Media, array, is_data_url, said, used
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, Encoded

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
"""Items that hold nothing but text, or that `look_at_item` knows."""


class Seen(Media):
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


def look_at_item(item: dict[str, Any], path: Path, seen: Seen) -> None:
    """Note what of an item of the input is no text. Raises Malformed where nobody can say what it is."""
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
        look_at_tools(array(item, "tools"), seen)
    elif kind not in _READABLE:
        seen.note(FILE)
    look_at_pictures(item, seen)


def _look_at_parts(parts: Any, path: Path, seen: Seen) -> None:
    """Note what is no text. A number in the place of text would be read by some and not by others: refused."""
    if parts is None or type(parts) is str:
        return
    if type(parts) is not list or not all(type(part) is dict and type(part.get("type")) is str for part in parts):
        raise Malformed("input holds a content or output that is neither a string nor an array of parts with a type")
    for position, part in enumerate(parts):
        _look_at_part(part, (*path, position), seen)


def _look_at_part(part: dict[str, Any], path: Path, seen: Seen) -> None:
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


def _look_at_image(part: dict[str, Any], seen: Seen) -> None:
    """An image is at the provider, behind a URL, or in a URL that holds it; those are met where all texts are looked at."""
    if part.get("file_id") is not None:
        seen.stored(IMAGE)
    if part.get("image_url") is not None:
        seen.reference(part["image_url"])
    elif part.get("file_id") is None:
        seen.note(IMAGE)


def _look_at_file(part: dict[str, Any], path: Path, seen: Seen) -> None:
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


def look_at_pictures(item: Mapping[str, Any], seen: Seen) -> None:
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


def look_at_prompt(prompt: Any, seen: Seen) -> None:
    """A stored prompt's variables may be parts."""
    variables = prompt.get("variables") if type(prompt) is dict else None
    for variable, value in variables.items() if type(variables) is dict else ():
        if type(value) is dict:
            _look_at_part(value, ("prompt", "variables", variable), seen)


def look_at_tools(tools: Iterable[Any], seen: Seen) -> None:
    """Tools, those in a namespace too, and what they bring along."""
    for tool in tools:
        if type(tool) is dict and tool.get("type") == "namespace":
            look_at_tools(array(tool, "tools"), seen)
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


def _look_into_container(place: Mapping[str, Any], seen: Seen) -> None:
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


def look_at_shown(parts: Any, seen: Seen) -> None:
    """Parts of an answer that are known to be no text. A kind yet unknown is read as text: it is the provider's, not the app's."""
    for part in parts if type(parts) is list else ():
        if type(part) is dict and said(part, "type") in _NO_TEXTS:
            _look_at_part(part, (), seen)
