"""The bundle that a real OPA reads: the same Rego files, and the data that is compiled of their annotations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from contracts.errors import Unusable
from extproc.edge.policy_embedded import inspect
from extproc.edge.policy_rules import compiled


def write_bundle(folder: Path, target: Path) -> str:
    """Build the folder `target` for `opa run -b`, `opa eval -b` or `opa build -b`; gives the revision.

    `target` must not exist yet. Raises Unusable, a line for each problem, where the policies would not load here either.
    """
    modules, problems = inspect(folder)
    if problems:
        raise Unusable("\n".join(str(problem) for problem in problems))
    document = compiled(modules)
    for module in modules:
        path = target / module.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / module.path, path)
    (target / "data.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    revision = str(document["gateway"]["compiled"]["revision"])  # type: ignore[index] # compiled() is typed as JSON
    (target / ".manifest").write_text(json.dumps({"revision": revision, "roots": ["gateway"]}) + "\n")
    return revision
