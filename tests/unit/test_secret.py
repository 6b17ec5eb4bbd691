"""Secrets can't be shown by accident."""

from __future__ import annotations

import ast
import base64
import copy
import inspect
import json
import logging
import pickle
import pprint
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from custody import scrub
from custody.envelope import SEAL_DICE, Label
from custody.keyring import Keyring
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import Issued, Presented, issue, keyed_hash, mint, parse, used

PLANTED = b"sk-planted-4711"
PEPPER = Secret(b"p" * 32)


def shows(text: object) -> bool:
    """Whether the planted secret is in it."""
    return any(spelt in str(text) for spelt in (PLANTED.decode(), PLANTED.hex(), base64.b64encode(PLANTED).decode()))


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
        *(partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)),
        copy.copy,
        copy.deepcopy,
        json.dumps,
        orjson.dumps,
        partial(orjson.dumps, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY),
        vars,
        bytes,
        bytearray,
        memoryview,
        list,
        dict,
        hash,
        lambda s: s == Secret(PLANTED),
        lambda s: s != Secret(PLANTED),
        [b"another"].index,
        lambda s: {s},
        lambda s: asdict(Keyring({1: s})),
        lambda s: astuple(Keyring({1: s})),
        lambda s: asdict(Presented("id", s)),
        lambda s: copy.deepcopy({"a": [s]}),
        lambda s: pickle.dumps(Presented("id", s)),
        lambda s: json.dumps({"a": s}),
        lambda s: orjson.dumps({"a": Presented("id", s)}),
        "".join,
        lambda s: b"".join([s]),
        lambda s: b"%b" % s,
    ],
)
def test_nothing_copies_stores_or_compares_it(write: Callable[[Any], Any]) -> None:
    """Pickle, copy, JSON, hashing and comparing fail, alone and within other values, and their errors show nothing of it."""
    with pytest.raises((TypeError, AttributeError)) as refused:
        write(Secret(PLANTED))
    assert not shows("".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format()))


def test_no_attribute_leads_to_it() -> None:
    """What debuggers and error reporters walk: names, members, state, slots."""
    secret = Secret(PLANTED)
    walked = {name: getattr(secret, name, None) for name in {*dir(secret), *Secret.__slots__, *vars(Secret), "_Secret__bytes", "_kept"}}
    assert not shows(walked)
    assert not shows(inspect.getmembers(secret))
    assert not shows(object.__getstate__(secret))
    assert not shows(pprint.pformat({"a": [secret]}))
    assert not shows(logging.makeLogRecord({"msg": "%s %r", "args": (secret, secret)}).getMessage())
    with pytest.raises(AttributeError):
        secret._kept  # noqa: B018 - the access is what is tested


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


RING = Keyring({1: Secret(PLANTED + b"k" * 17)})
LABEL = Label("credential", "main", 1)
SEALED = RING.seal(LABEL, Secret(PLANTED), bytes(SEAL_DICE))
SHORT = Keyring({1: Secret(PLANTED)})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RING.open(Label("credential", "main", 2), SEALED),
        lambda: RING.open(LABEL, SEALED[:-8]),
        lambda: RING.open(LABEL, SEALED[:-8] + "AAAAAAA="),
        lambda: RING.open(LABEL, "!"),
        lambda: Keyring({2: Secret(PLANTED)}).open(LABEL, SEALED),
        lambda: SHORT.open(LABEL, SEALED),
        lambda: SHORT.seal(LABEL, Secret(PLANTED), bytes(SEAL_DICE)),
        lambda: RING.seal(LABEL, Secret(PLANTED), b"few"),
        lambda: Keyring({}).seal(LABEL, Secret(PLANTED), bytes(SEAL_DICE)),
        lambda: RING.add(Secret(PLANTED)).rewrap(LABEL, SEALED, bytes(12)),
        lambda: issue({}, bytes(41)),
        lambda: keyed_hash(Secret(PLANTED), None, Secret(PLANTED)),  # type: ignore[arg-type]
        lambda: keyed_hash(Secret(PLANTED), "id", Secret(PLANTED.decode())),  # type: ignore[arg-type]
        lambda: scrub.scrub(None, Secret(PLANTED)),  # type: ignore[arg-type]
        lambda: scrub.holds(b"", Secret(PLANTED)),  # type: ignore[arg-type]
        lambda: scrub.begun(7, Secret(PLANTED)),  # type: ignore[arg-type]
    ],
)
def test_no_fault_around_it_shows_it(wrong: Callable[[], Any]) -> None:
    """Whatever breaks in custody, the traceback with every frame's local variables shows neither a secret nor a key."""
    with pytest.raises(Exception) as broken:  # noqa: PT011 - of any kind
        wrong()
    told = "".join(traceback.TracebackException.from_exception(broken.value, capture_locals=True).format())
    assert "custody" in told
    assert not shows(told)


PLAIN = (Secret.__init__.__code__, Secret.reveal.__code__)
"""Where the bytes are in hand as they come and go: two lines that can't fail."""


def steps(work: Callable[[], Any], nth: int) -> BaseException | None:
    """Do the work, with a fault at the nth line of custody that runs; the fault as it came out, or None where there are fewer lines."""
    count = 0

    def trace(frame: types.FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        made_up = frame.f_code.co_filename == "<string>"  # what dataclasses wrote: half an object has no repr at all
        if made_up or not frame.f_globals.get("__name__", "").startswith("custody.") or frame.f_code in PLAIN:
            return None
        if event == "line":
            count += 1
            if count == nth:
                raise MemoryError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except MemoryError as fault:
        return fault
    finally:
        sys.settrace(before)
    return None


@pytest.mark.parametrize(
    "work",
    [
        lambda: RING.open(LABEL, SEALED),
        lambda: RING.seal(LABEL, Secret(PLANTED), bytes(SEAL_DICE)),
        lambda: RING.add(Secret(PLANTED + b"l" * 17)).rewrap(LABEL, SEALED, bytes(12)),
        lambda: RING.holds(LABEL, SEALED, Secret(PLANTED)),
        lambda: keyed_hash(Secret(PLANTED), "id", Secret(PLANTED)),
        lambda: used({1: Secret(PLANTED)}, Presented("id", Secret(PLANTED)), [], 0),
        lambda: scrub.scrub(b"it is \\u0061", Secret(PLANTED)),
        lambda: scrub.holds("nothing", Secret(PLANTED)),
        lambda: scrub.begun("nothing", Secret(PLANTED)),
    ],
    ids=["open", "seal", "rewrap", "holds", "keyed_hash", "used", "scrub", "scrub.holds", "begun"],
)
def test_a_fault_at_any_line_of_custody_shows_nothing(work: Callable[[], Any]) -> None:
    """Memory may run out anywhere: no frame of custody holds a secret's text in a variable."""
    nth = 0
    while fault := steps(work, nth + 1):
        nth += 1
        told = "".join(traceback.TracebackException.from_exception(fault, capture_locals=True).format())
        assert not shows(told), told
    assert nth > 0


def test_what_holds_secrets_shows_none() -> None:
    """Keyrings and virtual keys print without the secrets they hold."""
    minted = mint(bytes(range(41)))
    text = minted.text.reveal(REVEAL).decode()
    held = text.split("_")[2]
    presented = parse(text)
    assert isinstance(presented, Presented)
    fresh = issue({1: PEPPER}, bytes(range(41)))
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
