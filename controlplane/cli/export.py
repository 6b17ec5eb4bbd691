"""`portcullis export`: the running state as a declarative file, without secrets. Applying it changes nothing."""

from __future__ import annotations

import argparse
import json

from controlplane.cli.calls import client
from controlplane.cli.client import path_of
from controlplane.cli.tree import Verbs, running, verb


def add_export(verbs: Verbs) -> None:
    """The verb."""
    verb(verbs, "export", "the running state as a declarative file, without secrets", export, running())


def export(args: argparse.Namespace) -> int:
    """The verb."""
    text = client(args).ask("GET", path_of("export")).body.decode()
    print(json.dumps({"document": text}) if args.json else text, end="\n" if args.json else "")
    return 0
