"""If-Match and If-None-Match (RFC 9110, section 13.1): a change of what the caller has seen, and of nothing newer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.api.problems import Problem
from controlplane.estate import Kept

_TAGS: Final = re.compile(r'\s*(?:(W/)?"([^"]*)"|(\*))\s*(?:,|$)')


def etag(kept: Kept) -> str:
    """The version of a record, as a strong tag."""
    return f'"{kept.version}"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """`match`: tags of which the record must have one, `*` being any; None: not asked for. `fresh`: there must be no such record yet."""

    match: frozenset[str] | None = None
    fresh: bool = False

    def check(self, kept: Kept | None) -> None:
        """Raises Problem (412) where the record is not as the caller believes."""
        self.check_tag(None if kept is None else etag(kept))

    def check_tag(self, tag: str | None) -> None:
        """As `check`, of what has this tag; None: it is not there."""
        if self.fresh and tag is not None:
            raise Problem(412, "changed_meanwhile", "There is a record of this name already, and If-None-Match: * says there must be none.")
        if self.match is None:
            return
        if tag is None or not self.match & {"*", tag}:
            raise Problem(412, "changed_meanwhile", "The record is not the one that If-Match names; read it again, and change that.")


def conditions(headers: Mapping[str, str]) -> Conditions:
    """What the request's headers ask for. Raises Problem (400) where they can't be read."""
    match, none = headers.get("if-match"), headers.get("if-none-match")
    if none is not None and none.strip() != "*":
        raise Problem(400, "invalid_request", "If-None-Match takes * here, and nothing else.")
    return Conditions(None if match is None else _tags(match), none is not None)


def _tags(text: str) -> frozenset[str]:
    found: set[str] = set()
    at = 0
    while at < len(text):
        tag = _TAGS.match(text, at)
        if tag is None:
            raise Problem(400, "invalid_request", 'If-Match takes tags as answers give them in ETag, such as "3".')
        if not tag[1]:  # a weak tag equals none when tags are compared strongly
            found.add("*" if tag[3] else f'"{tag[2]}"')
        at = tag.end()
    return frozenset(found)
