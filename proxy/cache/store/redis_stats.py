"""Figures of the Redis backend for the metrics; known without Redis's client library."""

from dataclasses import dataclass, field

from proxy.observability.metrics import Histogram


@dataclass(slots=True)
class RedisStats:
    """What commands to Redis came to."""

    is_up: bool = False
    """Whether it replied to the last command."""
    durations: Histogram = field(default_factory=Histogram)
    errors: int = 0
    reasserts: int = 0
    """How often Redis had lost something, and was written anew from memory."""
    dropped: int = 0
    """Responses that were not stored: too large, or Redis was full."""
