"""What a tool is called in metrics: the product of its User-Agent, and nothing else of it.

A client may write anything there. What might be an id, a key or a token is not repeated.
"""

import re
from functools import lru_cache

UNNAMED = "unnamed"
"""Who does not say what it is."""
UNCLEAR = "unclear"
"""Whose name might be more than a name."""
BROWSER = "browser"

_PRODUCT = re.compile(r"[A-Za-z0-9._-]+")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")
_MOST_CHARS = 32
_MOST_DIGITS = 3


@lru_cache(maxsize=1024)
def client_name(user_agent: str) -> str:
    """The first product (RFC 9110 §10.1.5) in small letters, digits, `.`, `_` and `-`.

    At most 32 characters with three digits among them: an id of Trello's has more.
    """
    product = _PRODUCT.match(user_agent.strip())
    name = product[0].strip("._-").lower() if product else ""
    if not name:
        return UNNAMED
    if name == "mozilla":
        return BROWSER
    is_plain = len(name) <= _MOST_CHARS and sum(map(str.isdigit, name)) <= _MOST_DIGITS
    return name if is_plain and _NAME.match(name) else UNCLEAR
