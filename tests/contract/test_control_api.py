"""The control process: its API, its command line, and what it keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.control_parts import FILE, ControlPart, free_port


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ControlPart]:
    """A control process on a fresh folder."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield part
    part.stop()


@pytest.fixture
def control(shared: ControlPart) -> ControlPart:
    """The shared one, with nothing applied."""
    assert shared.apply("organisation: acme\n")[0] == 200
    return shared


@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/apply", "/api/v1/audit/stats", "/api/v1/none", "/", "/healthz/x"])
@pytest.mark.parametrize("token", ["", "x", "pcladmin_" + "A" * 43, "é"])
def test_nothing_is_said_without_the_token(shared: ControlPart, path: str, token: str) -> None:
    """Every path but the two probes is 401 without the right token, also those that don't exist."""
    status, answer = shared.ask("GET", path, headers={"authorization": f"Bearer {token}".encode("latin-1").decode("latin-1")})
    assert (status, answer["code"]) == (401, "unauthorized")


def test_the_probes_need_no_token(shared: ControlPart) -> None:
    """Whoever starts the process may ask whether it is well."""
    assert shared.ask("GET", "/healthz", token="")[0] == shared.ask("GET", "/readyz", token="")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "", "[::2]:8081", "[x", "localhost.evil"])
def test_another_sites_name_is_refused(shared: ControlPart, host: str) -> None:
    """A web page whose name resolves to this machine can't call the API, even if it had the token."""
    assert shared.ask("GET", "/api/v1/keys", headers={"host": host})[0] in {400, 421}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8081", "LOCALHOST", "[::1]:8081"])
def test_own_names_are_taken(shared: ControlPart, host: str) -> None:
    """The names of loopback, with any port."""
    assert shared.ask("GET", "/api/v1/keys", headers={"host": host})[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, {"document": 1}, {}, {"document": FILE, "secrets": {"main": 1}}, {"document": FILE, "secrets": []}, {"document": FILE, "dry_run": "no"}],
)  # fmt: skip
def test_a_malformed_apply_is_a_problem_document(shared: ControlPart, body: Any) -> None:
    """Whatever is posted, the answer is a problem document with status 400."""
    status, answer = shared.ask("POST", "/api/v1/apply", body)
    assert (status, answer["status"], answer["type"]) == (400, 400, "about:blank")


def test_errors_have_one_shape(shared: ControlPart) -> None:
    """Not found, wrong method, too large: problem documents with a code and a sentence."""
    asked = [shared.ask("GET", "/none"), shared.ask("GET", "/api/v1/apply"), shared.ask("POST", "/api/v1/apply", b"x" * (9 << 20))]
    assert [(status, answer["code"]) for status, answer in asked] == [
        (404, "not_found"), (405, "method_not_allowed"), (413, "request_entity_too_large"),
    ]  # fmt: skip
    assert all(answer["detail"].endswith(".") for _, answer in asked)


def test_a_file_with_problems_changes_nothing(control: ControlPart) -> None:
    """All problems come back with their lines, and neither state nor Envoy's files moved."""
    control.apply()
    before = {path: path.read_bytes() for path in (control.data / "run" / "envoy").iterdir()}
    status, answer = control.apply(FILE.replace("provider: local, model", "provider: locl, model").replace("dev: {}", "dev: {keep: 1}"))
    assert (status, answer["code"]) == (422, "unusable")
    assert [line.split(":")[1] for line in answer["detail"].splitlines()] == ["8", "10"]
    assert control.apply()[1]["changes"] == []
    assert {path: path.read_bytes() for path in (control.data / "run" / "envoy").iterdir()} == before


def test_a_secret_that_no_header_carries_is_refused_and_not_repeated(shared: ControlPart) -> None:
    """The complaint names the credential only."""
    status, answer = shared.apply(secret="planted\r\nx-evil: 1")
    assert (status, [error["field"] for error in answer["errors"]]) == (400, ["secrets.main"])
    assert "planted" not in json.dumps(answer)


