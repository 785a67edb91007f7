"""Sizes, counts and times as people read them."""

from datetime import UTC, datetime

_UNITS = ("KB", "MB", "GB", "TB")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def size_text(count: float) -> str:
    """`812 bytes`, `4.2 KB`, `38 MB`: thousands, as files are counted everywhere."""
    if count < 1000:
        return counted(int(count), "byte")
    for unit in _UNITS:
        count /= 1000
        if round(count) < 1000 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}" if round(count, 1) < 10 else f"{count:.0f} {unit}"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment_of(iso: str) -> datetime | None:
    """Trello's times, as in `2026-11-21T19:58:00.000Z`; None for anything else."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def day_text(moment: datetime) -> str:
    """`21 Nov 2026`."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def time_text(posix_s: float) -> str:
    """`21 Nov 2026, 19:58 UTC`."""
    moment = datetime.fromtimestamp(posix_s, UTC)
    return f"{day_text(moment)}, {moment:%H:%M} UTC"


def span_text(seconds: float) -> str:
    """`27 s`, `90 s`, `4 min`, `36 h`, `3 days`: the largest unit of which there are two."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"
