"""Verbs that start something."""

from __future__ import annotations

import argparse
import json
import os
import sys

from contracts import VERSION
from contracts.settings import Settings
from extproc.config import load, near_misses


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings in force, with a warning for each variable that only looks like one."""
    for warning in near_misses(os.environ):
        print(f"portcullis: warning: {warning}", file=sys.stderr)
    return load(args.config, args.data, os.environ)


def up(args: argparse.Namespace) -> int:
    """`up`: every part, until Ctrl-C."""
    from controlplane import supervisor  # noqa: PLC0415 - loaded for this verb only

    return supervisor.main(settings_of(args), args.config)


def demo(args: argparse.Namespace) -> int:
    """`demo`: every part and a mock provider, and three requests."""
    from controlplane import demo as show  # noqa: PLC0415 - loaded for this verb only

    return show.main(settings_of(args), args.config, once=args.once)


def mock(args: argparse.Namespace) -> int:
    """`mock`: the mock provider, until Ctrl-C."""
    from controlplane import mock as provider  # noqa: PLC0415 - loaded for this verb only

    return provider.main(args.port, None)


def version(args: argparse.Namespace) -> int:
    """`version`."""
    print(json.dumps({"version": VERSION}) if args.json else f"portcullis {VERSION}")
    return 0