def test_applying_twice_changes_nothing(control: ControlPart) -> None:
    """The second time there is no change, no new revision and no new secret; ids and hashes stay."""
    first, second = control.apply()[1], control.apply()[1]
    assert first["revision"] == second["revision"]
    assert set(first["keys"]) == {"one", "two"}
    assert (second["changes"], second["keys"]) == ([], {})


def test_a_dry_run_changes_nothing_and_shows_no_key(control: ControlPart) -> None:
    """It answers with the same plan and leaves everything as it was."""
    answer = control.apply(dry_run=True)[1]
    assert answer["keys"] == {}
    assert {change["sign"] for change in answer["changes"]} == {"+"}
    assert control.ask("GET", "/api/v1/keys")[1] == []
    assert control.apply()[1]["changes"] == answer["changes"]


def test_what_left_the_file_is_removed_and_what_stayed_keeps_its_secret(control: ControlPart) -> None:
    """One key goes, one changes, one comes; only the new one gets a secret; the one that stayed keeps its id."""
    control.apply()
    before = {key["name"]: key["id"] for key in control.ask("GET", "/api/v1/keys")[1]}
    other = FILE.replace("  one:", "  three:").replace('models: ["*"]', 'models: ["*"], may_set_user: true')
    answer = control.apply(other)[1]
    told = [(change["sign"], change["name"], change["fields"]) for change in answer["changes"]]
    assert told == [("+", "three", []), ("~", "two", ["may_set_user: unset -> true"]), ("-", "one", [])]
    assert set(answer["keys"]) == {"three"}
    after = {key["name"]: key["id"] for key in control.ask("GET", "/api/v1/keys")[1]}
    assert after.keys() == {"two", "three"}
    assert after["two"] == before["two"]


def test_the_price_keeps_its_version_until_it_changes(control: ControlPart) -> None:
    """Rows can name the price they were made with: an unrelated change leaves the version, another price gets its own."""

    def version() -> str:
        return str(control.ask("GET", "/api/v1/models/cheap")[1]["price"]["version"])

    control.apply()
    first = version()
    control.apply(FILE.replace("one:", "uno:"))
    assert version() == first
    control.apply(FILE.replace("0.60", "0.61"))
    assert version() not in {"", first}


def test_everything_survives_a_restart(control: ControlPart) -> None:
    """After a restart the same keys are there, applying the same file changes nothing, and Envoy's files are rewritten."""
    control.apply()
    keys = control.ask("GET", "/api/v1/keys")[1]
    assert control.stop() == 0
    for path in (control.data / "run" / "envoy").iterdir():
        path.unlink()
    control.start()
    assert control.ask("GET", "/api/v1/keys")[1] == keys
    assert control.apply()[1]["changes"] == []
    assert "9902" in (control.data / "run" / "envoy" / "cds.yaml").read_text()


def test_killed_at_any_time_it_starts_again(control: ControlPart) -> None:
    """Kill -9 right after an apply: the state is whole, and the socket it left behind is replaced."""
    control.apply()
    assert control.child is not None
    control.child.kill()
    control.child.wait()
    control.start()
    assert len(control.ask("GET", "/api/v1/keys")[1]) == 2


def test_envoy_files_are_there_before_the_first_apply(fresh: ControlPart) -> None:
    """Whoever waits for /readyz can start Envoy next."""
    assert {path.name for path in (fresh.data / "run" / "envoy").iterdir()} >= {"bootstrap.yaml", "cds.yaml", "rds.yaml"}


def test_a_taken_port_is_one_sentence(control: ControlPart) -> None:
    """A second one says what is in the way, and ends with 1."""
    second = ControlPart(control.data.parent / "e", control.port)
    second.data.mkdir(mode=0o700)
    with (second.data.parent / "second.log").open("wb") as log:
        command = [sys.executable, "-m", "controlplane.server", "--data", str(second.data)]
        assert subprocess.run(command, env=second.environ, stderr=log, stdout=log, timeout=60, check=False).returncode == 1
    last = (second.data.parent / "second.log").read_text().splitlines()[-1]
    assert last.startswith(f"control.listen: can't listen on 127.0.0.1:{control.port}")
