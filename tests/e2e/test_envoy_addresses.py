"""A provider's name may lead to another address tomorrow: Envoy itself looks where, at every connect.

`*.localhost` leads to this machine on any (RFC 6761, section 6.3), so it stands for a name that turned to an address within.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from certificates import Authority
from cryptography import x509
from envoy_rig import edge_in, envoy
from scripted_processor import Processor, processor
from watched_provider import Provider, provider

from contracts.snapshot import ProviderRecord

NAME = "provider.localhost"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: sockets live in it."""
    with TemporaryDirectory(prefix="pcl") as name:
        yield Path(name)


@pytest.fixture
def judge(folder: Path) -> Iterator[Processor]:
    """The processor: everything goes to `main`."""
    with processor(folder / "x.sock") as made:
        yield made


def named(server: Provider, *, scheme: str = "http", private: bool = False, name: str = NAME) -> ProviderRecord:
    """The provider under a name that others resolve."""
    return ProviderRecord("main", "openai", f"{scheme}://{name}:{server.port}/v1", insecure=scheme == "http", private=private)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_within_is_not_connected_to(folder: Path, judge: Processor, scheme: str) -> None:
    """502, in our shape; no connection is made, so nothing within can be felt out either."""
    authority = Authority(folder, "ca")
    tls = authority.server(x509.DNSName(NAME)) if scheme == "https" else None
    with provider(tls) as server, envoy(edge_in(folder, trust=authority.bundle), named(server, scheme=scheme)) as gate:
        reply = gate.ask()
        line = gate.lines(1)[0]

    assert (reply.status, reply.error["code"]) == (502, "upstream_error")
    assert line["details"].startswith("rbac_access_denied")
    assert server.connections == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_may_lead_within_is_served(folder: Path, judge: Processor, scheme: str) -> None:
    """With `private: true`: host, path and the certificate's name are as for any other."""
    authority = Authority(folder, "ca")
    tls = authority.server(x509.DNSName(NAME)) if scheme == "https" else None
    with provider(tls) as server, envoy(edge_in(folder, trust=authority.bundle), named(server, scheme=scheme, private=True)) as gate:
        assert gate.ask().status == 200

    assert server.received[0].headers["host"] == f"{NAME}:{server.port}"
    assert server.received[0].path == "/v1/chat/completions"


def test_another_name_in_the_certificate_is_502(folder: Path, judge: Processor) -> None:
    """A looked-up name is checked like a plain one."""
    authority = Authority(folder, "ca")
    with (
        provider(authority.server(x509.DNSName("other.localhost"))) as server,
        envoy(edge_in(folder, trust=authority.bundle), named(server, scheme="https", private=True)) as gate,
    ):
        assert gate.ask().status == 502

    assert server.received == []


def test_permission_comes_and_goes_with_the_file(folder: Path, judge: Processor) -> None:
    """Taken back under a running Envoy, it holds for the next request, also on a connection that is open already."""
    with provider() as server, envoy(edge_in(folder), named(server, private=True)) as gate:
        assert gate.ask().status == 200
        gate.apply(named(server))
        for _ in range(200):
            if gate.ask().status == 502:
                break
        before = len(server.received)

        assert gate.ask().status == 502
        assert len(server.received) == before
