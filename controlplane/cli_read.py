"""Verbs that only look: keys and the audit."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from typing import Any, NoReturn
from urllib.parse import quote

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


def tail(args: argparse.Namespace) -> NoReturn:
    """`audit tail`: until Ctrl-C."""
    client, place = find(args.data, os.environ), ""
    while True:
        found = client.call("GET", "/api/v1/audit/tail" + (f"?after={quote(place, safe='')}" if place else ""))
        for row in found["rows"]:
            print(json.dumps(row, ensure_ascii=False) if args.json else _row(row), flush=True)
        place = str(found["next"])


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
