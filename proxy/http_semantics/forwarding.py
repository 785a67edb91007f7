"""Forwarding: the client's address, as reverse proxies add it to a request (RFC 7239).

Each proxy appends the address that connected to it. So the client is the right-most address that is
not of a trusted proxy: whatever stands before it, the client may have written itself.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_FOR = re.compile(r'(?i)(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^";\s]*))')
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\w+)?|([^:\s]*):\w+")
_USER = re.compile("[^\\x00-\\x1f\\x7f-\\xa0\u2028\u2029\\ud800-\\udfff]{1,100}")
_MAX_HOPS = 32
"""Read of one field, from its end."""


class TrustedProxies:
    """Networks of reverse proxies whose forwarding fields are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks`: addresses, networks, or other names of peers, which match literally."""
        self._names = frozenset(networks)
        self._networks = [n for n in map(_network, self._names) if n is not None]

    def trusts(self, peer: str) -> bool:
        """Whether this peer is a trusted proxy."""
        if not self._names:
            return False
        if peer in self._names:
            return True
        address = _address(peer)
        parsed = ip_address(address) if address else None
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_address(self, peer: str, values: Callable[[str], Sequence[str]]) -> str:
        """The client's address, of a request that a trusted `peer` sent; `values` of a field.

        The peer's own if nothing says another, or if two fields disagree: one of them is then not
        the proxy's, but came with the request.
        """
        forwarded = [_for(each) for each in _members(values("Forwarded"))]
        chains = filter(None, (forwarded, _members(values("X-Forwarded-For"))))
        found = {self._right_most(hops) for hops in chains}
        real = self._right_most(_members(values("X-Real-IP"))[-1:])
        if real and not (found and self.trusts(real)):
            found.add(real)
        return (found.pop() if len(found) == 1 else "") or peer

    def _right_most(self, hops: Sequence[str]) -> str:
        """The right-most untrusted address; empty if there is none."""
        nearest = ""
        for hop in reversed(hops[-_MAX_HOPS:]):
            address = _address(hop)
            if not address:
                break
            nearest = address
            if not self.trusts(address):
                break
        return nearest


def user_of(values: Sequence[str]) -> str:
    """The user in a field that a trusted proxy sets; empty if it is not clear who that is."""
    user = values[0].strip() if len(values) == 1 else ""
    return user if _USER.fullmatch(user) else ""


def _members(values: Sequence[str]) -> list[str]:
    return [member.strip() for value in values for member in value.split(",")]


def _for(element: str) -> str:
    """The node that an element of Forwarded is for (RFC 7239 §5.2); empty if it names none."""
    found = _FOR.search(element)
    return (found[1] or found[2] or "") if found else ""


def _address(text: str) -> str:
    """An IP address without its port, normalised; empty for anything else."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((with_port[1] or with_port[2] or "") if with_port else text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
