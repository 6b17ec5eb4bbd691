"""Decisions by the shipped rules, and the refusal of every request about which there is no sound verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import PolicyUnavailable
from contracts.policy import Actions
from extproc.edge.policy_embedded import EmbeddedPolicy, checked
from tests.policy_folders import POLICIES, asking, copied, rule

SHIPPED = EmbeddedPolicy.load(POLICIES)
MAIN = "gateway/main.rego"


def broken_when_77(tmp_path: Path, body: str, above: str = "") -> EmbeddedPolicy:
    """The shipped rules and one more, which breaks in a request of 77 bytes only."""
    return EmbeddedPolicy.load(copied(tmp_path, rule(body, above=above)))


def test_listed_model_is_allowed() -> None:
    """Nothing speaks against it, and the profile's tables are handed on."""
    verdict = SHIPPED.decide(asking(model="gpt-4o-mini", key_models=("cheap", "gpt-4o*"), profile_prompt={"CARD": "block", "*": "mask"}))
    assert (verdict.allow, verdict.reasons, verdict.warnings, verdict.upstream) == (True, (), (), None)
    assert verdict.actions == Actions({"CARD": "block", "*": "mask"}, {"*": "redact"}, "block")


def test_refusal_names_the_model_and_what_to_do() -> None:
    """The message is the annotation's, with the model's declared name in it."""
    (reason,) = SHIPPED.decide(asking(model="gpt-5", key_models=("cheap",))).reasons
    assert reason.code == "model_not_allowed"
    assert reason.message == "This key may not use the model gpt-5. Ask whoever runs this gate to add it to the key's models."


def test_route_outside_the_keys_list_is_refused() -> None:
    """Two rules that deny are two reasons, in the order of their codes."""
    verdict = SHIPPED.decide(asking(key_models=(), key_routes=("embeddings",)))
    assert [reason.code for reason in verdict.reasons] == ["model_not_allowed", "route_not_allowed"]
    assert not verdict.allow


def test_profile_without_a_star_blocks_everything() -> None:
    """A table that does not speak about every kind is not believed about any."""
    assert SHIPPED.decide(asking(profile_prompt={"CARD": "mask"})).actions.prompt == {"*": "block"}


NAMES = st.text(alphabet="ab.*-😀[?", max_size=6)


@given(NAMES, NAMES)
def test_pattern_means_what_it_says(pattern: str, name: str) -> None:
    """One star stands for anything, every other character for itself, and two stars for nothing."""
    expected = pattern == name
    if pattern.count("*") == 1:
        start, end = pattern.split("*")
        expected = expected or (name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end))
    assert SHIPPED.decide(asking(model=name, key_models=(pattern,))).allow is expected


