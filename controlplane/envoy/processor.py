"""The ext_proc filter and its cluster: how Envoy talks to extproc, and what extproc may change.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/http/ext_proc/v3/ext_proc.proto
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ExternalProcessorRouteCacheAction,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from controlplane.envoy.edge import NAMESPACE, Edge
from controlplane.envoy.text import packed, seconds

CLUSTER: Final = "extproc"
FORBIDDEN: Final = "^(?:host|transfer-encoding|x-envoy-.*)$"
"""Headers that extproc may neither set nor remove; with `disallow_system`, no pseudo-header either. To try is an error
that ends the exchange with 503. The route sets host and path, and takes x-envoy-* off."""

SEND, SKIP = ProcessingModeHeaderSendMode.SEND, ProcessingModeHeaderSendMode.SKIP


WHOLE: Final = ProcessingMode(
    request_header_mode=SEND,
    response_header_mode=SEND,
    request_body_mode=ProcessingModeBodySendMode.BUFFERED,
    response_body_mode=ProcessingModeBodySendMode.BUFFERED,
    request_trailer_mode=SKIP,
    response_trailer_mode=SEND,
)
"""Every message is shown, bodies whole; only request trailers are not, which never leave the edge."""

PIECES: Final = ProcessingMode(
    request_header_mode=SEND,
    response_header_mode=SEND,
    response_body_mode=ProcessingModeBodySendMode.STREAMED,
    request_trailer_mode=SKIP,
    response_trailer_mode=SEND,
)
"""What a `mode_override` for an event stream must come to. Envoy fills its DEFAULT header modes from WHOLE, then
compares; one that differs, so one that names a request body mode, is ignored without a word: held whole."""


def processor_filter(edge: Edge) -> HttpFilter:
    """The filter: closed on any failure, explicit about what may be changed."""
    external = ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=CLUSTER)),
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        processing_mode=WHOLE,
        allow_mode_override=True,
        allowed_override_modes=[PIECES],
        message_timeout=seconds(edge.processor_timeout_s),
        max_message_timeout=seconds(edge.processor_patience_s),
        request_attributes=["request.id", "source.address"],
        response_attributes=["response.code_details", "response.flags"],
        mutation_rules=HeaderMutationRules(
            allow_all_routing=False,
            allow_envoy=False,
            disallow_system=True,
            disallow_expression=RegexMatcher(regex=FORBIDDEN),
            disallow_is_error=True,
        ),
        metadata_options=MetadataOptions(receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=[NAMESPACE])),
        route_cache_action=ExternalProcessorRouteCacheAction.DEFAULT,
    )
    return HttpFilter(name="envoy.filters.http.ext_proc", typed_config=packed(external))


def sockets_of(edge: Edge) -> tuple[Path, ...]:
    """The sockets of extproc's workers; only asked where the edge has one."""
    if edge.processor is None:
        raise ValueError("a bare edge has no processor")
    return edge.processor, *edge.more_processors
