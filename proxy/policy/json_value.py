"""JSON that is read beside the loop.

The parser lets no other thread run before it is done, 15 ms for each megabyte; so a long array is
read element by element.
"""

import json
import re

_MORE = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_FIRST = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*+(?!\])")
_LAST = re.compile(r"[ \t\n\r]*\][ \t\n\r]*\Z")
_decode = json.JSONDecoder().raw_decode


def value_of(body: bytes) -> object:
    """What the JSON says; ValueError when it is none, RecursionError when it goes too deep."""
    text = body.decode()
    first = _FIRST.match(text)
    return _array(text, first.end()) if first else json.loads(text)


def _array(text: str, at: int) -> list[object]:
    """The elements of an array whose first begins at `at`."""
    found: list[object] = []
    while True:
        value, at = _decode(text, at)
        found.append(value)
        more = _MORE.match(text, at)
        if more is None:
            break
        at = more.end()
    if not _LAST.match(text, at):
        raise ValueError("an array without a clean end")
    return found
