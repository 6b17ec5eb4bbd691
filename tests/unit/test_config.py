"""Settings: portcullis.yaml, variables, command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import Unusable
from contracts.settings import MIB, Settings
from extproc.config import LEAVES, load, near_misses, size, variable


def written(tmp_path: Path, text: str) -> Path:
    """A settings file."""
    file = tmp_path / "portcullis.yaml"
    file.write_text(text)
    return file


def complaints(config: Path | None, environ: dict[str, str] | None = None, data: Path | None = None) -> list[str]:
    """The problems that `load` tells."""
    with pytest.raises(Unusable) as refused:
        load(config, data, environ or {})
    return str(refused.value).splitlines()


CONTRACT = """\
data: ./data                        # everything embedded lives under it; 0700
gateway: {listen: 127.0.0.1:8080, trusted_hops: 0}
control: {listen: 127.0.0.1:8081}
envoy: auto
policy: embedded://policies
policy_timeout_ms: 250
state: sqlite
counters: local
audit: chdb
vault: file
spool: {durability: os, max_bytes: 2GiB, on_full: refuse}
limits: {request_bytes: 20MiB, response_bytes: 64MiB, inflight_bytes: 256MiB, json_depth: 64}
telemetry: {otlp: null}
"""


def test_the_contracts_own_file_says_the_defaults(tmp_path: Path) -> None:
    """The file printed in the contract, and no file at all, give the same settings."""
    assert load(written(tmp_path, CONTRACT), None, {}) == Settings() == load(written(tmp_path, ""), None, {})


def test_a_file_in_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -c, ./portcullis.yaml is read where there is one."""
    written(tmp_path, "policy_timeout_ms: 99\n")
    monkeypatch.chdir(tmp_path)
    assert load(None, None, {}).policy_timeout_ms == 99


def test_command_line_beats_variable_beats_file(tmp_path: Path) -> None:
    """The nearer to the person, the stronger."""
    file = written(tmp_path, "data: /from/file\nspool: {max_bytes: 1GiB}\n")
    environ = {"PORTCULLIS_DATA": "/from/variable", "PORTCULLIS_SPOOL_MAX_BYTES": "512MiB", "PORTCULLIS_GATEWAY_LISTEN": "[::1]:9000"}
    assert load(file, None, {}).data == Path("/from/file")
    assert load(file, None, environ).data == Path("/from/variable")
    settings = load(file, Path("/from/line"), environ)
    assert (settings.data, settings.spool.max_bytes, settings.gateway.listen) == (Path("/from/line"), 512 * MIB, "[::1]:9000")


def test_data_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts with other working folders agree on the data folder."""
    monkeypatch.chdir(tmp_path)
    assert load(None, Path("here"), {}).data == tmp_path / "here"


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """Unknown fields, wrong types, sizes, choices and variables: one line each, in the file's order."""
    file = written(
        tmp_path, "gatway: {}\ngateway: {listen: nowhere, trusted_hops: many}\ncontrol: 4\nspool: {max_bytes: 2GB, on_full: [refuse]}\n"
    )
    found = complaints(file, {"PORTCULLIS_LIMITS_JSON_DEPTH": "deep"})
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in found] == ["1", "2", "2", "3", "4", "4", "PORTCULLIS_LIMITS_JSON_DEPTH"]
    assert "did you mean 'gateway'?" in found[0]
    assert "limits.json_depth" in found[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy: opa+http://127.0.0.1:8181", "an OPA server is not in this version"),
        ("policy: opa+unix:///run/opa.sock", "an OPA server is not in this version"),
        ("state: mysql://u:hunter2@db/x", "must be sqlite or postgresql:"),
        ("counters: valkey://localhost", "'valkey' is not in this version"),
        ("counters: redis://localhost", "'redis' is not in this version"),
        ("audit: clickhouse://localhost", "'clickhouse' is not in this version"),
        ("vault: 'env:'", "must be env:NAME"),
        ("vault: env:1K", "must be env:NAME"),
        ("vault: 'env:A B'", "must be env:NAME"),
        ("vault: openbao://vault", "'openbao' is not in this version"),
        ("vault: aws-kms://key", "'aws-kms' is not in this version"),
        ("spool: {on_full: drop}", "'drop' is not in this version"),
        ("telemetry: {otlp: 'http://127.0.0.1:4317'}", "telemetry is not in this version"),
    ],
)
def test_what_this_version_lacks_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """A setting that would be ignored is refused, and a password in it is not repeated."""
    (line,) = complaints(written(tmp_path, text))
    assert words in line
    assert "hunter2" not in line


