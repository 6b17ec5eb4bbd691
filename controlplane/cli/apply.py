"""`portcullis apply`: reads the file and the secrets it points to, has it made so, and shows new keys once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.errors import Unusable
from controlplane.cli.calls import client, late
from controlplane.cli.client import Client, path_of
from controlplane.cli.secret import PrivateFile
from controlplane.estate import declared_values as values
from controlplane.estate.declarative import declared
from controlplane.estate.declared import Declared
from controlplane.estate.plan_lines import Line

_MAX_SECRET_BYTES = 64 << 10


def apply(args: argparse.Namespace) -> int:
    """The verb. 3 where a data plane did not take the change: it may still go by the rules of before."""
    text = read_text(args.file)
    wanted = declared(text, args.file)
    secrets, problems = resolved(wanted, args.file, os.environ)
    caller = client(args)
    if problems:
        _must_be_held(problems, caller)
    question = {"document": text, "file": args.file, "secrets": secrets, "dry_run": args.dry_run}
    path, place = path_of("apply"), None
    if args.keys_file and not args.dry_run:
        with KeysFile(args.keys_file) as file:
            done = caller.once("POST", path, question)
            file.keep(done["keys"])
            place = args.keys_file if done["keys"] else None
            done["keys"] = {}
    else:
        done = caller.once("POST", path, question)
    if args.json:
        print(json.dumps(done, ensure_ascii=False))
    else:
        _show(done, place)
    return late(done)


def _must_be_held(problems: Mapping[str, str], caller: Client) -> None:
    """A secret that is not at hand is no problem where the system holds one already. Raises Unusable for the others."""
    held = {credential["name"] for credential in caller.call("GET", path_of("credentials"))}
    new = [problem for name, problem in problems.items() if name not in held]
    if new:
        raise Unusable("\n".join(new))


def read_text(file: str) -> str:
    """A declarative file; - is the standard input. Raises Unusable where it can not be read."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unusable(f"{file}: there is no such file") from None
    except OSError as error:
        raise Unusable(f"{file}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{file}: is not UTF-8") from None


def resolved(wanted: Declared, file: str, environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The credentials' secrets by name, and for each that is not at hand what is missing, with its line.

    Raises Unusable where one is there and is no secret. No complaint shows any of it.
    """
    found, missing, problems = {}, {}, []
    for name, source in wanted.sources.items():
        place = f"{file}:{source.line}: credentials.{name}.secret.{source.kind}"
        try:
            secret = _of_environment(source.place, environ) if source.kind == "env" else _of_file(Path(file).parent / source.place)
            found[name] = values.secret_text(secret)
        except LookupError as error:
            missing[name] = f"{place}: {error.args[0]}"
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if problems:
        raise Unusable("\n".join(problems))
    return found, missing


def _of_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise LookupError(f"the environment variable {name} is not set")
    return environ[name].strip()


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_SECRET_BYTES).decode("ascii").strip()
    except FileNotFoundError:
        raise LookupError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds no secret that a header could carry") from None


class KeysFile(PrivateFile):
    """The file for new keys' secrets, which keeps those that it had."""

    def __init__(self, path: Path) -> None:
        self.held = _held_in(path)
        super().__init__(path)

    def keep(self, issued: Mapping[str, str]) -> None:
        """Add the new ones to those that the file held before."""
        self.write(json.dumps({**self.held, **issued}, indent=2) + "\n")


def _held_in(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict):
        raise Unusable(f"{path}: is there and is no file of keys; name another one with --keys-file")
    return held


def _show(done: Mapping[str, Any], place: Path | None) -> None:
    for note in done["notes"]:
        print(f"note: {note}")
    for change in done["changes"]:
        print(Line(**change).text())
    if not done["changes"]:
        print(f"nothing to change; revision {done['revision']} is in force")
    elif done["dry_run"]:
        print("nothing was changed (--dry-run)")
    else:
        print(f"done; revision {done['revision']} is in force")
    if place:
        print(f"secrets of new keys are in {place}")
    elif done["keys"]:
        print("\nNew virtual keys, shown this once:")
        for name, secret in done["keys"].items():
            print(f"  {name}  {secret}")
