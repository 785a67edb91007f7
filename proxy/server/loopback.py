"""Loopback: whether a request was sent on the proxy's own machine, not forwarded to it (D51)."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

UNIX_PEER = "unix"
"""In place of the address of a client at a Unix socket."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_FORWARDING = re.compile(
    r"forwarded|via|cdn-loop|.*-(?:client-?|connecting-|user-?)ip"
    r"|x-(?:forwarded|original|proxy|real|remote|varnish).*"
    r"|(?:x-)?(?:akamai|amzn?|appengine|arr|azure|cf|cloudfront|envoy|fastly|fly|nf|sucuri"
    r"|tailscale|vercel)-.*",
    re.IGNORECASE,
)
"""Fields that proxies and clouds add (RFC 7239, RFC 8586, RFC 9110 §7.6.3, and by custom)."""


def is_local(peer: str, host: str | None, field_names: Iterable[str]) -> bool:
    """Whether the request was sent on this machine.

    `peer` is the address that connected, `host` the name in the Host field. Behind a reverse proxy
    on the same machine every peer is a loopback address: so no field may say that the request was
    forwarded, and the name must be one that means this machine on this machine only.
    """
    is_here = peer == UNIX_PEER or is_loopback(peer)
    if not is_here or not is_loopback(host or ""):
        return False
    return not any(map(_FORWARDING.fullmatch, field_names))


def is_loopback(name: str) -> bool:
    """Whether a host name or address, without brackets, is this machine's own (RFC 6761 §6.3)."""
    if name.lower() in LOOPBACK_NAMES:
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
