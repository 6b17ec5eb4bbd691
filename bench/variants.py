"""The three lines that are compared: bare Envoy, Envoy with an ext_proc that does nothing, and the gate.

Each gives (port, key, process ids by name) and stops what it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from machine import alive, free_port, until

from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy.config import one_file
from controlplane.envoy.edge import Edge
from controlplane.envoy.listener import processor_filter
from controlplane.envoy.program import arguments, binary
from controlplane.envoy.text import tree
from controlplane.governance.gateway import DOORS

ROOT = Path(__file__).resolve().parent.parent
Running = tuple[int, str, dict[str, int]]
DECLARED = """
organisation: bench
providers: {local: {dialect: openai, url: "http://127.0.0.1:PORT/v1"}}
credentials: {local-main: {provider: local, secret: {env: BENCH_SECRET}}}
models: {cheap: {provider: local, credential: local-main, model: tiny, price: {input: 0.15, output: 0.60}}}
environments: {dev: {}}
teams: {search: {projects: {ranking: {}}}}
keys: {app: {team: search, project: ranking, environment: dev, models: [cheap], routes: [chat], profile: careful}}
profiles: {careful: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: block}}
"""


def _edge(folder: Path) -> Edge:
    folder.mkdir(mode=0o700)
    return Edge(address="127.0.0.1", port=free_port(), processor=None, access_log=folder / "access.jsonl", admin=folder / "admin.sock")


def _snapshot(port: int) -> Snapshot:
    return Snapshot("bench", providers={"local": ProviderRecord("local", "openai", f"http://127.0.0.1:{port}/v1")})


@contextmanager
def _process(command: list[str], what: str, port: int | Path) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(port.exists if isinstance(port, Path) else lambda: alive(port), what)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _envoy(edge: Edge, folder: Path, document: dict[str, object]) -> Iterator[int]:
    file = folder / "envoy.yaml"
    file.write_text(yaml.safe_dump(document), "utf-8")
    with _process([str(binary("auto")), *arguments(file)], "Envoy", edge.port) as pid:
        yield pid


@contextmanager
def bare_envoy(folder: Path, port: int) -> Iterator[Running]:
    """The same listener and routes, no processor."""
    edge = _edge(folder)
    with _envoy(edge, folder, one_file(edge, _snapshot(port), DOORS)) as pid:
        yield edge.port, "none", {"envoy": pid}


@contextmanager
def noop_envoy(folder: Path, port: int) -> Iterator[Running]:
    """The same, with the ext_proc filter alone in front of the router, and a processor that answers every message with nothing."""
    edge = _edge(folder)
    document = one_file(edge, _snapshot(port), DOORS)
    wired = Edge(**{**{name: getattr(edge, name) for name in edge.__dataclass_fields__}, "processor": folder / "noop.sock"})
    asks = one_file(wired, _snapshot(port), DOORS)
    # Routes that need no metadata from the bare document, the processor's cluster and filter from the other.
    document["static_resources"]["clusters"] = asks["static_resources"]["clusters"]  # type: ignore[index]
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]  # type: ignore[index]
    manager["http_filters"].insert(-1, tree(processor_filter(wired)))
    with (
        _process(
            [sys.executable, str(ROOT / "bench" / "noop_ext_proc.py"), str(wired.processor)], "the noop", Path(str(wired.processor))
        ) as noop,
        _envoy(edge, folder, document) as pid,
    ):
        yield edge.port, "none", {"envoy": pid, "extproc": noop}


@contextmanager
def gate(folder: Path, port: int) -> Iterator[Running]:
    """`portcullis up`, governed by a declarative file."""
    folder.mkdir(mode=0o700)
    data, config, keys = folder / "data", folder / "portcullis.yaml", folder / "keys.json"
    listen = free_port()
    config.write_text(f"gateway: {{listen: 127.0.0.1:{listen}}}\ncontrol: {{listen: 127.0.0.1:{free_port()}}}\n", "utf-8")
    (folder / "gate.yaml").write_text(DECLARED.replace("PORT", str(port)), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_SECRET": "sk-bench-0123456789"}
    command = [sys.executable, "-m", "controlplane.cli"]
    up = subprocess.Popen(
        [*command, "up", "-c", str(config), "--data", str(data)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until((data / "run" / "ready.json").exists, "the gate")
        apply = ["apply", "-f", str(folder / "gate.yaml"), "--data", str(data), "--keys-file", str(keys)]
        subprocess.run([*command, *apply], env=environment, check=True, stdout=subprocess.DEVNULL)
        ready = json.loads((data / "run" / "ready.json").read_bytes())
        yield listen, json.loads(keys.read_bytes())["app"], ready["pids"]
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()
