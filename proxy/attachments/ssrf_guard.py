"""SSRF guard: the addresses that a redirected download may connect to. Pure.

Private addresses must be listed. A listed name may resolve to any address at any time, so the
address is checked when the connection is made.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from proxy.attachments.content_policy import is_listed_by_name

_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
_RESERVED = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # a cloud's metadata, at a public address
            "192.0.0.0/24",  # protocol assignments, another cloud's metadata among them
            "192.88.99.0/24",  # relays of 6to4
        ),
    )
)
_LINK_LOCAL = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")))
"""Metadata services of clouds, which hold the credentials of a machine."""


def may_connect(address: str, port: int, listed: Iterable[str], *, is_host_named: bool) -> bool:
    """Whether to connect to an `address` of a listed host.

    A public address always; any other if the list has the address itself, or if the host
    `is_host_named` in it rather than matched by a pattern. Link-local and metadata addresses must
    be listed themselves.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if is_public(found) or is_listed_by_name(str(found), port, listed):
        return True
    return is_host_named and _is_ordinary(found)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is public, and so is the IPv4 address that it may embed."""
    if isinstance(address, IPv6Address):
        embedded = _embedded(address)
        if embedded is not None and not is_public(embedded):
            return False
        if address in _NAT64 or address.ipv4_mapped is not None:
            return True
        if address not in _UNICAST or address.teredo is not None or address.sixtofour is not None:
            return False  # tunnels lead anywhere, and Python's versions differ about 6to4
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _RESERVED)
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address embedded in an IPv6 one: mapped, NAT64 or 6to4."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_ordinary(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        address = _embedded(address) or address
    return not (
        address.is_multicast
        or address.is_unspecified
        or any(address in network for network in (*_LINK_LOCAL, *_RESERVED))
    )
