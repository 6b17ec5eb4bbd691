"""The running estate as a declarative file: without any secret, in a stable order, and so that applying it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from contracts.snapshot import Record
from controlplane.estate import Estate, revoked
from controlplane.estate.declared_fields import fields_of
from controlplane.estate.declared_readers import FIELDS
from controlplane.estate.references import PLURAL

_HEAD: Final = "# The running state as a declarative file. `portcullis apply -f` of it changes nothing."
_REVOKED: Final = "# Revoked keys are not in this file, and stay revoked: "
_SECRETS: Final = (
    "# No secret stands here. Set these environment variables where you apply this file, or leave them unset:\n"
    "# a credential that the gate already has keeps its secret."
)
_ORDER: Final = ("provider", "credential", "model", "environment", "team", "key", "profile")
"""Kinds in the order of the contract's sections."""
_WIDTH: Final = 140


class _Flow(dict[str, Any]):
    """A table that is written in one line where it fits."""


class _Plain(str):
    """A number or date, which needs no quotation marks: our reader takes it as it is written."""

    __slots__ = ()


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # which of the two, the machine decides
    """PyYAML's own, the fast one where there is one."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as PyYAML asks
        """Write every value out: our reader takes no aliases."""
        return True


_Dumper.add_representer(_Flow, lambda dumper, table: dumper.represent_mapping("tag:yaml.org,2002:map", table.items(), flow_style=True))
_Dumper.add_representer(_Plain, lambda dumper, text: dumper.represent_scalar(_tag(text), str(text)))


def _tag(text: str) -> str:
    """The type that YAML 1.1 sees in the text by itself, so that it is written without quotation marks or a tag."""
    kind = "timestamp" if "-" in text else "float" if "." in text else "int"
    return f"tag:yaml.org,2002:{kind}"


def export(estate: Estate) -> str:
    """The file's text."""
    head = [_HEAD]
    ended = sorted(name for name, kept in estate.of("key").items() if revoked(kept.record))
    if ended:
        head.append(_REVOKED + ", ".join(ended))
    if estate.organisation:
        head.append(_yaml({"organisation": estate.organisation}).rstrip())
    sections = [section for kind in _ORDER if (section := _section(kind, estate))]
    return "\n".join(head) + "\n" + "".join(sections)


def _section(kind: str, estate: Estate) -> str:
    records = {name: kept.record for name, kept in sorted(estate.of(kind).items()) if not revoked(kept.record)}
    if not records:
        return ""
    variables = variables_of(records) if kind == "credential" else {}
    entries = {name: _Flow(_entry(kind, record, variables.get(name))) for name, record in records.items()}
    return (f"\n{_SECRETS}\n" if variables else "\n") + _yaml({PLURAL[kind]: entries})


def _entry(kind: str, record: Record, variable: str | None) -> dict[str, Any]:
    fields = fields_of(record)
    if variable:
        fields["secret"] = {"env": variable}
    return {name: _plain(fields[name]) if name in {"expires", "price"} else fields[name] for name in FIELDS[kind] if name in fields}


def _plain(value: Any) -> Any:
    """Numbers and dates without quotation marks. Names keep theirs: a project may be called 2024."""
    if isinstance(value, Mapping):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return _Plain(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


_NUMBER: Final = re.compile(r"0|[1-9][0-9]*|[0-9]+\.[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def variables_of(names: Iterable[str]) -> dict[str, str]:
    """Credential → the environment variable for its secret, such as OPENAI_MAIN; no two have the same one."""
    found: dict[str, str] = {}
    for name in sorted(names):
        stem = re.sub("[^A-Z0-9]", "_", name.upper())
        stem = stem if stem[0].isalpha() else f"CREDENTIAL_{stem}"
        found[name] = next(variable for variable in _numbered(stem) if variable not in found.values())
    return found


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


def _yaml(tree: Mapping[str, Any]) -> str:
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH))
