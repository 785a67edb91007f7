"""Contents of a batch that is sent as it came: every path and parameter that it may name. Pure.

Which of the ways to encode a batch's list Trello undoes is not known. So it is decoded again and
again, and split wherever one of them may split it: what it names in any of these readings counts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from proxy.errors import InvalidTarget
from proxy.http_semantics.parameters import Parameter
from proxy.trello.routes import Match

MAX_PIECES = 2_000
"""Of one reading."""
MAX_SEGMENTS = 16
"""Of one path; Trello's longest has eight."""
_MAX_READINGS = 5
"""Decoded once more in each."""
_SEPARATORS = re.compile("[,;?&\"']+")
_SLASHES = re.compile(r"[/\\]+")
_ADVICE = "Write the batch as one list, percent-encoded once: urls=%2Fboards%2Fx%2C%2Fcards%2Fy"

Classify = Callable[[str, Sequence[str]], Match]
"""What a method and the decoded segments of a path below /1 are for."""


@dataclass(frozen=True, slots=True)
class BatchContents:
    """All that a batch may read or set."""

    parameters: tuple[Parameter, ...] = ()
    paths: tuple[Match, ...] = ()
    """Of every end of every path, whatever stands before it."""


def read_batch(query: str, classify: Classify) -> BatchContents:
    """The contents of a batch's raw query; InvalidTarget where they cannot be told."""
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
    """The text, decoded again and again until nothing in it is encoded; InvalidTarget."""
    for _ in range(_MAX_READINGS):
        yield query
        decoded = unquote_plus(query, errors="surrogateescape")
        if decoded == query:
            return
        query = decoded
    raise InvalidTarget(_ADVICE)


def _ends(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path, and what is left of it behind each of its slashes; InvalidTarget."""
    if len(path) > MAX_SEGMENTS or {".", ".."}.intersection(path):
        raise InvalidTarget(_ADVICE)
    return (path[start:] for start in range(len(path)))
