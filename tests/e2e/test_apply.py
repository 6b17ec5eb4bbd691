"""`apply` on a running system: when it comes back, everybody goes by it, or whoever doesn't is named."""

from __future__ import annotations

import json

from declared import DECLARED, MOCK
from stack import Stack


def applied(gate: Stack, text: str) -> tuple[int, dict[str, object], str]:
    """Apply without waiting for anything else: exit code, answer, complaints."""
    file = gate.folder / "gate.yaml"
    file.write_text(text.replace(MOCK, gate.mock), "utf-8")
    done = gate.run("apply", "-f", file, "--keys-file", gate.folder / "keys.json", "--json", check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_request_right_after_apply_goes_by_it(own_gate: Stack) -> None:
    """Time after time a provider, its model and a key are new, and the first request with them is served."""
    for number in range(5):
        text = DECLARED.replace("  local:", f"  local-{number}:").replace("provider: local,", f"provider: local-{number},")
        code, answer, complaints = applied(own_gate, text.replace("  watched:", f"  fresh-{number}:"))
        assert (code, complaints) == (0, "")
        assert answer["planes"] == [{"plane": name, "revision": answer["revision"], "problem": ""} for name in ("extproc-0", "envoy")]
        assert own_gate.chat(key=f"fresh-{number}").status == 200


def test_a_key_that_left_the_file_is_refused_when_apply_comes_back(own_gate: Stack) -> None:
    """Revoking is done when the command is."""
    assert own_gate.chat(key="strict").status == 200
    lines = [line for line in DECLARED.splitlines() if not line.startswith("  strict: {team")]
    assert applied(own_gate, "\n".join(lines))[0] == 0
    assert own_gate.chat(key="strict").status == 401
    assert own_gate.chat(key="app").status == 200


def test_who_hangs_is_named_and_the_exit_code_says_so(own_gate: Stack) -> None:
    """A stopped data plane and a stopped Envoy: the change is kept, 3 is the exit code, and both come round later."""
    for part, name in (("extproc", "extproc-0"), ("envoy", "envoy")):
        with own_gate.paused(part):
            code, answer, complaints = applied(own_gate, DECLARED.replace("  watched:", f"  after-{part}:"))
            assert code == 3
            assert f"portcullis: {name}: has not" in complaints
        code, again, complaints = applied(own_gate, DECLARED.replace("  watched:", f"  after-{part}:"))
        assert (code, complaints, again["changes"], again["revision"]) == (0, "", [], answer["revision"])
