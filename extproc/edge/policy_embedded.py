"""Rules in process: `data.gateway.verdict` by regorus, the same files that OPA reads.

Built-in errors raise here, as with OPA's strict-builtin-errors. (regorus' faster compiled programs make them undefined,
so that `not f(x)` becomes true where f broke; they are not used.) Every request is decided afresh, nothing is kept.

An evaluation can't be interrupted: a late verdict is refused after the fact, and until then this process stands still.
What a rule can cost is bounded by what it may call and by the size of the input, which holds counts and never content.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
import regorus

from contracts.errors import PolicyUnavailable, Unusable
from contracts.policy import MalformedVerdict, PolicyInput, Principal, Verdict, verdict_of
from extproc.edge.policy_calls import call_problems, listed_builtins
from extproc.edge.policy_rules import compiled, rule_problems
from extproc.edge.policy_source import Module, Problem, blame, read

ENTRY = "data.gateway.verdict"

SAMPLE = PolicyInput(
    principal=Principal("example", "example", "example", "example", "000000000000", "example"),
    route="chat",
    dialect="openai",
    model="example",
    provider="example",
    upstream_model="example",
    stream=False,
    source_address="192.0.2.1",
    time_ns=1_767_225_600_000_000_000,
    request_bytes=400,
    max_tokens=256,
    findings_prompt={"EMAIL_ADDRESS": 1},
    key_models=("example",),
    key_routes=(),
    key_providers=(),
    key_addresses=(),
    key_max_tokens=None,
    profile_prompt={"*": "redact"},
    profile_answer={"*": "redact"},
    profile_unscanned="block",
    zero_data_retention=False,
    unpriced=False,
    priced=True,
)
"""A plain request. A policy that has no verdict about it is not loaded."""


class EmbeddedPolicy:
    """A loaded policy. Made by `load`; asked by `decide`, from one thread.

    `revision` is the digest of its files. `trouble` says what made the last refused decision fail, for operators: a place
    in a file and the engine's words, or the shape that was wrong; empty while all went well.
    """

    def __init__(self, checked: Checked, timeout_ms: int, clock: Callable[[], float] = perf_counter) -> None:
        self.revision = str(checked.document["gateway"]["compiled"]["revision"])
        self.trouble = ""
        self._pristine = _engine(checked)
        self._engine = self._pristine.clone()
        self._limit_s = timeout_ms / 1000
        self._clock = clock

    @classmethod
    def load(cls, folder: Path, timeout_ms: int = 250) -> EmbeddedPolicy:
        """Read and check a folder such as policies/. Raises Unusable, a line for each problem: file:line: what to do."""
        return cls.probed(folder, checked(folder), timeout_ms)

    @classmethod
    def load_apart(cls, folder: Path, timeout_ms: int = 250) -> EmbeddedPolicy:
        """As `load`, with the check in a process of its own: the files' syntax trees take some 60 MiB that a worker would keep."""
        command = [sys.executable, "-m", __name__, str(folder)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - ourselves
        if done.returncode:
            raise Unusable(done.stderr.decode(errors="replace").strip() or f"{folder}: the check of the rules ended with {done.returncode}")
        return cls.probed(folder, Checked(**orjson.loads(done.stdout)), timeout_ms)

    @classmethod
    def probed(cls, folder: Path, sound: Checked, timeout_ms: int) -> EmbeddedPolicy:
        """A policy that has proved to have a verdict about a plain request. Raises Unusable."""
        policy = cls(sound, timeout_ms)
        try:
            policy.decide(SAMPLE)
        except PolicyUnavailable as none:
            raise Unusable(f"{folder}: the policy has no verdict about a plain request ({policy.trouble}): mend that rule.") from none
        return policy

    def decide(self, asked: PolicyInput) -> Verdict:
        """The verdict about one request. Raises PolicyUnavailable: undefined, malformed, late, or any error on the way."""
        try:
            verdict = self._ask(asked)
        except BaseException as broken:
            self._give_up(broken)
            raise
        self.trouble = ""
        return verdict

    def _ask(self, asked: PolicyInput) -> Verdict:
        begun = self._clock()
        self._engine.set_input_json(orjson.dumps(asked.document()).decode())
        verdict = verdict_of(orjson.loads(self._engine.eval_rule_as_json(ENTRY)))
        if verdict.revision != self.revision:
            raise MalformedVerdict("verdict.revision is not the loaded one")
        if self._clock() - begun > self._limit_s:
            raise TimeoutError("the verdict came later than policy_timeout_ms")
        return verdict

    def _give_up(self, broken: BaseException) -> None:
        """Turn whatever broke into one refusal, and go on with an engine that has seen none of it."""
        # A panic in Rust arrives as a BaseException of its own; a signal's exceptions are none of ours.
        if not isinstance(broken, Exception) and type(broken).__name__ != "PanicException":
            return
        self._engine = self._pristine.clone()
        self.trouble = _trouble(broken)
        raise PolicyUnavailable(
            "The gate's rules gave no usable verdict, so the request was refused. Try again, or tell whoever runs this gate."
        ) from broken


def inspect(folder: Path) -> tuple[list[Module], list[Problem]]:
    """The modules of a folder, and everything that speaks against loading them, in the order of files and lines."""
    modules, problems = read(folder)
    try:
        allowed = listed_builtins(folder)
    except (OSError, ValueError):
        problems.append(Problem("capabilities.json", 1, "The list of built-ins is missing or not JSON: restore the file."))
        return modules, sorted(problems)
    problems += rule_problems(modules)
    problems += call_problems(modules, allowed)
    return modules, sorted(set(problems))


@dataclass(frozen=True, slots=True)
class Checked:
    """Files that may be loaded (pairs of path and text), and the data compiled from them."""

    files: list[tuple[str, str]]
    document: dict[str, Any]


def checked(folder: Path) -> Checked:
    """Check a folder. Raises Unusable, a line for each problem."""
    modules, problems = inspect(folder)
    if problems:
        raise Unusable("\n".join(f"{folder / problem.file}:{problem.line}: {problem.text}" for problem in problems))
    return Checked([(module.path, module.text) for module in modules], compiled(modules))


def _engine(sound: Checked) -> regorus.Engine:
    engine = regorus.Engine()
    for path, text in sound.files:
        engine.add_policy(path, text)
    engine.add_data_json(json.dumps(sound.document))
    return engine


def _trouble(broken: BaseException) -> str:
    if isinstance(broken, MalformedVerdict | TimeoutError):
        return str(broken)
    return str(blame(str(broken), ENTRY))


def main() -> int:
    """The check alone, for `load_apart`: what was checked as JSON, or the problems and 1."""
    try:
        sys.stdout.buffer.write(orjson.dumps(checked(Path(sys.argv[1]))))
    except Unusable as why:
        print(why, file=sys.stderr)  # noqa: T201 - for the process that asked
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
