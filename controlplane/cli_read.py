"""Verbs that only look: keys and the audit."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from typing import Any

from contracts.usage import usd
from controlplane.cli_text import cell, table
from controlplane.client import find


def keys(args: argparse.Namespace) -> int:
    """`key list`."""
    found = find(args.data, os.environ).call("GET", "/api/v1/keys")
    if args.json:
        print(json.dumps(found))
        return 0
    columns = ("name", "id", "team", "project", "environment", "models", "profile", "expires")
    shown = [{**key, "models": " ".join(key["models"]), "expires": _day(key["expires"])} for key in found]
    print(table(columns, [[key[column] for column in columns] for key in shown]))
    return 0


def _day(seconds: int | None) -> str:
    return "never" if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def query(args: argparse.Namespace) -> int:
    """`audit query`."""
    found = find(args.data, os.environ).call("POST", "/api/v1/audit/query", {"sql": args.sql})
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    print(table(found["columns"], found["rows"]))
    if found.get("truncated"):
        print("portcullis: there are more rows than are shown; narrow the query or add LIMIT and OFFSET", file=sys.stderr)
    return 0


def stats(args: argparse.Namespace) -> int:
    """`audit stats`."""
    found = find(args.data, os.environ).call("GET", "/api/v1/audit/stats")
    print(json.dumps(found) if args.json else table(["what", "count"], list(found.items())))
    return 0


def tail(args: argparse.Namespace) -> int:
    """`audit tail`: until Ctrl-C."""
    for line in find(args.data, os.environ).lines("/api/v1/audit/tail"):
        if line:
            print(line if args.json else _row(json.loads(line)), flush=True)
    return 0


def _row(row: dict[str, Any]) -> str:
    """One exchange on one line: when, what became of it, who, what, what was found, what it cost."""
    found = {**row.get("findings_prompt", {}), **row.get("findings_answer", {})}
    parts = [
        str(row.get("time", ""))[:23],
        f"{row.get('status', 0)} {row.get('outcome', '')}" + (f" ({row['error_code']})" if row.get("error_code") else ""),
        "/".join(filter(None, (row.get("team"), row.get("project"), row.get("key_name")))) or "no key",
        row.get("model_asked") or row.get("path", ""),
        f"{row.get('input_tokens', 0)}+{row.get('output_tokens', 0)} tokens",
        f"{usd(int(row.get('cost_nanousd', 0)))} USD",
        f"found {', '.join(sorted(found))}" if found else "",
        str(row.get("id", "")),
    ]
    return "  ".join(cell(part) for part in parts if part)
