"""Request parser: makes an ApiRequest from an HTTP request, by what is forwarded (D3, D5, D54)."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import NoReturn, TypedDict
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.config.schema import Clients
from proxy.credentials.extraction import (
    NOTHING,
    PATH_PLACEHOLDER,
    ExtractedCredential,
    StrippedRequest,
    is_bearer,
    strip_request,
)
from proxy.credentials.identity import RequestIdentity, StoredCredential
from proxy.errors import CredentialRejected, CredentialRequired, InvalidTarget, NotFound
from proxy.http_semantics import cache_control
from proxy.http_semantics.content import accepts_images, prefers_html
from proxy.http_semantics.fetch_metadata import FetchMetadata
from proxy.http_semantics.fields import TO_UPSTREAM_WITH_READS, to_upstream
from proxy.http_semantics.target import (
    Target,
    canonical_query,
    host_name,
    names_in,
    parse,
    target_of,
    with_parameters,
)
from proxy.http_semantics.trace_context import TraceContext
from proxy.http_semantics.user_agent import client_name
from proxy.links.rewrite import LinkRewriter
from proxy.model import CacheKey, Credential, Fields, Kind, Priority
from proxy.runtime.memory_budget import Hold
from proxy.runtime.offload import run_for_client
from proxy.server.permission import Permission
from proxy.server.request_body import RequestBody, read_body, read_parameters
from proxy.server.request_context import RequestContext
from proxy.trello.batch_codec import is_cacheable_part, parse_urls
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.rate_limits import PREFETCH_USER_AGENT
from proxy.trello.routes import Match, RouteTable
from proxy.trello.tunnel import check_tunnel, tunnelled_method_in

_USER_AGENT_CHARS = 200
"""Of a User-Agent: enough to distinguish clients."""
_CREDENTIAL_CHARS = re.compile(r"[A-Za-z0-9_-]*\Z")
_SAFE = frozenset({"GET", "HEAD"})
_PUBLIC = frozenset({Kind.AUTHORIZATION_PAGE, Kind.SCRIPT})
"""Served without a credential: `client.js`, and the pages that say where to get a token."""


class _Addressed(TypedDict):
    """Arguments of ApiRequest: target, route, cache key and credential."""

    target: str
    match: Match
    query_names: frozenset[str]
    key: CacheKey
    partition: str
    credential: Credential
    uses_stored_credential: bool


class RequestParser:
    """Parses requests for Trello's API; one for all listeners."""

    def __init__(
        self, table: RouteTable, stored: StoredCredential, clients: Clients, links: LinkRewriter
    ) -> None:
        self._routes = table
        self._stored = stored
        self._link_rewriter = links
        self._rejects = clients.credentials == "reject"
        self._forwards = clients.forwards_credentials
        self._requires = clients.requires_credentials
        self.permission = Permission(clients, table, signs_links=links.signs)
        """What requests may do."""

    async def parse(
        self, request: web.BaseRequest, context: RequestContext
    ) -> tuple[ApiRequest, RequestBody]:
        """The ApiRequest and its body; ClientError for a request that cannot be served as sent."""
        target = _api_target(request.raw_path)
        method, match = self._route(request.method, target)
        context.route = match.route.template
        self._check_method(request, method, match)
        raw_query, body = await _received(request, context.hold, target.query)
        stripped = self._strip(
            match, raw_query, request.headers.get("Authorization"), body.credential
        )
        context.credentials_sent = stripped.found
        query = _canonical(match, stripped.query)
        if match.route.kind is Kind.WRITE:
            query = await self._restore_links(query, body, _own_names(request))
        identity = self._identity(stripped)
        if match.route.kind not in _PUBLIC:
            self._check_credential(identity, request.headers.getall("Authorization", ()))
        api_request = ApiRequest(
            **self._addressed(match, stripped, query, identity),
            effective_method=method,
            method="GET" if request.method == "HEAD" else request.method,
            client_name=client_name(context.user_agent),
            directives=directives_of(request),
            fields=_fields(request, method, body, context.trace),
            timing=context.timing,
            body=body.content or None,
            body_parameters=body.parameters,
            priority=_priority(request, match.route.kind),
            queue_key=_queue_key(request),
            params=lambda: {**dict(parse_qsl(query)), **body.params()},
        )
        return api_request, body

    def internal_get(
        self,
        target: str,
        directives: cache_control.Directives,
        priority: Priority = Priority.INTERACTIVE,
    ) -> ApiRequest:
        """A GET of a target, without fields of a client's; InvalidTarget, NotFound.

        It has the stored credential, and so that partition of the cache; or the target's own one
        where clients' credentials are forwarded.
        """
        parsed = _api_target(target)
        method, match = self._route("GET", parsed)
        stripped = self._strip(match, parsed.query)
        query = _canonical(match, stripped.query)
        return ApiRequest(
            **self._addressed(match, stripped, query, self._identity(stripped)),
            effective_method=method,
            method="GET",
            directives=directives,
            priority=priority,
        )

    def page(self, target: str, directives: cache_control.Directives) -> ApiRequest:
        """A GET for a page; CredentialRequired where clients may not use the stored credential.

        Otherwise as `internal_get`.
        """
        request = self.internal_get(target, directives)
        self._check_credential(
            RequestIdentity(
                request.credential,
                request.partition,
                uses_stored_credential=request.uses_stored_credential,
            )
        )
        return request

    def batch_parts(self, batch: ApiRequest) -> tuple[ApiRequest, ...]:
        """The reads that a batch lists, each with the cache key of the same read sent alone.

        Empty unless it is a batch that lists nothing but reads that may be stored.
        """
        if batch.match.route.kind is not Kind.BATCH:
            return ()
        parts = [
            self._batch_part(batch, target) for target in parse_urls(batch.target.partition("?")[2])
        ]
        return tuple(part for part in parts if part) if all(parts) else ()

    def _batch_part(self, batch: ApiRequest, raw_target: str) -> ApiRequest | None:
        try:
            parsed = parse(raw_target)
        except InvalidTarget:
            return None
        match = self._routes.classify("GET", parsed.segments[1:])
        query = _canonical(match, self._strip(match, parsed.query).query)
        if not is_cacheable_part(match, names_in(query)):
            return None
        return batch.derive(target=target_of(match.segments, query), match=match)

    def _route(self, sent: str, target: Target) -> tuple[str, Match]:
        """The effective method and the route: a GET with `_method` is the write that it tunnels."""
        method = sent
        if sent in _SAFE:
            method = tunnelled_method_in(target.query) or "GET"
        return method, self._routes.classify(method, target.segments[1:])

    def _check_method(self, request: web.BaseRequest, method: str, match: Match) -> None:
        """TunnelDenied or WritesDenied, before the body is received."""
        if request.method in _SAFE and method not in _SAFE:
            kind = self._routes.classify("GET", match.segments).route.kind
            check_tunnel(request.method, kind, FetchMetadata(request.headers))
        self.permission.check_kind(match)

    def _strip(
        self,
        match: Match,
        query: str,
        authorization: str | None = None,
        in_body: ExtractedCredential = NOTHING,
    ) -> StrippedRequest:
        return strip_request(
            query,
            match.segments,
            match.secret_positions,
            is_batch=match.route.kind is Kind.BATCH,
            authorization=authorization,
            in_body=in_body,
            replacement=None if self._forwards else self._stored.identity.credential,
        )

    async def _restore_links(self, query: str, body: RequestBody, names: frozenset[str]) -> str:
        """The query of a write with Trello's links for the proxy's; its form or JSON as well.

        `names`: the host names by which this client reaches the proxy. Multipart bodies are sent
        as they are (D16).
        """
        if isinstance(body.content, bytes):
            body.content = await run_for_client(
                len(body.content), self._link_rewriter.to_trello, body.content, names
            )
        return self._link_rewriter.to_trello(query.encode(), names).decode() if query else query

    def _identity(self, stripped: StrippedRequest) -> RequestIdentity:
        """The credential to send it with, by `clients.credentials`; CredentialRejected."""
        if self._rejects and stripped.found:
            _reject(stripped)
        sender, in_path = stripped.sender, stripped.in_path
        if not (self._forwards and (sender.key or sender.token or in_path.token)):
            return self._stored.identity
        own = Credential(sender.key or "", sender.token or in_path.token or "")
        if not _CREDENTIAL_CHARS.match(own.key + own.token):
            raise InvalidTarget("A key and a token are made of letters and digits.")
        partition = self._stored.partitions.of_credential(own)
        return RequestIdentity(own, partition, uses_stored_credential=False)

    def _addressed(
        self, match: Match, stripped: StrippedRequest, query: str, identity: RequestIdentity
    ) -> _Addressed:
        """The upstream target, and the key: of the target without the secrets in its path."""
        redacted = self._redact_path(match)
        return {
            "target": target_of(stripped.segments, query),
            "match": redacted,
            "query_names": names_in(query),
            "key": key_of(identity.partition, target_of(redacted.segments, query)),
            "partition": identity.partition,
            "credential": identity.credential,
            "uses_stored_credential": identity.uses_stored_credential,
        }

    def _check_credential(
        self, identity: RequestIdentity, authorization: Collection[str] = ()
    ) -> None:
        """CredentialRequired unless the client sent a key and a token, where it has to.

        That is also where credentials are forwarded, and it has one that cannot be.
        """
        if (
            self._forwards
            and identity.uses_stored_credential
            and any(map(is_bearer, authorization))
        ):
            raise CredentialRequired(
                "Send a key and a token of your own; a Bearer token is not forwarded."
            )
        own = identity.credential
        has_both = not identity.uses_stored_credential and own.key and own.token
        if self._requires and not has_both:
            raise CredentialRequired(
                "Send a key and a token of your own, best in an Authorization field; "
                "this proxy does not use its own for clients (clients.credentials is `require`)."
            )

    def _redact_path(self, match: Match) -> Match:
        """The match without a key or token: its segments are part of keys, tags and logs."""
        if not match.secret_positions:
            return match
        digest = self._stored.partitions.digest
        redacted = {
            match.segments[position]: digest(match.segments[position])
            if self._forwards
            else PATH_PLACEHOLDER
            for position in match.secret_positions
        }
        return replace(
            match,
            segments=tuple(redacted.get(segment, segment) for segment in match.segments),
            params=tuple((name, redacted.get(value, value)) for name, value in match.params),
        )


