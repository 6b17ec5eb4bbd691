"""Sealing, for all secrets and labels."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contracts.errors import Unusable
from custody import envelope, store
from custody.envelope import KEY_BYTES, NONCE_BYTES, REWRAP_DICE, SEAL_DICE, Label
from custody.keyring import Keyring, core_of, term_of
from custody.reveal import REVEAL
from custody.secret import Secret

keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
dices = st.binary(min_size=SEAL_DICE, max_size=SEAL_DICE)
names = st.text(st.characters(codec="utf-8"), max_size=20)
labels = st.builds(Label, names, names, st.integers(1, 2**40))
secrets = st.binary(max_size=300)
MAIN = Label("credential", "main", 1)


def ring_of(key: bytes) -> Keyring:
    """A keyring of one term."""
    return Keyring({1: Secret(key)})


@given(keys, labels, secrets, dices)
def test_what_is_sealed_comes_back(key: bytes, label: Label, secret: bytes, dice: bytes) -> None:
    """A sealed record opens to the same bytes, and says nothing of them before."""
    ring = ring_of(key)
    sealed = ring.seal(label, Secret(secret), dice)
    assert ring.open(label, sealed).reveal(REVEAL) == secret
    assert len(secret) < 8 or secret not in base64.b64decode(sealed)
    assert term_of(sealed) == 1


def test_the_format_is_the_documented_one() -> None:
    """Format, length, term, nonce, wrapped key, nonce, ciphertext: written here by hand from the description, and opened."""
    kek, key, first, second = b"k" * 32, b"d" * 32, b"1" * 12, b"2" * 12
    rest = b"".join(len(part).to_bytes(2, "big") + part for part in (b"credential", b"main", b"1"))
    wrapped = (7).to_bytes(4, "big") + first + AESGCM(kek).encrypt(first, key, b"\0\x03key" + rest)
    by_hand = b"\x01" + len(wrapped).to_bytes(2, "big") + wrapped + second + AESGCM(key).encrypt(second, b"sk-1", b"\0\x06secret" + rest)
    ring = Keyring({7: Secret(kek)})
    assert ring.open(MAIN, base64.b64encode(by_hand).decode()).reveal(REVEAL) == b"sk-1"
    assert ring.seal(MAIN, Secret(b"sk-1"), key + first + second) == base64.b64encode(by_hand).decode()


@given(keys, labels, labels, dices)
@example(b"k" * 32, Label("a\0b", "c", 1), Label("a", "b\0c", 1), bytes(SEAL_DICE))
@example(b"k" * 32, Label("credential", "main", 1), Label("credential", "main", 2), bytes(SEAL_DICE))
@example(b"k" * 32, Label("credential", "main", 1), Label("pepper", "main", 1), bytes(SEAL_DICE))
@example(b"k" * 32, Label("a", "x1", 1), Label("a", "x", 11), bytes(SEAL_DICE))
def test_a_record_can_not_stand_in_for_another(key: bytes, label: Label, other: Label, dice: bytes) -> None:
    """Under another kind, id or version the same record neither opens nor moves to another term; the sentence names the record."""
    assume(label != other)
    ring = ring_of(key)
    sealed = ring.seal(label, Secret(b"x"), dice)
    for attempt in (lambda: ring.open(other, sealed), lambda: ring.add(Secret(key)).rewrap(other, sealed, bytes(REWRAP_DICE))):
        with pytest.raises(Unusable) as refused:
            attempt()
        assert str(refused.value).startswith(f"{other} can't be unsealed: ")


@given(keys, labels, labels, dices, dices)
def test_a_wrapped_key_can_not_be_put_before_another_body(key: bytes, label: Label, other: Label, one: bytes, two: bytes) -> None:
    """Halves of two records make none, not even where both are of the same label."""
    assume(one[:KEY_BYTES] != two[:KEY_BYTES])
    ring = ring_of(key)
    head, tail = (envelope.read(ring.seal(at, Secret(b"x"), dice)) for at, dice in ((label, one), (other, two)))
    mixed = envelope.Envelope(head.wrapped, tail.nonce, tail.body).text()
    for at in (label, other):
        with pytest.raises(Unusable):
            ring.open(at, mixed)


@given(keys, labels, secrets, dices, st.data())
def test_an_altered_record_does_not_open(key: bytes, label: Label, secret: bytes, dice: bytes, data: st.DataObject) -> None:
    """One bit changed anywhere, a cut anywhere, or something added, and it is refused with a sentence that names it."""
    ring = ring_of(key)
    raw = base64.b64decode(ring.seal(label, Secret(secret), dice))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    altered = bytearray(raw)
    altered[bit // 8] ^= 1 << bit % 8
    for wrong in (bytes(altered), raw[: bit // 8], raw + b"\0"):
        with pytest.raises(Unusable) as refused:
            ring.open(label, base64.b64encode(wrong).decode())
        assert str(label) in str(refused.value)
        assert "restore" in str(refused.value)


@given(keys, keys, labels, secrets, dices)
def test_old_records_open_after_a_new_term(key: bytes, newer: bytes, label: Label, secret: bytes, dice: bytes) -> None:
    """A new term seals; the old one goes on opening; the first keyring can't open what the new term sealed, and says which term."""
    old = ring_of(key)
    both = old.add(Secret(newer))
    assert both.newest == 2
    assert both.open(label, old.seal(label, Secret(secret), dice)).reveal(REVEAL) == secret
    with pytest.raises(Unusable, match="key term 2, which this vault lacks"):
        old.open(label, both.seal(label, Secret(secret), dice))


