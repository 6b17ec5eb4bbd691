"""Envoy's messages as text: `Any` wrapping, and YAML with comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml
from betterproto2 import Casing, Message
from envoy_data_plane.google.protobuf import Any as Packed

WIDTH = 160
_KEY = re.compile(r"^(?P<indent>\s*(?:- )*)(?P<key>[A-Za-z_@]+):")


class _Dumper(yaml.SafeDumper):
    """Puts quotes around what Envoy's parser, yaml-cpp, takes for a boolean: `y` and `n` too, as YAML 1.1 has it."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))


def packed(message: Message) -> Packed:
    """Wrap a message with its type URL, as Envoy wants every extension."""
    return Packed.pack(message)


def seconds(value: float) -> timedelta:
    """A proto duration."""
    return timedelta(seconds=value)


def tree(message: Message) -> dict[str, Any]:
    """The message as JSON objects, with the field names of Envoy's reference pages."""
    return message.to_dict(casing=Casing.SNAKE)


def to_yaml(document: Mapping[str, Any], comments: Mapping[str, str] | None = None, head: str = "") -> str:
    """Write a document; above the first line of each key in `comments` stands its comment, above all stands `head`."""
    lines = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True).splitlines()
    waiting = dict(comments or {})
    out = [f"# {line}".rstrip() for line in head.splitlines()]
    for line in lines:
        found = _KEY.match(line)
        comment = waiting.pop(found["key"], None) if found else None
        if found and comment:
            out += [f"{' ' * len(found['indent'])}# {part}" for part in comment.splitlines()]
        out.append(line)
    return "\n".join(out) + "\n"


def resources(version: str, *messages: Message) -> dict[str, Any]:
    """A discovery response in a file: what Envoy reads where it watches a path."""
    return {"version_info": version, "resources": [tree(packed(message)) for message in messages]}
