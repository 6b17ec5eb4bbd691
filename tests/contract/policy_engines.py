"""The two engines, asked the same questions: regorus in process, and a real OPA over a built bundle."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import PolicyUnavailable
from contracts.policy import MalformedVerdict, Verdict, verdict_of
from controlplane.policy.bundle import write_bundle
from extproc.edge.policy_embedded import EmbeddedPolicy

Document = dict[str, Any]

EACH = "[verdict | some one in input.cases; verdict := data.gateway.verdict with input as one]"


@dataclass(frozen=True, slots=True)
class Raw:
    """An input document as it is, for what PolicyInput can't express (a missing field)."""

    fields: Document

    def document(self) -> Document:
        """The input."""
        return self.fields


@dataclass(frozen=True, slots=True)
class Engines:
    """One folder of policies in both engines."""

    embedded: EmbeddedPolicy
    opa: Path
    bundle: Path

    @classmethod
    def load(cls, folder: Path, opa: Path, target: Path) -> Engines:
        """Load a folder here, and build its bundle for OPA in `target`."""
        bundle = target / "bundle"
        write_bundle(folder, bundle)
        return cls(EmbeddedPolicy.load(folder), opa, bundle)

    def by_embedded(self, cases: Sequence[Document]) -> list[Verdict]:
        """Verdicts in process."""
        return [self.embedded.decide(Raw(case)) for case in cases]  # type: ignore[arg-type] # asked for its document only

    def by_opa(self, cases: Sequence[Document]) -> list[Verdict]:
        """Verdicts of one OPA process over all cases. An error in one of them, or an undefined one, fails."""
        answer = evaluated(self.opa, EACH, {"cases": list(cases)}, "-b", str(self.bundle))
        assert len(answer) == len(cases), "a verdict is undefined"
        return [verdict_of(one) for one in answer]

    def refused_by_both(self, case: Document) -> bool:
        """Whether neither gives a verdict that can be used."""
        try:
            self.by_embedded([case])
        except PolicyUnavailable:
            return self._refused_by_opa(case)
        return False

    def _refused_by_opa(self, case: Document) -> bool:
        run = asked(self.opa, EACH, {"cases": [case]}, "-b", str(self.bundle))
        if run.returncode != 0:
            return True
        try:
            return not [verdict_of(one) for one in _value(run.stdout)]
        except MalformedVerdict:
            return True


def evaluated(opa: Path, query: str, document: object, *arguments: str, strict: bool = True) -> Any:
    """The value of a query by `opa eval`. Built-in errors end it, or are undefined where `strict` is off."""
    run = asked(opa, query, document, *arguments, strict=strict)
    assert run.returncode == 0, run.stdout + run.stderr
    return _value(run.stdout)


def asked(opa: Path, query: str, document: object, *arguments: str, strict: bool = True) -> subprocess.CompletedProcess[str]:
    """`opa eval` as it ends."""
    flags = ["--strict-builtin-errors"] if strict else []
    return subprocess.run(
        [str(opa), "eval", "-f", "json", "--stdin-input", *flags, *arguments, query],
        input=json.dumps(document), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def _value(output: str) -> Any:
    return json.loads(output)["result"][0]["expressions"][0]["value"]
