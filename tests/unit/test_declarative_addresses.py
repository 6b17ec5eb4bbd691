"""Addresses that people declare: where a provider may be, and from where a key may be used."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.errors import Unusable
from controlplane.estate.declarative import declared
from controlplane.estate.declared_values import network

IMPOSSIBLE = "is an address that no provider has"
PRIVATE = "is an address in a private range; if that is meant, say private: true"


def provider(url: str, **more: Any) -> str:
    """A file of one provider."""
    fields = "".join(f", {name}: {str(value).lower()}" for name, value in more.items())
    return f"organisation: a\nproviders:\n  p: {{dialect: openai, url: '{url}'{fields}}}\n"


def problem(text: str) -> str:
    """The only one."""
    with pytest.raises(Unusable) as refused:
        declared(text, "f.yaml")
    (line,) = str(refused.value).splitlines()
    assert line.startswith("f.yaml:3: providers.p.")
    return line


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "[fc00::1]",
        "[fd12:3456::1]",
    ],
)
def test_private_ranges_must_be_meant(host: str) -> None:
    """An address in one is refused, and taken with private: true."""
    assert PRIVATE in problem(provider(f"https://{host}/v1"))
    assert declared(provider(f"https://{host}/v1", private=True), "f").records["provider"]["p"].private


@pytest.mark.parametrize("more", [{}, {"private": True}])
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[fe80::1]",
        "[ff02::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
    ],
)
def test_some_addresses_are_nobodys(host: str, more: dict[str, bool]) -> None:
    """Link-local, unspecified, multicast and reserved ones are refused whatever is said, and so is IPv6 that stands for them."""
    assert IMPOSSIBLE in problem(provider(f"https://{host}/v1", **more))


@pytest.mark.parametrize(
    "host",
    ["2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518", "169.16689662", "010.0.0.1", "127.1", "0x7f.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "a.b.0x10"],
)  # fmt: skip
def test_ipv4_in_odd_spellings_does_not_slip_by(host: str) -> None:
    """What some resolvers take for an address, in decimal, octal, hexadecimal or with parts left out, is no host name here."""
    assert "odd spelling; write it as four decimal numbers" in problem(provider(f"https://{host}/v1"))


@pytest.mark.parametrize(("host", "shown"), [("[::ffff:169.254.169.254]", "169.254.169.254"), ("[::ffff:7f00:1]", "127.0.0.1")])
def test_ipv4_written_as_ipv6_is_refused(host: str, shown: str) -> None:
    """The message says how to write it."""
    assert f"has an IPv4 address written as IPv6; write it as {shown}" in problem(provider(f"https://{host}"))


def test_private_is_not_said_of_a_public_address() -> None:
    """It could be misread; of a name it may be said, as that can lead anywhere."""
    assert "this one is public; remove it" in problem(provider("https://192.0.2.1", private=True))
    assert declared(provider("https://models.internal", private=True), "f").records["provider"]["p"].private


@pytest.mark.parametrize("host", ["https://127.0.0.1:1", "http://127.9.9.9:1", "http://[::1]:1", "http://localhost:1"])
def test_this_machine_may_be_a_provider(host: str) -> None:
    """Loopback needs nothing said."""
    assert declared(provider(host), "f").records["provider"]["p"].url == host


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.17", "192.0.2.17/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0:0::1", "2001:db8::1/128"),
        ("::/0", "::/0"),
    ],
)
def test_networks_are_canonical(text: str, canonical: str) -> None:
    """An address is a network of one; IPv6 is in its short form."""
    assert network(text) == canonical
    assert network(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.1.2.3/8", "write the network, 10.0.0.0/8, or the address without its /8"),
        ("2001:db8::1/32", "write the network, 2001:db8::/32"),
        ("10.0.0.0/33", "must be an address or a network"),
        ("10.0.0.0/255.0.0.0", "must be an address or a network"),
        ("10.0.0.0/0.255.255.255", "must be an address or a network"),
        ("10.0.0.0/", "must be an address or a network"),
        ("10.0.0.0/ 8", "must be an address or a network"),
        ("10.0.0.0/٨", "must be an address or a network"),
        ("010.0.0.0/8", "must be an address or a network"),
        ("10.0.0", "must be an address or a network"),
        ("fe80::1%eth0", "must be an address or a network"),
        ("example.com", "must be an address or a network"),
        ("", "must be an address or a network"),
        ("::ffff:10.0.0.1", "holds IPv4 addresses written as IPv6"),
        ("::ffff:10.0.0.0/104", "holds IPv4 addresses written as IPv6"),
    ],
)
def test_what_is_no_network_is_refused(text: str, words: str) -> None:
    """Also what a library would take and no person means; host bits come with the network that they hide."""
    with pytest.raises(ValueError, match=r"^[a-z]") as refused:
        network(text)
    assert words in str(refused.value)
