"""What Envoy's configuration is made from: one frozen value, from settings or by hand (benchmarks, tests)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import Unusable
from contracts.settings import MIB, Settings

SOCKET_PATH_BYTES = 100
"""A Unix socket's path ends at 107 bytes on Linux and 103 on macOS (sun_path); we stop a little earlier on both."""

NAMESPACE = "portcullis"
"""Of the dynamic metadata that extproc sets: `id`, and after the verdict `provider` and `route`."""

STAMP = "x-portcullis-request-id"
"""The exchange's id, on every answer: from extproc or from Envoy itself. The routes take it off what a provider sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Everything the listener side depends on. Times are seconds, sizes bytes.

    `processor`: extproc's Unix socket; None builds bare Envoy, which governs nothing (benchmarks only). `more_processors`: its other
    workers' sockets.
    `folder`: where cds.yaml and rds.yaml are watched; None puts clusters and routes into the one file.
    `processor_patience_s`: how long extproc may ask Envoy to wait for one message instead, and it does so for large bodies.
    `admin`: Unix socket of Envoy's admin. `trust`: PEM bundle that provider certificates are checked against.
    """

    address: str
    port: int
    processor: Path | None
    access_log: Path
    admin: Path
    folder: Path | None = None
    trust: Path | None = None
    more_processors: tuple[Path, ...] = ()
    trusted_hops: int = 0
    request_bytes: int = 20 * MIB
    response_bytes: int = 64 * MIB
    processor_timeout_s: float = 4.0
    processor_patience_s: float = 50.0
    connect_timeout_s: float = 5.0
    upstream_idle_s: float = 600.0
    stream_idle_s: float = 300.0
    request_timeout_s: float = 60.0
    headers_timeout_s: float = 10.0
    heap_bytes: int = 1024 * MIB
    connections: int = 10_000


def edge_of(settings: Settings, trust: Path | None = None) -> Edge:
    """The gateway's edge as settings say it. Raises Unusable, naming the field."""
    address, port = listen_address(settings.gateway.listen, "gateway.listen")
    edge = Edge(
        address=address,
        port=port,
        processor=settings.socket_of(0),
        more_processors=tuple(settings.socket_of(worker) for worker in range(1, settings.workers)),
        access_log=settings.access_log,
        admin=settings.run / "envoy-admin.sock",
        folder=settings.run / "envoy",
        trust=trust,
        trusted_hops=settings.gateway.trusted_hops,
        request_bytes=settings.limits.request_bytes,
        response_bytes=settings.limits.response_bytes,
        # The policy call is the only deadline inside one message. For a body that has to wait for a worker, extproc asks for more.
        processor_timeout_s=settings.policy_timeout_ms / 1000 + 3.75,
        upstream_idle_s=float(settings.limits.upstream_timeout_s),
        heap_bytes=2 * settings.workers * settings.limits.inflight_bytes + 512 * MIB,
    )
    for path in (edge.processor, *edge.more_processors, edge.admin):
        if path is not None and len(bytes(path)) > SOCKET_PATH_BYTES:
            raise Unusable(f"data: the path {path} is too long for a Unix socket ({SOCKET_PATH_BYTES} bytes); choose a shorter folder.")
    return edge


def bare(edge: Edge) -> Edge:
    """The same edge with no processor: what Envoy does alone. It governs nothing, so only benchmarks use it."""
    return replace(edge, processor=None, more_processors=())


def listen_address(text: str, field: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets. Raises Unusable, naming `field`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:  # noqa: PLR2004 - the highest port
        raise Unusable(f"{field}: {text!r} is no address; write host:port, for example 127.0.0.1:8080.")
    return host.removeprefix("[").removesuffix("]"), int(port)
