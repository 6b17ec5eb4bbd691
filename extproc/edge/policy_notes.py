"""`# METADATA` blocks of a Rego file: codes of refusals and the messages that go with them.

Form and meaning are OPA's annotations (https://www.openpolicyagent.org/docs/policy-language#annotations): YAML in
comments, directly above what it describes. They are read when a bundle is built, since the embedded engine has no
rego.metadata.*, and become data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

_CODE = re.compile(r"[a-z][a-z0-9_]{2,62}")
_PLACE = re.compile(r"\{([a-z_]+)\}")

Part = dict[str, str]


@dataclass(frozen=True, slots=True)
class Note:
    """One annotation that carries a code. `line` is where its block begins, `above` the line right after it."""

    code: str
    message: str
    line: int
    above: int


class NoteError(ValueError):
    """A METADATA block that can't be used; `line` is where it begins."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def notes(text: str) -> list[Note]:
    """The annotations with a `custom.code`. Raises NoteError."""
    found = []
    for line, above, block in _blocks(text):
        note = _note(line, above, _document(line, block))
        if note:
            found.append(note)
    return found


def parts(message: str) -> list[Part]:
    """A message cut at its {names}: texts, and names that the rule fills in."""
    pieces = _PLACE.split(message)
    return [{"name": piece} if index % 2 else {"text": piece} for index, piece in enumerate(pieces) if piece]


def _blocks(text: str) -> list[tuple[int, int, str]]:
    """Each block: line of its mark, line after it, its YAML."""
    blocks: list[tuple[int, int, str]] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if lines[at].strip() != "# METADATA":
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end].lstrip().startswith("#"):
            end += 1
        blocks.append((at + 1, end + 1, "\n".join(line.lstrip()[1:] for line in lines[at + 1 : end])))
        at = end
    return blocks


def _document(line: int, block: str) -> dict[str, object]:
    try:
        document = yaml.safe_load(block)
    except yaml.YAMLError as broken:
        raise NoteError(line, "The METADATA block is not YAML: see OPA's page on annotations.") from broken
    if not isinstance(document, dict):
        raise NoteError(line, "The METADATA block is not a list of fields: write `title:`, `description:` or `custom:`.")
    return document


def _note(line: int, above: int, document: dict[str, object]) -> Note | None:
    custom = document.get("custom")
    if not isinstance(custom, dict) or "code" not in custom:
        return None
    code, message = custom["code"], custom.get("message", document.get("description"))
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise NoteError(line, "custom.code must be 3 to 63 of a-z, 0-9 and _, beginning with a letter.")
    if not isinstance(message, str) or not message.strip():
        raise NoteError(line, f"Code {code} has no text: add custom.message, which says what to do next.")
    return Note(code, " ".join(message.split()), line, above)
