"""How an officer allows a feature: the lines that the page and the rule show, put where it says, in both engines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.policy import PolicyInput
from controlplane.policy.check import check
from extproc.edge.policy_embedded import SAMPLE
from tests.contract.policy_engines import Engines
from tests.policy_folders import POLICIES, asking, copied

RULE = "gateway/rules/content/feature_allowed/feature_allowed.rego"
TEXT = (POLICIES / RULE).read_text()
DEFAULT = '_allowed contains "none"\n'
PAGE = (POLICIES.parent / "docs" / "rules" / "content" / "feature_allowed.md").read_text()
LINES, GENERAL = re.findall(r"^```rego\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def principal(**fields: str) -> PolicyInput:
    """A request by someone else than the sample's principal."""
    return asking(principal=replace(SAMPLE.principal, **fields))


def edited(target: Path, lines: str) -> Path:
    """The shipped policies with these lines below the rule's default."""
    assert TEXT.count(DEFAULT) == 1
    return copied(target, {RULE: TEXT.replace(DEFAULT, DEFAULT + lines)})


@pytest.fixture(scope="module")
def allowing(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """Both engines with the page's lines in place."""
    target = tmp_path_factory.mktemp("features")
    return Engines.load(edited(target, LINES + "\n" + GENERAL), opa, target)


def refused(engines: Engines, asked: PolicyInput, *features: str) -> set[str]:
    """What both engines refuse of these features, by the message's own words."""
    document = replace(asked, features=features).document()
    (here,), (there,) = engines.by_embedded([document]), engines.by_opa([document])
    assert here == there
    assert here.allow == (not here.reasons)
    assert {reason.code for reason in here.reasons} <= {"unsupported_feature"}
    return {re.findall(r"may not use (\S+): ", reason.message)[0] for reason in here.reasons}


def test_a_line_allows_one_feature_for_whom_it_names(allowing: Engines) -> None:
    """The team, and nobody else; the feature, and no other."""
    assert refused(allowing, principal(team="search"), "store") == set()
    assert refused(allowing, principal(team="search"), "background", "store") == {"background"}
    assert refused(allowing, principal(team="searching"), "store") == {"store"}


def test_lines_stand_beside_each_other(allowing: Engines) -> None:
    """What one allows takes nothing from the other."""
    assert refused(allowing, principal(team="search", key_name="ranking-ci"), "store", "tool:web_search") == set()
    assert refused(allowing, principal(key_name="ranking-ci"), "store", "tool:web_search") == {"store"}
    assert refused(allowing, principal(team="search"), "store", "tool:web_search") == {"tool:web_search"}


def test_one_condition_can_stand_for_many_features(allowing: Engines) -> None:
    """Every hosted tool in one environment."""
    assert refused(allowing, principal(environment="dev"), "tool:mcp", "tool:other") == set()
    assert refused(allowing, principal(environment="dev"), "mcp_servers", "tool:mcp") == {"mcp_servers"}
    assert refused(allowing, principal(environment="prod"), "tool:mcp") == {"tool:mcp"}


def test_a_line_without_a_condition_is_for_every_key(opa: Path, tmp_path: Path) -> None:
    """As the page says."""
    engines = Engines.load(edited(tmp_path, '_allowed contains "files"\n'), opa, tmp_path)
    assert refused(engines, asking(), "files", "store") == {"store"}


@pytest.mark.parametrize("lines", re.findall(r"^# (_allowed contains .*)$", TEXT, re.MULTILINE))
def test_the_rule_s_own_examples_are_the_page_s(lines: str) -> None:
    """A comment that is uncommented must work; the page's lines are tried above."""
    assert lines in LINES


def test_what_the_page_shows_passes_the_check(tmp_path: Path) -> None:
    """`portcullis check`, which the page asks for, is silent."""
    assert check(edited(tmp_path, LINES + "\n" + GENERAL)) == []


def test_a_field_that_is_missing_allows_nothing(allowing: Engines) -> None:
    """A condition on what is not there does not hold."""
    document = replace(asking(), features=("store",)).document()
    del document["principal"]
    (here,), (there,) = allowing.by_embedded([document]), allowing.by_opa([document])
    assert here == there
    assert [reason.code for reason in here.reasons] == ["unsupported_feature"]
