"""Members of a request that several dialects have: read strictly, and named where they are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from extproc.core import data_url
from extproc.core.body import Document, Malformed
from extproc.core.dialects.shape import TOKENS, URL, Encoded
from extproc.core.spans import Added, Change, Replaced

_TYPE: Final = frozenset({"type"})
_CONTENTS: Final = frozenset({"image_url", "input_audio", "file", "file_data", "file_id", "file_url"})
"""Members of a part that hold what is no text."""

LONGEST_NAME: Final = 256
LARGEST_COUNT: Final = (1 << 53) - 1


def members(document: Document, known: frozenset[str]) -> dict[str, Any]:
    """The request's top object. A member `known` here may not be written in another case: some providers would read it, we would not."""
    body = document.tree
    if type(body) is not dict:
        raise Malformed("the body is not an object")
    exact(body, known)
    return body


def exact(node: Mapping[str, Any], known: frozenset[str]) -> None:
    """No member `known` here is written in another case. Raises Malformed, naming it."""
    for name in node:
        if name not in known and name.casefold() in known:
            raise Malformed(f"{name.casefold()} is written in another case")


def kind_of(tool: Any, unsaid: str) -> Any:
    """What a tool says that it is, `unsaid` where it says nothing; empty for one that is no object."""
    if type(tool) is not dict:
        return ""
    exact(tool, _TYPE)
    return tool.get("type", unsaid)


def model_of(body: Mapping[str, Any]) -> str:
    """The model asked for."""
    model = body.get("model")
    if type(model) is not str or not 0 < len(model) <= LONGEST_NAME:
        raise Malformed(f"model is missing, or no string of 1 to {LONGEST_NAME} characters")
    return model


def flag(body: Mapping[str, Any], member: str) -> bool:
    """A member that is true or false; missing and null are false."""
    value = body.get(member)
    if value is not None and type(value) is not bool:
        raise Malformed(f"{member} is neither true nor false")
    return value is True


def count(body: Mapping[str, Any], member: str) -> int | None:
    """A member that is a whole number of 1 or more; None where it is missing or null."""
    value = body.get(member)
    if value is not None and (type(value) is not int or not 0 < value <= LARGEST_COUNT):
        raise Malformed(f"{member} is not a whole number of 1 or more")
    return value


def caps(body: Mapping[str, Any], member: str) -> Replaced | Added:
    """The change that sets a ceiling in this member, which has none. Its number is put in by whoever knows it."""
    return Replaced((member,), b"0") if member in body else Added((), member, b"0")


def array(body: Mapping[str, Any], member: str) -> list[Any]:
    """A member that is an array; missing and null are empty."""
    value = body.get(member)
    if value is not None and type(value) is not list:
        raise Malformed(f"{member} is not an array")
    return value or []


def objects(body: Mapping[str, Any], member: str) -> list[dict[str, Any]]:
    """A member that is an array of objects; missing and null are empty."""
    found = array(body, member)
    if not all(type(item) is dict for item in found):
        raise Malformed(f"{member} holds something that is not an object")
    return found


def inputs(body: Mapping[str, Any], member: str) -> tuple[int, dict[str, int]]:
    """How many texts a member holds, and how many of them can't be read: one string or several, or token ids in their place.

    Missing, null and empty are one text that is empty.
    """
    value = body.get(member)
    if value is None or type(value) is str:
        return 1, {}
    if type(value) is not list:
        raise Malformed(f"{member} is neither a string nor an array")
    if value and all(type(item) is int for item in value):
        return 1, {TOKENS: 1}
    coded = 0
    for item in value:
        if type(item) is list and all(type(token) is int for token in item):
            coded += 1
        elif type(item) is not str:
            raise Malformed(f"{member} holds something that is neither a string nor an array of token ids")
    return max(len(value), 1), {TOKENS: coded} if coded else {}


def used(body: Mapping[str, Any], features: Iterable[str]) -> list[str]:
    """Which of these members say more than nothing: null, false and empty are nothing."""
    return [name for name in features if name in body and body[name] not in (None, False, "", [], {})]


def without_storing(body: Mapping[str, Any]) -> tuple[Change, ...]:
    """The change that makes `store` false."""
    if "store" not in body:
        return (Added((), "store", b"false"),)
    return () if body["store"] is False else (Replaced(("store",), b"false"),)


def tokens(counts: Any, member: str) -> int | None:
    """A count of tokens in a provider's usage; None where it is missing or no count."""
    value = counts.get(member) if type(counts) is dict else None
    return min(value, LARGEST_COUNT) if type(value) is int and value >= 0 else None


def said(tree: Any, member: str) -> str:
    """A short string that an answer says of itself; empty where it does not."""
    value = tree.get(member) if type(tree) is dict else None
    return value[:LONGEST_NAME] if type(value) is str else ""


def is_data_url(text: str) -> bool:
    """Whether a text is a data URL: the search finds those by itself, and reads what they hold."""
    return data_url.head(text) is not None


class Media:
    """What of a request is no text, as it is met: counts by kind, and texts in base64. Data URLs are seen to wherever they stand."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.files: list[Encoded] = []

    def kind(self, part: Mapping[str, Any]) -> str:
        """A part's type, empty where it says none. Raises Malformed where what it holds is written in another case."""
        exact(part, _CONTENTS)
        return said(part, "type")

    def note(self, kind: str) -> None:
        """One more part of a kind that can't be read."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def reference(self, url: Any) -> None:
        """A URL that the provider would fetch. One that holds its data itself is no reference."""
        if not (type(url) is str and is_data_url(url)):
            self.note(URL)
