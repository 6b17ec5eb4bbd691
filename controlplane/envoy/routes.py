"""Routes: a provider is reached only where extproc's metadata names it; every other road ends here.

A client can't forge dynamic metadata, and extproc sets it only in its answer to the body, after the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import MetadataMatcher, MetadataMatcherPathSegment, RegexMatcher, StringMatcher, ValueMatcher

from contracts.snapshot import ProviderRecord
from controlplane.envoy import addresses as envoy_addresses
from controlplane.envoy.clusters import cluster_name, target_of
from controlplane.envoy.edge import NAMESPACE, STAMP, Edge
from controlplane.envoy.text import seconds

NAME: Final = "gateway"

INTERNAL: Final = (
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id",
    "x-envoy-external-address", "x-envoy-internal", "x-envoy-original-path", "x-envoy-expected-rq-timeout-ms",
    "x-portcullis-user", "x-portcullis-metadata",
)  # fmt: skip
"""Never for a provider; extproc's allow-list drops them too, this holds should it forget."""


@dataclass(frozen=True, slots=True)
class Door:
    """A route the gate knows: `upstream_path` follows the provider's base path; empty: the gate answers it itself."""

    name: str
    dialect: str
    method: str
    path: str
    upstream_path: str
    query: str = ""


def route_table(routes: Sequence[Door], providers: Iterable[ProviderRecord], edge: Edge) -> RouteConfiguration:
    """First the doors that metadata opens, then 503 for what was declared but not opened, then 404.

    What the gate answers itself has no door: extproc's answer comes before the router, and without one it is closed.
    """
    doors = [_door(route, provider, edge) for route in routes for provider in providers if _leads(route, provider)]
    closed = [
        Route(name=f"closed/{route.name}", match=_declared(route), direct_response=DirectResponseAction(status=503)) for route in routes
    ]
    unknown = Route(name="unknown", match=RouteMatch(prefix="/"), direct_response=DirectResponseAction(status=404))
    host = VirtualHost(
        name=NAME,
        domains=["*"],
        routes=[*doors, *closed, unknown],
        request_headers_to_remove=list(INTERNAL),
        response_headers_to_remove=[STAMP],
    )
    return RouteConfiguration(name=NAME, virtual_hosts=[host], validate_clusters=False)


def _leads(route: Door, provider: ProviderRecord) -> bool:
    """Whether requests of this route may go to that provider."""
    return route.upstream_path != "" and provider.dialect == route.dialect


def _door(route: Door, provider: ProviderRecord, edge: Edge) -> Route:
    target = target_of(provider)
    match = _declared(route)
    if edge.processor is not None:
        match.dynamic_metadata = [_named("provider", provider.name), _named("route", route.name)]
    return Route(
        name=f"{route.name}/{provider.name}",
        match=match,
        route=RouteAction(
            cluster=cluster_name(provider.name),
            host_rewrite_literal=target.authority,
            path_rewrite=f"{target.path}{route.upstream_path}".replace("%", "%%"),
            timeout=seconds(0),  # an answer may stream for as long as it moves
            idle_timeout=seconds(edge.upstream_idle_s),
            retry_policy=RetryPolicy(retry_on="connect-failure", num_retries=1),
        ),
        # Envoy has one limit for both ways: the listener's, until the router takes over with this one, and by then
        # the request has been held whole and measured.
        request_body_buffer_limit=max(edge.request_bytes, edge.response_bytes),
        typed_per_filter_config=dict(
            envoy_addresses.on_route(f"{target.host}:{target.port}", private=provider.private)
            if envoy_addresses.looked_up(target.host)
            else {}
        ),
    )


def _declared(route: Door) -> RouteMatch:
    """Exact path and method. `:path` holds the query too, so a request with another than the declared one is no such route."""
    return RouteMatch(
        path=route.path,
        case_sensitive=True,
        headers=[
            HeaderMatcher(name=":method", string_match=StringMatcher(exact=route.method)),
            HeaderMatcher(name=":path", string_match=_target(route)),
        ],
    )


def _target(route: Door) -> StringMatcher:
    if not route.query:
        return StringMatcher(exact=route.path)
    return StringMatcher(safe_regex=RegexMatcher(regex=rf"{re.escape(route.path)}(\?{re.escape(route.query)})?"))


def _named(key: str, value: str) -> MetadataMatcher:
    return MetadataMatcher(
        filter=NAMESPACE,
        path=[MetadataMatcherPathSegment(key=key)],
        value=ValueMatcher(string_match=StringMatcher(exact=value)),
    )
