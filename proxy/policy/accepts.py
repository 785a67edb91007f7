"""Who reads a response: a person in a browser, or a program (RFC 9110 §12.5.1)."""

from collections.abc import Iterator

_FOR_PROGRAMS = frozenset({"application/json", "application/problem+json", "text/plain"})
_WILDCARDS = frozenset({"*/*", "*", "application/*"})


def navigates(fetch_mode: str, accept: str) -> bool:
    """Whether a browser opens the address for a person.

    By Sec-Fetch-Mode where it is sent, else by `application/xhtml+xml`, which browsers name when
    they navigate and programs do not.
    """
    if fetch_mode:
        return fetch_mode == "navigate"
    return "application/xhtml+xml" in accept.lower()


def wants_page(accept: str, fetch_mode: str) -> bool:
    """Whether HTML is the response to send: to who navigates, else by weights.

    Without a navigation, HTML must be named and weigh more than what programs read; a wildcard
    takes that too: Java's default names HTML first and is a program's.
    """
    if navigates(fetch_mode, accept):
        return True
    weights = dict(_weights(accept))
    if any(weights.get(wildcard, 0.0) > 0.0 for wildcard in _WILDCARDS):
        return False
    others = (weights.get(media_type, 0.0) for media_type in _FOR_PROGRAMS)
    return weights.get("text/html", 0.0) > max(others)


def wants_json(accept: str) -> bool:
    """Whether a program asks for JSON by name."""
    return "application/json" in accept.lower()


def shows_pictures(accept: str) -> bool:
    """Whether it is what browsers send for an `<img>`; programs do not name WebP."""
    return "image/webp" in accept.lower()


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range in lower case, with its weight from 0 to 1; 0 for one that is malformed."""
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        named = [value for name, _, value in (p.partition("=") for p in parameters) if name == "q"]
        yield media_range, _weight(named[0]) if named else 1.0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
