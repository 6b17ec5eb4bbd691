"""What the tree of verbs is made of, and what it says of a wrong word: never the word itself, which may be a secret."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

Run: TypeAlias = Callable[[argparse.Namespace], int]
"""Carries a verb out; its exit code."""


class Parser(argparse.ArgumentParser):
    """argparse repeats words it does not know. Whoever types a secret where none is taken should not find it in a log."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> argparse.Namespace:  # type: ignore[override]  # one of its two forms
        """As argparse does, but for the complaint."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            flags = [word.partition("=")[0] for word in rest if word.startswith("--")]
            told = f"no such option here: {' '.join(flags)}" if flags else "a word too many; a secret is never one of a command's words"
            getattr(found, "parser", self).error(told)
        return found

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how the verb is used; exit code 2."""
        super().error(re.sub(r"invalid choice: .*? \(", "there is no such choice (", message, flags=re.DOTALL))


if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[Parser]  # noqa: SLF001 - argparse names it nowhere else
else:
    Verbs: TypeAlias = argparse.Action


def verb(verbs: Verbs, name: str, told: str, run: Run, *parents: Parser) -> Parser:
    """One verb. `told` says what it does, in a few words."""
    made = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".", parents=parents, allow_abbrev=False)
    made.set_defaults(run=run, parser=made)
    return made


def noun(verbs: Verbs, name: str, told: str) -> Verbs:
    """A verb that needs another one after it."""
    made = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".", allow_abbrev=False)
    return made.add_subparsers(required=True, metavar="VERB")


def later(module: str, name: str) -> Run:
    """A verb of a module that is loaded when it runs: it needs more than the standard library."""

    def run(args: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(module), name)(args))

    return run


def configured() -> Parser:
    """Arguments of what reads the settings."""
    shared = Parser(add_help=False)
    shared.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings; default ./portcullis.yaml where there is one")
    shared.add_argument("--data", type=Path, metavar="DIR", help="data folder; default ./data")
    return shared


def scripted() -> Parser:
    """Arguments of what can be read by a script."""
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="for scripts")
    return shared


def running() -> Parser:
    """Arguments of what calls a running system."""
    shared = Parser(add_help=False, parents=[scripted()])
    shared.add_argument("--data", type=Path, metavar="DIR", help="data folder of the running system; default ./data")
    return shared
