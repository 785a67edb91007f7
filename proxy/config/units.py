"""Durations, sizes and rates as text: `30s`, `256MiB`, `100/10s`."""

import re

from proxy.model import Rate

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def duration(text: str, *, at_least_s: float = 0.0) -> float:
    """Seconds; ValueError unless a whole number with a unit, and not below the least."""
    amount_ms = _amount(text, _MILLISECONDS, max_digits=7)
    if amount_ms is None:
        raise ValueError("not a duration; write a number with its unit: 500ms, 30s, 10m, 1h, 1d")
    if amount_ms < at_least_s * 1_000:
        raise ValueError(f"too short; write {duration_text(at_least_s)} or more")
    return amount_ms / 1_000


def size(text: str, *, at_least: int = 1) -> int:
    """Bytes, one or more; ValueError as `duration`, for a binary unit."""
    size_bytes = _amount(text, _BYTES, max_digits=12)
    if not size_bytes:
        raise ValueError("not a size; write a number with its unit: 512B, 64KiB, 256MiB, 10GiB")
    if size_bytes < at_least:
        raise ValueError(f"too little; write {size_text(at_least)} or more")
    return size_bytes


def rate(text: str) -> Rate:
    """ValueError unless a number, a slash and a duration, both more than zero."""
    count, _, window = text.partition("/")
    window_ms = _amount(window, _MILLISECONDS, max_digits=7)
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", count) or not window_ms:
        raise ValueError("not a rate; write requests/duration: 100/10s")
    return Rate(int(count), window_ms / 1_000)


def duration_text(seconds: float) -> str:
    """The shortest text that `duration` reads back: `90s`, `10m`."""
    return _text(round(seconds * 1_000), _MILLISECONDS) if seconds else "0s"


def size_text(size_bytes: int) -> str:
    """The shortest text that `size` reads back: `256MiB`."""
    return _text(size_bytes, _BYTES)


def _amount(text: str, units: dict[str, int], *, max_digits: int) -> int | None:
    match = re.fullmatch(rf"([0-9]{{1,{max_digits}}})({'|'.join(units)})", text)
    return int(match[1]) * units[match[2]] if match else None


def _text(amount: int, units: dict[str, int]) -> str:
    """In the largest unit that divides the amount; `units` are in ascending order."""
    return next(f"{amount // n}{unit}" for unit, n in reversed(units.items()) if amount % n == 0)
