"""Figures about clients: their connections, and the memory that is held for them."""

from collections.abc import Sequence
from typing import get_args

from proxy.observability.metrics import GaugeCallback
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.connection_limits import ConnectionLimits, Reason


def client_gauges(
    memory: MemoryBudget, everyone: Sequence[ConnectionLimits]
) -> list[GaugeCallback]:
    """Of all listeners together."""
    return [
        GaugeCallback(
            "client_memory_bytes",
            "Bytes held for clients, by use.",
            lambda: {use: float(size) for use, size in memory.used_bytes.items()},
            "use",
        ),
        GaugeCallback(
            "client_memory_limit_bytes",
            "The bound of that.",
            lambda: {"": float(memory.limit_bytes)},
        ),
        GaugeCallback(
            "connections",
            "Connections of clients.",
            lambda: {"": float(sum(map(len, everyone)))},
        ),
        GaugeCallback(
            "connections_limit",
            "The bound of that.",
            lambda: {"": float(sum(each.limit for each in everyone))},
        ),
        GaugeCallback(
            "connections_closed",
            "Connections that the proxy closed for want of room or patience, by reason.",
            lambda: {
                reason: float(sum(each.closed[reason] for each in everyone))
                for reason in get_args(Reason)
            },
            "reason",
            counter=True,
        ),
    ]
