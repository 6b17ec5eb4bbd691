"""A folder of Rego files as read from disk: modules with their syntax trees, and every problem that was found.

Which file may hold what, by path:

    gateway/main.rego                                 package gateway
    gateway/lib/<name>.rego                           package gateway.lib.<name>
    gateway/rules/<area>/<rule>/<rule>.rego           package gateway.rules.<area>.<rule>
    …_test.rego                                       tests, for OPA: never loaded here
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import regorus

from extproc.edge.policy_syntax import Node

MAX_BYTES = 256 * 1024
"""Of one file. A rule is a page; regorus reads recursively, so a huge one could exhaust its stack."""
MAX_NESTING = 64
"""Brackets open at once, for the same reason."""

_PLACES = (
    re.compile(r"gateway/main\.rego"),
    re.compile(r"gateway/lib/(?P<lib>[a-z][a-z0-9_]*)\.rego"),
    re.compile(r"gateway/rules/(?P<area>[a-z][a-z0-9_]*)/(?P<rule>[a-z][a-z0-9_]*)/(?P=rule)\.rego"),
)
_WHERE = re.compile(r"--> (?P<file>[^\n]*):(?P<line>\d+):\d+\n")
_ERROR = re.compile(r"error: (?P<text>[^\n]*)")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Why a policy can't be used: file (path inside the folder), line (1 is the first), and what to do."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Module:
    """One file. `package` is the one its path asks for; `area` and `rule` are empty outside the rules' tree."""

    path: str
    text: str
    package: tuple[str, ...]
    area: str
    rule: str
    syntax: Node


def read(folder: Path) -> tuple[list[Module], list[Problem]]:
    """Every Rego file below a folder that is no test, in the order of paths, and what is wrong with the others."""
    modules: list[Module] = []
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*.rego")):
        name = path.relative_to(folder).as_posix()
        if name.endswith("_test.rego"):
            problems += _stray_test(path, name)
            continue
        found = _module(path, name)
        (modules if isinstance(found, Module) else problems).append(found)  # type: ignore[arg-type] # one list each
    return modules, problems


def revision(modules: list[Module]) -> str:
    """Digest over names and texts of all files: 32 hex digits of SHA-256. Two folders with equal rules have the same."""
    digest = hashlib.sha256()
    for module in modules:
        for part in (module.path.encode(), module.text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def blame(trouble: str, fallback: str) -> Problem:
    """The place and text inside an error of regorus, without its stack trace."""
    where, what = _WHERE.search(trouble), _ERROR.search(trouble)
    text = what["text"] if what else trouble.strip().split("\n", 1)[0]
    return Problem(where["file"] if where else fallback, int(where["line"]) if where else 1, text.strip().rstrip("."))


def _stray_test(path: Path, name: str) -> Iterator[Problem]:
    """A rule that is named like a test would be passed over without a word."""
    tested = path.name.removesuffix("_test.rego") + ".rego"
    if not path.with_name(tested).is_file():
        yield Problem(name, 1, f"Names in _test are for tests, and there is no {tested} here: name the rule otherwise.")


def _module(path: Path, name: str) -> Module | Problem:
    place = next((match for form in _PLACES if (match := form.fullmatch(name))), None)
    if place is None:
        return Problem(name, 1, "No rule is looked for here: put it into gateway/rules/<area>/<rule>/<rule>.rego.")
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except OSError as broken:
        return Problem(name, 1, f"The file can't be read ({broken.strerror}).")
    except UnicodeDecodeError:
        return Problem(name, 1, "The file is not UTF-8: save it as UTF-8.")
    if len(raw) > MAX_BYTES or _nesting(text) > MAX_NESTING:
        return Problem(name, 1, f"The file is over {MAX_BYTES} bytes or {MAX_NESTING} brackets deep: split the rule.")
    words = place.groupdict()
    try:
        engine = regorus.Engine()
        engine.add_policy(name, text)
        tree = json.loads(engine.get_ast_as_json())[0]["ast"]
    except Exception as broken:  # noqa: BLE001 # whatever the parser says, the file is not usable
        found = blame(str(broken), name)
        return Problem(found.file, found.line, f"{found.text.capitalize()}: mend the Rego.")
    tree["text"] = raw
    return Module(name, text, _package(words), words.get("area") or "", words.get("rule") or "", tree)


def _package(words: dict[str, str | None]) -> tuple[str, ...]:
    if words.get("lib"):
        return ("gateway", "lib", str(words["lib"]))
    if words.get("rule"):
        return ("gateway", "rules", str(words["area"]), str(words["rule"]))
    return ("gateway",)


def _nesting(text: str) -> int:
    """Deepest nesting of brackets, those inside texts and comments counted too: an upper bound."""
    depth = deepest = 0
    for sign in _brackets(text):
        depth = depth + 1 if sign in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _brackets(text: str) -> Iterator[str]:
    return (sign for sign in text if sign in "()[]{}")
