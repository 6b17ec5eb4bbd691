"""The vault's records: the labels under which things are sealed, and the text of the keys' file.

    <term> <base64 of 32 bytes>        one line a term; the highest seals, all of them open

Reading and making the file is extproc/edge/vault_file.py; here is no disk.
"""

from __future__ import annotations

import base64
from typing import Final

from custody.keyring import KEY_BYTES, Keyring, Label
from custody.secret import Secret

_TRIAL: Final = Label("trial", "trial", 1)


def pepper(version: int) -> Label:
    """The label of a pepper of the virtual keys' hashes."""
    return Label("pepper", "virtual-keys", version)


def credential(name: str, version: int) -> Label:
    """The label of a provider's secret."""
    return Label("credential", name, version)


def first_term(key: bytes) -> bytes:
    """The text of a fresh file of keys, from 32 random bytes."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key term takes {KEY_BYTES} random bytes")
    return b"1 " + base64.b64encode(key) + b"\n"


def read_terms(text: bytes) -> Keyring:
    """The keyring that a file of keys holds. Raises ValueError where it holds anything else."""
    terms: dict[int, Secret] = {}
    for line in text.splitlines():
        term, key = line.split(b" ")
        raw = base64.b64decode(key, validate=True)
        if not term.isdigit() or not 1 <= int(term) < 1 << 32 or len(raw) != KEY_BYTES or int(term) in terms:
            raise ValueError("no key term")
        terms[int(term)] = Secret(raw)
    if not terms:
        raise ValueError("no key term")
    return Keyring(terms)


def works(keyring: Keyring, nonce: bytes) -> bool:
    """Seal a record and open it again, so that what is broken shows at start. `nonce` is 12 fresh random bytes."""
    secret = Secret(nonce)
    return keyring.holds(_TRIAL, keyring.seal(_TRIAL, secret, nonce), secret)
