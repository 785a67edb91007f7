"""Which flow serves a request: one decision for who serves it and for who explains it."""

from collections.abc import Collection
from enum import StrEnum

from proxy.model import Kind
from proxy.policy.routes import Match
from proxy.policy.tunnel import is_call

_ATTACHMENTS = "/cards/{id}/attachments/{idAttachment}/"
"""What the templates of attachments' files begin with."""


class Handling(StrEnum):
    """How an answer comes about."""

    CACHED_READ = "read"
    """From the store, or asked and stored."""
    BATCH = "batch"
    """Part by part like that, where it lists plain reads only; else as `BYPASS`."""
    ATTACHMENT = "attachment"
    """A file that can be kept."""
    EXPORT = "export"
    """A file that is made for one asker."""
    WRITE = "write"
    """Forwarded once."""
    BYPASS = "bypass"
    """Asked, and handed on."""
    AUTH_NOTICE = "grant"
    """A page of the proxy's own."""


def handling_of(match: Match, query_names: Collection[str]) -> Handling:
    """The way of a request; JSONP is never stored: its answer is a script made for one page."""
    route = match.route
    match route.kind:
        case Kind.WRITE:
            return Handling.WRITE
        case Kind.AUTHORIZATION_PAGE:
            return Handling.AUTH_NOTICE
        case Kind.FILE:
            is_kept = route.template.startswith(_ATTACHMENTS)
            return Handling.ATTACHMENT if is_kept else Handling.EXPORT
        case Kind.BATCH:
            return Handling.BATCH
    is_stored = route.lifetimes.lifetime_s > 0 and not is_call(query_names)
    return Handling.CACHED_READ if is_stored else Handling.BYPASS
