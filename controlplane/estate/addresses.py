"""Which addresses a provider may have. Pure; used where a provider is declared, and written into Envoy's files for every connect."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Place = Literal["public", "loopback", "private", "never"]
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


LOOPBACK: Final = _networks("127.0.0.0/8", "::1/128")
NEVER: Final = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128"
)
"""This network, link-local (where clouds keep their machines' credentials, RFC 3927), protocol assignments, multicast, reserved."""
PRIVATE: Final = _networks("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "fc00::/7")
"""RFC 1918, shared address space (RFC 6598), benchmarking (RFC 2544), unique local (RFC 4193)."""
EMBEDDING: Final = _networks("::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
"""IPv6 that stands for IPv4: mapped (RFC 4291), translated (RFC 6052, 8215), 6to4 (RFC 3056). What is meant lies within."""


def place_of(host: str) -> Place | None:
    """Where a host leads, if it can be told from its text; None: a name that somebody else resolves."""
    if host == "localhost":
        return "loopback"
    try:
        return verdict_on(ip_address(host))
    except ValueError:
        return None


def verdict_on(address: IPv4Address | IPv6Address) -> Place:
    """Where an address leads. One that stands for an IPv4 address in IPv6 leads where that does; other translations lead nowhere."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None:
        return verdict_on(mapped)
    places: tuple[tuple[Place, tuple[Network, ...]], ...] = (("never", (*NEVER, *EMBEDDING)), ("loopback", LOOPBACK), ("private", PRIVATE))
    return next((place for place, networks in places if any(address in network for network in networks)), "public")
