"""What refuses to load, and that it says where and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import Unusable
from controlplane.policy.check import check
from extproc.edge.policy_embedded import EmbeddedPolicy
from tests.policy_folders import POLICIES, asking, copied, rule

ONE = "gateway/rules/extra/one/one.rego"
NOTE = "# METADATA\n# custom:\n#   code: closed\n#   message: No.\n"


def one(text: str) -> dict[str, str]:
    """The file of a rule extra/one, after its package line."""
    return {ONE: f"package gateway.rules.extra.one\n\n{text}\n"}


FORBIDDEN = (
    'http.send({"method": "GET", "url": "http://127.0.0.1/"})',
    "opa.runtime()",
    'net.lookup_ip_addr("localhost")',
    'rand.intn("a", 2)',
    'uuid.rfc4122("a")',
    "time.now_ns()",
    "rego.metadata.rule()",
    "rego.parse_module(`a`, `b`)",
    'io.jwt.decode("a")',
    'regex.match("a", "b")',
    'glob.match("a", [], "b")',
    'lower("A")',
    'print("a")',
    'trace("a")',
    'opa["runtime"]()',
    'http["send"]({})',
    "nothing_of_this_name(1)",
    "data.gateway.lib.names.nothing(1)",
    "data.gateway.rules.rbac.model_allowed.deny(1)",
)

REFUSED = {
    "syntax error": (one("deny contains {"), ONE, 4, "mend the Rego"),
    "empty file": ({ONE: ""}, ONE, 1, "Missing package declaration".lower()),
    "package of another rule": ({ONE: "package gateway.rules.extra.two\n\nactions := {}\n"}, ONE, 1, "package gateway.rules.extra.one"),
    "package main": ({ONE: "package gateway\n\nverdict := {}\n"}, ONE, 1, "package gateway.rules.extra.one"),
    "file beside the tree": ({"gateway/other.rego": "package gateway\n"}, "gateway/other.rego", 1, "gateway/rules/<area>/<rule>"),
    "second file in a rule": ({"gateway/rules/extra/one/two.rego": "package gateway.rules.extra.one\n"}, "gateway/rules/extra/one/two.rego", 1, "put it"),
    "unknown output": (one("denny contains {} if true"), ONE, 3, "denny is no output"),
    "function as output": (one("check(x) := x"), ONE, 3, "check is no output"),
    "no output": (one("_x := 1"), ONE, 1, "says nothing"),
    "deny that is no set": (one('deny := {"code": "closed"}'), ONE, 3, "deny contains"),
    "deny of texts": (one('deny contains "closed"'), ONE, 3, "deny contains"),
    "deny by index": (one(f'{NOTE}deny["x"] contains {{"code": "closed"}}'), ONE, 7, "deny contains"),
    "deny with a built code": (one('deny contains {"code": concat("", ["a"])}'), ONE, 3, "literal text"),
    "deny without a message": (one('deny contains {"code": "closed"}'), ONE, 3, "custom.message"),
    "deny with an unknown field": (one(f'{NOTE}deny contains {{"code": "closed", "reason": 1}}'), ONE, 7, "remove reason"),
    "actions as a set": (one("actions contains 1"), ONE, 3, "must be an object"),
    "annotation that is no YAML": (one("# METADATA\n# custom: [\nactions := {}"), ONE, 3, "not YAML"),
    "annotation with a bad code": (one("# METADATA\n# custom:\n#   code: Bad Code\nactions := {}"), ONE, 3, "custom.code"),
    "annotation without a text": (one("# METADATA\n# custom:\n#   code: closed\nactions := {}"), ONE, 3, "custom.message"),
    "one code, two messages": (one(f"{NOTE}_a := 1\n\n{NOTE.replace('No.', 'Not.')}actions := {{}}"), ONE, 9, "two different messages"),
    "with": (rule('data.gateway.lib.names.listed([], "a") with data.gateway.lib.names.listed as true'), ONE, 9, "tests only"),
    "with over a built-in": (rule("count([1]) == 1 with count as http.send"), ONE, 9, "tests only"),
    "not before a call": (rule('not startswith(input.request.model, "a")'), ONE, 9, "negate a helper"),
    "not before a comparison": (rule("not input.request.bytes > 3"), ONE, 9, "negate a helper"),
    "a function that calls itself": (rule("_f(1)", above="_f(x) := _f(x)"), ONE, 3, "no recursion"),
    "two functions that call each other": (rule("_f(1)", above="_f(x) := _g(x)\n_g(x) := _f(x)"), ONE, 3, "no recursion"),
    "built-in's name for a function": (rule("_f(1)", above="count(x) := x\n_f(x) := count(x)"), ONE, 4, "built-in"),
    "built-in's name for an import": (
        {
            "gateway/lib/opa.rego": "package gateway.lib.opa\n\nruntime() := 1\n",
            **rule("opa.runtime()", above="import data.gateway.lib.opa"),
        },
        ONE, 9, "another name",
    ),
    "import without a literal path": (rule("x.a", above="import data.gateway[input.a] as x"), ONE, 3, "mend the Rego"),
    "import under the name of data": (rule("true", above="import data.gateway.lib as input"), ONE, 3, "literal path"),
    "too deep": (one(f"actions := {'[' * 70}{']' * 70}"), ONE, 1, "brackets deep"),
    "name that is not defined": (rule("some_name == 1"), "", 0, "some_name"),
    "value that always fails": (rule("1 / 0 == 1"), "", 0, "divide by zero"),
    "network that is none": (rule('net.cidr_contains("10.0.0.0/33", input.source.address)'), "", 0, "10.0.0.0/33"),
    "rule that reads the verdict": (rule("data.gateway.verdict"), "", 0, "no verdict about a plain request"),
    **{
        f"forbidden: {call}": (rule(call), ONE, 9, "is not a function of this policy")
        for call in FORBIDDEN
    },
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_to_load_and_says_where(case: str, tmp_path: Path) -> None:
    """Each of these makes the folder unusable, with file, line and what to do."""
    files, file, line, text = REFUSED[case]
    folder = copied(tmp_path, files)
    with pytest.raises(Unusable) as refusal:
        EmbeddedPolicy.load(folder)
    said = str(refusal.value)
    assert text in said
    if file:
        assert f"{folder / file}:{line}: " in said


def test_empty_tree_refuses_to_load(tmp_path: Path) -> None:
    """Without a single rule nothing would be denied."""
    with pytest.raises(Unusable, match="No rule is there"):
        EmbeddedPolicy.load(copied(tmp_path, removed=("gateway/rules",)))


def test_missing_main_refuses_to_load(tmp_path: Path) -> None:
    """Without main.rego there is no verdict."""
    with pytest.raises(Unusable, match=r"main\.rego:1: The file that makes the verdict is missing"):
        EmbeddedPolicy.load(copied(tmp_path, removed=("gateway/main.rego",)))


def test_rule_named_like_a_test_refuses_to_load(tmp_path: Path) -> None:
    """It would never fire, and nobody would be told."""
    with pytest.raises(Unusable, match="Names in _test are for tests"):
        EmbeddedPolicy.load(copied(tmp_path, rule("true", name="load_test")))


def test_missing_folder_refuses_to_load(tmp_path: Path) -> None:
    """A path that is not there is no empty policy."""
    with pytest.raises(Unusable, match="restore"):
        EmbeddedPolicy.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"builtins": [1]}'])
def test_unreadable_list_of_builtins_refuses_to_load(text: str, tmp_path: Path) -> None:
    """Without a readable capabilities.json nothing is allowed."""
    with pytest.raises(Unusable, match=r"capabilities\.json"):
        EmbeddedPolicy.load(copied(tmp_path, {"capabilities.json": text}))


def test_shorter_list_of_builtins_binds_the_shipped_rules_too(tmp_path: Path) -> None:
    """What the list does not hold is refused wherever it is called."""
    document = json.loads((POLICIES / "capabilities.json").read_text())
    document["builtins"] = [builtin for builtin in document["builtins"] if builtin["name"] != "trim_prefix"]
    with pytest.raises(Unusable, match=r"lib/names\.rego:\d+: trim_prefix is not a function"):
        EmbeddedPolicy.load(copied(tmp_path, {"capabilities.json": json.dumps(document)}))


def test_bytes_that_are_no_text_refuse_to_load(tmp_path: Path) -> None:
    """A rule saved in another encoding is named."""
    folder = copied(tmp_path, one("actions := {}"))
    (folder / ONE).write_bytes(b"package gateway.rules.extra.one\n# \xff\n")
    with pytest.raises(Unusable, match="not UTF-8"):
        EmbeddedPolicy.load(folder)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Two broken rules are two lines."""
    folder = copied(tmp_path, {**rule("opa.runtime()"), **rule("lower(1)", name="two")})
    with pytest.raises(Unusable) as refusal:
        EmbeddedPolicy.load(folder)
    assert len(str(refusal.value).splitlines()) == 2


