"""Copies of policies/ that tests may change, and requests to ask about."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from contracts.policy import PolicyInput
from extproc.edge.policy_embedded import SAMPLE

POLICIES = Path(__file__).resolve().parent.parent / "policies"


def copied(target: Path, files: Mapping[str, str] | None = None, removed: tuple[str, ...] = ()) -> Path:
    """A copy of policies/ with some files written anew (path → text) and some folders or files removed."""
    folder = target / "policies"
    shutil.copytree(POLICIES, folder)
    for name in removed:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def rule(body: str, *, code: str = "closed", area: str = "extra", name: str = "one", above: str = "") -> dict[str, str]:
    """One rule file with an annotated deny: `above` is text before the annotation, `body` what follows the deny's `if`."""
    return {
        f"gateway/rules/{area}/{name}/{name}.rego": (
            f"package gateway.rules.{area}.{name}\n\n{above}\n# METADATA\n# custom:\n#   code: {code}\n#   message: No.\n"
            f'deny contains {{"code": "{code}"}} if {{\n\t{body}\n}}\n'
        )
    }


def asking(**fields: object) -> PolicyInput:
    """The sample request with some fields changed."""
    return replace(SAMPLE, **fields)  # type: ignore[arg-type] # names and types are the test's business
