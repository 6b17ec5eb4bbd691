"""Sealing, for all secrets and labels."""

from __future__ import annotations

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.errors import Unusable
from custody import store
from custody.keyring import KEY_BYTES, NONCE_BYTES, Keyring, Label
from custody.reveal import REVEAL
from custody.secret import Secret

keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
nonces = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
labels = st.builds(Label, names, names, st.integers(1, 2**40))
secrets = st.binary(max_size=300)
TERM_AND_NONCE = 4 + NONCE_BYTES


@given(keys, labels, secrets, nonces)
def test_what_is_sealed_comes_back(key: bytes, label: Label, secret: bytes, nonce: bytes) -> None:
    """A sealed record opens to the same bytes, and says nothing of them before."""
    ring = Keyring({1: Secret(key)})
    sealed = ring.seal(label, Secret(secret), nonce)
    assert ring.open(label, sealed).reveal(REVEAL) == secret
    assert len(secret) < 8 or secret not in base64.b64decode(sealed)[TERM_AND_NONCE:]


@given(keys, labels, labels, nonces)
def test_a_record_can_not_stand_in_for_another(key: bytes, label: Label, other: Label, nonce: bytes) -> None:
    """Under another kind, id or version the same record does not open."""
    assume(label != other)
    sealed = Keyring({1: Secret(key)}).seal(label, Secret(b"x"), nonce)
    with pytest.raises(Unusable):
        Keyring({1: Secret(key)}).open(other, sealed)


@given(keys, labels, secrets, nonces, st.data())
def test_an_altered_record_does_not_open(key: bytes, label: Label, secret: bytes, nonce: bytes, data: st.DataObject) -> None:
    """One bit changed anywhere, or a cut anywhere, and it is refused with a sentence."""
    ring = Keyring({1: Secret(key)})
    raw = base64.b64decode(ring.seal(label, Secret(secret), nonce))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    altered = bytearray(raw)
    altered[bit // 8] ^= 1 << bit % 8
    for wrong in (bytes(altered), raw[: bit // 8]):
        with pytest.raises(Unusable):
            ring.open(label, base64.b64encode(wrong).decode())


@given(keys, keys, labels, secrets, nonces)
def test_old_records_open_after_a_new_term(key: bytes, newer: bytes, label: Label, secret: bytes, nonce: bytes) -> None:
    """A new term seals; the old one goes on opening; the first keyring can't open what the new term sealed."""
    old = Keyring({1: Secret(key)})
    both = old.add(Secret(newer))
    assert both.open(label, old.seal(label, Secret(secret), nonce)).reveal(REVEAL) == secret
    with pytest.raises(Unusable, match="key term 2"):
        old.open(label, both.seal(label, Secret(secret), nonce))


@given(keys, labels, secrets, secrets, nonces)
def test_holds_tells_the_same_secret_from_another(key: bytes, label: Label, secret: bytes, other: bytes, nonce: bytes) -> None:
    """Applying the same secret again is told from a changed one."""
    ring = Keyring({1: Secret(key)})
    assert ring.holds(label, ring.seal(label, Secret(secret), nonce), Secret(other)) == (secret == other)


@given(st.text())
def test_what_was_never_sealed_is_refused(text: str) -> None:
    """Any text in place of a sealed record is refused with a sentence, never with another error."""
    with pytest.raises(Unusable):
        Keyring({1: Secret(b"k" * KEY_BYTES)}).open(Label("credential", "x", 1), text)


@given(keys)
def test_the_keys_file_is_read_back(key: bytes) -> None:
    """What first_term writes, read_terms reads."""
    ring = store.read_terms(store.first_term(key))
    assert ring.terms.keys() == {1}
    assert ring.terms[1].reveal(REVEAL) == key
    assert store.works(ring, b"n" * NONCE_BYTES)


@given(st.binary())
def test_no_file_of_keys_but_a_right_one_is_read(text: bytes) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the caller words it
        store.read_terms(text)
