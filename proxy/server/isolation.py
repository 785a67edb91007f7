"""What a browser may do with a response: fields of whatever is no page and no file (D6).

Trello's answers are data, whatever their type says: never guessed at, never run, no part of any
origin, and shown to pages of this origin only. Every browser in use heeds this over plain http too.
"""

from proxy.http_semantics.fields import serialize

POLICY = b"\r\nContent-Security-Policy: "
"""In a header that has a policy of its own, behind its first field."""

_SANDBOX = "default-src 'none'; frame-ancestors 'none'; sandbox"


def _fields(resource_policy: str) -> bytes:
    return serialize(
        (
            ("Content-Security-Policy", _SANDBOX),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", resource_policy),
        )
    )


ISOLATED = _fields("same-origin")
"""For everything else."""
EMBEDDABLE = _fields("cross-origin")
"""For a script that any page may load."""