def test_a_check_in_a_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    """The worker's way to load gives the same revision, and refuses with the same lines."""
    assert EmbeddedPolicy.load_apart(POLICIES).revision == EmbeddedPolicy.load(POLICIES).revision

    folder = copied(tmp_path, rule("opa.runtime()"))
    with pytest.raises(Unusable) as here:
        EmbeddedPolicy.load(folder)
    with pytest.raises(Unusable) as apart:
        EmbeddedPolicy.load_apart(folder)
    assert str(apart.value) == str(here.value)


def test_shipped_policies_have_no_problem() -> None:
    """`portcullis check` is silent about them."""
    assert check(POLICIES) == []


def test_check_asks_for_tests(tmp_path: Path) -> None:
    """A rule without tests can be loaded, and is still a problem of the folder."""
    folder = copied(tmp_path, rule("input.request.bytes > 1000000"))
    EmbeddedPolicy.load(folder)
    (problem,) = check(folder)
    assert str(problem) == "gateway/rules/extra/one/one_test.rego:1: The rule has no tests: add this file."


def test_check_finds_what_only_shows_at_work(tmp_path: Path) -> None:
    """A plain request is decided too."""
    folder = copied(tmp_path, {**rule("some_name == 1"), "gateway/rules/extra/one/one_test.rego": "package gateway.rules.extra.one_test\n"})
    assert "some_name" in check(folder)[0].text


def test_functions_of_the_policy_may_be_called(tmp_path: Path) -> None:
    """By import, by another name, by full path and by the file's own name."""
    above = (
        "import data.gateway.lib.names\nimport data.gateway.lib.names as listings\n\n_mine(x) := x\n\n"
        '_all if {\n\tnames.listed(["b"], "b")\n\tlistings.listed(["b"], "b")\n\tdata.gateway.lib.names.listed(["b"], "b")\n\t_mine(1) == 1\n}\n'
    )
    policy = EmbeddedPolicy.load(copied(tmp_path, rule("_all", above=above)))
    assert [reason.code for reason in policy.decide(asking()).reasons] == ["closed"]


def test_revision_is_that_of_the_rules(tmp_path: Path) -> None:
    """A changed rule changes it; a changed test does not."""
    shipped = EmbeddedPolicy.load(POLICIES)
    changed = EmbeddedPolicy.load(copied(tmp_path / "a", rule("false")))
    tested = EmbeddedPolicy.load(copied(tmp_path / "b", {"gateway/main_test.rego": "package gateway_test\n"}))
    assert shipped.revision == tested.revision != changed.revision
    assert shipped.decide(asking()).revision == shipped.revision