def _api_target(raw: str) -> Target:
    target = parse(raw)
    if not raw.startswith(("/1/", "/1?")) and raw != "/1":
        raise NotFound("Trello's API is below /1/; see / for the rest.")
    return target


def _own_names(request: web.BaseRequest) -> frozenset[str]:
    """The host name and the address by which this client reached the proxy."""
    local = request.transport.get_extra_info("sockname") if request.transport else None
    address = str(local[0]) if isinstance(local, tuple) else ""
    return frozenset({host_name(request.headers.get("Host", "")) or address, address})


async def _received(request: web.BaseRequest, hold: Hold, query: str) -> tuple[str, RequestBody]:
    """The raw query and the body; parameters in the body of a read are added to its query."""
    if request.method not in _SAFE:
        return query, await read_body(request, hold)
    if not request.body_exists:
        return query, RequestBody()
    parameters, credential = await read_parameters(request, hold)
    if tunnelled_method_in(parameters):
        raise InvalidTarget("Send _method in the query, not in a body.")
    return with_parameters(query, parameters), RequestBody(credential=credential)


def _canonical(match: Match, query: str) -> str:
    """The query to send: canonical for a read; a write's parameters keep their order.

    A batch's is unchanged, because only its parts are stored.
    """
    if match.route.kind is Kind.BATCH:
        return query
    return canonical_query(query, ordered=match.route.kind is Kind.WRITE)


