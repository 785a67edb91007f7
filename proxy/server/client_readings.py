"""Readings for the metrics about clients: their connections, and the memory held for them."""

from collections.abc import Sequence
from typing import get_args

from proxy.observability.metrics import Readings
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.connection_limits import ConnectionLimits, Reason
from proxy.server.tls import ListenerTls


def client_readings(memory: MemoryBudget, listeners: Sequence[ConnectionLimits]) -> Readings:
    """Connections of all listeners together, and the memory budget they share."""
    return {
        "client_memory_bytes": lambda: memory.used_bytes,
        "client_memory_limit_bytes": lambda: memory.limit_bytes,
        "connections": lambda: sum(map(len, listeners)),
        "connections_limit": lambda: sum(each.limit for each in listeners),
        "connections_closed_total": lambda: {
            reason: sum(each.closed[reason] for each in listeners) for reason in get_args(Reason)
        },
    }


def tls_readings(tls: ListenerTls | None, clock: Clock) -> Readings:
    """The time until the certificate of the listeners expires; None without one."""

    def expires_s() -> float | None:
        return None if tls is None else tls.certificate.expires_at - clock.now()

    return {"tls_certificate_expires_seconds": expires_s}
