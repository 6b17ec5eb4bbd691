"""Clusters: extproc behind its Unix socket, and each provider behind TLS."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
    UpstreamConnectionOptions,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    Pipe,
    SocketAddress,
    TcpKeepalive,
    TransportSocket,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as UpstreamOptions
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsExplicitHttpConfig
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from contracts.errors import Unusable
from contracts.settings import MIB
from contracts.snapshot import ProviderRecord
from controlplane.envoy import addresses as envoy_addresses
from controlplane.envoy.edge import Edge
from controlplane.envoy.guard import never_clean
from controlplane.envoy.processor import CLUSTER, sockets_of
from controlplane.envoy.text import packed, seconds
from controlplane.estate.addresses import place_of

STREAMS: Final = 1_000_000
"""Circuit breakers out of the way: Envoy's default of 1,024 counts exchanges, and limits on those are ours to make."""

UPSTREAM: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True)
class Target:
    """A provider's URL, taken apart. `path` is what stands before the dialect's path; `authority` is the Host header."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def authority(self) -> str:
        """Host, with the port where it is not the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"

    @property
    def literal(self) -> bool:
        """The host is an IP address, so there is no name to look up or to send as SNI."""
        return _is_address(self.host)


def target_of(provider: ProviderRecord) -> Target:
    """Take a provider's URL apart. Raises Unusable for a URL that would carry a credential in the clear, or is none."""
    field = f"providers.{provider.name}.url"
    try:
        url = urlsplit(provider.url)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise Unusable(f"{field}: {error}.") from error
    if url.scheme not in {"http", "https"} or not host or url.query or url.fragment or url.username is not None:
        raise Unusable(f"{field}: write https://host[:port][/path], with no user, query or fragment.")
    tls = url.scheme == "https"
    if not tls and not provider.insecure and place_of(host) != "loopback":
        raise Unusable(f"{field}: plain HTTP would carry the credential readable. Use https://, or say insecure: true.")
    return Target(host, port or (443 if tls else 80), url.path.rstrip("/"), tls)


def cluster_name(provider: str) -> str:
    """Providers can't take the name of a cluster of ours."""
    return f"provider/{provider}"


def provider_cluster(provider: ProviderRecord, edge: Edge) -> Cluster:
    """One provider: name look-up, TLS with host check, HTTP/1.1 (request trailers can't pass), time-outs."""
    target = target_of(provider)
    http1 = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions(enable_trailers=False))
    cluster = Cluster(
        name=cluster_name(provider.name),
        connect_timeout=seconds(edge.connect_timeout_s),
        per_connection_buffer_limit_bytes=MIB,
        circuit_breakers=_breakers(),
        upstream_connection_options=UpstreamConnectionOptions(
            tcp_keepalive=TcpKeepalive(keepalive_time=60, keepalive_interval=15, keepalive_probes=4)
        ),
        typed_extension_protocol_options={
            UPSTREAM: packed(
                UpstreamOptions(common_http_protocol_options=HttpProtocolOptions(idle_timeout=seconds(60)), explicit_http_config=http1)
            )
        },
    )
    if envoy_addresses.looked_up(target.host):
        cluster.lb_policy = ClusterLbPolicy.CLUSTER_PROVIDED
        cluster.cluster_type = envoy_addresses.cluster_type()
    else:
        cluster.type = ClusterDiscoveryType.STATIC if target.literal else ClusterDiscoveryType.LOGICAL_DNS
        cluster.dns_lookup_family = ClusterDnsLookupFamily.ALL
        cluster.load_assignment = _at(
            cluster_name(provider.name), Address(socket_address=SocketAddress(address=target.host, port_value=target.port))
        )
    if target.tls:
        cluster.transport_socket = _tls(provider, target, edge)
    return cluster


def processor_cluster(edge: Edge) -> Cluster:
    """Extproc: gRPC on the Unix sockets of its workers, in turn."""
    http2 = Http2ProtocolOptions(
        max_concurrent_streams=100_000, initial_stream_window_size=4 * MIB, initial_connection_window_size=32 * MIB
    )
    return Cluster(
        name=CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        per_connection_buffer_limit_bytes=4 * MIB,
        load_assignment=_at(CLUSTER, *(Address(pipe=Pipe(path=str(socket))) for socket in sockets_of(edge))),
        circuit_breakers=_breakers(),
        typed_extension_protocol_options={
            UPSTREAM: packed(
                UpstreamOptions(
                    explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2), http_filters=never_clean()
                )
            )
        },
    )


def _tls(provider: ProviderRecord, target: Target, edge: Edge) -> TransportSocket:
    if edge.trust is None:
        raise Unusable(
            f"providers.{provider.name}.url: no file of trusted certificates was found to check https:// against. "
            "Install your system's ca-certificates, or name a PEM file in SSL_CERT_FILE."
        )
    kind = SubjectAltNameMatcherSanType.IP_ADDRESS if target.literal else SubjectAltNameMatcherSanType.DNS
    context = UpstreamTlsContext(
        sni="" if target.literal else target.host,
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
            alpn_protocols=["http/1.1"],
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(filename=str(edge.trust)),
                match_typed_subject_alt_names=[SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=target.host))],
            ),
        ),
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context))


def _at(name: str, *addresses: Address) -> ClusterLoadAssignment:
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address)) for address in addresses]
    return ClusterLoadAssignment(cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)])


def _breakers() -> CircuitBreakers:
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(max_connections=STREAMS, max_pending_requests=STREAMS, max_requests=STREAMS, max_retries=STREAMS)
        ]
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
