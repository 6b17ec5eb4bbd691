"""`apply` on a running system: when it comes back, everybody goes by it, or whoever doesn't is named."""

from __future__ import annotations

import json

import pytest
from declared import DECLARED, MOCK
from stack import PROVIDER_SECRET, Stack


@pytest.fixture
def gate(module_gate: Stack) -> Stack:
    """The module's gate, with what is declared and nothing else."""
    module_gate.apply(DECLARED)
    return module_gate


def applied(gate: Stack, text: str) -> tuple[int, dict[str, object], str]:
    """Apply without waiting for anything else: exit code, answer, complaints."""
    file = gate.folder / "gate.yaml"
    file.write_text(text.replace(MOCK, gate.mock), "utf-8")
    done = gate.run("apply", "-f", file, "--keys-file", gate.folder / "keys.json", "--json", check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_request_right_after_apply_goes_by_it(gate: Stack) -> None:
    """Time after time a provider, its model and a key are new, and the first request with them is served."""
    for number in range(5):
        text = DECLARED.replace("  local:", f"  local-{number}:").replace("provider: local,", f"provider: local-{number},")
        code, answer, complaints = applied(gate, text.replace("  watched:", f"  fresh-{number}:"))
        assert (code, complaints) == (0, "")
        assert answer["planes"] == [{"plane": name, "revision": answer["revision"], "problem": ""} for name in ("extproc-0", "envoy")]
        assert gate.chat(key=f"fresh-{number}").status == 200


def test_a_key_that_left_the_file_is_refused_when_apply_comes_back(gate: Stack) -> None:
    """Revoking is done when the command is."""
    assert gate.chat(key="strict").status == 200
    lines = [line for line in DECLARED.splitlines() if not line.startswith("  strict: {team")]
    assert applied(gate, "\n".join(lines))[0] == 0
    assert gate.chat(key="strict").status == 401
    assert gate.chat(key="app").status == 200


@pytest.mark.parametrize(
    ("part", "name", "change"),
    [("extproc", "extproc-0", ("  watched:", "  after-extproc:")), ("envoy", "envoy", ("http://mock/v1", "http://mock/v1/other"))],
)
def test_who_hangs_is_named_and_the_exit_code_says_so(gate: Stack, part: str, name: str, change: tuple[str, str]) -> None:
    """A stopped data plane, a stopped Envoy where a provider changes: the change is kept, 3 is the exit code, and it comes round later."""
    text = DECLARED.replace(*change)
    assert text != DECLARED
    with gate.paused(part):
        code, answer, complaints = applied(gate, text)
        assert code == 3
        assert f"portcullis: {name}: has not" in complaints
    code, again, complaints = applied(gate, text)
    assert (code, complaints, again["changes"], again["revision"]) == (0, "", [], answer["revision"])


def test_a_change_that_is_not_envoys_does_not_wait_for_it(gate: Stack) -> None:
    """A key is revoked on every data plane while Envoy hangs: nobody has to wait for who is not concerned."""
    with gate.paused("envoy"):
        assert gate.run("key", "revoke", "sealed").returncode == 0


def test_what_the_gate_holds_need_not_be_at_hand(gate: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential keeps its secret where the variable is not set; a new one without a secret is an error with its line."""
    monkeypatch.delitem(gate.environment, "E2E_PROVIDER_SECRET")
    assert applied(gate, DECLARED.replace("  watched:", "  fresh:"))[0] == 0
    assert gate.chat(key="fresh").status == 200
    file = gate.folder / "gate.yaml"
    text = file.read_text("utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "E2E_PROVIDER_SECRET" in each)
    file.write_text(text.replace("local-main", "other-main"), "utf-8")
    done = gate.run("apply", "-f", file, check=False)
    assert done.returncode == 1
    assert f"gate.yaml:{line}: credentials.other-main.secret.env: the environment variable E2E_PROVIDER_SECRET is not set" in done.stderr


def test_an_export_applied_changes_nothing(gate: Stack) -> None:
    """The running state as a file, of the same keys and with no secret in it; applying it is no change."""
    exported = gate.run("export").stdout
    assert "pcl_" not in exported
    assert PROVIDER_SECRET not in exported
    code, answer, _ = applied(gate, exported)
    assert (code, answer["changes"], answer["keys"]) == (0, [], {})