@pytest.mark.parametrize("text", ["limits: {json_depth: 0}", "policy_timeout_ms: -1", "policy_timeout_ms: 2.5", "policy_timeout_ms: null"])
def test_numbers_have_bounds(tmp_path: Path, text: str) -> None:
    """Numbers that no process could run with are refused."""
    assert len(complaints(written(tmp_path, text))) == 1


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("512", 512), ("1KiB", 1024), ("20 MiB", 20 * MIB), ("2GiB", 2048 * MIB), ("1TiB", MIB * MIB)]
)
def test_sizes(text: str, count: int) -> None:
    """Sizes are bytes, or powers of 1024."""
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "1.5GiB", "-1", "20MB", "1e3", "0x10", "١"])
def test_sizes_that_say_no_clear_number(text: str) -> None:
    """What could mean two things, or nothing, is refused."""
    with pytest.raises(ValueError, match="whole number"):
        size(text)


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "127.0.0.1:0", "127.0.0.1:65536", "host name:80", "::1:80", "http://x:80", "127.0.0.1:80\n"]
)
def test_addresses_that_nobody_could_listen_on(text: str) -> None:
    """HOST:PORT, and nothing else."""
    assert "gateway.listen" in complaints(None, {"PORTCULLIS_GATEWAY_LISTEN": text})[0]


def test_two_listeners_on_one_port_are_refused() -> None:
    """Control and gateway can't share an address."""
    assert "both" in complaints(None, {"PORTCULLIS_CONTROL_LISTEN": "127.0.0.1:8080"})[0]


def test_a_folder_too_deep_for_sockets_is_refused() -> None:
    """One sentence now instead of an obscure failure of the first bind."""
    (line,) = complaints(None, data=Path("/tmp") / ("d" * 100))  # noqa: S108 - nothing is made there
    assert "too long for the Unix sockets" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\n", "anchors"),
        ("a: *x\n", "aliases"),
        ("a: !!python/object:os.system x\n", "tags"),
        ("data: [\n", "not YAML"),
        ("data: \0\n", "not YAML"),
        ("data: a\ndata: b\n", "twice"),
        ("data: a\n---\ndata: b\n", "not YAML"),
        ("a: " + "[" * 40 + "]" * 40, "deep"),
        ("[data]: x\n", "single word"),
        ("- data\n", "must be a table"),
    ],
)
def test_yaml_that_hides_what_it_says(tmp_path: Path, text: str, words: str) -> None:
    """Anchors, tags, repeated names, several documents and broken files are refused, with a sentence."""
    assert any(words in line for line in complaints(written(tmp_path, text)))


def test_a_missing_or_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that was asked for must be there, and be text."""
    assert complaints(tmp_path / "none.yaml") == [f"{tmp_path / 'none.yaml'}: there is no such file"]
    (tmp_path / "latin.yaml").write_bytes(b"data: \xff\n")
    assert complaints(tmp_path / "latin.yaml") == [f"{tmp_path / 'latin.yaml'}: can't be read: it is not UTF-8"]


def test_variables_that_only_look_like_settings_are_named() -> None:
    """A misspelt variable is warned of; strangers and the variables of other parts are not."""
    (warning,) = near_misses({"PORTCULLIS_GATEWAY_LISTENS": "x", "PORTCULLIS_TOKEN": "x", "PORTCULLIS_SOMETHING_ELSE": "x", "HOME": "x"})
    assert "PORTCULLIS_GATEWAY_LISTEN?" in warning


def test_the_reference_lists_every_setting(root: Path) -> None:
    """docs/reference/settings.md has a row for each setting, with its variable."""
    page = (root / "docs/reference/settings.md").read_text()
    assert [path for path in LEAVES if f"| `{path}` | `{variable(path)}` |" not in page] == []
