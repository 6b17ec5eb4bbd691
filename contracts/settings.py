"""How a process runs: one frozen tree, read by extproc/config.py from portcullis.yaml and the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gateway:
    """Envoy's listener for apps. `trusted_hops`: proxies in front whose x-forwarded-for is believed."""

    listen: str = "127.0.0.1:8080"
    trusted_hops: int = 0


@dataclass(frozen=True, slots=True)
class Control:
    """The control plane's listeners: for people and scripts, and for data planes on other machines (None: there are none)."""

    listen: str = "127.0.0.1:8081"
    planes: str | None = None


@dataclass(frozen=True, slots=True)
class Spool:
    """`durability`: os (survives the process) | fsync (survives the machine). `on_full`: refuse."""

    durability: str = "os"
    max_bytes: int = 2048 * MIB
    on_full: str = "refuse"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, nesting levels of JSON, and seconds that a provider may be silent."""

    request_bytes: int = 20 * MIB
    response_bytes: int = 64 * MIB
    inflight_bytes: int = 256 * MIB
    json_depth: int = 64
    upstream_timeout_s: int = 600


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where traces and metrics go; None: nowhere."""

    otlp: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The tree. `data` is absolute. `workers`: processes of the data plane on this machine."""

    data: Path = field(default_factory=lambda: Path("data").absolute())
    gateway: Gateway = field(default_factory=Gateway)
    control: Control = field(default_factory=Control)
    envoy: str = "auto"
    workers: int = 1
    policy: str = "embedded://policies"
    policy_timeout_ms: int = 250
    state: str = "sqlite"
    counters: str = "local"
    audit: str = "chdb"
    vault: str = "file"
    spool: Spool = field(default_factory=Spool)
    limits: Limits = field(default_factory=Limits)
    telemetry: Telemetry = field(default_factory=Telemetry)

    @property
    def run(self) -> Path:
        """Sockets, ready.json and Envoy's files; 0700."""
        return self.data / "run"

    @property
    def access_log(self) -> Path:
        """Envoy's JSON access log, the second witness."""
        return self.data / "witness" / "access.jsonl"

    @property
    def planes(self) -> tuple[str, ...]:
        """Names of the data plane's workers on this machine."""
        return tuple(plane_name(worker) for worker in range(self.workers))

    @property
    def spools(self) -> Path:
        """The workers' spools, a folder each."""
        return self.data / "spool"

    def spool_of(self, plane: str) -> Path:
        """Segments of a worker."""
        return self.spools / plane

    def copy_of(self, plane: str) -> Path:
        """Where a worker keeps the copy of its snapshot."""
        return self.data / "planes" / plane

    def socket_of(self, worker: int) -> Path:
        """Where Envoy reaches a worker."""
        return self.run / (f"extproc-{worker}.sock" if worker else "extproc.sock")


def plane_name(worker: int) -> str:
    """A worker as a plane; the first is 0."""
    return f"extproc-{worker}"
