"""What the thin verbs share: the system they call, and how they say what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from controlplane.cli.client import Client, find
from controlplane.cli.text import table
from controlplane.cli.values import day

DONE, LATE = 0, 3
_MOMENTS: Final = frozenset({"created", "expires", "revoked", "old_secret_until"})


def client(args: argparse.Namespace) -> Client:
    """The running system that the arguments or the environment name."""
    return find(args.data, os.environ)


def told(args: argparse.Namespace, answer: Any, *lines: str) -> int:
    """Say that a change was made; the exit code: 3 where a data plane is late, because it may still go by what was before."""
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print("\n".join(line for line in lines if line))
    return late(answer)


def late(answer: Any) -> int:
    """Name each data plane that did not take the change, on the standard error; the exit code."""
    planes = answer.get("planes", ()) if isinstance(answer, dict) else ()
    slow = [plane for plane in planes if plane.get("problem")]
    for plane in slow:
        print(f"portcullis: {plane['plane']}: {plane['problem']}", file=sys.stderr)
    return LATE if slow else DONE


def listed(args: argparse.Namespace, found: Sequence[dict[str, Any]], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Show records: for people as a table."""
    print(json.dumps(found, ensure_ascii=False) if args.json else table(columns, rows))
    return DONE


def shown(args: argparse.Namespace, found: dict[str, Any]) -> int:
    """Show one record: for people a field a line, and points in time as such."""
    told = {name: day(value, "-") if name in _MOMENTS else value for name, value in found.items()}
    print(json.dumps(found, ensure_ascii=False) if args.json else table(("field", "value"), list(told.items())))
    return DONE


def joined(names: Sequence[str]) -> str:
    """A list in one cell; an empty one leaves everything open."""
    return " ".join(names) or "all"
