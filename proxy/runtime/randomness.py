"""Random numbers from an injected source of random bytes (D9)."""

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Returns a given number of random bytes."""


def uniform(random_bytes: RandomBytes) -> float:
    """A random number from 0 to 1, both included."""
    return int.from_bytes(random_bytes(4)) / 0xFFFFFFFF
