"""What becomes of findings."""

from __future__ import annotations

import pytest

from contracts.errors import Unusable
from contracts.policy import STRENGTH
from extproc.redact.actions import SUPPORTED, Edit, apply, blocked, counts, edits, strongest
from extproc.redact.finding import Finding
from extproc.redact.scanner import scan

TEXT = "jane@example.com paid with 4111 1111 1111 1111, joe@example.org did not"
FINDINGS = scan(TEXT)


def test_a_kind_without_an_entry_gets_the_star() -> None:
    """The table's own entry counts, else the one for '*'."""
    table = {"CREDIT_CARD": "block", "*": "redact"}

    assert strongest(table, "CREDIT_CARD") == "block"
    assert strongest(table, "EMAIL_ADDRESS") == "redact"


def test_a_table_without_a_star_is_refused_by_name() -> None:
    """No entry means no decision, never a silent pass."""
    with pytest.raises(Unusable, match="EMAIL_ADDRESS"):
        strongest({"CREDIT_CARD": "block"}, "EMAIL_ADDRESS")


@pytest.mark.parametrize("action", [*sorted(set(STRENGTH) - SUPPORTED), "blok"])
def test_an_action_this_version_lacks_is_refused_by_name(action: str) -> None:
    """The contract's later actions, and mistyped ones, are no weaker action."""
    for act in (edits, blocked):
        with pytest.raises(Unusable, match=action):
            act(FINDINGS, {"*": action})


def test_supported_actions_are_the_contracts() -> None:
    """Nothing is supported that the contract does not name."""
    assert set(STRENGTH) >= SUPPORTED


def test_redact_puts_the_kind_in_the_place_and_leaves_the_rest() -> None:
    """Only findings whose action is redact are edited."""
    assert apply(TEXT, edits(FINDINGS, {"*": "redact"})) == "[EMAIL_ADDRESS] paid with [CREDIT_CARD], [EMAIL_ADDRESS] did not"
    assert apply(TEXT, edits(FINDINGS, {"*": "alert", "CREDIT_CARD": "redact"})) == (
        "jane@example.com paid with [CREDIT_CARD], joe@example.org did not"
    )
    assert edits(FINDINGS, {"*": "allow", "CREDIT_CARD": "block"}) == []


def test_blocked_and_counts_tell_kinds_and_numbers() -> None:
    """Kinds and counts, never the text."""
    assert counts(FINDINGS) == {"EMAIL_ADDRESS": 2, "CREDIT_CARD": 1}
    assert blocked(FINDINGS, {"*": "redact", "CREDIT_CARD": "block"}) == {"CREDIT_CARD": 1}
    assert blocked(FINDINGS, {"*": "redact"}) == {}
    assert counts([]) == {}


def test_edits_of_adjacent_findings_do_not_touch_each_other() -> None:
    """Offsets are those of the text as it was, whatever the replacements' lengths."""
    assert edits([Finding("EMAIL_ADDRESS", 0, 2, "email")], {"*": "redact"}) == [Edit(0, 2, "[EMAIL_ADDRESS]")]
    assert apply("abcd", [Edit(0, 2, "long one"), Edit(2, 3, "")]) == "long oned"
    assert apply("abcd", []) == "abcd"
