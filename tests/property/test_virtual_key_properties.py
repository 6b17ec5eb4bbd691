"""Virtual keys, for all of them."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import ALPHABET, ENTROPY_BYTES, issue, keyed_hash, matches, mint, parse

entropy = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
FORM = re.compile(r"pcl_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")
PEPPER = Secret(b"pepper" * 6)


def text_of(dice: bytes) -> str:
    """The key that these dice give."""
    return mint(dice).text.reveal(REVEAL).decode()


@given(entropy)
@example(bytes(ENTROPY_BYTES))
@example(b"\xff" * ENTROPY_BYTES)
def test_a_minted_key_has_the_contracts_form_and_is_read_back(dice: bytes) -> None:
    """Every key is written in the documented form, and gives its own id and secret back."""
    minted = mint(dice)
    assert FORM.fullmatch(text_of(dice))
    presented = parse(text_of(dice))
    assert presented is not None
    assert presented.public_id == minted.public_id
    assert presented.secret.reveal(REVEAL) == minted.secret.reveal(REVEAL)


@given(entropy, st.integers(0, 66), st.sampled_from(ALPHABET + "_-é\n \0"))
def test_one_wrong_character_is_refused(dice: bytes, place: int, letter: str) -> None:
    """Whichever character is replaced, the checksum (or the form) tells before any look-up."""
    text = text_of(dice)
    wrong = text[:place] + letter + text[place + 1 :]
    assert (parse(wrong) is None) == (wrong != text)


@given(entropy, st.integers(0, 65))
def test_two_neighbours_in_the_wrong_order_are_refused(dice: bytes, place: int) -> None:
    """The commonest typing error never passes."""
    text = text_of(dice)
    wrong = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (parse(wrong) is None) == (wrong != text)


@given(entropy, st.integers(0, 66))
def test_a_cut_or_grown_key_is_refused(dice: bytes, length: int) -> None:
    """A key that lost its end, or was pasted with something after it, is no key."""
    text = text_of(dice)
    assert parse(text[:length]) is None
    assert parse(text + text[:length]) is None if length else parse(text + "\n") is None


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever an app sends is read or refused, never an error."""
    assert parse(text) is None or FORM.fullmatch(text)


@given(entropy, entropy)
def test_only_the_same_key_matches_its_hash(one: bytes, other: bytes) -> None:
    """A key matches the hash that was stored for it, under the same pepper; nothing else does."""
    stored, presented = issue(PEPPER, one), parse(text_of(other))
    assert presented is not None
    assert matches(PEPPER, presented, stored.secret_hash) == (text_of(one) == text_of(other))
    assert not matches(Secret(b"another"), presented, stored.secret_hash)
    assert not matches(PEPPER, presented, None)


@given(entropy)
def test_the_id_is_part_of_the_hash(dice: bytes) -> None:
    """A hash that was moved to another id's record opens nothing."""
    minted = mint(dice)
    assert keyed_hash(PEPPER, minted.public_id, minted.secret) != keyed_hash(PEPPER, "0" * 11 + "!", minted.secret)


def test_an_unknown_id_does_not_match_the_placeholder() -> None:
    """Unknown ids are compared with a placeholder of zeros; a stored hash of None never matches."""
    presented = parse(text_of(bytes(ENTROPY_BYTES)))
    assert presented is not None
    assert not matches(PEPPER, presented, None)
    assert not matches(PEPPER, presented, "0" * 64)
