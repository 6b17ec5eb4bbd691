"""`portcullis doctor`: what is wrong with a system, and what to do; also, and first of all, where it is down."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from typing import Any, Final

from contracts.errors import PortcullisError, Unusable
from controlplane.cli import doctor_checks as checks
from controlplane.cli.client import Client, SystemDownError, find, path_of
from controlplane.cli.text import table
from controlplane.doctor_check import Check
from extproc.config import load

DONE, WRONG, DOWN = 0, 1, 3
_PATIENCE_S: Final = 20.0
"""Longer than control looks at all the parts, each of which may hang."""
_MARKS: Final = {"ok": "ok", "warn": "look", "wrong": "WRONG", "down": "DOWN"}


def doctor(args: argparse.Namespace) -> int:
    """The verb: 0 all is well, 1 something is wrong, 3 the system is down."""
    found = list(_elsewhere() if _is_elsewhere(args) else _here(args))
    if args.json:
        print(json.dumps({"checks": [check.document() for check in found]}))
    else:
        print(table(("", "what", "how it is"), [[_MARKS[check.state], check.name, check.detail] for check in found]))
        todo = [f"{check.name}: {check.do}" for check in found if check.do and check.state != "ok"]
        print("\n".join(["", "To do:", *(f"  {line}" for line in todo)] if todo else ["", "nothing is wrong"]))
    states = {check.state for check in found}
    return DOWN if "down" in states else WRONG if "wrong" in states else DONE


def _is_elsewhere(args: argparse.Namespace) -> bool:
    return bool(os.environ.get("PORTCULLIS_CONTROL")) and args.data is None


def _elsewhere() -> list[Check]:
    """Of a system that runs on another machine, or as another user: what it says of itself."""
    try:
        return _asked(find(None, os.environ))
    except SystemDownError as error:
        return [Check("control", "down", str(error), "start it, or mend PORTCULLIS_CONTROL")]
    except PortcullisError as error:
        return [Check("control", "wrong", str(error), "mend PORTCULLIS_CONTROL and PORTCULLIS_TOKEN")]


def _here(args: argparse.Namespace) -> list[Check]:
    try:
        settings = load(args.config, args.data, os.environ)
    except Unusable as error:
        return [
            Check("settings", "wrong", line, "mend it; docs/reference/settings.md has every setting") for line in str(error).splitlines()
        ]
    found = [Check("settings", "ok", "they can be read"), *checks.on_disk(settings), *checks.programs(settings)]
    running = checks.system(settings)
    found.append(running)
    if running.state == "down":
        return [*found, *checks.ports(settings)]
    try:
        return _together(found, _asked(find(settings.data, os.environ)))
    except SystemDownError as error:
        return [*found, Check("control", "down", str(error), "see what `portcullis up` printed; stop it and start it again")]
    except PortcullisError as error:
        return [*found, Check("control", "wrong", str(error), "run as the user who started the system")]


def _together(here: list[Check], told: list[Check]) -> list[Check]:
    """Both, without what both say is well."""
    well = {check.name for check in here if check.state == "ok"}
    return [*here, *(check for check in told if check.state != "ok" or check.name not in well)]


def _asked(client: Client) -> list[Check]:
    """What control says of every part."""
    answer: dict[str, Any] = replace(client, patience_s=_PATIENCE_S).call("GET", path_of("doctor"))
    told = [Check(str(each["name"]), str(each["state"]), str(each["detail"]), str(each.get("do", ""))) for each in answer["checks"]]
    return [Check("control", "ok", f"answers at {client.url}"), *told]