def _reject(stripped: StrippedRequest) -> NoReturn:
    locations = dict.fromkeys(place for each in stripped.found for place in each.locations)
    raise CredentialRejected(
        f"Remove the key and token from the {' and the '.join(locations)} "
        f"(in a path, write {PATH_PLACEHOLDER} for it); the proxy adds its own."
    )


def directives_of(request: web.BaseRequest) -> cache_control.Directives:
    """The request's Cache-Control directives, and Pragma (RFC 9111 §5.2.1, §5.4)."""
    directives = ",".join(request.headers.getall("Cache-Control", ()))
    return cache_control.parse(directives, request.headers.get("Pragma", ""))


def _queue_key(request: web.BaseRequest) -> str:
    """The queue key of a client, as far as it can be identified: address and User-Agent."""
    return f"{request.remote} {request.headers.get('User-Agent', '')[:_USER_AGENT_CHARS]}"


def _priority(request: web.BaseRequest, kind: Kind) -> Priority:
    """Interactive for an attachment that a browser opens or shows; API for the rest."""
    headers = request.headers
    if headers.get("User-Agent", "").startswith(PREFETCH_USER_AGENT):
        return Priority.PREFETCH
    accept, fetch_mode = headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", "")
    is_browser = bool(fetch_mode) or prefers_html(accept, "") or accepts_images(accept)
    return Priority.INTERACTIVE if kind is Kind.FILE and is_browser else Priority.API


def _fields(
    request: web.BaseRequest, method: str, body: RequestBody, trace: TraceContext | None
) -> Fields:
    """The client's fields that go to Trello, and those of the body and the trace."""
    fields = to_upstream(request.headers.items())
    if method == "GET":
        fields = tuple(field for field in fields if field[0].lower() in TO_UPSTREAM_WITH_READS)
    elif request.method in _SAFE:
        fields = tuple(field for field in fields if field[0].lower() != "content-type")
    if trace is not None:
        fields = (*fields, ("traceparent", trace.parent))
    if method != "GET" and body.length is not None:
        fields = (*fields, ("Content-Length", str(body.length)))
    return fields
