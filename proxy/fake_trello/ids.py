"""Ids, shortLinks and dates in Trello's format; ids follow a fixed sequence."""

import re
from datetime import UTC, datetime

_MACHINE = "5ace0fdeca"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORT_LENGTH = 8
_STRIDE = 25214903917  # coprime to 62**8: every step gives another shortLink

HEX24 = re.compile(r"[0-9a-f]{24}\Z")
SHORT_LINK = re.compile(r"[0-9A-Za-z]{8}\Z")


class Ids:
    """Generates ids; the first eight digits are the time of creation in seconds."""

    def __init__(self, created_at: float | None = None) -> None:
        """`created_at`: the time in all ids, in POSIX seconds; None: each has its own."""
        self._created_at = created_at
        self._count = 0

    def new(self, now: float) -> str:
        """24 hexadecimal digits, larger than all earlier ids while the clock is not set back."""
        self._count += 1
        created_at = now if self._created_at is None else self._created_at
        return f"{int(created_at):08x}{_MACHINE}{self._count:06x}"

    def short_link(self) -> str:
        """Eight letters and digits."""
        self._count += 1
        number = self._count * _STRIDE % 62**_SHORT_LENGTH
        letters = []
        for _ in range(_SHORT_LENGTH):
            number, digit = divmod(number, 62)
            letters.append(_ALPHABET[digit])
        return "".join(letters)


def iso(at: float) -> str:
    """POSIX seconds as a date in Trello's format: UTC, milliseconds."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_date(text: str) -> float:
    """POSIX seconds of an ISO 8601 date or of an id's creation; ValueError for neither."""
    if HEX24.match(text):
        return float(int(text[:8], 16))
    date = datetime.fromisoformat(text.strip().replace(" UTC", "Z"))
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def slug(name: str) -> str:
    """A name as the last segment of a card's or board's URL."""
    text = re.sub(r"[^a-z0-9 -]", "", name.lower())
    return re.sub(r"[ -]+", "-", text).strip("-")
