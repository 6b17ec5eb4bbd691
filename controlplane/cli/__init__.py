"""The command `portcullis`: reads its arguments here, and loads no more than the verb needs.

Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 3 system down, or a data plane that is late.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from contracts.errors import PortcullisError
from controlplane.cli.audit import add_audit
from controlplane.cli.client import DeclinedError, SystemDownError
from controlplane.cli.credential import add_credential
from controlplane.cli.export import add_export
from controlplane.cli.key import add_key
from controlplane.cli.model import add_model
from controlplane.cli.nouns import add_nouns
from controlplane.cli.organisation import add_organisation
from controlplane.cli.plane import add_plane
from controlplane.cli.team import add_teams
from controlplane.cli.tree import Parser, Verbs, configured, later, running, scripted, verb
from controlplane.cli.vault import add_vault

DONE, REFUSED, DOWN = 0, 1, 3
_INTERRUPTED: Final = 130
_WHAT_TO_DO: Final[Mapping[str, str]] = {
    "in_use": "With --cascade they go too.",
    "changed_meanwhile": "Look at it again, then repeat the command.",
    "unauthorized": "The right one is in the data folder, in vault/admin-token; name that folder with --data, or set PORTCULLIS_TOKEN.",
}
"""What the command line can add to a problem of this code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    args = parser().parse_args(argv)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except PortcullisError as error:
        return _complained(error)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough. Python flushes once more at exit; give that a place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def _complained(error: PortcullisError) -> int:
    """Say what is wrong, a line for each thing that is, and what to do; the exit code."""
    for line in str(error).splitlines():
        print(f"portcullis: {line}", file=sys.stderr)
    if isinstance(error, DeclinedError) and error.code in _WHAT_TO_DO:
        print(f"portcullis: {_WHAT_TO_DO[error.code]}", file=sys.stderr)
    return DOWN if isinstance(error, SystemDownError) else REFUSED


def parser() -> Parser:
    """Every verb with its arguments."""
    top = Parser(prog="portcullis", description="A self-hosted gate for LLM traffic.", allow_abbrev=False)
    verbs = top.add_subparsers(required=True, metavar="VERB")
    _add_system(verbs)
    _add_files(verbs)
    add_organisation(verbs)
    add_nouns(verbs)
    add_credential(verbs)
    add_model(verbs)
    add_teams(verbs)
    add_key(verbs)
    add_audit(verbs)
    add_vault(verbs)
    add_plane(verbs)
    return top


def _add_system(verbs: Verbs) -> None:
    """What starts something, or looks at a system that may not run."""
    part = "controlplane.cli.system"
    verb(verbs, "up", "start every part of the system", later(part, "up"), configured())
    demo = verb(verbs, "demo", "the whole system with a mock provider, and three requests", later(part, "demo"), configured())
    demo.add_argument("--once", action="store_true", help="stop after the three requests")
    mock = verb(verbs, "mock", "a mock provider", later(part, "mock"))
    mock.add_argument("--port", type=int, required=True, metavar="N", help="port on 127.0.0.1")
    told = "say what is wrong with settings, rules or a file"
    check = verb(verbs, "check", told, later("controlplane.cli.check", "check"), configured(), scripted())
    check.add_argument("-f", "--file", type=Path, metavar="FILE", help="a declarative file to check too")
    verb(
        verbs,
        "doctor",
        "say what is wrong with this system, and what to do",
        later("controlplane.cli.doctor", "doctor"),
        configured(),
        scripted(),
    )
    verb(verbs, "version", "the version", later(part, "version"), scripted())


def _add_files(verbs: Verbs) -> None:
    """What is governed, as one file."""
    apply = verb(verbs, "apply", "make a declarative file so", later("controlplane.cli.apply", "apply"), running())
    apply.add_argument("-f", "--file", required=True, metavar="FILE", help="the file; - reads it from the standard input")
    apply.add_argument("--dry-run", action="store_true", help="show the plan and change nothing")
    told = "write the secrets of new keys here (JSON, 0600) instead of showing them"
    apply.add_argument("--keys-file", type=Path, metavar="FILE", help=told)
    add_export(verbs)


if __name__ == "__main__":
    sys.exit(main())
