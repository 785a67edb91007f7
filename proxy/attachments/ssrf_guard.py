"""Which addresses a redirected download may connect to: none inside, unless it is listed.

A name on the list may resolve to anything, today or in a second; so the address is judged at the
moment of connecting, not before.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from proxy.attachments.content_policy import is_listed_by_name

_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
_INSIDE = tuple(
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
"""Where clouds keep what their machines may do."""


def may_connect(address: str, port: int, listed: Iterable[str], *, is_host_named: bool) -> bool:
    """Whether to connect to `address`, found behind a host of the list.

    A public address always; any other if it stands on the list itself, or if the host is `named`
    there and not only fits a pattern. Link-local and metadata addresses need to stand there
    themselves.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if is_public(found) or is_listed_by_name(str(found), port, listed):
        return True
    return is_host_named and _is_ordinary(found)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is one of the Internet's, and does not lead to another that is not."""
    if isinstance(address, IPv6Address):
        within = _within(address)
        if within is not None and not is_public(within):
            return False
        if address in _NAT64 or address.ipv4_mapped is not None:
            return True
        if address not in _UNICAST or address.teredo is not None:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _INSIDE)
    )


def _within(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, NAT64 or 6to4."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_ordinary(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        address = _within(address) or address
    return not (
        address.is_multicast
        or address.is_unspecified
        or any(address in network for network in (*_LINK_LOCAL, *_INSIDE))
    )
