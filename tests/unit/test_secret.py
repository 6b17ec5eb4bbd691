"""Secrets can't be shown by accident."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from custody.keyring import Keyring
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import Issued, Presented, issue, mint, parse

PLANTED = b"sk-planted-4711"
PEPPER = Secret(b"p" * 32)


def shows(text: object) -> bool:
    """Whether the planted secret is in it."""
    return PLANTED.decode() in str(text) or PLANTED.hex() in str(text)


@pytest.mark.parametrize("show", [repr, str, ascii, "{}".format, "{!r}".format, "{:>40}".format, "%s".__mod__])
def test_no_way_of_printing_shows_it(show: Callable[[Secret], str]) -> None:
    """The ways of making text of it all say that it is a secret, and nothing else."""
    told = show(Secret(PLANTED))
    assert told.strip().startswith("Secret(")
    assert not shows(told)


@pytest.mark.parametrize(
    "write",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        orjson.dumps,
        vars,
        bytes,
        hash,
        lambda s: s == Secret(PLANTED),
        [PLANTED].index,
        lambda s: {s},
    ],
)
def test_nothing_copies_stores_or_compares_it(write: Callable[[Any], Any]) -> None:
    """Pickle, copy, JSON, hashing and comparing fail, and their errors show nothing of it."""
    with pytest.raises(TypeError) as refused:
        write(Secret(PLANTED))
    assert not shows(refused.value)


def test_it_opens_for_the_token_only() -> None:
    """Nothing but a RevealToken opens it, and a failed try shows nothing."""
    secret = Secret(PLANTED)
    assert secret.reveal(REVEAL) == PLANTED
    with pytest.raises(TypeError) as refused:
        secret.reveal("please")  # type: ignore[arg-type]
    assert not shows(refused.value)


def test_an_error_around_it_shows_nothing() -> None:
    """A traceback with local variables in its text does not show it."""
    held = Secret(PLANTED)
    try:
        held.nothing  # type: ignore[attr-defined]  # noqa: B018 - raises
    except AttributeError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "held = Secret(…)" in told
    assert not shows(told)


def test_what_holds_secrets_shows_none() -> None:
    """Keyrings and virtual keys print without the secrets they hold."""
    minted = mint(bytes(range(41)))
    text = minted.text.reveal(REVEAL).decode()
    held = text.split("_")[2]
    presented = parse(text)
    assert isinstance(presented, Presented)
    fresh = issue(PEPPER, bytes(range(41)))
    assert isinstance(fresh, Issued)
    assert fresh.shown == text
    assert held not in f"{minted!r} {presented!r} {fresh!r} {Keyring({1: Secret(held.encode())})!r}"


def importers(root: Path, module: str) -> set[str]:
    """Files of the product that import `module`, in any of the ways there are."""
    found = set()
    for folder in ("contracts", "custody", "extproc", "ingest", "controlplane"):
        for file in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names = [node.value]  # importlib.import_module("custody.reveal")
                if module in names:
                    found.add(file.relative_to(root).as_posix())
    return found


def test_two_places_may_open_secrets(root: Path) -> None:
    """Only custody itself and the file that writes the credential into Envoy's message can open a Secret."""
    found = importers(root, "custody.reveal")
    assert {path for path in found if not path.startswith("custody/")} == {"extproc/edge/envoy_wire.py"}
    assert "custody/keyring.py" in found
