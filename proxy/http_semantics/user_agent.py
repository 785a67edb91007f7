"""Client name for metrics: the first product of the User-Agent field.

A client may write anything there: text that could be an id, a key or a token is not repeated.
"""

import re
from functools import lru_cache

UNNAMED = "unnamed"
"""A client without a User-Agent."""
UNCLEAR = "unclear"
"""A client whose product could hold more than a name."""
BROWSER = "browser"

_PRODUCT = re.compile(r"[A-Za-z0-9._-]+")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")
_MAX_CHARS = 32
_MAX_DIGITS = 3


@lru_cache(maxsize=1024)
def client_name(user_agent: str) -> str:
    """The first product (RFC 9110 §10.1.5) in lower-case letters, digits, `.`, `_` and `-`.

    At most 32 characters, three of them digits: Trello's ids have more.
    """
    product = _PRODUCT.match(user_agent.strip())
    name = product[0].strip("._-").lower() if product else ""
    if not name:
        return UNNAMED
    if name == "mozilla":
        return BROWSER
    is_plain = len(name) <= _MAX_CHARS and sum(map(str.isdigit, name)) <= _MAX_DIGITS
    return name if is_plain and _NAME.match(name) else UNCLEAR
