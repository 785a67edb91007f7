"""Contents of a forwarded batch: every path and parameter that it may name. Pure.

It is not known how many encodings of a batch's list Trello undoes. So it is decoded repeatedly and
split at every possible separator: paths and parameters of any of these readings count.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from proxy.errors import InvalidTarget
from proxy.http_semantics.parameters import Parameter
from proxy.trello.routes import Match

MAX_PIECES = 2_000
"""Pieces of one reading."""
MAX_SEGMENTS = 16
"""Segments of one path; Trello's longest has eight."""
_MAX_READINGS = 5
"""Times that the list is decoded."""
_SEPARATORS = re.compile("[,;?&\"']+")
_SLASHES = re.compile(r"[/\\]+")
_ADVICE = "Write the batch as one list, percent-encoded once: urls=%2Fboards%2Fx%2C%2Fcards%2Fy"

Classify = Callable[[str, Sequence[str]], Match]
"""The match of a method and the decoded segments of a path below /1."""


@dataclass(frozen=True, slots=True)
class BatchContents:
    """Everything that a batch may read or set."""

    parameters: tuple[Parameter, ...] = ()
    paths: tuple[Match, ...] = ()
    """Matches of every path, and of every end of it."""


def read_batch(query: str, classify: Classify) -> BatchContents:
    """The contents of a batch's raw query; InvalidTarget if it is too long or deeply encoded."""
    parameters = dict[Parameter, None]()
    paths = dict[tuple[str, ...], None]()
    for reading in _readings(query):
        pieces = _SEPARATORS.split(reading)
        if len(pieces) > MAX_PIECES:
            raise InvalidTarget(_ADVICE)
        for piece in pieces:
            name, _, value = piece.partition("=")
            parameters[name, value] = None
            for path in (name, value):
                paths[tuple(segment for segment in _SLASHES.split(path) if segment)] = None
    return BatchContents(
        tuple(parameters), tuple(classify("GET", end) for path in paths for end in _ends(path))
    )


def _readings(query: str) -> Iterator[str]:
    """The text at each level of decoding; InvalidTarget if there are too many."""
    for _ in range(_MAX_READINGS):
        yield query
        decoded = unquote_plus(query, errors="surrogateescape")
        if decoded == query:
            return
        query = decoded
    raise InvalidTarget(_ADVICE)


def _ends(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path, and its rest after each slash; InvalidTarget."""
    if len(path) > MAX_SEGMENTS or {".", ".."}.intersection(path):
        raise InvalidTarget(_ADVICE)
    return (path[start:] for start in range(len(path)))
