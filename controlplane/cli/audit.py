"""Verbs about the audit."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from typing import Any, NoReturn
from urllib.parse import quote

from contracts.usage import usd
from controlplane.cli.calls import client
from controlplane.cli.client import path_of
from controlplane.cli.text import cell, table
from controlplane.cli.tree import Verbs, noun, running, verb


def add_audit(verbs: Verbs) -> None:
    """The verbs."""
    audit = noun(verbs, "audit", "the audit rows")
    asking = verb(audit, "query", "ask the audit database, read-only", query, running())
    asking.add_argument("sql", metavar="SQL", help="such as 'SELECT time, outcome, model_asked FROM audit.requests LIMIT 10'")
    verb(audit, "tail", "show rows as they are stored", tail, running())
    verb(audit, "stats", "what was accepted, stored, spooled and lost, beside Envoy's own count", stats, running())


def query(args: argparse.Namespace) -> int:
    """`audit query`."""
    answer = client(args).call("POST", path_of("audit", "query"), {"sql": args.sql})
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return 0
    print(table(answer["columns"], answer["rows"]))
    if answer.get("truncated"):
        print("portcullis: there are more rows than are shown; narrow the query or add LIMIT and OFFSET", file=sys.stderr)
    return 0


def stats(args: argparse.Namespace) -> int:
    """`audit stats`."""
    found = client(args).call("GET", path_of("audit", "stats"))
    print(json.dumps(found) if args.json else table(["what", "count"], list(found.items())))
    return 0


def tail(args: argparse.Namespace) -> NoReturn:
    """`audit tail`: until Ctrl-C."""
    caller, place = client(args), ""
    while True:
        answer = caller.call("GET", path_of("audit", "tail") + (f"?after={quote(place, safe='')}" if place else ""))
        for row in answer["rows"]:
            print(json.dumps(row, ensure_ascii=False) if args.json else _row(row), flush=True)
        place = str(answer["next"])


def _when(time: int | str) -> str:
    """A row's time: nanoseconds of the Unix epoch, or ClickHouse's text of it."""
    if isinstance(time, int):
        return dt.datetime.fromtimestamp(time / 1e9, dt.UTC).isoformat(" ", "milliseconds")[:23]
    return time[:23]


def _row(row: dict[str, Any]) -> str:
    """One exchange on one line: when, what became of it, who, what, what was found, what it cost."""
    found = {**row.get("findings_prompt", {}), **row.get("findings_answer", {})}
    parts = [
        _when(row.get("time", "")),
        f"{row.get('status', 0)} {row.get('outcome', '')}" + (f" ({row['error_code']})" if row.get("error_code") else ""),
        "/".join(filter(None, (row.get("team"), row.get("project"), row.get("key_name")))) or "no key",
        row.get("model_asked") or row.get("path", ""),
        f"{row.get('input_tokens', 0)}+{row.get('output_tokens', 0)} tokens",
        f"{usd(int(row.get('cost_nanousd', 0)))} USD",
        f"found {', '.join(sorted(found))}" if found else "",
        str(row.get("id", "")),
    ]
    return "  ".join(cell(part) for part in parts if part)
