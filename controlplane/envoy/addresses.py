"""Where a provider's name may lead, checked by Envoy itself at every connect: the name's owner may change his mind after enrolment.

A provider with a name is looked up by Envoy's dynamic forward proxy, which notes the address it is about to use; the RBAC filter
behind it refuses addresses that no provider may have. An address that was declared as such was judged then, and `localhost` is
this machine.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/dynamic_forward_proxy_filter
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import ClusterCustomClusterType, ClusterDnsLookupFamily
from envoy_data_plane.envoy.config.core.v3 import CidrRange, TypedExtensionConfig
from envoy_data_plane.envoy.config.rbac.v3 import Permission, PermissionSet, Policy, Principal, Rbac, RbacAction
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy.v3 import DnsCacheConfig
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy.v3 import FilterConfig, PerRouteConfig
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import RbacPerRoute
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.rbac.matchers.upstream_ip_port.v3 import UpstreamIpPortMatcher
from envoy_data_plane.google.protobuf import Any

from controlplane.envoy.text import packed, seconds
from controlplane.estate.addresses import EMBEDDING, LOOPBACK, NEVER, PRIVATE, Network, place_of

LOOK_UP: Final = "envoy.filters.http.dynamic_forward_proxy"
GUARD: Final = "envoy.filters.http.rbac"
REFUSED: Final = "rbac_access_denied"
"""Code details of what the guard refuses begin so."""
_MOST_NAMES: Final = 4096


def looked_up(host: str) -> bool:
    """Whether a provider's host is a name that somebody else resolves."""
    return place_of(host) is None


def filters() -> list[HttpFilter]:
    """The look-up and the guard, for the chain in front of the router. Without a route's own rules the guard refuses nothing."""
    return [
        HttpFilter(name=LOOK_UP, typed_config=packed(FilterConfig(dns_cache_config=_names(), save_upstream_address=True))),
        HttpFilter(name=GUARD, typed_config=packed(RbacFilter())),
    ]


def cluster_type() -> ClusterCustomClusterType:
    """The type of a cluster whose host is looked up by the filter."""
    # The cluster's TLS names host and SAN itself, which Envoy does not see here and would else insist on deriving.
    config = ClusterConfig(dns_cache_config=_names(), allow_insecure_cluster_options=True)
    return ClusterCustomClusterType(name="envoy.clusters.dynamic_forward_proxy", typed_config=packed(config))


def on_route(authority: str, *, private: bool) -> Mapping[str, Any]:
    """What a provider's route says to the two filters. `authority`: host:port; `private`: an address in a private range is meant."""
    refused = [*NEVER, *EMBEDDING, *(() if private else (*LOOPBACK, *PRIVATE))]
    return {
        LOOK_UP: packed(PerRouteConfig(host_rewrite_literal=authority)),
        GUARD: packed(RbacPerRoute(rbac=RbacFilter(rules=_rules(refused)))),
    }


def _names() -> DnsCacheConfig:
    return DnsCacheConfig(
        name="providers", dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED, max_hosts=_MOST_NAMES, dns_query_timeout=seconds(5)
    )


def _rules(refused: Iterable[Network]) -> Rbac:
    ranges = Permission(or_rules=PermissionSet(rules=[_leads_into(network) for network in refused]))
    return Rbac(action=RbacAction.DENY, policies={"address": Policy(permissions=[ranges], principals=[Principal(any=True)])})


def _leads_into(network: Network) -> Permission:
    matcher = UpstreamIpPortMatcher(upstream_ip=CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen))
    return Permission(matcher=TypedExtensionConfig(name="envoy.rbac.matchers.upstream_ip_port", typed_config=packed(matcher)))
