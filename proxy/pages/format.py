"""Sizes, counts, dates and durations formatted for people."""

import re
from datetime import UTC, datetime

_UNITS = ("KB", "MB", "GB", "TB")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 without tab and line feed, and what reorders the text behind it (UAX 9)."""


def clean_text(text: str) -> str:
    """The text without characters that would change how the rest of a page is read."""
    return _CONTROLS.sub("", text)


def shortened(text: str, max_chars: int) -> str:
    """At most `max_chars` of a text, with an ellipsis where something was cut."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def size_text(size_bytes: float) -> str:
    """`812 bytes`, `4.2 KB`, `38 MB`: decimal units, two significant digits."""
    if size_bytes < 1000:
        return counted(int(size_bytes), "byte")
    for unit in _UNITS:
        size_bytes /= 1000
        if round(size_bytes) < 1000 or unit == _UNITS[-1]:
            break
    return f"{size_bytes:.1f} {unit}" if round(size_bytes, 1) < 10 else f"{size_bytes:.0f} {unit}"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def parse_time(iso: str) -> datetime | None:
    """Trello's times, as `2026-11-21T19:58:00.000Z`, in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(iso)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def date_text(moment: datetime) -> str:
    """`21 Nov 2026`."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def time_text(posix_s: float) -> str:
    """`21 Nov 2026, 19:58 UTC`."""
    moment = datetime.fromtimestamp(posix_s, UTC)
    return f"{date_text(moment)}, {moment:%H:%M} UTC"


def duration_text(seconds: float) -> str:
    """`27 s`, `90 s`, `4 min`, `36 h`, `3 days`: the largest unit that fits at least twice."""
    for unit_s, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{int(seconds // unit_s)} {name}"
    return f"{int(seconds)} s"
