"""All targets under Atheris for so many seconds altogether: `python tests/fuzz/run.py --seconds 300 [--target NAME …] [--work FOLDER]`.

Each target begins with the corpus of the repository and with what earlier runs left in the work folder, and has its share of the
time. An input that breaks an oracle is written there too; its name, and how to run it again, is said at the end. Exit 1 where
there is one, 2 where this Python has no Atheris.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
sys.path += [str(ROOT), str(HERE.parent)]

MEMORY_MB: Final = 512
SLOWEST_SECONDS: Final = 20
"""For one input, on a machine that has much else to do."""

_GRACE_SECONDS: Final = 60
_TOLD: Final = 12
_COVERED: Final = re.compile(r"(INITED|DONE) +cov: (\d+) ft: (\d+)")
_TRIED: Final = re.compile(r"stat::number_of_executed_units: +(\d+)")
_WRITTEN: Final = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a target came to. `fresh`: steps of the code that nothing kept had reached. `broken`: the input that broke an oracle."""

    name: str
    tried: int
    covered: int
    fresh: int
    seconds: float
    broken: str = ""
    said: str = ""

    def __str__(self) -> str:
        pace = round(self.tried / self.seconds) if self.seconds else 0
        return f"{self.name:22} {self.tried:>9} tried  {pace:>6}/s  {self.covered:>6} covered  {self.fresh:>+5} new  {'BROKEN' if self.broken else 'ok'}"


def run(name: str, seconds: int, work: Path) -> Outcome:
    """Run one target."""
    found, broken = work / "corpus" / name, work / "broken"
    found.mkdir(parents=True, exist_ok=True)
    broken.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SLOWEST_SECONDS}", f"-artifact_prefix={broken}/{name}-",
        "-print_final_stats=1", found, HERE / "corpus" / name,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE.parent)))}
    began = time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, HERE / "one.py", name, *options],
            env=environment, capture_output=True, text=True, errors="replace", check=False, timeout=seconds + _GRACE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as stuck:
        return Outcome(name, 0, 0, 0, time.monotonic() - began, "none: it did not end", str(stuck))
    return _outcome(name, ended.returncode, ended.stdout + ended.stderr, time.monotonic() - began)


def _outcome(name: str, code: int, said: str, seconds: float) -> Outcome:
    covered = {when: (int(steps), int(features)) for when, steps, features in _COVERED.findall(said)}
    first, last = covered.get("INITED", (0, 0)), covered.get("DONE", (0, 0))
    tried = _TRIED.search(said)
    written = _WRITTEN.search(said)
    broken = "" if code == 0 else written[1] if written else "none: it could not run"
    return Outcome(name, int(tried[1]) if tried else 0, max(first[0], last[0]), max(0, last[0] - first[0]), seconds, broken, said)


def told(outcome: Outcome) -> str:
    """What is wrong, and how to see it again."""
    lines = [line for line in outcome.said.splitlines() if not line.startswith(("INFO:", "WARNING:", "#"))]
    start = next((number for number, line in enumerate(lines) if "Uncaught Python exception" in line or "ERROR: libFuzzer" in line), 0)
    shown = "\n".join(line[:400] for line in lines[start : start + _TOLD])
    path = Path(outcome.broken)
    if not path.is_file():
        return f"\n{outcome.name}\n{shown}\ninput: {outcome.broken}"
    again = f"{sys.executable} {HERE.relative_to(ROOT)}/run.py --target {outcome.name} --again {path}"
    return f"\n{outcome.name}\n{shown}\ninput: {path}\nin base64: {base64.b64encode(path.read_bytes()).decode()}\nagain: {again}"


def again(name: str, path: Path) -> int:
    """Check one input as the tests do."""
    from fuzz.targets import TARGETS  # noqa: PLC0415 - the path to it is made above

    TARGETS[name].check(path.read_bytes(), True)
    sys.stdout.write(f"{path.name} breaks nothing.\n")
    return 0


def main(arguments: list[str]) -> int:
    """Run the targets, say what came of it, and give the exit code."""
    from fuzz.targets import TARGETS  # noqa: PLC0415 - as above

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=int, default=300, help="altogether")
    asked.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be given several times")
    asked.add_argument("--work", type=Path, default=ROOT / ".fuzz", help="where inputs that reach something new are kept")
    asked.add_argument("--again", type=Path, help="check this one input of the target, and nothing else")
    given = asked.parse_args(arguments)
    names = given.target or list(TARGETS)
    if given.again:
        return again(names[0], given.again)
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("Atheris is not here: it has wheels for Linux and Python 3.11 to 3.13. `make fuzz` installs it there.\n")
        return 2
    outcomes: list[Outcome] = []
    for name in names:
        outcomes.append(run(name, max(1, round(given.seconds / len(names))), given.work.resolve()))
        sys.stdout.write(f"{outcomes[-1]}\n")
        sys.stdout.flush()
    broken = [outcome for outcome in outcomes if outcome.broken]
    for outcome in broken:
        sys.stdout.write(f"{told(outcome)}\n")
    tried = sum(outcome.tried for outcome in outcomes)
    sys.stdout.write(
        f"fuzz: {len(names)} targets, {tried} inputs tried, {sum(outcome.fresh for outcome in outcomes)} new steps, {len(broken)} broken\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
