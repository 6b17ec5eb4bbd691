"""Texts that are kept: what a row says of a request or an answer holds nothing that is looked for."""

from __future__ import annotations

from extproc.redact import actions
from extproc.redact.scanner import scan


def told(text: str) -> str:
    """`text` with the kind in the place of whatever is found in it, whatever a table says about prompts and answers."""
    findings = scan(text)
    return actions.apply(text, actions.edits(findings, {"*": "redact"})) if findings else text
