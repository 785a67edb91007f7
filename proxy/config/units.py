"""Durations, sizes and rates as people write them: `30s`, `256MiB`, `100/10s`."""

import re
from dataclasses import dataclass

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"([0-9]{1,7})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB|TiB)")
_RATE = re.compile(r"([0-9]{1,9})/(\S+)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `window_s` seconds."""

    count: int
    window_s: float

    def __str__(self) -> str:
        return f"{self.count}/{duration_text(self.window_s)}"


def duration(text: str) -> float:
    """Seconds. ValueError unless a whole number with a unit."""
    written = _DURATION.fullmatch(text)
    if written is None:
        raise ValueError("not a duration; write a number with its unit: 500ms, 30s, 10m, 1h, 1d")
    return int(written[1]) * _MILLISECONDS[written[2]] / 1_000


def positive_duration(text: str) -> float:
    """Seconds, more than none. ValueError otherwise."""
    seconds = duration(text)
    if not seconds:
        raise ValueError("a duration of nothing; write at least 1ms")
    return seconds


def duration_text(seconds: float) -> str:
    """The shortest way to write it: `90s`, `10m`; `duration` reads it back."""
    return _largest(round(seconds * 1_000), _MILLISECONDS, none="0s")


def size(text: str) -> int:
    """Bytes, more than none. ValueError unless a whole number with a binary unit."""
    written = _SIZE.fullmatch(text)
    if written is None or not int(written[1]):
        raise ValueError("not a size; write a number with its unit: 512B, 64KiB, 256MiB, 10GiB")
    return int(written[1]) * _BYTES[written[2]]


def size_text(count: int) -> str:
    """The shortest way to write it: `256MiB`; `size` reads it back."""
    return _largest(count, _BYTES, none="0B")


def rate(text: str) -> Rate:
    """ValueError unless a number, a slash and a duration, neither of them nothing."""
    written = _RATE.fullmatch(text)
    try:
        parsed = Rate(int(written[1]), positive_duration(written[2])) if written else None
    except ValueError:
        parsed = None
    if parsed is None or not parsed.count:
        raise ValueError("not a rate; write requests/duration: 100/10s") from None
    return parsed


def _largest(amount: int, units: dict[str, int], none: str) -> str:
    """The amount in the largest unit that divides it; units stand in ascending order."""
    if not amount:
        return none
    name, unit = next((n, u) for n, u in reversed(units.items()) if amount % u == 0)
    return f"{amount // unit}{name}"
