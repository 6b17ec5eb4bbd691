"""`portcullis check`: everything that is wrong with the settings, the rules and a declarative file, at once."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from contracts.errors import Unusable
from controlplane.cli.apply import read_text
from controlplane.estate.declarative import declared
from controlplane.policy import check as policy_check
from extproc.config import load, near_misses, policy_folder


def check(args: argparse.Namespace) -> int:
    """The verb: 0 where nothing is wrong, 1 otherwise."""
    problems, notes = [], near_misses(os.environ)
    try:
        folder = policy_folder(load(args.config, args.data, os.environ).policy)
        problems += _rules(folder)
    except Unusable as error:
        problems += str(error).splitlines()
    if args.file:
        try:
            notes += declared(read_text(str(args.file)), str(args.file)).notes
        except Unusable as error:
            problems += str(error).splitlines()
    if args.json:
        print(json.dumps({"problems": problems, "notes": notes}))
    else:
        print("\n".join([*problems, *(f"note: {note}" for note in notes), *([] if problems else ["nothing is wrong"])]))
    return 1 if problems else 0


def _rules(folder: Path) -> list[str]:
    if not folder.is_dir():
        return [f"policy: there is no folder {folder}"]
    return [f"{folder / problem.file}:{problem.line}: {problem.text}" for problem in policy_check.check(folder)]
