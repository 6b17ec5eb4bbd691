"""The bootstrap: what Envoy reads once, at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapDynamicResources,
    BootstrapStaticResources,
)
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import Address, Node, Pipe
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.overload.v3 import (
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ThresholdTrigger,
    Trigger,
)
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import DownstreamConnectionsConfig
from envoy_data_plane.envoy.extensions.resource_monitors.fixed_heap.v3 import FixedHeapConfig

from controlplane.envoy.edge import Edge
from controlplane.envoy.listener import watched
from controlplane.envoy.text import packed, seconds

HEAP: Final = "envoy.resource_monitors.fixed_heap"
CONNECTIONS: Final = "envoy.resource_monitors.global_downstream_max_connections"


def bootstrap(edge: Edge, listener: Listener, clusters: Sequence[Cluster]) -> Bootstrap:
    """Admin on its Unix socket, the listener, `clusters`, and the folder to watch if the edge has one."""
    return Bootstrap(
        node=Node(id="gateway", cluster="portcullis"),
        admin=Admin(address=Address(pipe=Pipe(path=str(edge.admin), mode=0o600))),
        static_resources=BootstrapStaticResources(listeners=[listener], clusters=list(clusters)),
        dynamic_resources=BootstrapDynamicResources(cds_config=watched(edge, "cds.yaml")) if edge.folder else None,
        overload_manager=_overload(edge),
    )


def _overload(edge: Edge) -> OverloadManager:
    """Give memory back at 95 % of the heap, refuse new requests at 98 %, and bound open connections."""
    return OverloadManager(
        refresh_interval=seconds(0.25),
        resource_monitors=[
            ResourceMonitor(name=HEAP, typed_config=packed(FixedHeapConfig(max_heap_size_bytes=edge.heap_bytes))),
            ResourceMonitor(
                name=CONNECTIONS, typed_config=packed(DownstreamConnectionsConfig(max_active_downstream_connections=edge.connections))
            ),
        ],
        actions=[
            _at_heap("envoy.overload_actions.shrink_heap", 0.95),
            _at_heap("envoy.overload_actions.stop_accepting_requests", 0.98),
        ],
    )


def _at_heap(action: str, threshold: float) -> OverloadAction:
    return OverloadAction(name=action, triggers=[Trigger(name=HEAP, threshold=ThresholdTrigger(value=threshold))])
