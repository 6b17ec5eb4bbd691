"""Settings of a process: portcullis.yaml, then PORTCULLIS_… variables, then what the command line says.

Every problem is reported at once, with file and line. What the contract knows and this version
lacks is refused with one sentence, because a setting that is silently ignored would let more
through than its author meant.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unusable
from contracts.settings import Control, Gateway, Limits, Settings, Spool, Telemetry
from extproc.state_address import state
from extproc.yaml_lines import Item, read

FILE: Final = Path("portcullis.yaml")
SOCKET_PATH_BYTES: Final = 100
"""Linux allows 107 bytes in a Unix socket's path, macOS 103; longer ones fail late and obscurely."""
_LONGEST_SOCKET: Final = "run/envoy-admin.sock"

GIB: Final = 1 << 30
MOST_WORKERS: Final = 64
_NOWHERE: Final = frozenset({"null", "~", ""})
_UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": GIB, "TiB": 1 << 40}


def size(text: str) -> int:
    """Bytes of `512`, `20MiB` or `2GiB`."""
    match = re.fullmatch(r"([0-9]{1,15}) ?([A-Za-z]*)", text)
    if not match or match[2] not in _UNITS:
        raise ValueError("must be a whole number of bytes, or one with KiB, MiB, GiB or TiB, such as 20MiB")
    return int(match[1]) * _UNITS[match[2]]


def address(text: str) -> str:
    """Check HOST:PORT; an IPv6 host stands in brackets."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):([0-9]{1,5})", text, re.ASCII)
    if not match or not 1 <= int(match[2]) <= 65535:  # noqa: PLR2004 - ports end at 65535
        raise ValueError("must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:8080")
    if match[1].startswith("["):
        ipaddress.IPv6Address(match[1][1:-1])
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return convert


def _bytes(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        found = size(text)
        if not low <= found <= high:
            raise ValueError(f"must be from {_shown(low)} to {_shown(high)}")
        return found

    return convert


def _shown(count: int) -> str:
    unit = next(name for name in ("TiB", "GiB", "MiB", "KiB", "B") if count % _UNITS[name] == 0)
    return f"{count // _UNITS[unit]}{unit}"


def _one_of(values: tuple[str, ...], later: tuple[str, ...] = ()) -> Callable[[str], str]:
    """One of `values`; what starts with one of `later` is known, and not in this version."""

    def convert(text: str) -> str:
        if text in values:
            return text
        if text.startswith(later):
            raise ValueError(f"'{text.partition(':')[0]}' is not in this version; use {' or '.join(values)}")
        raise ValueError(f"must be {' or '.join(values)}")

    return convert


def _policy(text: str) -> str:
    if text.startswith(("opa+unix:", "opa+http:", "opa+https:")):
        raise ValueError("an OPA server is not in this version; use embedded://FOLDER")
    if not text.startswith("embedded://") or text == "embedded://":
        raise ValueError("must be embedded://FOLDER, such as embedded://policies")
    return text


def _vault(text: str) -> str:
    if text.startswith("env:"):
        if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", text, re.ASCII):
            raise ValueError("must be env:NAME, with the name of an environment variable that holds the vault's keys, such as env:GATE_KEK")
        return text
    return _one_of(("file",), ("openbao:", "aws-kms:"))(text)


def _otlp(text: str) -> None:
    if text not in _NOWHERE:
        raise ValueError("telemetry is not in this version; use null")


def _planes(text: str) -> str | None:
    return None if text in _NOWHERE else address(text)


def _filled(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("is empty; give it a value")
    return text


LEAVES: Final[Mapping[str, Callable[[str], Any]]] = {
    "data": _filled,
    "gateway.listen": address,
    "gateway.trusted_hops": _whole(0, 16),
    "control.listen": address,
    "control.planes": _planes,
    "envoy": _filled,
    "workers": _whole(1, MOST_WORKERS),
    "policy": _policy,
    "policy_timeout_ms": _whole(1, 10_000),
    "state": state,
    "counters": _one_of(("local",), ("valkey:", "redis:", "valkeys:", "rediss:")),
    "audit": _one_of(("chdb",), ("clickhouse:", "clickhouses:")),
    "vault": _vault,
    "spool.durability": _one_of(("os", "fsync")),
    "spool.max_bytes": _bytes(1 << 20, 1 << 40),
    "spool.on_full": _one_of(("refuse",), ("drop",)),
    "limits.request_bytes": _bytes(1 << 10, GIB),
    "limits.response_bytes": _bytes(1 << 10, GIB),
    "limits.inflight_bytes": _bytes(1 << 10, 64 * GIB),
    "limits.json_depth": _whole(1, 512),
    "limits.upstream_timeout_s": _whole(1, 86_400),
    "telemetry.otlp": _otlp,
}
"""Every setting by its path, with what reads its text. docs/reference/settings.md lists each."""

_OTHER_NAMES: Final = {
    "PORTCULLIS_CONTROL",
    "PORTCULLIS_TOKEN",
    "PORTCULLIS_CLICKHOUSE_URL",
    "PORTCULLIS_REQUIRE_ALL",
    "PORTCULLIS_PII_DATA",
}


def variable(path: str) -> str:
    """The environment variable that overrides a setting: `gateway.listen` is PORTCULLIS_GATEWAY_LISTEN."""
    return f"PORTCULLIS_{path.upper().replace('.', '_')}"


def load(config: Path | None, data: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings in force. Raises Unusable with one line for each problem there is."""
    complaints: list[str] = []
    values = _from_file(config, complaints) | _from_environment(environ, complaints)
    if data is not None:
        values["data"] = str(data)
    settings = _tree(values)
    complaints += _across(settings)
    if complaints:
        raise Unusable("\n".join(complaints))
    return settings


