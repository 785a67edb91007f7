"""Ids, shortLinks and dates in Trello's spelling; a fixed sequence, so runs repeat."""

import re
from datetime import UTC, datetime

_MACHINE = "5ace0fdeca"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORT_LENGTH = 8
_STRIDE = 25214903917  # coprime to 62**8: every step gives another shortLink

HEX24 = re.compile(r"[0-9a-f]{24}\Z")
SHORT_LINK = re.compile(r"[0-9A-Za-z]{8}\Z")


class Ids:
    """The next id; the first eight digits are the second it was made in."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, now: float) -> str:
        """24 hexadecimal digits, larger than any given before while time does not run back."""
        self._count += 1
        return f"{int(now):08x}{_MACHINE}{self._count:06x}"

    def short_link(self) -> str:
        """Eight letters and digits."""
        self._count += 1
        rest = self._count * _STRIDE % 62**_SHORT_LENGTH
        letters = []
        for _ in range(_SHORT_LENGTH):
            rest, digit = divmod(rest, 62)
            letters.append(_ALPHABET[digit])
        return "".join(letters)


def iso(at: float) -> str:
    """POSIX seconds as Trello writes a date: UTC, milliseconds."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_date(text: str) -> float:
    """POSIX seconds of an ISO 8601 date or of an id's making; ValueError if it is neither."""
    if HEX24.match(text):
        return float(int(text[:8], 16))
    date = datetime.fromisoformat(text.strip().replace(" UTC", "Z"))
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def slug(name: str) -> str:
    """A name as it stands at the end of a card's or board's URL."""
    kept = re.sub(r"[^a-z0-9 -]", "", name.lower())
    return re.sub(r"[ -]+", "-", kept).strip("-")
