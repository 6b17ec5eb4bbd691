"""Virtual keys, for all of them."""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.snapshot import LiveSecret
from custody import virtual_key
from custody.reveal import REVEAL
from custody.secret import Secret
from custody.virtual_key import (
    ALPHABET,
    ENTROPY_BYTES,
    Presented,
    heard,
    issue,
    keyed_hash,
    mint,
    parse,
    rehash,
    rehashed,
    rotated,
    told,
    used,
)

entropy = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
FORM = re.compile(r"pcl_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")
PEPPER, NEWER = Secret(b"pepper" * 6), Secret(b"newer" * 6)
PEPPERS = {1: PEPPER}
BOTH = {1: PEPPER, 2: NEWER}
NOW = 1_700_000_000


def text_of(dice: bytes) -> str:
    """The key that these dice give."""
    return mint(dice).text.reveal(REVEAL).decode()


def presented_of(text: str) -> Presented:
    """The key as an app sends it."""
    presented = parse(text)
    assert presented is not None
    return presented


@given(entropy)
@example(bytes(ENTROPY_BYTES))
@example(b"\xff" * ENTROPY_BYTES)
def test_a_minted_key_has_the_contracts_form_and_is_read_back(dice: bytes) -> None:
    """Every key is written in the documented form, and gives its own id and secret back."""
    minted = mint(dice)
    assert FORM.fullmatch(text_of(dice))
    presented = presented_of(text_of(dice))
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
def test_only_the_same_key_is_found(one: bytes, other: bytes) -> None:
    """A key is told by the hash that was kept of it, under the same pepper; nothing else is."""
    kept, presented = issue(PEPPERS, one).secret, presented_of(text_of(other))
    assert (used(PEPPERS, presented, [kept], NOW) is kept) == (text_of(one) == text_of(other))
    assert used({1: NEWER}, presented, [kept], NOW) is None
    assert used({2: PEPPER}, presented, [kept], NOW) is None
    assert used(PEPPERS, presented, [], NOW) is None


@given(entropy, entropy)
def test_the_id_is_part_of_the_hash(dice: bytes, other: bytes) -> None:
    """A hash that was moved to another id's record opens nothing."""
    minted, moved = mint(dice), mint(other)
    assert (keyed_hash(PEPPER, minted.public_id, minted.secret) == keyed_hash(PEPPER, moved.public_id, minted.secret)) == (
        minted.public_id == moved.public_id
    )


def stolen(record_id: str, kept: LiveSecret) -> list[str]:
    """What someone who read the kept hashes may present: the hash itself, and pieces of it in the form of a key."""
    pieces = [kept.hash[start : start + 43] for start in range(64 - 43 + 1)]
    stems = [f"pcl_{record_id}_{piece}" for piece in pieces]
    return [kept.hash, *(f"{stem}_{virtual_key._checksum(stem)}" for stem in stems)]


@given(entropy)
def test_what_is_kept_of_a_key_is_no_key(dice: bytes) -> None:
    """A stored hash, whole or in the form of a key with a right checksum, is never accepted."""
    fresh = issue(BOTH, dice)
    for text in stolen(fresh.public_id, fresh.secret):
        presented = parse(text)
        assert presented is None or used(BOTH, presented, [fresh.secret], NOW) is None


@pytest.mark.parametrize("stored", [LiveSecret("f" * 64, 0), LiveSecret("0" * 64, 9), LiveSecret("f" * 64, 1), LiveSecret("0" * 64, 1)])
def test_no_placeholder_is_a_key(stored: LiveSecret) -> None:
    """What unknown ids and unknown peppers are compared with is found by nothing, whatever stands in a record."""
    assert used(PEPPERS, presented_of(text_of(bytes(ENTROPY_BYTES))), [stored], NOW) is None


def work(
    monkeypatch: pytest.MonkeyPatch, peppers: Mapping[int, Secret], presented: Presented, stored: Sequence[LiveSecret]
) -> Counter[str]:
    """The hashes and comparisons that a look at a key takes, with the bytes they go over."""
    done: Counter[str] = Counter()

    def digest(key: bytes, message: bytes, algorithm: Any) -> bytes:
        done[f"hash of {len(message)} bytes"] += 1
        return hmac.digest(key, message, algorithm)

    def compare_digest(one: str, other: str) -> bool:
        done[f"comparison of {len(one)} with {len(other)}"] += 1
        return hmac.compare_digest(one, other)

    counted = type("Counted", (), {"digest": staticmethod(digest), "compare_digest": staticmethod(compare_digest)})
    with monkeypatch.context() as patch:
        patch.setattr(virtual_key, "hmac", counted)
        used(peppers, presented, stored, NOW)
    return done


