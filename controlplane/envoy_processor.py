"""The ext_proc filter and its cluster: how Envoy talks to extproc, and what extproc may change.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/http/ext_proc/v3/ext_proc.proto
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig as FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import Composite, ExecuteFilterAction
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
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import FilterStateInput
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as MatchedConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
    RegexMatcherGoogleRe2,
)
from envoy_data_plane.xds.type.matcher.v3 import RegexMatcher as MatchedRegex
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as MatchedString

from controlplane.envoy_edge import Edge
from controlplane.envoy_text import packed, seconds
from controlplane.envoy_witness import ID_STATE

CLUSTER: Final = "extproc"
NAMESPACE: Final = "portcullis"
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
    return _once_decoded(HttpFilter(name="envoy.filters.http.ext_proc", typed_config=packed(external)))


def _once_decoded(inner: HttpFilter) -> HttpFilter:
    """Make `inner` when a request's head has come, and only then.

    A filter of the chain is also shown Envoy's answer to what was no request (431, 400 …); ext_proc would ask about
    it, and Envoy closes the connection before it is answered: the app would get nothing. A composite makes its filter
    on the head, so those answers pass it by. Were it never made, no metadata would be set, and no route open.
    """
    action = ExecuteFilterAction(typed_config=FilterConfig(name=inner.name, typed_config=inner.typed_config))
    method = MatcherMatcherListPredicateSinglePredicate(
        input=MatchedConfig(name="decoded", typed_config=packed(FilterStateInput(key=ID_STATE))),
        value_match=MatchedString(safe_regex=MatchedRegex(google_re2=RegexMatcherGoogleRe2(), regex=".+")),
    )
    any_request = MatcherMatcherListFieldMatcher(
        predicate=MatcherMatcherListPredicate(single_predicate=method),
        on_match=MatcherOnMatch(action=MatchedConfig(name="ext_proc", typed_config=packed(action))),
    )
    matcher = Matcher(matcher_list=MatcherMatcherList(matchers=[any_request]))
    return HttpFilter(name="envoy.filters.http.composite", typed_config=packed(Composite(matcher=matcher)))


def socket_of(edge: Edge) -> Path:
    """Extproc's socket; only asked where the edge has one."""
    if edge.processor is None:
        raise ValueError("a bare edge has no processor")
    return edge.processor
