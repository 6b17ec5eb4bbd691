"""What a rule folder may define, and the data that is made of all of them when a bundle is built.

A rule's package has up to four outputs; every other name in it begins with an underscore, so a misspelt output can't pass
as a name of the author's own:

    deny     contains {"code": …}       refuses; optional scope, retry_after_s, and names for the message
    warn     contains {"code": …}       tells an operator; optional scope, threshold, names
    actions  {"prompt": {KIND: action}, "answer": {KIND: action}, "unscanned": action}
    upstream {"provider": …, "model": …}
"""

from __future__ import annotations

from collections.abc import Iterator

from extproc.edge.policy_notes import Note, NoteError, notes, parts
from extproc.edge.policy_source import Module, Problem, revision
from extproc.edge.policy_syntax import Head, heads, imports, literal_fields, package

OUTPUTS = ("deny", "warn", "actions", "upstream")
_REASON_FIELDS = {"deny": {"code", "scope", "retry_after_s", "names"}, "warn": {"code", "scope", "threshold", "names"}}


def rule_problems(modules: list[Module]) -> Iterator[Problem]:
    """What the files define where they must not, or leave out."""
    if not any(module.path == "gateway/main.rego" for module in modules):
        yield Problem("gateway/main.rego", 1, "The file that makes the verdict is missing: restore it.")
    if not any(module.rule for module in modules):
        yield Problem("gateway/rules", 1, "No rule is there, and a gate without rules would allow nothing: add a rule folder.")
    for module in modules:
        yield from _package_problems(module)
        if module.rule:
            yield from _output_problems(module)


def compiled(modules: list[Module]) -> dict[str, object]:
    """The `data` document for both engines: {"gateway": {"compiled": {…}}}, which gateway/main.rego describes.

    `annotations`: area → rule → messages → code → parts of its text. `rules`: sorted [area, rule]. `required`, `warn` and
    `upstream`: sorted [area, rule, output]; what is required must have a value in every decision.
    """
    rules = sorted((module for module in modules if module.rule), key=lambda module: (module.area, module.rule))
    annotations: dict[str, dict[str, object]] = {}
    paths: list[tuple[str, str, str]] = []
    for module in rules:
        messages = {note.code: parts(note.message) for note in notes(module.text)}
        annotations.setdefault(module.area, {})[module.rule] = {"messages": messages}
        outputs = {head.path[0] for head in heads(module.syntax)} & set(OUTPUTS)
        paths += [(module.area, module.rule, output) for output in sorted(outputs)]
    return {
        "gateway": {
            "compiled": {
                "revision": revision(modules),
                "rules": [[module.area, module.rule] for module in rules],
                "annotations": annotations,
                "required": [list(path) for path in paths if path[2] != "upstream"],
                "warn": [list(path) for path in paths if path[2] == "warn"],
                "upstream": [list(path) for path in paths if path[2] == "upstream"],
            }
        }
    }


def _package_problems(module: Module) -> Iterator[Problem]:
    if package(module.syntax) != module.package:
        wanted = ".".join(module.package)
        yield Problem(module.path, module.syntax["package"]["span"]["line"], f"The package must be named as the path is: package {wanted}.")
    for name, path, line in imports(module.syntax):
        if not path or name in {"data", "input"}:
            yield Problem(module.path, line, "An import must be a literal path under another name than data or input: write it out.")


def _output_problems(module: Module) -> Iterator[Problem]:
    try:
        found = notes(module.text)
    except NoteError as bad:
        yield Problem(module.path, bad.line, str(bad))
        return
    yield from _note_problems(module, found)
    named = list(heads(module.syntax))
    if not any(head.path[0] in OUTPUTS for head in named):
        yield Problem(module.path, 1, f"The rule says nothing: define one of {', '.join(OUTPUTS)}.")
    codes = {note.code for note in found}
    for head in named:
        yield from (Problem(module.path, head.line, text) for text in _head_troubles(head, codes))


def _note_problems(module: Module, found: list[Note]) -> Iterator[Problem]:
    texts: dict[str, str] = {}
    for note in found:
        if texts.setdefault(note.code, note.message) != note.message:
            yield Problem(module.path, note.line, f"Code {note.code} has two different messages: give one of them another code.")


def _head_troubles(head: Head, codes: set[str]) -> Iterator[str]:
    name = head.path[0]
    if name.startswith("_"):
        return
    if name not in OUTPUTS:
        yield f"{name} is no output of a rule ({', '.join(OUTPUTS)}): correct it, or begin its name with an underscore."
    elif name in {"deny", "warn"}:
        yield from _reason_troubles(head, codes)
    elif head.kind not in {"value", "default"}:
        yield f"{name} must be an object: {name} := {{…}}."


def _reason_troubles(head: Head, codes: set[str]) -> Iterator[str]:
    name = head.path[0]
    fields = literal_fields(head.key)
    if head.kind != "set" or len(head.path) > 1 or fields is None:
        yield f'{name} must be written as: {name} contains {{"code": "…"}} if …'
        return
    code = fields.get("code", {}).get("String", {}).get("value")
    if code is None:
        yield f'{name} needs its code as a literal text: {name} contains {{"code": "…"}} if …'
    elif code not in codes:
        yield f"Code {code} has no message: add a METADATA block above the rule with custom.code and custom.message."
    unknown = fields.keys() - _REASON_FIELDS[name]
    if unknown:
        yield f"{name} may have the fields {', '.join(sorted(_REASON_FIELDS[name]))}; remove {', '.join(sorted(unknown))}."
