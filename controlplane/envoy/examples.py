"""envoy/gateway.yaml and envoy/sidecar.yaml: the whole configuration in one file, with comments, to read and to check."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from contracts.settings import MIB
from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy.config import one_file
from controlplane.envoy.edge import Edge
from controlplane.envoy.routes import Door
from controlplane.envoy.text import to_yaml

CHAT: Final = Door("chat", "openai", "POST", "/v1/chat/completions", "/chat/completions")

PROVIDERS: Final = Snapshot(
    revision="example",
    providers={
        "local": ProviderRecord("local", "openai", "http://127.0.0.1:9901/v1", insecure=True),
        "openai": ProviderRecord("openai", "openai", "https://api.openai.com/v1"),
    },
)

TRUST: Final = Path("/etc/ssl/certs/ca-certificates.crt")

GATEWAY: Final = Edge(
    address="0.0.0.0",
    port=8080,
    trusted_hops=1,
    processor=Path("/run/portcullis/extproc.sock"),
    admin=Path("/run/portcullis/envoy-admin.sock"),
    access_log=Path("/var/lib/portcullis/witness/access.jsonl"),
    trust=TRUST,
)

SIDECAR: Final = Edge(
    address="127.0.0.1",
    port=8080,
    processor=Path("/run/portcullis/extproc.sock"),
    admin=Path("/run/portcullis/envoy-admin.sock"),
    access_log=Path("/var/lib/portcullis/witness/access.jsonl"),
    trust=TRUST,
    heap_bytes=512 * MIB,
    connections=1_000,
)

HEADS: Final = {
    "gateway.yaml": "Envoy as a gateway for many apps: all addresses, one trusted proxy in front.\n",
    "sidecar.yaml": "Envoy beside one app: loopback only, no proxy in front, a smaller heap.\n"
    "The folder of the sockets is never on a volume that the app mounts: whoever reaches extproc's socket\n"
    "with a valid virtual key is handed the provider's credential.\n",
}

NOTE: Final = (
    "\nRendered by `python -m controlplane.envoy.config` from controlplane/envoy/*.py; edit those, not this.\n"
    "`portcullis up` renders the real one from portcullis.yaml and the declared providers, with clusters and\n"
    "routes in files of their own that Envoy watches."
)

COMMENTS: Final = {
    "admin": "Statistics and readiness. A Unix socket in a 0700 folder: it can also stop Envoy.",
    "per_connection_buffer_limit_bytes": "The largest request that is held whole (limits.request_bytes); more is 413.",
    "enable_reuse_port": "A second process on this port is an error, not half of the traffic.",
    "normalize_path": "One spelling of a path, so that rules and routes mean the same thing.",
    "rds": "Routes, watched.",
    "http_filters": "The gate, then the way out. Nothing stands between them.",
    "failure_mode_allow": "Extproc down, hung or broken: the request stops.",
    "status_on_error": "Extproc down, hung or broken: the request stops (failure_mode_allow is false).",
    "processing_mode": "Four messages an exchange. Bodies come whole; an event stream is switched to pieces by mode_override.",
    "allowed_override_modes": "The one switch extproc may make: the answer's body in pieces.",
    "message_timeout": "Above the sum of extproc's own deadlines.",
    "max_message_timeout": "What extproc may ask for while a large body waits for a worker.",
    "response_attributes": "How extproc tells a provider's answer from one that Envoy made: via_upstream or not.",
    "mutation_rules": "Where a request goes is the route's business, never extproc's.",
    "metadata_options": "Only this namespace, and only extproc can fill it. The routes below open on it.",
    "suppress_envoy_headers": "Nothing of ours to the provider, nothing of Envoy's to the app.",
    "internal_address_config": "No client is internal: nobody may steer Envoy by x-envoy-* headers.",
    "headers_with_underscores_action": "x_api_key and x-api-key are one header to some servers.",
    "max_concurrent_streams": "For one HTTP/2 connection.",
    "use_remote_address": "The client's address is the connection's, or what a trusted proxy says.",
    "access_log": "The second witness: one line a stream, also where extproc never ran.",
    "local_reply_config": "Every answer that Envoy makes itself has our shape and codes. First match wins.",
    "route_config": "A provider is reached only with metadata that extproc sets after the verdict.\n"
    "Declared but not opened: 503. Anything else: 404.",
    "request_body_buffer_limit": "The largest answer that is held whole (limits.response_bytes); more is 502. Streams have none.",
    "retry_policy": "Only where no byte was sent: a second attempt never makes the provider work twice.",
    "clusters": "Extproc, and one cluster a provider.",
    "circuit_breakers": "Envoy's default of 1,024 would stop exchanges that are well.",
    "response_trailers_mutations": "Extproc never leaves quietly: a stream that it ends has failed, whatever its status says.",
    "transport_socket": "The provider's name is looked up, sent as SNI, and must be in a certificate the bundle trusts.",
    "overload_manager": "Give memory back at 95 % of the heap, refuse new requests at 98 %.",
}


def examples() -> dict[str, str]:
    """File name → text."""
    edges = {"gateway.yaml": GATEWAY, "sidecar.yaml": SIDECAR}
    return {name: to_yaml(one_file(edge, PROVIDERS, [CHAT]), COMMENTS, HEADS[name] + NOTE) for name, edge in edges.items()}
