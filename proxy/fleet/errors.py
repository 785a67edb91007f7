"""Errors of the fleet, as clients see them; the tree is in `proxy/errors.py`."""

from typing import ClassVar

from proxy.errors import ClientError, ProxyError, Source, UpstreamError, problem


@problem(503, "no-leader", "The proxy has no leader", "destination_unavailable")
class NoLeader(UpstreamError):
    """No node of the fleet leads, or none that can be reached; nothing was sent."""

    source: ClassVar[Source] = "proxy"
    sent = False
    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__("Nothing was sent; another node takes over within seconds.")


@problem(502, "leader-lost", "The proxy lost its leader", "connection_terminated")
class LeaderLost(ProxyError):
    """A write whose leader ended or lost its lease: it may have been made."""

    def __init__(self) -> None:
        super().__init__("Look whether the change was made before you send it again.")


@problem(503, "apart", "The proxy has lost the others", "destination_unavailable")
class Apart(ProxyError):
    """A write at a node that reaches no leader and cannot become one; nothing was sent."""

    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__("Nothing was sent; reads are served, writes only with the other nodes.")


@problem(403, "not-a-node", "This address is for other nodes")
class NotANode(ClientError):
    """A request at `fleet.listen` that is not signed with the fleet's key."""
