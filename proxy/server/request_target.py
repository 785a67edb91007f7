"""Absolute-form request targets, served as the origin-form they stand for (RFC 9112 §3.2.2)."""

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from proxy.errors import InvalidTarget
from proxy.http_semantics.target import split_absolute


def in_origin_form(request: web.BaseRequest) -> web.BaseRequest:
    """The request with a path for its target, and the target's authority for its Host field.

    The same object unless it came in absolute-form. BadTarget where the target has no path that
    begins with one slash.
    """
    authority, target = split_absolute(request.raw_path)
    if not authority:
        return request
    if target.startswith("//"):
        raise InvalidTarget("Begin the path with one '/'.")
    fields = CIMultiDict(
        (name, value.encode("utf-8", "replace").decode()) for name, value in request.headers.items()
    )
    fields["Host"] = authority
    return request.clone(rel_url=URL(target, encoded=True), headers=fields)
