"""Figures about clients: their connections, and the memory that is held for them."""

from collections.abc import Sequence
from typing import get_args

from proxy.edge.connections import Connections, Reason
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Reading


def client_readings(memory: MemoryBudget, everyone: Sequence[Connections]) -> list[Reading]:
    """Of all listeners together."""
    return [
        Reading(
            "client_memory_bytes",
            "Bytes held for clients, by use.",
            lambda: {use: float(size) for use, size in memory.used_bytes.items()},
            "use",
        ),
        Reading(
            "client_memory_limit_bytes",
            "The bound of that.",
            lambda: {"": float(memory.limit_bytes)},
        ),
        Reading(
            "connections",
            "Connections of clients.",
            lambda: {"": float(sum(map(len, everyone)))},
        ),
        Reading(
            "connections_limit",
            "The bound of that.",
            lambda: {"": float(sum(each.limit for each in everyone))},
        ),
        Reading(
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
