"""The vault's records: the labels under which things are sealed, and the text of the keys' file.

    <term> <base64 of 32 bytes>        one line a term; the highest seals, all of them open

Reading and making the file is extproc/edge/kek.py; here is no disk.
"""

from __future__ import annotations

import base64
from typing import Final

from custody.envelope import KEY_BYTES, Label
from custody.keyring import LAST_TERM, Keyring
from custody.reveal import REVEAL
from custody.secret import Secret

_TRIAL: Final = Label("trial", "trial", 1)
_TERM_DIGITS: Final = len(str(LAST_TERM))


def pepper(version: int) -> Label:
    """The label of a pepper of the virtual keys' hashes."""
    return Label("pepper", "virtual-keys", version)


def credential(name: str, version: int) -> Label:
    """The label of a provider's secret."""
    return Label("credential", name, version)


def plane(name: str) -> Label:
    """The label of the key that control shares with a plane."""
    return Label("plane", name, 1)


def authority() -> Label:
    """The label of the key that signs planes' certificates."""
    return Label("authority", "planes", 1)


def answer(call: str) -> Label:
    """The label of the kept answer of an idempotent call."""
    return Label("answer", call, 1)


def copy(name: str) -> Label:
    """The label of a plane's own copy of its snapshot."""
    return Label("copy", name, 1)


def read_terms(text: bytes) -> Keyring | None:
    """The keyring that a text of keys holds; None where it holds anything else. No exception: one would have keys in its traceback."""
    terms: dict[int, Secret] = {}
    for line in text.splitlines():
        term, _, key = line.partition(b" ")
        if not term.isdigit() or not 1 <= int(term[:_TERM_DIGITS]) <= LAST_TERM or len(term) > _TERM_DIGITS or int(term) in terms:
            return None
        try:
            terms[int(term)] = Secret(base64.b64decode(key, validate=True))
        except ValueError:
            return None
    if not terms or any(len(key.reveal(REVEAL)) != KEY_BYTES for key in terms.values()):
        return None
    return Keyring(terms)


def written(keyring: Keyring) -> bytes:
    """The text that `read_terms` reads, for the file of keys and nothing else: the one way by which keys leave custody."""
    return b"".join(b"%d %b\n" % (term, base64.b64encode(keyring.terms[term].reveal(REVEAL))) for term in sorted(keyring.terms))


def works(keyring: Keyring, dice: bytes) -> bool:
    """Seal a record and open it again, so that what is broken shows at start. `dice`: SEAL_DICE fresh random bytes."""
    secret = Secret(dice)
    return keyring.holds(_TRIAL, keyring.seal(_TRIAL, secret, dice), secret)
