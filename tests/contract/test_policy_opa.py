"""The same rules in both engines: OPA's own checks of the tree, and verdicts that must be equal."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controlplane.policy.schema import schema_text
from extproc.edge.policy_embedded import SAMPLE
from tests.contract.policy_engines import Document, Engines
from tests.policy_folders import POLICIES, asking, copied, rule

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "policy_verdicts.yml"
CASES = yaml.safe_load(GOLDEN.read_text())


def ran(opa: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One call of OPA."""
    return subprocess.run([str(opa), *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--strict", "--schema", "{}/schemas", "--capabilities", "{}/capabilities.json", "{}/gateway"),
        ("check", "--strict", "--schema", "{}/schemas", "{}"),
        ("fmt", "--fail", "--list", "{}"),
        ("test", "--coverage", "--threshold", "100", "{}"),
    ],
    ids=["capabilities", "schema", "format", "tests and coverage"],
)
def test_tree_passes_opas_own_checks(opa: Path, arguments: tuple[str, ...]) -> None:
    """Strict, with the schema and the capabilities; formatted; every line of every rule reached by a Rego test."""
    run = ran(opa, *(argument.format(POLICIES) for argument in arguments))
    assert run.returncode == 0, run.stdout + run.stderr


def test_schema_is_that_of_the_code() -> None:
    """policies/schemas/input.json is what controlplane/policy/schema.py makes of PolicyInput."""
    assert (POLICIES / "schemas" / "input.json").read_text() == schema_text()


def test_misspelt_field_is_found_by_the_schema(opa: Path, tmp_path: Path) -> None:
    """A new rule is checked without an annotation of its own."""
    folder = copied(tmp_path, rule("input.request.modle"))
    run = ran(opa, "check", "--strict", "--schema", str(folder / "schemas"), str(folder))
    assert run.returncode != 0
    assert "modle" in run.stderr


def test_opa_refuses_what_the_capabilities_do_not_list(opa: Path, tmp_path: Path) -> None:
    """The same file binds both engines."""
    folder = copied(tmp_path, rule("opa.runtime().env.HOME"))
    run = ran(opa, "check", "--capabilities", str(folder / "capabilities.json"), str(folder / "gateway"))
    assert run.returncode != 0
    assert "opa.runtime" in run.stderr


@pytest.fixture(scope="module")
def shipped(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """The shipped rules in both."""
    return Engines.load(POLICIES, opa, tmp_path_factory.mktemp("shipped"))


def document(case: dict[str, Any]) -> Document:
    """The sample input with a golden case's changes."""
    fields: Document = copy.deepcopy(SAMPLE.document())
    for path, value in case.get("set", {}).items():
        *stem, last = path.split(".")
        at = fields
        for word in stem:
            at = at[word]
        at[last] = value
    for path in case.get("drop", ()):
        *stem, last = path.split(".")
        at = fields
        for word in stem:
            at = at[word]
        del at[last]
    return fields


def test_golden_verdicts_by_the_embedded_engine(shipped: Engines) -> None:
    """Each case has the reasons and actions that its line says."""
    assert len(CASES) >= 40
    sample = {"prompt": {"*": "redact"}, "answer": {"*": "redact"}, "unscanned": "block"}
    for case, verdict in zip(CASES, shipped.by_embedded([document(case) for case in CASES]), strict=True):
        actions = {"prompt": verdict.actions.prompt, "answer": verdict.actions.answer, "unscanned": verdict.actions.unscanned}
        assert (verdict.allow, [reason.code for reason in verdict.reasons], actions) == (
            not case["reasons"], case["reasons"], case.get("actions", sample),
        ), case["case"]  # fmt: skip


def test_golden_verdicts_are_equal_in_opa(shipped: Engines) -> None:
    """Messages, warnings, revision and all."""
    cases = [document(case) for case in CASES]
    for case, here, there in zip(CASES, shipped.by_embedded(cases), shipped.by_opa(cases), strict=True):
        assert here == there, case["case"]


# Rules that use every output and most of what a rule may call, so that more than the shipped ones are compared.
RICH = {
    **rule('net.cidr_contains("10.0.0.0/8", input.source.address)', name="network"),
    **rule("_total > 5", name="totals", above="_total := sum([number | some number in input.findings.prompt])"),
    **rule("not _open", name="hours", above=(
        '_open if {\n\t[hour, _, _] := time.clock([input.time_ns, "Europe/Berlin"])\n\thour >= 8\n\thour < 18\n'
        '\tnot _weekend\n}\n\n_weekend if time.weekday([input.time_ns, "Europe/Berlin"]) in {"Saturday", "Sunday"}'
    )),
    **rule("count(object.keys(input.findings.prompt) - _known) > 0", name="kinds", above='_known := {"EMAIL_ADDRESS", "CREDIT_CARD"}'),
    **rule("1000 / (input.request.bytes % 7) > 400", name="errors"),
    "gateway/rules/extra/tight/tight.rego": (
        'package gateway.rules.extra.tight\n\nactions["prompt"] := {"*": "mask", "CREDIT_CARD": "block"} if input.request.stream\n\n'
        'actions.answer := {kind: "hash" | some kind in object.keys(input.findings.prompt)} if input.request.bytes > 100\n'
    ),
    "gateway/rules/extra/early/early.rego": (
        'package gateway.rules.extra.early\n\nupstream := {"provider": "a", "model": input.request.model} if input.request.stream\n'
    ),
    "gateway/rules/extra/late/late.rego": (
        'package gateway.rules.extra.late\n\nupstream := {"provider": "b", "model": concat("/", sort(input.key.models))}\n\n'
        "# METADATA\n# custom:\n#   code: near_limit\n#   message: Key {key} is near {what}.\n"
        'warn contains {"code": "near_limit", "scope": input.principal.key_name, "threshold": 80,'
        ' "names": {"key": trim_space(input.principal.key_name)}} if input.request.bytes > 400\n'
    ),
}  # fmt: skip

TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["gpt-4o", "gpt-4o*", "*", "chat", "a\u0000b", '"', "\\u0061", "😀*"]
)
KIND = st.sampled_from(["EMAIL_ADDRESS", "CREDIT_CARD", "*"]) | TEXT
ACTION = st.sampled_from(["allow", "alert", "mask", "hash", "tokenize", "redact", "block", "sanitise"])
COUNT = st.integers(0, 2**53)
SPELT = st.ip_addresses().map(lambda address: asking(source_address=str(address)).document()["source"]["address"])  # type: ignore[index] # an object
ADDRESS = SPELT | st.sampled_from(["10.1.2.3", "", "unknown"])
NETWORK = st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.1.2.3/32"])
OF_PATH = {
    ".source.address": ADDRESS,
    ".key.addresses": st.lists(NETWORK, max_size=3),
    ".time_ns": st.integers(0, 4_000_000_000_000_000_000),
}


