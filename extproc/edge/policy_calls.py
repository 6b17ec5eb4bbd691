"""Which functions a policy may call: its own, and the built-ins that policies/capabilities.json lists.

The list holds what gives equal results in OPA and in the embedded engine. Everything else refuses to load, so a rule can
read neither the network, nor the process environment, nor the clock. A name is resolved as Rego does it: the file's own
functions and imports first. A name that is both a function of the policy and a built-in of the engine is refused: the
two engines need not agree on which of them wins. `with` is for tests: it can put one function in the place of another.

After `not` only a plain reference may stand. In `not f(input.x)` with no input.x, OPA looks the argument up outside of
the negation, so the rule does not fire; regorus lets it fire. `not _helper` means the same in both: a missing field denies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import regorus

from extproc.edge.policy_source import Module, Problem
from extproc.edge.policy_syntax import Path as Words
from extproc.edge.policy_syntax import calls, heads, imports, negated, replaced


def listed_builtins(folder: Path) -> frozenset[str]:
    """Names in capabilities.json. Raises OSError or ValueError where the file can't be read."""
    document = json.loads((folder / "capabilities.json").read_text())
    try:
        return frozenset(str(builtin["name"]) for builtin in document["builtins"])
    except (KeyError, TypeError) as broken:
        raise ValueError("no list of builtins") from broken


def call_problems(modules: list[Module], allowed: frozenset[str]) -> Iterator[Problem]:
    """Every call that may not be, every `with`, and functions that call themselves."""
    functions = {("data", *module.package, *head.path) for module in modules for head in heads(module.syntax) if head.kind == "function"}
    for module in modules:
        for line in replaced(module.syntax):
            yield Problem(module.path, line, "`with` replaces documents and functions: use it in tests only.")
        for words, line in negated(module.syntax):
            if not words:
                yield Problem(module.path, line, "`not` before an expression is read differently by the two engines: negate a helper rule.")
        for call in calls(module.syntax):
            yield from _call_problem(module, call.path, call.line, functions, allowed)
    yield from _recursion(modules, functions)


def _call_problem(module: Module, name: Words, line: int, functions: set[Words], allowed: frozenset[str]) -> Iterator[Problem]:
    text = ".".join(name)
    if not name:
        yield Problem(module.path, line, "A called function must be named with literal words: write its name out.")
    elif _resolved(module, name) in functions:
        if name[0] != "data" and (text in allowed or _is_builtin(text)):
            yield Problem(module.path, line, f"{text} is also a built-in function: give the function or the import another name.")
    elif text not in allowed:
        yield Problem(
            module.path, line, f"{text} is not a function of this policy, nor a built-in listed in capabilities.json: do without it."
        )


def _resolved(module: Module, name: Words) -> Words:
    """Full path of what a called name would mean as a function of the policy."""
    if name[0] == "data":
        return name
    for alias, path, _ in imports(module.syntax):
        if alias == name[0] and path[:1] == ("data",):
            return (*path, *name[1:])
    return ("data", *module.package, *name)


def _recursion(modules: list[Module], functions: set[Words]) -> Iterator[Problem]:
    """The embedded engine would overflow its stack, and with it the process, where OPA refuses to compile."""
    edges: dict[Words, set[Words]] = {}
    lines: dict[Words, tuple[str, int]] = {}
    for module in modules:
        for head, rule in zip(heads(module.syntax), module.syntax["rules"], strict=True):
            whole = ("data", *module.package, *head.path)
            edges.setdefault(whole, set()).update(_resolved(module, call.path) for call in calls(rule) if call.path)
            lines.setdefault(whole, (module.path, head.line))
    for function in sorted(functions):
        if function in _reached(function, edges):
            file, line = lines[function]
            yield Problem(file, line, f"{function[-1]} calls itself, directly or through others: Rego has no recursion.")


def _reached(start: Words, edges: dict[Words, set[Words]]) -> set[Words]:
    seen: set[Words] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(edges.get(one, ()))
    return seen


@cache
def _is_builtin(name: str) -> bool:
    """Whether the engine knows a function of this name by itself: asked, not listed here."""
    engine = regorus.Engine()
    try:
        engine.add_policy("probe.rego", f"package probe\n\nanswer := {name}()\n")
        engine.eval_rule("data.probe.answer")
    except Exception as unknown:  # noqa: BLE001 # its type says nothing, its text does
        return "could not find function" not in str(unknown)
    return True
