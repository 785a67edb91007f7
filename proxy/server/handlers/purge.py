"""Purge handlers: `/-/purge` for everything or what its parameters name, and the method PURGE.

What shows an object is purged as if a write had changed the object; files stay.
"""

import json
import re
from collections.abc import Set
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.access.audit import object_ids
from proxy.cache.aliases import AliasResolver
from proxy.cache.invalidation import Invalidator
from proxy.errors import InvalidTarget, MethodNotAllowed
from proxy.http_semantics.cache_control import NONE
from proxy.http_semantics.fields import serialize
from proxy.model import Tag
from proxy.pages.explain import target_of_url
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.server.response import WireResponse
from proxy.trello.tags import EVERYTHING, KINDS, SPANNING
from proxy.trello.write_effects import tags_showing

PURGE = "/-/purge"
_PATHS = {"board": "/1/boards/", "card": "/1/cards/"}
_PAGE = re.compile(r"/([bc])/([0-9A-Za-z]{1,64})(?:[/?].*)?", re.DOTALL)
_NAMING = ("/1/", "/b/", "/c/")
_NAME = re.compile(r"[0-9A-Za-z]{8}|[0-9a-f]{24}")
_TAG = re.compile(rf"(?:{'|'.join(KINDS)}):(?:[0-9A-Za-z_]{{1,100}}|\*)|{SPANNING}|{EVERYTHING}")
_USAGE = f"Use {PURGE}?url=, board=, card= or tag=; without any of them, everything is purged."
_NAMELESS = f"It names no board, card or other object. {_USAGE}"
_MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeHandler:
    """Handlers of purges; none of them sends an upstream request."""

    invalidator: Invalidator
    parser: RequestParser
    aliases: AliasResolver

    async def purge(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Purge what the parameters name, or everything; MethodNotAllowed, InvalidTarget."""
        context.route, context.is_audited = PURGE, True
        if request.method != "POST":
            raise MethodNotAllowed("Use POST.", "POST, OPTIONS")
        if request.body_exists:
            raise InvalidTarget(f"Send no body. {_USAGE}")
        query = request.raw_path.partition("?")[2]
        return await self._purge(self._named(query) if query else {EVERYTHING}, context)

    async def purge_target(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The method PURGE: purge what shows the object at the request target; InvalidTarget."""
        context.route, context.is_audited = PURGE, True
        return await self._purge(self._shown_at(request.raw_path), context)

    async def _purge(self, tags: Set[Tag], context: RequestContext) -> WireResponse:
        names = [("", tag.partition(":")[2]) for tag in sorted(tags)]
        context.object_ids = object_ids(names, ())
        self.invalidator.purge(tags, "purge")
        await self.invalidator.settle()
        purged = "everything" if EVERYTHING in tags else sorted(tags)
        fields = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        body = json.dumps({"purged": purged}).encode() + b"\n"
        return WireResponse(200, serialize(fields), body)

    def _named(self, query: str) -> Set[Tag]:
        """The tags that the parameters of a query name; InvalidTarget for any other parameter."""
        try:
            pairs = parse_qsl(
                query,
                keep_blank_values=True,
                strict_parsing=True,
                max_num_fields=_MAX_PARAMETERS,
            )
        except ValueError:
            raise InvalidTarget(_USAGE) from None
        return {tag for name, value in pairs for tag in self._named_by(name, value)}

    def _named_by(self, name: str, value: str) -> Set[Tag]:
        if name == "url":
            target = target_of_url(value)
            if not target.startswith(_NAMING):
                raise InvalidTarget(_NAMELESS)
            return self._shown_at(target)
        if name in _PATHS and _NAME.fullmatch(value):
            return self._shown_at(_PATHS[name] + value)
        if name == "tag" and _TAG.fullmatch(value):
            return {Tag(value)}
        raise InvalidTarget(_USAGE)

    def _shown_at(self, target: str) -> Set[Tag]:
        """The tags of what shows the object that a target names."""
        page = _PAGE.fullmatch(target)
        if page is not None:
            target = _PATHS["board" if page[1] == "b" else "card"] + page[2]
        request = self.parser.internal_get(target, NONE)
        tags = tags_showing(request.match, self.aliases.lookup(request))
        if not tags:
            raise InvalidTarget(_NAMELESS)
        return tags
