"""Verbs about the vault: which keys seal what, and how far a rotation is."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from controlplane.cli.calls import DONE, LATE, client
from controlplane.cli.client import Client, path_of
from controlplane.cli.text import table
from controlplane.cli.tree import Verbs, noun, running, verb

_LOOK_EVERY_S: Final = 0.2


def add_vault(verbs: Verbs) -> None:
    """The verbs."""
    vault = noun(verbs, "vault", "what seals credentials, and what keys are hashed with")
    rotating = verb(
        vault, "rotate", "seal everything anew under a new key, while traffic runs; or finish what was cut short", rotate, running()
    )
    rotating.add_argument("--pepper", action="store_true", help="a new pepper instead: keys' hashes move to it as the keys are used")
    verb(vault, "status", "terms, what is sealed under each, and how far a rotation is", status, running())


def rotate(args: argparse.Namespace) -> int:
    """`vault rotate`: 3 where a data plane holds it up."""
    caller = client(args)
    answer = caller.once("POST", path_of("vault", "rotate"), {"what": "pepper" if args.pepper else "kek"})
    if args.pepper:
        print(json.dumps(answer) if args.json else _peppers(answer))
        return DONE
    vault = _followed(caller)
    if args.json:
        print(json.dumps(vault))
    rotation = vault["rotation"]
    if not args.json:
        print(f"{rotation['moved']} records are under term {vault['newest_term']}; terms: {_terms(vault)}")
    for text in filter(None, (_waiting(rotation), rotation["note"])):
        print(f"portcullis: {text}", file=sys.stderr)
    return DONE if rotation["state"] == "idle" else LATE


def _followed(caller: Client) -> dict[str, Any]:
    """Wait until the rotation is over, and tell how far it is meanwhile."""
    told = ""
    while True:
        vault: dict[str, Any] = caller.call("GET", path_of("vault"))
        rotation = vault["rotation"]
        line = f"{rotation['moved']} of {rotation['total']} records moved to term {vault['newest_term']}"
        if line != told and rotation["total"]:
            print(line, file=sys.stderr, flush=True)
        told = line
        if rotation["state"] != "running":
            return vault
        time.sleep(_LOOK_EVERY_S)


def _waiting(rotation: Mapping[str, Any]) -> str:
    names = ", ".join(rotation["waiting_for"])
    return f"not in force yet on {names}" if names else ""


def _terms(vault: Mapping[str, Any]) -> str:
    return ", ".join(str(term) for term in vault["terms"])


def status(args: argparse.Namespace) -> int:
    """`vault status`."""
    vault = client(args).call("GET", path_of("vault"))
    if args.json:
        print(json.dumps(vault))
        return DONE
    rotation = vault["rotation"]
    print(f"keys from {vault['keys_from']}; the newest term seals\n")
    print(f"{_sealed(vault)}\n\n{_peppers(vault)}\n")
    left = f"; {rotation['left']} records are left: run `portcullis vault rotate`" if rotation["left"] else ""
    print(f"rotation: {rotation['state']}{left}")
    for text in filter(None, (_waiting(rotation), rotation["note"])):
        print(text)
    return DONE


def _sealed(vault: Mapping[str, Any]) -> str:
    """How many records of each kind are under each term."""
    kinds = sorted({kind for counts in vault["sealed"].values() for kind in counts})
    under = {term: vault["sealed"].get(str(term), {}) for term in vault["terms"]}
    return table(("term", *kinds), [[term, *(counts.get(kind, 0) for kind in kinds)] for term, counts in under.items()])


def _peppers(vault: Mapping[str, Any]) -> str:
    return table(("pepper", "keys", "names"), [[each["version"], each["keys"], " ".join(each["names"])] for each in vault["peppers"]])
