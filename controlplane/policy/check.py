"""What speaks against a folder of policies, without OPA: used by `portcullis check` and `make check`."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import Unusable
from extproc.edge.policy_embedded import EmbeddedPolicy, inspect
from extproc.edge.policy_source import Problem


def check(folder: Path) -> list[Problem]:
    """Every problem of a folder such as policies/, in the order of files and lines; empty where it can be used.

    Beyond what refuses to load, a rule without tests is a problem too. Where the files are sound, one plain request is
    decided, so that what only shows at work (a name that is not defined, say) is found as well.
    """
    modules, problems = inspect(folder)
    for module in modules:
        tests = module.path.removesuffix(".rego") + "_test.rego"
        if module.rule and not (folder / tests).is_file():
            problems.append(Problem(tests, 1, "The rule has no tests: add this file."))
    if not problems:
        try:
            EmbeddedPolicy.load(folder)
        except Unusable as unusable:
            problems.append(Problem("gateway", 1, str(unusable)))
    return sorted(problems)
