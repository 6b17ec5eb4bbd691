"""The lock files: `write` makes them, `check` tells whether they still say what pyproject.toml asks for.

A check compiles each lock again with its present pins as the preference, and compares the pins. It
leaves the hashes out: an index may gain a wheel for one more platform at any time.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"
OPTIONS = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"]
LOCKS = {
    "requirements-bootstrap.lock": ["requirements-bootstrap.in"],
    "requirements.lock": ["pyproject.toml", "--extra", "embedded"],
    "requirements-dev.lock": [
        "pyproject.toml",
        "--extra",
        "embedded",
        "--extra",
        "postgres",
        "--group",
        "dev",
        "--constraints",
        "requirements.lock",
    ],
    "requirements-fuzz.lock": ["--group", "fuzz"],
}
"""Lock → what it is compiled from. The dev lock has the runtime's versions, so one environment serves both."""


def compile_lock(name: str, output: Path) -> None:
    """Compile one lock into `output`; what is there already is the preference."""
    # The command and its arguments are the constants above.
    subprocess.run([UV, "pip", "compile", *OPTIONS, *LOCKS[name], "--output-file", output], cwd=ROOT, check=True)  # noqa: S603


def pins(lock: Path) -> list[str]:
    """`name==version ; marker` of each package."""
    return [line.removesuffix("\\").strip() for line in lock.read_text("utf-8").splitlines() if line[:1].isalnum()]


def stale(name: str) -> bool:
    """Whether a lock pins something else than its sources ask for."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / name
        shutil.copyfile(ROOT / name, fresh)
        compile_lock(name, fresh)
        return pins(fresh) != pins(ROOT / name)


def main(verb: str) -> int:
    """Carry out `write` or `check`; exit 1 where a lock is out of date."""
    if verb == "write":
        for name in LOCKS:
            compile_lock(name, ROOT / name)
        return 0
    old = [name for name in LOCKS if stale(name)]
    for name in old:
        sys.stderr.write(f"{name} doesn't match {LOCKS[name][0]}: run `make locks` and commit the result.\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
