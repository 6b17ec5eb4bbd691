"""Which key may be used now, by which of its secrets: what a rotation, a pepper's rotation and a disabled team mean for an exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from playbook import (
    KEY_TEXT,
    MINTED,
    NOW,
    PEPPER,
    SNAPSHOT,
    WORLD,
    answer_head,
    asks,
    completion,
    emits,
    ends,
    governed,
    head,
    play,
    refuses,
    replies,
    to,
)

from contracts.snapshot import LiveSecret, TeamRecord
from custody import virtual_key
from custody.secret import Secret
from extproc.core.effects import OwnAnswer, PassAnswerHead, PassBody, Rehash
from extproc.core.world import World

NEWER = Secret(b"a-newer-pepper")
OTHER = Secret(b"another secret of the same length, or so....")
KEY = SNAPSHOT.keys[MINTED.public_id]
SECONDS = NOW // 10**9
PRESENTED = virtual_key.parse(KEY_TEXT)
SERVED = (to(answer_head()), replies(PassAnswerHead), to(completion()), ends(PassBody))


def hashed(secret: Secret, pepper: Secret = PEPPER, version: int = 1, until: int | None = None) -> LiveSecret:
    """A secret of the key as it is kept."""
    return LiveSecret(virtual_key.keyed_hash(pepper, MINTED.public_id, secret), version, until)


OURS, ANOTHER = hashed(MINTED.secret), hashed(OTHER)


def holding(teams: Mapping[str, TeamRecord] = SNAPSHOT.teams, peppers: Mapping[int, Secret] = WORLD.peppers, **fields: Any) -> World:
    """The world with another record of the key."""
    return replace(WORLD, snapshot=replace(SNAPSHOT, keys={KEY.id: replace(KEY, **fields)}, teams=teams), peppers=peppers)


def test_the_secret_in_force_is_not_marked() -> None:
    """Beside an older one that is still alive, too."""
    world = holding(secrets=(OURS, replace(ANOTHER, until=SECONDS + 1)))
    play(head(), *governed(), *SERVED, emits(outcome="served", key_old_secret=False), world=world)


def test_use_of_a_rotated_secret_is_marked() -> None:
    """In its grace it works, and its row says so."""
    world = holding(secrets=(ANOTHER, replace(OURS, until=SECONDS + 1)))
    play(head(), *governed(), *SERVED, emits(outcome="served", key_id=KEY.id, key_old_secret=True), world=world)


def test_a_rotated_secret_ends_with_its_grace() -> None:
    """At the second that was said, like a key that nobody knows."""
    world = holding(secrets=(ANOTHER, replace(OURS, until=SECONDS)))
    play(head(), refuses(401, "invalid_api_key"), emits(key_id="", key_old_secret=False), world=world)


WRONG: dict[str, dict[str, Any]] = {
    "disabled": {"disabled": True},
    "expired": {"expires": SECONDS},
    "revoked": {"revoked": SECONDS - 1, "secrets": ()},
    "another secret": {"secrets": (ANOTHER,)},
    "disabled team": {"teams": {"search": TeamRecord("search", ("ranking",), disabled=True)}},
    "disabled project": {"teams": {"search": TeamRecord("search", ("ranking", "suggest"), disabled_projects=("suggest", "ranking"))}},
    "no such team": {"teams": {"other": TeamRecord("other", ("ranking",))}},
    "no such project": {"teams": {"search": TeamRecord("search", ("suggest",))}},
    "unknown pepper": {"peppers": {2: PEPPER}},
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_a_key_that_may_not_be_used_is_one_refusal(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong: the same words, nothing of the key on the row, and as many hashes and comparisons as for an unknown id."""
    work = counted(monkeypatch)
    answers: list[OwnAnswer] = []
    for world in (holding(**WRONG[wrong]), replace(WORLD, snapshot=replace(SNAPSHOT, keys={}), peppers=holding(**WRONG[wrong]).peppers)):
        play(head(), ends(OwnAnswer, answers.append), emits(status=401, key_id="", team="", key_name="", reasons=()), world=world)
    assert answers[0] == answers[1]
    assert work[: len(work) // 2] == work[len(work) // 2 :]


def test_a_good_key_takes_as_much_work_as_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the time tells nobody which ids there are."""
    work = counted(monkeypatch)
    play(head(), *governed(), *SERVED, emits(outcome="served"))
    play(head(), refuses(401, "invalid_api_key"), emits(), world=replace(WORLD, snapshot=replace(SNAPSHOT, keys={})))
    assert work == ["hash", "compare", "compare"] * 2


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done from now on, as it is done."""
    work: list[str] = []

    def counting(name: str, do: Any) -> Any:
        def done(*arguments: Any) -> Any:
            work.append(name)
            return do(*arguments)

        return done

    monkeypatch.setattr(virtual_key, "keyed_hash", counting("hash", virtual_key.keyed_hash))
    monkeypatch.setattr(virtual_key.hmac, "compare_digest", counting("compare", virtual_key.hmac.compare_digest))
    return work


def test_a_disabled_neighbour_takes_nothing_away() -> None:
    """Another project of the team is disabled, and this one works."""
    teams = {"search": TeamRecord("search", ("ranking", "suggest"), disabled_projects=("suggest",))}
    play(head(), *governed(), *SERVED, emits(outcome="served"), world=holding(teams=teams))


def test_a_secret_under_an_older_pepper_is_told_under_the_newest() -> None:
    """Once it is known to be right, and before anything can refuse the request: only now is the secret at hand."""

    def told(effect: Rehash) -> None:
        assert (effect.key_id, effect.old, effect.new) == (KEY.id, OURS, hashed(MINTED.secret, NEWER, 2))
        assert OURS.hash not in repr(effect)

    world = holding(peppers={1: PEPPER, 2: NEWER})
    play(head(), asks(Rehash, None, told), *governed(), *SERVED, emits(outcome="served", key_old_secret=False), world=world)


def test_a_rotated_secret_keeps_its_end_under_the_newest_pepper() -> None:
    """A grace is not made longer by its use."""

    def told(effect: Rehash) -> None:
        assert effect.new == hashed(MINTED.secret, NEWER, 2, SECONDS + 9)

    world = holding(peppers={1: PEPPER, 2: NEWER}, secrets=(ANOTHER, replace(OURS, until=SECONDS + 9)))
    play(head(), asks(Rehash, None, told), *governed(), *SERVED, emits(key_old_secret=True), world=world)


def test_a_wrong_secret_under_an_older_pepper_is_told_to_nobody() -> None:
    """What was not found to be the key's stands for nothing."""
    world = holding(peppers={1: PEPPER, 2: NEWER}, secrets=(ANOTHER,))
    play(head(), refuses(401, "invalid_api_key"), emits(), world=world)


def test_a_secret_under_the_newest_pepper_is_not_told() -> None:
    """Nothing is left to do."""
    world = holding(peppers={1: NEWER, 2: PEPPER}, secrets=(replace(OURS, pepper=2),))
    play(head(), *governed(), *SERVED, emits(outcome="served"), world=world)