def policy_folder(setting: str) -> Path:
    """The folder of `embedded://FOLDER`: as named, else beside the installed project."""
    folder = Path(setting.removeprefix("embedded://"))
    return folder if folder.is_absolute() or folder.is_dir() else Path(__file__).resolve().parent.parent / folder


def near_misses(environ: Mapping[str, str]) -> list[str]:
    """Warnings about variables that look like settings and are none."""
    names = {variable(path) for path in LEAVES}
    strangers = sorted(name for name in environ if name.startswith("PORTCULLIS_") and name not in names | _OTHER_NAMES)
    close = {name: difflib.get_close_matches(name, names, 1, 0.8) for name in strangers}
    return [f"{name} is no setting and is ignored; did you mean {match[0]}?" for name, match in close.items() if match]


def _from_file(config: Path | None, complaints: list[str]) -> dict[str, Any]:
    file = config or FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if config is not None:
            complaints.append(f"{file}: there is no such file")
        return {}
    except (OSError, UnicodeDecodeError) as error:
        complaints.append(f"{file}: can't be read: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}")
        return {}
    try:
        top = read(text, str(file))
    except Unusable as error:
        complaints.append(str(error))
        return {}
    values = _leaves(top)
    complaints += top.problems.lines()
    return values


def _leaves(top: Item) -> dict[str, Any]:
    """Values by path; a section's own fields are looked at one level down."""
    sections = {path.partition(".")[0] for path in LEAVES if "." in path}
    found: dict[str, Any] = {}
    for name, item in top.fields(_names("")).items():
        leaves = item.fields(_names(f"{name}.")) if name in sections else {"": item}
        for leaf in leaves.values():
            found |= _leaf(leaf)
    return found


def _leaf(item: Item) -> dict[str, Any]:
    if item.path in {"telemetry.otlp", "control.planes"} and item.null:
        return {item.path: None}
    before = len(item.problems.found)
    value = item.read(LEAVES[item.path])
    return {item.path: value} if len(item.problems.found) == before else {}


def _names(prefix: str) -> set[str]:
    return {path.removeprefix(prefix).partition(".")[0] for path in LEAVES if path.startswith(prefix)}


def _from_environment(environ: Mapping[str, str], complaints: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, convert in LEAVES.items():
        text = environ.get(variable(path))
        if text is None:
            continue
        try:
            found[path] = convert(text)
        except ValueError as error:
            complaints.append(f"{variable(path)}: {path}: {error}")
    return found


def _tree(values: Mapping[str, Any]) -> Settings:
    def section(name: str) -> dict[str, Any]:
        return {path.removeprefix(f"{name}."): value for path, value in values.items() if path.startswith(f"{name}.")}

    plain = {path: value for path, value in values.items() if "." not in path}
    return Settings(
        **{**plain, "data": Path(values.get("data", "data")).absolute()},
        gateway=Gateway(**section("gateway")),
        control=Control(**section("control")),
        spool=Spool(**section("spool")),
        limits=Limits(**section("limits")),
        telemetry=Telemetry(**section("telemetry")),
    )


def _across(settings: Settings) -> list[str]:
    """What no single field can tell."""
    found = []
    listeners = {
        "gateway.listen": settings.gateway.listen,
        "control.listen": settings.control.listen,
        "control.planes": settings.control.planes,
    }
    for (one, place), (other, same) in combinations(listeners.items(), 2):
        if place is not None and place == same:
            found.append(f"{one} and {other} are both {place}; give each a port of its own")
    if settings.limits.inflight_bytes < settings.limits.request_bytes:
        found.append("limits.inflight_bytes is smaller than limits.request_bytes, so no large request could ever pass; raise it")
    longest = len(os.fsencode(settings.data / _LONGEST_SOCKET))
    if longest > SOCKET_PATH_BYTES:
        over = longest - SOCKET_PATH_BYTES
        found.append(f"data: {settings.data} is {over} bytes too long for the Unix sockets under it; choose a shorter folder with --data")
    return found
