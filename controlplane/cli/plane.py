"""Verbs about data planes on other machines."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Final

from controlplane.cli import values
from controlplane.cli.calls import client, joined
from controlplane.cli.client import path_of
from controlplane.cli.record import Noun, list_all, named, of, remove
from controlplane.cli.secret import SecretFile
from controlplane.cli.tree import Verbs, noun, running, verb

PLANE: Final = Noun(
    "plane",
    (),
    {
        **{name: of(name) for name in ("name", "status", "revision", "problem")},
        "projects": lambda plane: joined(plane["projects"]),
        "enrolled": lambda plane: values.day(plane.get("enrolled"), "not yet"),
    },
)


def add_plane(verbs: Verbs) -> None:
    """The verbs."""
    plane = noun(verbs, "plane", "data planes on other machines")
    adding = named(verb(plane, "add", "let a data plane enrol; its one-time token is shown this once", add, running()), PLANE)
    adding.add_argument(
        "--project", type=_projects, action="extend", default=[], metavar="TEAM/PROJECT[,…]", help="whose records it gets; left out: all"
    )
    adding.add_argument("--token-file", type=Path, metavar="FILE", help="write the token to this new file (0600) instead of showing it")
    verb(plane, "list", "the data planes, and what each goes by", partial(list_all, PLANE), running())
    removing = named(verb(plane, "remove", "refuse a data plane from now on", partial(remove, PLANE), running()), PLANE)
    removing.set_defaults(cascade=False)


def _projects(text: str) -> list[str]:
    """Names, and at least one: what a script left empty must not stand for all."""
    if not (found := values.names(text)):
        raise argparse.ArgumentTypeError("names no project; leave it out where the plane is to get the records of all")
    return found


def add(args: argparse.Namespace) -> int:
    """`plane add`."""
    with SecretFile(args.token_file) if args.token_file else contextlib.nullcontext() as place:
        answer = client(args).once("POST", path_of("planes"), {"name": args.name, "projects": args.project})
        if place:
            place.keep(answer.pop("token"))
    where = f"is in {args.token_file}" if args.token_file else "shown this once:"
    print(f"plane {args.name} may enrol; its token, {where}", file=sys.stderr)
    if args.json:
        print(json.dumps(answer))
    elif "token" in answer:
        print(answer["token"])
    return 0
