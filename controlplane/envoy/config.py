"""Envoy's configuration, rendered and put in place.

    render   settings, snapshot ──► {bootstrap.yaml, cds.yaml, rds.yaml}
    write    into run/envoy/, each by rename, in an order that never leaves a route without its cluster

`python -m controlplane.envoy.config` writes the commented examples envoy/gateway.yaml and envoy/sidecar.yaml anew.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from contracts.settings import Settings
from contracts.snapshot import Snapshot
from controlplane.envoy.bootstrap import bootstrap
from controlplane.envoy.clusters import processor_cluster, provider_cluster
from controlplane.envoy.edge import Edge, edge_of
from controlplane.envoy.listener import listener
from controlplane.envoy.program import trust_bundle
from controlplane.envoy.routes import Door, route_table
from controlplane.envoy.text import resources, to_yaml, tree

BOOTSTRAP: Final = "bootstrap.yaml"
CLUSTERS: Final = "cds.yaml"
ROUTES: Final = "rds.yaml"


def render(settings: Settings, snapshot: Snapshot, routes: Sequence[Door]) -> dict[str, str]:
    """File name → YAML text, for the gateway that `settings` describe. Raises Unusable, naming field and provider."""
    return render_edge(edge_of(settings, trust_bundle()), snapshot, routes)


def render_edge(edge: Edge, snapshot: Snapshot, routes: Sequence[Door]) -> dict[str, str]:
    """As `render`, for an edge made by hand; its `folder` must be set."""
    own = [processor_cluster(edge)] if edge.processor else []
    providers = [snapshot.providers[name] for name in sorted(snapshot.providers)]
    clusters = [provider_cluster(provider, edge) for provider in providers]
    return {
        BOOTSTRAP: to_yaml(tree(bootstrap(edge, listener(edge, None), own))),
        CLUSTERS: to_yaml(resources(snapshot.revision, *clusters)),
        ROUTES: to_yaml(resources(snapshot.revision, route_table(routes, providers, edge))),
    }


def one_file(edge: Edge, snapshot: Snapshot, routes: Sequence[Door]) -> dict[str, Any]:
    """Everything in one document: to be read, checked with `envoy --mode validate`, and measured."""
    own = [processor_cluster(edge)] if edge.processor else []
    providers = [snapshot.providers[name] for name in sorted(snapshot.providers)]
    clusters = [*own, *(provider_cluster(provider, edge) for provider in providers)]
    return tree(bootstrap(edge, listener(edge, route_table(routes, providers, edge)), clusters))


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Put `files` into `folder`, each by rename, so that Envoy sees old or new and nothing between.

    New clusters come before the routes that name them, and old ones go after: first the union of both, then the
    routes, then the clusters alone. A file that would not change is left alone.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if BOOTSTRAP in files:
        _replace(folder / BOOTSTRAP, files[BOOTSTRAP])
    if CLUSTERS in files:
        _replace(folder / CLUSTERS, _union(folder / CLUSTERS, files[CLUSTERS]))
    if ROUTES in files:
        _replace(folder / ROUTES, files[ROUTES])
    if CLUSTERS in files:
        _replace(folder / CLUSTERS, files[CLUSTERS])


def _union(path: Path, text: str) -> str:
    """New clusters, and those of the file in place that the new text no longer has."""
    if not path.exists():
        return text
    new: dict[str, Any] = yaml.safe_load(text)
    old: dict[str, Any] = yaml.safe_load(path.read_text())
    names = {cluster["name"] for cluster in new["resources"]}
    leaving = [cluster for cluster in old["resources"] if cluster["name"] not in names]
    if not leaving:
        return text
    return to_yaml({**new, "resources": [*new["resources"], *leaving]})


def _replace(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    handle, name = tempfile.mkstemp(dir=path.parent.parent, prefix=f".{path.name}.")  # outside: only the rename is seen
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).rename(path)


def main(folder: Path = Path("envoy")) -> int:
    """Write the commented examples into `folder`."""
    from controlplane.envoy.examples import examples  # noqa: PLC0415 - only this command needs them

    for name, text in examples().items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
