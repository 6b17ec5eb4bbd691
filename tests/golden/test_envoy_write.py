"""How files get into the folder that Envoy watches."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from contracts.settings import Settings
from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy import config as envoy_config
from controlplane.envoy.config import render, write
from controlplane.envoy.examples import CHAT


def files(*names: str) -> dict[str, str]:
    """Rendered for these providers."""
    providers = {name: ProviderRecord(name, "openai", "http://127.0.0.1:1/v1") for name in names}
    return render(Settings(data=Path("/tmp/p")), Snapshot("-".join(names), providers=providers), [CHAT])  # noqa: S108 - never opened


def clusters(text: str) -> list[str]:
    """Names in a cds.yaml."""
    return [str(cluster["name"]) for cluster in yaml.safe_load(text)["resources"]]


def test_no_route_is_ever_without_its_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One provider goes while another comes: first both clusters, then the routes, then the new cluster alone."""
    folder = tmp_path / "envoy"
    write(folder, files("old"))
    steps: list[tuple[str, list[str]]] = []
    real = envoy_config._replace

    def noted(path: Path, text: str) -> None:
        real(path, text)
        steps.append((path.name, clusters(text) if path.name == "cds.yaml" else []))

    monkeypatch.setattr(envoy_config, "_replace", noted)
    write(folder, files("new"))

    assert steps[1:] == [
        ("cds.yaml", ["provider/new", "provider/old"]),
        ("rds.yaml", []),
        ("cds.yaml", ["provider/new"]),
    ]


def test_what_does_not_change_is_left_alone(tmp_path: Path) -> None:
    """Envoy reads nothing again for nothing."""
    folder = tmp_path / "envoy"
    write(folder, files("one"))
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    write(folder, files("one"))

    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_files_are_private_and_nothing_else_lies_about(tmp_path: Path) -> None:
    """0700 and 0600, and no temporary file stays."""
    folder = tmp_path / "envoy"
    write(folder, files("one"))

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("bootstrap.yaml", "cds.yaml", "rds.yaml"), 0o600
    )
    assert [path.name for path in tmp_path.iterdir()] == ["envoy"]