@pytest.mark.parametrize("peppers", [PEPPERS, BOTH], ids=["one pepper", "two peppers"])
def test_an_unknown_id_costs_what_a_wrong_secret_costs(monkeypatch: pytest.MonkeyPatch, peppers: Mapping[int, Secret]) -> None:
    """Counted: the same hashes and comparisons over the same lengths, however many secrets the id has, and for the right one too."""
    presented = presented_of(text_of(bytes(ENTROPY_BYTES)))
    right = issue(PEPPERS, bytes(ENTROPY_BYTES)).secret
    wrong = [issue(peppers, bytes([number]) * ENTROPY_BYTES).secret for number in (1, 2)]
    over = LiveSecret(right.hash, 1, NOW)
    unknown = work(monkeypatch, peppers, presented, [])
    assert sum(count for name, count in unknown.items() if name.startswith("hash")) == len(peppers)
    assert unknown["comparison of 64 with 64"] == virtual_key.MOST_SECRETS
    for stored in (wrong[:1], wrong, [right], [wrong[0], right], [right, wrong[0]], [over], [LiveSecret("a" * 64, 7)]):
        assert work(monkeypatch, peppers, presented, stored) == unknown


# ── rotation with a grace ─────────────────────────────────────────────────────


@given(st.lists(entropy, min_size=2, max_size=5, unique=True), st.integers(0, 3600))
def test_a_rotation_leaves_two_secrets_at_most(dice: list[bytes], grace: int) -> None:
    """The new one is first and without an end; the one before lives to the end of its grace, and not at it; older ones are gone."""
    first = issue(PEPPERS, dice[0])
    shown, secrets = [first.shown], (first.secret,)
    for each in dice[1:]:
        fresh = issue(PEPPERS, each, first.public_id)
        shown.append(fresh.shown)
        secrets = rotated(secrets, fresh.secret, NOW + grace)
    assert len(secrets) == virtual_key.MOST_SECRETS
    assert {text.split("_")[1] for text in shown} == {first.public_id}
    fit = [used(PEPPERS, presented_of(text), secrets, NOW) for text in shown]
    assert fit == [None] * (len(dice) - 2) + [secrets[1] if grace else None, secrets[0]]
    assert used(PEPPERS, presented_of(shown[-2]), secrets, NOW + grace) is None
    assert used(PEPPERS, presented_of(shown[-1]), secrets, NOW + 10**9) is secrets[0]


def test_a_grace_is_never_longer_than_the_secret_had() -> None:
    """A secret that had an end keeps the earlier of both."""
    assert rotated([LiveSecret("a" * 64, 1, NOW)], LiveSecret("b" * 64), NOW + 9)[1].until == NOW


# ── a newer pepper ────────────────────────────────────────────────────────────


@given(entropy, st.none() | st.integers(NOW + 1, NOW + 99))
def test_a_key_moves_to_the_newest_pepper_and_goes_on(dice: bytes, until: int | None) -> None:
    """Whoever saw the right secret hashes it anew; what is kept then is found without the old pepper, and ends when it ended."""
    fresh = issue(PEPPERS, dice)
    kept = LiveSecret(fresh.secret.hash, 1, until)
    presented = presented_of(fresh.shown)
    seen = used(BOTH, presented, [kept], NOW)
    assert seen is kept
    moved = rehash(BOTH, presented, seen)
    assert moved is not None
    secrets = rehashed([kept], kept.hash, moved)
    assert secrets is not None
    assert (secrets[0].pepper, secrets[0].until) == (2, until)
    assert used({2: NEWER}, presented, secrets, NOW) is secrets[0]
    assert rehash(BOTH, presented, secrets[0]) is None


@given(entropy)
def test_a_report_replaces_an_older_hash_only(dice: bytes) -> None:
    """Another hash, the same pepper, an older one: nothing is replaced; and a report can't make a secret live longer."""
    secret = issue(BOTH, dice).secret
    forever = LiveSecret("a" * 64, 3)
    for old, fresh in (("b" * 64, forever), (secret.hash, LiveSecret("a" * 64, 2)), (secret.hash, LiveSecret("a" * 64, 1))):
        assert rehashed([secret], old, fresh) is None
    assert rehashed([LiveSecret(secret.hash, 2, NOW)], secret.hash, forever) == (LiveSecret("a" * 64, 3, NOW),)


@given(st.builds(LiveSecret, st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.integers(1, 10**9 - 1)))
def test_a_report_is_read_as_it_was_written(secret: LiveSecret) -> None:
    """With its pepper."""
    assert heard(told(secret)) == secret


@given(st.text())
@example("1:" + "A" * 64)
@example("0:" + "a" * 64)
@example("1:" + "a" * 64 + "\n")
@example("١:" + "a" * 64)
def test_no_report_but_a_right_one_is_read(text: str) -> None:
    """Anything else is none."""
    assert heard(text) is None
