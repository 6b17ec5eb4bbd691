"""The command `portcullis`: reads its arguments here, and loads no more than the verb needs.

Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 3 system down.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.errors import PortcullisError

DONE, REFUSED, DOWN = 0, 1, 3
_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    args = parser().parse_args(argv)
    module, _, verb = args.run.partition(":")
    try:
        code = int(getattr(importlib.import_module(module), verb)(args))
        sys.stdout.flush()
    except PortcullisError as error:
        print(f"portcullis: {error}", file=sys.stderr)
        return DOWN if type(error).__name__ == "SystemDownError" else REFUSED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough. Python flushes once more at exit; give that a place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def parser() -> argparse.ArgumentParser:
    """Every verb with its arguments. `run` names what carries it out, as module:function."""
    top = argparse.ArgumentParser(prog="portcullis", description="A self-hosted gate for LLM traffic.", allow_abbrev=False)
    verbs = top.add_subparsers(required=True, metavar="VERB")
    system, found = _system(), _found()
    _verb(verbs, "up", "start every part of the system", "controlplane.cli_system:up", system)
    demo = _verb(verbs, "demo", "the whole system with a mock provider, and three requests", "controlplane.cli_system:demo", system)
    demo.add_argument("--once", action="store_true", help="stop after the three requests")
    mock = _verb(verbs, "mock", "a mock provider", "controlplane.cli_system:mock")
    mock.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    check = _verb(verbs, "check", "say what is wrong with settings, rules or a file", "controlplane.cli_check:check", system)
    check.add_argument("-f", "--file", type=Path, help="a declarative file to check too")
    check.add_argument("--json", action="store_true", help="for scripts")
    version = _verb(verbs, "version", "the version", "controlplane.cli_system:version")
    version.add_argument("--json", action="store_true", help="for scripts")
    apply = _verb(verbs, "apply", "make a declarative file so", "controlplane.cli_apply:apply", found)
    apply.add_argument("-f", "--file", required=True, help="the file; - reads it from the standard input")
    apply.add_argument("--dry-run", action="store_true", help="show the plan and change nothing")
    apply.add_argument("--keys-file", type=Path, help="write the secrets of new keys here (JSON, 0600) instead of showing them")
    key = _verb(verbs, "key", "virtual keys", "").add_subparsers(required=True, metavar="VERB")
    _verb(key, "list", "the virtual keys, without their secrets", "controlplane.cli_read:keys", found)
    audit = _verb(verbs, "audit", "the audit rows", "").add_subparsers(required=True, metavar="VERB")
    query = _verb(audit, "query", "ask the audit database, read-only", "controlplane.cli_read:query", found)
    query.add_argument("sql", metavar="SQL", help="such as 'SELECT time, outcome, model_asked FROM audit.requests LIMIT 10'")
    _verb(audit, "tail", "show rows as they are stored", "controlplane.cli_read:tail", found)
    _verb(audit, "stats", "what was accepted, stored, spooled and lost, beside Envoy's own count", "controlplane.cli_read:stats", found)
    return top


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, told: str, run: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".", parents=parents, allow_abbrev=False)
    verb.set_defaults(run=run)
    return verb


def _system() -> argparse.ArgumentParser:
    """Arguments of what reads the settings."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-c", "--config", type=Path, help="settings; default ./portcullis.yaml where there is one")
    shared.add_argument("--data", type=Path, help="data folder; default ./data")
    return shared


def _found() -> argparse.ArgumentParser:
    """Arguments of what calls a running system."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", type=Path, help="data folder of the running system; default ./data")
    shared.add_argument("--json", action="store_true", help="for scripts")
    return shared


if __name__ == "__main__":
    sys.exit(main())