BREAKING = {
    "division by zero": ("1 / (input.request.bytes - 77) == 1", "", "divide by zero"),
    "division by zero below a negation": ("not _sound", "_sound if 1 / (input.request.bytes - 77) != 0", "divide by zero"),
    "network that is none": (
        "net.cidr_contains(_network, input.source.address)",
        '_network := "10.0.0.0/33" if input.request.bytes == 77',
        "10.0.0.0/33",
    ),
    "network that is none, below a negation": (
        "not _inside",
        ('_network := "x/8" if input.request.bytes == 77 else := "192.0.2.0/24"\n'
        "_inside if net.cidr_contains(_network, input.source.address)"),
        "x/8",
    ),
    "wrong type": ("startswith(_number, input.request.model)", "_number := input.request.bytes if input.request.bytes == 77", "startswith"),
    "two values for one name": (
        "_value == 2",
        "_value := 1 if input.request.bytes > 0\n_value := 2 if input.request.bytes == 77",
        "conflicts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKING)
def test_error_in_a_rule_refuses_that_request_only(case: str, tmp_path: Path) -> None:
    """An evaluation error is no "undefined": it refuses, it is told, and the next request is decided as ever."""
    body, above, trouble = BREAKING[case]
    policy = broken_when_77(tmp_path, body, above)
    before = policy.decide(asking())
    with pytest.raises(PolicyUnavailable) as refusal:
        policy.decide(asking(request_bytes=77))
    assert trouble in policy.trouble
    assert "gateway/rules/extra/one/one.rego:" in policy.trouble
    assert "77" not in refusal.value.message
    assert policy.decide(asking()) == before
    assert policy.trouble == ""


def replaced_main(tmp_path: Path, verdict: str) -> EmbeddedPolicy:
    """A policy whose main.rego says something else for requests of 77 bytes."""
    text = (POLICIES / MAIN).read_text().replace("verdict := {", "verdict := _other if input.request.bytes == 77\n\nelse := {", 1)
    return EmbeddedPolicy.load(copied(tmp_path, {MAIN: f"{text}\n{verdict}\n"}))


ACTIONS = '"actions": {"prompt": {"*": "block"}, "answer": {"*": "block"}, "unscanned": "block"}'
MALFORMED = {
    "text": '_other := "allow"',
    "true": "_other := true",
    "list": "_other := []",
    "null": "_other := null",
    "nothing but allow": '_other := {"allow": true}',
    "allow as a text": f'_other := {{"allow": "true", "reasons": [], {ACTIONS}, "warnings": [], "revision": data.gateway.compiled.revision}}',
    "one field more": f'_other := {{"allow": true, "ok": 1, "reasons": [], {ACTIONS}, "warnings": [], "revision": data.gateway.compiled.revision}}',
    "allow with a reason": (
        f'_other := {{"allow": true, "reasons": [{{"code": "a", "message": "b"}}], {ACTIONS}, "warnings": [],'
        ' "revision": data.gateway.compiled.revision}'
    ),
    "unknown action": (
        '_other := {"allow": true, "reasons": [], "actions": {"prompt": {"*": "pass"}, "answer": {"*": "mask"}, "unscanned": "mask"},'
        ' "warnings": [], "revision": data.gateway.compiled.revision}'
    ),
    "another revision": f'_other := {{"allow": true, "reasons": [], {ACTIONS}, "warnings": [], "revision": "x"}}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_verdict_of_another_shape_refuses(case: str, tmp_path: Path) -> None:
    """Whatever is not exactly a verdict opens nothing."""
    policy = replaced_main(tmp_path, MALFORMED[case])
    with pytest.raises(PolicyUnavailable):
        policy.decide(asking(request_bytes=77))
    assert "verdict" in policy.trouble or "actions" in policy.trouble


def test_undefined_verdict_refuses(tmp_path: Path) -> None:
    """A verdict that has no value in this case opens nothing."""
    text = (POLICIES / MAIN).read_text().replace('"revision": compiled.revision', '"revision": _revision', 1)
    policy = EmbeddedPolicy.load(
        copied(tmp_path, {MAIN: f"{text}\n_revision := data.gateway.compiled.revision if input.request.bytes != 77\n"})
    )
    assert policy.decide(asking()).allow
    with pytest.raises(PolicyUnavailable):
        policy.decide(asking(request_bytes=77))


def test_declared_actions_that_are_undefined_deny(tmp_path: Path) -> None:
    """A rule that gave no table has decided nothing; the others' tables don't stand in for it."""
    files = {
        "gateway/rules/extra/one/one.rego": (
            'package gateway.rules.extra.one\n\nactions := {"prompt": {"*": "allow"}} if input.request.bytes != 77\n'
        )
    }
    policy = EmbeddedPolicy.load(copied(tmp_path, files))
    assert policy.decide(asking()).allow
    verdict = policy.decide(asking(request_bytes=77))
    assert [(reason.code, reason.message.split(".")[0]) for reason in verdict.reasons] == [
        ("policy_incomplete", "Rule extra/one gave no actions")
    ]


def test_rule_can_only_tighten_actions(tmp_path: Path) -> None:
    """Beside the profile's table a rule's weaker word does nothing and its stronger one counts, "*" included."""
    files = {
        "gateway/rules/extra/one/one.rego": (
            "package gateway.rules.extra.one\n\n"
            'actions := {"prompt": {"CARD": "block", "EMAIL": "allow", "*": "allow"}, "answer": {"*": "block"}}\n'
        )
    }
    policy = EmbeddedPolicy.load(copied(tmp_path, files))
    actions = policy.decide(asking(profile_prompt={"IBAN": "hash", "*": "redact"}, profile_unscanned="alert")).actions
    assert actions.prompt == {"CARD": "block", "EMAIL": "redact", "IBAN": "hash", "*": "redact"}
    assert actions.answer == {"*": "block"}
    assert actions.unscanned == "alert"


def test_late_verdict_refuses() -> None:
    """The time is looked at when the verdict is there; a late one is not used."""
    ticks: Iterator[float] = iter((0.0, 0.2501, 1.0, 1.25))
    policy = EmbeddedPolicy(checked(POLICIES), 250, lambda: next(ticks))
    with pytest.raises(PolicyUnavailable):
        policy.decide(asking())
    assert policy.trouble == "the verdict came later than policy_timeout_ms"
    assert policy.decide(asking()).allow


@pytest.mark.parametrize(("field", "value"), [("max_tokens", 1 << 64), ("model", "\ud800"), ("model", b"x")])
def test_input_that_is_no_json_refuses(field: str, value: object) -> None:
    """What can't be put to the rules exactly is not put to them at all."""
    with pytest.raises(PolicyUnavailable):
        SHIPPED.decide(asking(**{field: value}))


def test_panic_of_the_engine_refuses(tmp_path: Path) -> None:
    """A panic in the engine arrives as no ordinary exception, and refuses all the same (an empty needle makes this one)."""
    capabilities = (POLICIES / "capabilities.json").read_text().replace('"builtins": [', '"builtins": [{"name": "strings.count"},', 1)
    files = rule("strings.count(input.request.model, _needle) == 1", above='_needle := "" if input.request.bytes == 77\n')
    policy = EmbeddedPolicy.load(copied(tmp_path, {**files, "capabilities.json": capabilities}))
    with pytest.raises(PolicyUnavailable):
        policy.decide(asking(request_bytes=77))
    assert policy.decide(asking()).allow


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruption_of_the_process_is_not_swallowed(interruption: type[BaseException]) -> None:
    """Ctrl-C while a rule runs ends the process, not just the request."""

    def clock() -> float:
        raise interruption

    policy = EmbeddedPolicy(checked(POLICIES), 250, clock)
    with pytest.raises(interruption):
        policy.decide(asking())


@pytest.mark.parametrize(
    ("written", "read_by_rules"),
    [
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::FFFF:a01:203", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:10.1.2.3%eth0", "10.1.2.3"),
        ("a:b", ""),
        ("unknown", ""),
        ("010.1.2.3", ""),
        ("10.1.2.3/32", ""),
        ("@", ""),
        ("", ""),
    ],
)
def test_client_address_has_one_spelling(written: str, read_by_rules: str) -> None:
    """No rule sees IPv4 in IPv6 form, on which the engines disagree, nor a text that is no address, on which they break."""
    assert asking(source_address=written).document()["source"] == {"address": read_by_rules}
