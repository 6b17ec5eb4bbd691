"""Verbs about the organisation: its name, which rows of the audit have."""

from __future__ import annotations

import argparse

from controlplane.cli.calls import client, shown, told
from controlplane.cli.client import path_of
from controlplane.cli.tree import Verbs, noun, running, verb


def add_organisation(verbs: Verbs) -> None:
    """The verbs."""
    organisation = noun(verbs, "organisation", "whose gate this is")
    verb(organisation, "show", "the organisation's name", show, running())
    setting = verb(organisation, "set", "name the organisation, or rename it: for rows from now on", put, running())
    setting.add_argument("name", metavar="NAME", help="its name")


def show(args: argparse.Namespace) -> int:
    """`organisation show`."""
    return shown(args, client(args).call("GET", path_of("organisation")))


def put(args: argparse.Namespace) -> int:
    """`organisation set`."""
    answer = client(args).call("PUT", path_of("organisation"), {"name": args.name})
    return told(args, answer, f"the organisation is {args.name}")