def of_schema(schema: dict[str, Any], path: str = "") -> st.SearchStrategy[Any]:
    """Values of the input's schema. Fields that a rule reads get texts that are likely to meet."""
    if "properties" in schema:
        return st.fixed_dictionaries({name: of_schema(field, f"{path}.{name}") for name, field in schema["properties"].items()})
    if "anyOf" in schema:
        return st.none() | COUNT
    if path.startswith(".profile"):
        return ACTION if schema["type"] == "string" else st.dictionaries(KIND, ACTION, max_size=4)
    if path in OF_PATH:
        return OF_PATH[path]
    return {
        "string": TEXT, "boolean": st.booleans(), "integer": COUNT, "array": st.lists(TEXT, max_size=4),
        "object": st.dictionaries(KIND, COUNT, max_size=4),
    }[schema["type"]]  # fmt: skip


INPUTS = of_schema(yaml.safe_load(schema_text()))


PARTS = [
    "request.model", "request.features", "request.max_tokens", "key.models", "key.routes", "key.providers", "key.addresses", "key.max_tokens",
    "profile.prompt", "profile", "key", "target", "target.priced", "source", "environment",
]  # fmt: skip


@st.composite
def incomplete(draw: st.DrawFn) -> Document:
    """An input that lacks a field or a whole part now and then."""
    fields: Document = draw(INPUTS)
    for part in draw(st.sets(st.sampled_from(PARTS), max_size=2)):
        stem, _, last = part.partition(".")
        fields.get(stem, {}).pop(last, None) if last else fields.pop(stem, None)
    return fields


# Each example asks OPA once about the whole list.
batches = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@batches
@given(st.lists(incomplete(), min_size=15, max_size=40))
def test_generated_verdicts_are_equal(shipped: Engines, cases: list[Document]) -> None:
    """Whatever the schema allows, and inputs that lack a part: equal, or refused by both."""
    compare(shipped, cases)


@pytest.fixture(scope="module")
def rich(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """The shipped rules and those above, in both."""
    target = tmp_path_factory.mktemp("rich")
    return Engines.load(copied(target, RICH), opa, target)


@batches
@given(st.lists(INPUTS, min_size=15, max_size=40))
def test_generated_verdicts_of_more_rules_are_equal(rich: Engines, cases: list[Document]) -> None:
    """Warnings, actions that are joined, competing upstreams, and errors in a built-in."""
    compare(rich, cases)


def compare(engines: Engines, cases: list[Document]) -> None:
    """Both engines agree about each case. Those that break here are asked one by one there, since one fails a whole batch."""
    sound, broken = [], []
    for case in cases:
        try:
            sound.append((case, engines.by_embedded([case])[0]))
        except Exception:  # noqa: BLE001 # whatever it is, the other engine must refuse as well
            broken.append(case)
    if sound:
        assert [verdict for _, verdict in sound] == engines.by_opa([case for case, _ in sound])
    for case in broken[:3]:
        assert engines.refused_by_both(case)