@given(keys, keys, labels, secrets, dices, st.binary(min_size=REWRAP_DICE, max_size=REWRAP_DICE))
def test_a_rewrapped_record_needs_the_new_term_only(
    key: bytes, newer: bytes, label: Label, secret: bytes, dice: bytes, again: bytes
) -> None:
    """It opens without the old term, holds the same ciphertext, and moving it once more changes nothing."""
    old = ring_of(key)
    sealed = old.seal(label, Secret(secret), dice)
    assert old.rewrap(label, sealed, again) == sealed
    both = old.add(Secret(newer))
    moved = both.rewrap(label, sealed, again)
    assert term_of(moved) == 2
    assert both.only_newest().open(label, moved).reveal(REVEAL) == secret
    assert envelope.read(moved).body == envelope.read(sealed).body
    assert core_of(moved) == core_of(sealed)
    assert both.rewrap(label, moved, again) == moved
    with pytest.raises(Unusable, match="key term 1"):
        both.only_newest().open(label, sealed)


def test_every_record_has_a_key_of_its_own() -> None:
    """Who learns one data key opens one record."""
    ring, dice = ring_of(b"k" * 32), [bytes([number]) * SEAL_DICE for number in range(2)]
    one, two = (envelope.read(ring.seal(MAIN, Secret(b"same"), each)) for each in dice)
    assert core_of(one.text()) != core_of(two.text())
    assert AESGCM(dice[0][:KEY_BYTES]).decrypt(one.nonce, one.body, MAIN.associated(b"secret")) == b"same"
    with pytest.raises(Unusable):
        ring.open(MAIN, envelope.Envelope(one.wrapped, two.nonce, two.body).text())


@given(keys, labels, secrets, secrets, dices)
def test_holds_tells_the_same_secret_from_another(key: bytes, label: Label, secret: bytes, other: bytes, dice: bytes) -> None:
    """Applying the same secret again is told from a changed one."""
    ring = ring_of(key)
    assert ring.holds(label, ring.seal(label, Secret(secret), dice), Secret(other)) == (secret == other)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
@example("")
@example(base64.b64encode(b"\x01\0\x40" + bytes(64 + NONCE_BYTES + 16)).decode())
def test_what_was_never_sealed_is_refused(text: str) -> None:
    """Any text in place of a sealed record is refused with a sentence, never with another error; it has no term, or one of no key."""
    with pytest.raises(Unusable):
        ring_of(b"k" * KEY_BYTES).open(MAIN, text)
    assert term_of(text) >= 0
    assert core_of(text) == text.encode() or envelope.read(text)


class Service:
    """A key management service, as one would be written: it keeps the key, and binds a wrapped key to its context."""

    def __init__(self) -> None:
        self._key = AESGCM(b"s" * 32)

    def wrap(self, key: Secret, context: bytes, nonce: bytes) -> bytes:
        """A blob of its own making."""
        return b"arn:key/1|" + nonce + self._key.encrypt(nonce, key.reveal(REVEAL), context)

    def unwrap(self, wrapped: bytes, context: bytes) -> Secret:
        """The data key."""
        return Secret(self._key.decrypt(wrapped[10 : 10 + NONCE_BYTES], wrapped[10 + NONCE_BYTES :], context))


def test_another_wrapper_than_a_keyring_fits() -> None:
    """Two methods are all that a key service has to have; its wrapped keys may be of any length."""
    sealed = envelope.seal(Service(), MAIN, Secret(b"sk"), bytes(range(SEAL_DICE)))
    assert envelope.unseal(Service(), MAIN, sealed).reveal(REVEAL) == b"sk"
    assert term_of(sealed) == 0


@given(st.dictionaries(st.integers(1, 2**32 - 1), keys, min_size=1, max_size=5))
def test_the_keys_file_is_read_back(terms: dict[int, bytes]) -> None:
    """What `written` writes, `read_terms` reads; and it works."""
    ring = store.read_terms(store.written(Keyring({term: Secret(key) for term, key in terms.items()})))
    assert ring is not None
    assert {term: key.reveal(REVEAL) for term, key in ring.terms.items()} == terms
    assert store.works(ring, b"n" * SEAL_DICE)


@given(st.binary())
@example(b"1 " + base64.b64encode(bytes(31)))
@example(b"0 " + base64.b64encode(bytes(32)))
@example(b"4294967296 " + base64.b64encode(bytes(32)))
@example(b"9" * 5000 + b" " + base64.b64encode(bytes(32)))
@example(b"1 " + base64.b64encode(bytes(32)) + b"\n1 " + base64.b64encode(bytes(32)))
@example(b"1  " + base64.b64encode(bytes(32)))
def test_no_file_of_keys_but_a_right_one_is_read(text: bytes) -> None:
    """Anything else is none."""
    assert store.read_terms(text) is None
