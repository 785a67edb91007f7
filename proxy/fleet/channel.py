"""Channel: one WebSocket between two nodes, as the fleet needs it; implemented by the server.

The transport authenticates both ends before it gives a channel to the fleet.
"""

from typing import Protocol

from proxy.fleet.protocol import Message


class ChannelClosed(Exception):
    """The other node cannot be reached, or the connection has ended."""


class Channel(Protocol):
    """Messages in order, both ways; methods raise only ChannelClosed."""

    async def send(self, message: Message) -> None:
        """Hand the message to the connection."""

    async def receive(self) -> Message:
        """The next message of a known type."""

    async def close(self) -> None:
        """End the connection; what was sent may still arrive. Any number of times."""


class Connector(Protocol):
    """Opens channels to other nodes."""

    async def connect(self, address: str) -> Channel:
        """A channel to the node at `host:port`; ChannelClosed within TIMEOUT_S without one."""
