"""How much the header of a request may hold, in bytes and in members of its lists. Pure.

Whatever is read of a header takes time in proportion to it, on the event loop: with these bounds a
few milliseconds.
"""

import re
from collections.abc import Sequence

from proxy.credentials.body_extraction import MAX_MEMBERS
from proxy.errors import HeaderFieldsTooLarge, InvalidTarget

MAX_HEADER_BYTES = 64 * 1024
"""All fields of one request, names and values."""
_TARGET_SEPARATOR = re.compile(r"[/?&;,]|%2c|%26|%3b|%3f", re.I)
"""What ends a segment, a parameter or a member of a list, also where it is encoded once more."""


def check_target(raw: str) -> None:
    """BadTarget for a target of too many segments, parameters and members of lists."""
    if len(raw) > MAX_MEMBERS and len(_TARGET_SEPARATOR.findall(raw)) > MAX_MEMBERS:
        raise InvalidTarget(f"Send at most {MAX_MEMBERS:,} parameters, segments and list members.")


def check_fields(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """The bytes of all fields; HeaderFieldsTooLarge for too many, or too many list members."""
    size_bytes = sum([len(name) + len(value) for name, value in fields])
    if size_bytes > MAX_HEADER_BYTES:
        raise HeaderFieldsTooLarge(f"Send a header of at most {MAX_HEADER_BYTES // 1024} KiB.")
    if size_bytes > MAX_MEMBERS:
        members = sum([value.count(b",") + value.count(b";") for _, value in fields])
        if members > MAX_MEMBERS:
            raise HeaderFieldsTooLarge(
                f"Send fields of at most {MAX_MEMBERS:,} list members in all."
            )
    return size_bytes
