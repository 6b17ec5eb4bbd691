"""The listener: the edge profile, then the processor, then the router.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/best_practices/edge
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    CidrRange,
    ConfigSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    PathConfigSource,
    SocketAddress,
    WatchedDirectory,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpFilter,
    Rds,
    RequestIdExtension,
)
from envoy_data_plane.envoy.extensions.request_id.uuid.v3 import UuidRequestIdConfig

from contracts.settings import MIB
from controlplane.envoy import addresses as envoy_addresses
from controlplane.envoy.edge import Edge
from controlplane.envoy.guard import asked_once_decoded, no_word_of_envoy
from controlplane.envoy.processor import processor_filter
from controlplane.envoy.replies import local_replies
from controlplane.envoy.routes import NAME
from controlplane.envoy.text import packed, seconds
from controlplane.envoy.witness import access_log, witness_filter

STAT_PREFIX: Final = "gateway"
REQUESTS_COUNTER: Final = f"http.{STAT_PREFIX}.downstream_rq_total"
"""Envoy's count of requests that reached the listener: what `audit stats` sets beside its rows."""

NOBODY: Final = CidrRange(address_prefix="255.255.255.255", prefix_len=32)
"""No client counts as internal, so none may send x-envoy-* headers; an empty list would mean Envoy's defaults."""


def listener(edge: Edge, routes: RouteConfiguration | None) -> Listener:
    """The one listener. `routes` None: they are watched in rds.yaml."""
    chain = FilterChain(
        filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=packed(_connection(edge, routes)))]
    )
    return Listener(
        name=NAME,
        address=Address(socket_address=SocketAddress(address=edge.address, port_value=edge.port)),
        per_connection_buffer_limit_bytes=edge.request_bytes,  # more is 413; the route that opens raises it for the answer
        enable_reuse_port=False,  # a second process on the port must be an error, not half of the traffic
        filter_chains=[chain],
    )


def watched(edge: Edge, name: str) -> ConfigSource:
    """A file that Envoy reads again when something is renamed into its folder."""
    folder = str(edge.folder)
    return ConfigSource(path_config_source=PathConfigSource(path=f"{folder}/{name}", watched_directory=WatchedDirectory(path=folder)))


def _connection(edge: Edge, routes: RouteConfiguration | None) -> HttpConnectionManager:
    router = HttpFilter(name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True)))
    gate = [asked_once_decoded(processor_filter(edge))] if edge.processor else []
    return HttpConnectionManager(
        codec_type=HttpConnectionManagerCodecType.AUTO,
        stat_prefix=STAT_PREFIX,
        rds=Rds(route_config_name=NAME, config_source=watched(edge, "rds.yaml")) if routes is None else None,
        route_config=routes,
        http_filters=[no_word_of_envoy(), witness_filter(), *gate, *envoy_addresses.filters(), router],
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(edge.stream_idle_s),
            headers_with_underscores_action=HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST,
        ),
        http_protocol_options=Http1ProtocolOptions(enable_trailers=False),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=100,
            initial_stream_window_size=MIB,
            initial_connection_window_size=4 * MIB,
            # One bad request ends its own stream; else it would end all of its connection, which a proxy in front may share.
            override_stream_error_on_invalid_http_message=True,
        ),
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        max_request_headers_kb=60,
        stream_idle_timeout=seconds(edge.stream_idle_s),
        request_timeout=seconds(edge.request_timeout_s),
        request_headers_timeout=seconds(edge.headers_timeout_s),
        access_log=[access_log(edge.access_log)],
        use_remote_address=True,
        xff_num_trusted_hops=edge.trusted_hops,
        skip_xff_append=True,
        internal_address_config=HttpConnectionManagerInternalAddressConfig(cidr_ranges=[NOBODY]),
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST,
        request_id_extension=RequestIdExtension(typed_config=packed(UuidRequestIdConfig(pack_trace_reason=False))),
        local_reply_config=local_replies(),
    )
