"""Which of a provider's credentials an exchange is made with: the model's own, the project's, or in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playbook import (
    ALLOWED,
    SNAPSHOT,
    WORLD,
    AskPolicy,
    OpenCredential,
    Record,
    answer_head,
    asks,
    chat,
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

from contracts.snapshot import CredentialRecord
from extproc.core import credentials
from extproc.core.effects import PassAnswerHead, PassBody, PassHead, TakeTurn
from extproc.core.world import Circle, World

KEY = next(iter(SNAPSHOT.keys.values()))
FREE = replace(SNAPSHOT.models["cheap"], credential="")
OURS = "search/ranking"


def held(*records: CredentialRecord) -> World:
    """A world with these credentials."""
    return replace(WORLD, snapshot=replace(SNAPSHOT, models={"cheap": FREE}, credentials={record.name: record for record in records}))


def credential(name: str, provider: str = "local", **fields: Any) -> CredentialRecord:
    """A credential of the provider."""
    return CredentialRecord(name, provider, f"sealed {name}", 1, **fields)


def served(name: str, *turn: Any, world: World) -> None:
    """The exchange is made with this credential, which is on the row before it is opened."""

    def recorded(effect: Record) -> None:
        assert effect.intent.row.credential == name

    def opened(effect: OpenCredential) -> None:
        assert effect.name == name

    play(
        head(),
        *governed(*turn, recorded=recorded, opened=opened),
        to(answer_head()),
        replies(PassAnswerHead),
        to(completion()),
        ends(PassBody),
        emits(outcome="served", credential=name),
        world=world,
    )


def test_the_only_credential_is_used() -> None:
    """Nobody's turn needs to be asked for."""
    served("main", world=held(credential("main"), credential("else", "other")))


@pytest.mark.parametrize(("turn", "name"), [(0, "a"), (1, "b"), (2, "c"), (3, "a"), (302, "c")])
def test_several_take_turns(turn: int, name: str) -> None:
    """In the order of their names, whatever order they are kept in."""
    world = held(credential("c"), credential("a"), credential("b"))
    served(name, asks(TakeTurn, turn), world=world)


def test_a_provider_without_credentials_is_asked_without_one() -> None:
    """Such as a model server on one's own machine."""
    served("", world=held(credential("else", "other")))


CHOICES: dict[str, tuple[tuple[CredentialRecord, ...], Circle]] = {
    "several": ((credential("a"), credential("b")), Circle("local", ("a", "b"))),
    "a draining one is left out": ((credential("a", draining=True), credential("b")), Circle("local", ("b",))),
    "the project's own alone": (
        (credential("a"), credential("b", project=OURS), credential("c", project=OURS)),
        Circle("local search/ranking", ("b", "c")),
    ),
    "another project's is left out": ((credential("a", project="search/suggest"), credential("b")), Circle("local", ("b",))),
    "a project of another team is another": ((credential("a", project="sales/ranking"), credential("b")), Circle("local", ("b",))),
    "the project's own, of which one drains": (
        (credential("a"), credential("b", project=OURS, draining=True), credential("c", project=OURS)),
        Circle("local search/ranking", ("c",)),
    ),
}


@pytest.mark.parametrize("case", list(CHOICES))
def test_which_are_open(case: str) -> None:
    """By project, and without those that are being drained."""
    records, circle = CHOICES[case]
    assert credentials.open_to(held(*records), FREE, KEY) == circle


CLOSED: dict[str, tuple[CredentialRecord, ...]] = {
    "all are drained": (credential("a", draining=True), credential("b", draining=True)),
    "all are others'": (credential("a", project="search/suggest"),),
    "the project's own is drained, and another's is none of its business": (credential("a"), credential("b", project=OURS, draining=True)),
}


@pytest.mark.parametrize("case", list(CLOSED))
def test_none_that_is_open_is_a_refusal(case: str) -> None:
    """Never somebody else's account, and never a request without one; no intent is left behind."""
    refused(held(*CLOSED[case]))


def refused(world: World) -> None:
    """Before any intent, in the gate's own words."""
    play(
        head(),
        replies(PassHead),
        to(chat()),
        asks(AskPolicy, ALLOWED),
        refuses(503, "gate_unavailable"),
        emits(outcome="refused", error_code="gate_unavailable", reasons=("no_credential",), credential="", allow=True),
        world=world,
    )


def named(name: str, *records: CredentialRecord) -> World:
    """A world whose model names its credential."""
    model = replace(FREE, credential=name)
    return replace(WORLD, snapshot=replace(SNAPSHOT, models={"cheap": model}, credentials={record.name: record for record in records}))


def test_the_one_that_the_model_names_is_used() -> None:
    """Whatever else its provider has, the project's own too."""
    served("b", world=named("b", credential("a"), credential("b"), credential("c", project=OURS)))
    served("b", world=named("b", credential("a"), credential("b", project=OURS)))


@pytest.mark.parametrize(
    "record",
    [credential("b", draining=True), credential("b", project="search/suggest"), credential("b", "other"), credential("gone")],
    ids=["drained", "another project's", "another provider's", "not there"],
)
def test_a_named_one_that_is_not_open_is_a_refusal(record: CredentialRecord) -> None:
    """No other takes its place: the model's owner has said whose account pays."""
    refused(named("b", credential("a"), record))
