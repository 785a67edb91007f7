"""What a tool calls itself, as one bounded word: never an id, a key or a version."""

import re
from collections.abc import Collection

OTHER = "other"
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}(?=[\s/;,(]|\Z)")
_UNLIKE_A_NAME = re.compile(r"[0-9]{5}|[0-9A-Fa-f]{12}")


def tool_name(user_agent: str, known: Collection[str], most: int) -> str:
    """The first product of a User-Agent (RFC 9110 §10.1.5), in lower case, without its version.

    OTHER for what has none, for what looks like an id or a credential, and for a new name where
    `most` are `known` already.
    """
    product = _PRODUCT.match(user_agent.strip())
    if product is None or _UNLIKE_A_NAME.search(product[0]):
        return OTHER
    name = product[0].rstrip(".-_").lower()
    return name if name in known or len(known) < most else OTHER
