"""Verbs about credentials. Their secrets come from the standard input, a prompt or a file; no verb shows one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from controlplane.cli.calls import client, told
from controlplane.cli.client import path_of
from controlplane.cli.record import Noun, listing, named, of, removing
from controlplane.cli.secret import read_secret
from controlplane.cli.tree import Parser, Verbs, noun, running, verb

CREDENTIAL: Final = Noun("credential", (), {name: of(name) for name in ("name", "provider", "project", "draining", "version")})
_READ_FROM: Final = "; its secret is read from the standard input, from a prompt, or from a file"


def add_credential(verbs: Verbs) -> None:
    """The verbs."""
    credential = noun(verbs, "credential", "providers' secrets, which apps never see")
    setting = _with_secret(verb(credential, "set", f"make a credential, or make it anew{_READ_FROM}", set_secret, running()))
    setting.add_argument("--provider", required=True, metavar="NAME", help="the provider that it opens")
    setting.add_argument("--project", metavar="TEAM/PROJECT", help="only for exchanges of that project, which then use no other")
    _with_secret(verb(credential, "rotate", f"give a credential another secret{_READ_FROM}", rotate, running()))
    draining = named(verb(credential, "drain", "use it for no new exchange", drain, running()), CREDENTIAL)
    draining.add_argument("--undo", action="store_true", help="use it again")
    listing(credential, CREDENTIAL)
    removing(credential, CREDENTIAL)


def _with_secret(made: Parser) -> Parser:
    made.add_argument("--from-file", type=Path, metavar="FILE", help="read the secret from this file")
    return named(made, CREDENTIAL)


def set_secret(args: argparse.Namespace) -> int:
    """`credential set`."""
    caller = client(args)
    body: dict[str, Any] = {"provider": args.provider, "secret": _secret(args)}
    if args.project:
        body["project"] = args.project
    return told(args, caller.call("PUT", path_of("credentials", args.name), body), f"credential {args.name} is set")


def rotate(args: argparse.Namespace) -> int:
    """`credential rotate`."""
    answer = client(args).once("POST", path_of("credentials", args.name, "rotate"), {"secret": _secret(args)})
    return told(args, answer, f"credential {args.name} has its new secret; exchanges under way end with the one they began with")


def drain(args: argparse.Namespace) -> int:
    """`credential drain`."""
    answer = client(args).call("PATCH", path_of("credentials", args.name), {"draining": not args.undo})
    return told(args, answer, f"credential {args.name} is used {'again' if args.undo else 'for no new exchange'}")


def _secret(args: argparse.Namespace) -> str:
    return read_secret(f"Secret of the credential {args.name}", args.from_file)
