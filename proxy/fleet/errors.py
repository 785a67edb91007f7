"""Errors of the fleet, as clients see them; the tree is in `proxy/errors.py`."""

from proxy.errors import ProxyError, problem


@problem(503, "no-leader", "The proxy has no leader", "destination_unavailable")
class NoLeader(ProxyError):
    """No node of the fleet leads, or none that can be reached; nothing was sent."""

    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__("Nothing was sent; another node takes over within seconds.")


@problem(502, "leader-lost", "The proxy lost its leader", "connection_terminated")
class LeaderLost(ProxyError):
    """A write whose leader ended or lost its lease: it may have been made."""

    def __init__(self) -> None:
        super().__init__("Look whether the change was made before you send it again.")
