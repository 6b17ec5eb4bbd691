"""Verbs about virtual keys. A key's secret is shown once: alone on the standard output, so that a script can take it from there."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from contracts.usage import usd
from controlplane.cli import values
from controlplane.cli.calls import client, joined, late, told
from controlplane.cli.client import path_of
from controlplane.cli.record import Field, Noun, editing, given, listing, named, of, remove, showing, takes
from controlplane.cli.secret import SecretFile
from controlplane.cli.text import table
from controlplane.cli.tree import Parser, Run, Verbs, noun, running, verb

CHANGED: Final = (
    Field("models", "models it may ask for: names, or patterns with one *", values.NAMES, ("--model", "--models"), needed=True),
    Field("routes", "routes it may use; left out or '': all", values.NAMES, ("--route", "--routes")),
    Field("providers", "providers it may reach; left out or '': all", values.NAMES, ("--provider", "--providers")),
    Field("addresses", "networks it may be used from, such as 10.0.0.0/8; left out or '': all", values.NAMES, ("--address", "--addresses")),
    Field("max_tokens", "the longest answer that it may ask for, in tokens; none: no limit of its own", values.WHOLE),
    Field("profile", "its profile of personal data", values.NAME),
    Field("expires", "when it ends: a date, a time with its zone, 30d from now, or never", values.MOMENT),
    Field("may_set_user", "apps may name the end user", values.YES),
    Field("disabled", "it does not work for now", values.YES, ("--disable", "--enable")),
    Field("owner", "whom to ask about it"),
    Field("labels", "whatever your scripts find it by; in an edit, NAME= takes one away", values.PAIRS, ("--label",), merged=True),
)
MADE: Final = (
    Field("team", "its team", values.NAME, needed=True),
    Field("project", "the team's project", values.NAME, needed=True),
    Field("environment", "its environment", values.NAME, needed=True),
    *CHANGED,
)
KEY: Final = Noun(
    "key",
    CHANGED,
    {
        **{name: of(name) for name in ("name", "id", "status", "team", "project", "environment")},
        "models": lambda key: joined(key["models"]),
        "profile": of("profile"),
        "expires": lambda key: values.day(key["expires"]),
    },
)
_USED: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "day": of("day"),
    **{name: of(name) for name in ("requests", "refused", "failed", "aborted")},
    "tokens in": of("input_tokens"),
    "tokens out": of("output_tokens"),
    "USD": lambda day: usd(day["cost_nanousd"]),
    "by the old secret": of("old_secret"),
    "last use": lambda day: values.day(day["last_use"]),
}
"""What `key usage` shows of a day."""


def add_key(verbs: Verbs) -> None:
    """The verbs."""
    key = noun(verbs, "key", "virtual keys: what apps hold")
    takes(_issuing(key, "create", "make a virtual key; its secret is shown this once", create), MADE, new=True)
    rotating = _issuing(key, "rotate", "give a key another secret; the old one works for the grace", rotate)
    told = "how long the old secret still works; default 30m, 0: not at all"
    rotating.add_argument("--grace", type=values.duration, metavar="30m", help=told)
    for each in (listing, showing, editing):
        each(key, KEY)
    using = named(verb(key, "usage", "what a key was used for, by day", usage, running()), KEY)
    using.add_argument("--days", type=values.days, metavar="N", help="how many days back; default 30")
    named(verb(key, "revoke", "make a key worthless on every data plane, for good", revoke, running()), KEY)
    named(verb(key, "remove", "forget a revoked key", partial(remove, KEY), running()), KEY).set_defaults(cascade=False)


def _issuing(verbs: Verbs, name: str, told: str, run: Run) -> Parser:
    made = named(verb(verbs, name, told, run, running()), KEY)
    made.add_argument("--secret-file", type=Path, metavar="FILE", help="write the secret to this new file (0600) instead of showing it")
    return made


def create(args: argparse.Namespace) -> int:
    """`key create`."""
    return _issued(args, path_of("keys"), {"name": args.name, **given(args, MADE)}, "is made")


def rotate(args: argparse.Namespace) -> int:
    """`key rotate`."""
    body = {} if args.grace is None else {"grace_s": args.grace}
    return _issued(args, path_of("keys", args.name, "rotate"), body, "has another secret")


def _issued(args: argparse.Namespace, path: str, body: dict[str, Any], said: str) -> int:
    with SecretFile(args.secret_file) if args.secret_file else contextlib.nullcontext() as place:
        answer = client(args).once("POST", path, body)
        if place:
            place.keep(answer.pop("secret"))
    until = answer.get("old_secret_until")
    notes = f"; the old one works until {values.day(until)}" if until else ""
    where = f"; its secret is in {args.secret_file}" if args.secret_file else "; its secret, shown this once:"
    print(f"key {args.name} ({answer['key']['id']}) {said}{notes}{where}", file=sys.stderr)
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    elif "secret" in answer:
        print(answer["secret"])
    sys.stdout.flush()
    return late(answer)


def revoke(args: argparse.Namespace) -> int:
    """`key revoke`."""
    return told(args, client(args).once("POST", path_of("keys", args.name, "revoke")), f"key {args.name} is revoked, for good")


def usage(args: argparse.Namespace) -> int:
    """`key usage`."""
    query = f"?days={args.days}" if args.days else ""
    used = client(args).call("GET", path_of("keys", args.name, "usage") + query)
    if args.json:
        print(json.dumps(used, ensure_ascii=False))
        return 0
    total = {**used["total"], "day": f"{used['days']} days"}
    print(table(tuple(_USED), [[cell(day) for cell in _USED.values()] for day in (*used["by_day"], total)]))
    return 0
