"""The control plane goes, or is killed in the middle of a change: traffic goes on, and nothing half done is used."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from declared import DECLARED, MOCK
from secret_search import found_in
from stack import PROVIDER_SECRET, Stack, command, eventually, short_folder
from steady import asked, client, steady


def with_keys(number: int) -> str:
    """The declared text with so many keys more."""
    head, mark, tail = DECLARED.partition("profiles:\n")
    more = "".join(f"  extra-{n}: {{team: search, project: ranking, environment: dev, models: [cheap]}}\n" for n in range(number))
    return head + more + mark + tail


def test_without_control_traffic_goes_on_and_parts_come_back(module_gate: Stack) -> None:
    """Control hangs; extproc is killed and Envoy is killed, and each comes back and serves by the copy that it kept."""
    gate = module_gate
    with client(gate.gateway, gate.key()) as sdk, gate.paused("control"):
        assert asked(sdk) == 200
        for part in ("extproc", "envoy"):
            gate.back(part, gate.kill(part))
            eventually(lambda: asked(sdk) == 200, f"served after {part} came back")
        assert asked(sdk, "dear") == 403


def test_a_revoked_key_stays_so_where_a_plane_restarts_without_control(module_gate: Stack) -> None:
    """The plane had written its copy before it said that the key was gone."""
    gate = module_gate
    gate.run("key", "revoke", "watched")
    with client(gate.gateway, gate.key("watched")) as revoked, client(gate.gateway, gate.key()) as good, gate.paused("control"):
        gate.back("extproc", gate.kill("extproc"))
        eventually(lambda: asked(good) == 200, "served again")
        assert asked(revoked) == 401


def begun(gate: Stack, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """A command that runs while something else is done to the system."""
    line = [*command(*arguments), "--data", str(gate.data)]
    return subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=gate.environment, cwd=gate.folder
    )


@pytest.mark.parametrize("seed", range(2))
def test_control_killed_in_the_middle_of_an_apply(module_gate: Stack, seed: int) -> None:
    """Whenever it dies, the state is the one before or the one after; the rerun finishes, and a third run has nothing to do."""
    gate = module_gate
    gate.apply(DECLARED)
    file = gate.folder / "many.yaml"
    file.write_text(with_keys(200).replace(MOCK, gate.mock), "utf-8")
    with steady(gate.gateway, gate.key()) as apps:
        applying = begun(gate, "apply", "-f", file, "--keys-file", gate.folder / "more.json")
        time.sleep(random.Random(seed).uniform(0.1, 1.0))
        gate.back("control", gate.kill("control"))
        applying.wait(60)
        assert len(json.loads(gate.run("key", "list", "--json").stdout)) in {4, 204}
        gate.run("apply", "-f", file, "--keys-file", gate.folder / "again.json")
        last = json.loads(gate.run("apply", "-f", file, "--json").stdout)

    assert last["changes"] == []
    assert len(json.loads(gate.run("key", "list", "--json").stdout)) == 204
    assert {answer.status for answer in apps.answers} == {200}


@pytest.mark.parametrize("seed", range(2))
def test_control_killed_in_the_middle_of_a_rotation(module_gate: Stack, seed: int) -> None:
    """`vault rotate` again finishes; every credential opens all the time, and no old term is left."""
    gate = module_gate
    with steady(gate.gateway, gate.key()) as apps:
        rotating = begun(gate, "vault", "rotate")
        time.sleep(random.Random(seed).uniform(0.05, 0.6))
        gate.back("control", gate.kill("control"))
        rotating.wait(60)
        gate.run("vault", "rotate")
        status: dict[str, Any] = json.loads(gate.run("vault", "status", "--json").stdout)
        count = len(apps.answers)
        eventually(lambda: len(apps.answers) > count + 50, "traffic after it")

    assert {answer.status for answer in apps.answers} == {200}
    assert len(status["terms"]) == 1
    with client(gate.gateway, gate.key()) as sdk:
        gate.back("extproc", gate.kill("extproc"))
        eventually(lambda: asked(sdk) == 200, "the plane opens its copy under the new term")


def test_files_without_the_kek_hold_no_secret_and_with_it_restore(module_gate: Stack) -> None:
    """A copy of the data folder, searched in plain, base64 and hex; on another machine, with the KEK, it is the same gate."""
    gate = module_gate
    made = json.loads(gate.run("key", "create", "one", "--team", "search", "--project", "ranking", "--environment", "dev",
                               "--model", "cheap", "--json").stdout)  # fmt: skip
    gate.run("key", "rotate", "one", "--grace", "1h")
    gate.run("credential", "rotate", "local-main", stdin="sk-another-provider-secret-of-the-tests")
    with client(gate.gateway, made["secret"]) as sdk:
        assert asked(sdk) == 200
    planted = {
        "the provider's": PROVIDER_SECRET,
        "its rotated one": "sk-another-provider-secret-of-the-tests",
        "a file's key": gate.key(),
        "a call's key": made["secret"],
        "the admin token": gate.client.token,
    }
    gate.stop()

    assert found_in(gate.data, {name: secret.encode() for name, secret in planted.items()}) == []

    elsewhere = short_folder()
    try:
        shutil.copytree(gate.data, elsewhere / "data", symlinks=True)
        shutil.rmtree(gate.data)
        gate.data = elsewhere / "data"
        gate.start()
        with client(gate.gateway, made["secret"]) as sdk:
            assert asked(sdk) == 200
        gate.stop()
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
