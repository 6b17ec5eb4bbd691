"""docs/reference/cli.md says what the command line takes, and nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from cli_page import page

from controlplane.cli import parser


def leaves(made: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every verb that does something."""
    nouns = [action for action in made._actions if isinstance(action, argparse._SubParsersAction)]
    if not nouns:
        yield made
    for noun in nouns:
        for verb in noun.choices.values():
            yield from leaves(verb)


def test_the_page_is_the_tree(root: Path) -> None:
    """It was made of the verbs as they are: `python tests/cli_page.py > docs/reference/cli.md`."""
    assert (root / "docs" / "reference" / "cli.md").read_text("utf-8") == page()


def test_everything_is_explained() -> None:
    """Each option and word has its sentence, and no sentence ends with a full stop twice."""
    for verb in leaves(parser()):
        assert verb.description
        assert not verb.description.endswith("..")
        assert [action.dest for action in verb._actions if not action.help] == []


def test_scripts_can_read_every_verb_that_answers() -> None:
    """`--json` everywhere but where something is started that runs on."""
    without = {verb.prog for verb in leaves(parser()) if "--json" not in verb._option_string_actions}
    assert without == {"portcullis up", "portcullis demo", "portcullis mock"}


def test_no_verb_takes_a_secret_among_its_words() -> None:
    """No option is called so, and what a credential's verbs take is a name or a file's name."""
    for verb in leaves(parser()):
        assert {"--secret", "--token", "--password"}.isdisjoint(verb._option_string_actions)
