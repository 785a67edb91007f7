"""Request parser: makes an ApiRequest from an HTTP request, by what is forwarded (D3, D5)."""

from typing import TypedDict
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.access.audit import object_ids
from proxy.access.authentication import Authentication
from proxy.access.client import ANONYMOUS, Client
from proxy.access.client_keys import holds_key
from proxy.config.clients import Clients
from proxy.credentials.extraction import strip_query
from proxy.credentials.identity import StoredCredential
from proxy.errors import ClientKeyRequired, InvalidTarget, NotFound
from proxy.http_semantics import cache_control
from proxy.http_semantics.content import accepts_images, prefers_html
from proxy.http_semantics.fields import TO_UPSTREAM_WITH_READS, FetchMetadata, to_upstream
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
from proxy.links.rewrite import LinkRewriter
from proxy.model import CacheKey, Credential, Fields, Kind, Priority
from proxy.runtime.memory_budget import Hold
from proxy.runtime.tasks import run_for_client
from proxy.server.permission import Permission
from proxy.server.request_body import RequestBody, read_body, read_parameters
from proxy.server.request_context import RequestContext
from proxy.server.sender import Sender, Senders
from proxy.trello.batch_codec import is_cacheable_part, parse_urls
from proxy.trello.failures import PREFETCH_USER_AGENT
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.routes import Match, RouteTable
from proxy.trello.tunnel import check_tunnel, tunnelled_method_in

_SAFE = frozenset({"GET", "HEAD"})
_AS_RECEIVED = "utf-8", "surrogateescape"
_MISPLACED = "Your client key stands where Trello would receive it; send it in Authorization."
_PUBLIC = frozenset({Kind.AUTHORIZATION_PAGE, Kind.SCRIPT})
"""Served without a credential: `client.js`, and the pages that say where to get a token."""


class NoSuchAddress(NotFound):
    """A path that is neither the API's nor a page's: a person may have a Trello address instead."""


class _CommonArguments(TypedDict):
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
        self,
        *,
        table: RouteTable,
        stored: StoredCredential,
        clients: Clients,
        links: LinkRewriter,
        authentication: Authentication,
    ) -> None:
        self._routes = table
        self._stored = stored
        self._authentication = authentication
        self._link_rewriter = links
        self._senders = Senders(stored, clients, authentication)
        self.permission = Permission(clients, table, signs_links=links.signs)
        """What requests may do."""

    async def parse(
        self, request: web.BaseRequest, context: RequestContext
    ) -> tuple[ApiRequest, RequestBody]:
        """The ApiRequest and its body; ClientError for a request that cannot be served as sent."""
        target = _api_target(request.raw_path)
        method, match = self._classify(request.method, target)
        context.route = match.route.template
        context.is_audited = match.route.kind is Kind.WRITE or bool(match.route.administrative)
        secrets = {match.segments[position] for position in match.secret_positions}
        params = [pair for pair in match.params if pair[1] not in secrets]
        context.object_ids = object_ids(params, ())
        self._check_method(request, method, match, context.client)
        raw_query, body = await _receive_body(request, context.hold, target.query)
        context.object_ids = object_ids(params, body.parameters)
        authorization = request.headers.get("Authorization")
        sender = self._senders.find(match, raw_query, authorization, body.credential)
        context.identify(sender.client_key, sender.stripped.found)
        self._authentication.check(context.client)
        self._senders.check_rejected(sender)
        query = _query_to_send(match, sender.stripped.query)
        if match.route.kind is Kind.WRITE:
            query = await self._restore_links(query, body, _proxy_names(request))
        if match.route.kind not in _PUBLIC:
            self._senders.check_credential(
                sender.identity, context.client, request.headers.getall("Authorization", ())
            )
        fields = _fields_to_send(request, method, body, context.trace)
        _check_misplaced(body.content, *(value.encode(*_AS_RECEIVED) for _, value in fields))
        api_request = ApiRequest(
            **self._common_arguments(match, sender, query),
            effective_method=method,
            method="GET" if request.method == "HEAD" else request.method,
            client=context.client,
            client_name=context.client_name,
            directives=directives_of(request),
            fields=fields,
            timing=context.timing,
            body=body.content or None,
            body_parameters=body.parameters,
            priority=_priority(request, match.route.kind),
            queue_key=_queue_key(context),
            client_id=context.client_id,
            params=lambda: {**dict(parse_qsl(query)), **body.params()},
        )
        return api_request, body

    def internal_get(
        self,
        target: str,
        directives: cache_control.Directives,
        priority: Priority = Priority.INTERACTIVE,
        client: Client = ANONYMOUS,
    ) -> ApiRequest:
        """A GET of a target, without fields of a client's; InvalidTarget, NotFound.

        It has the stored credential, and so that partition of the cache; or the target's own one
        where clients' credentials are forwarded. A client key in the target names another client.
        """
        parsed = _api_target(target)
        method, match = self._classify("GET", parsed)
        sender = self._senders.find(match, parsed.query)
        self._senders.check_rejected(sender)
        query = _query_to_send(match, sender.stripped.query)
        return ApiRequest(
            **self._common_arguments(match, sender, query),
            effective_method=method,
            method="GET",
            client=sender.client_key.client if sender.client_key is not None else client,
            directives=directives,
            priority=priority,
        )

    def page(self, target: str, directives: cache_control.Directives, client: Client) -> ApiRequest:
        """A GET for a page; CredentialRequired where clients may not use the stored credential.

        Otherwise as `internal_get`.
        """
        request = self.internal_get(target, directives, client=client)
        self._senders.check_credential(self._stored.identity, client)
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
        query = _query_to_send(match, strip_query(parsed.query)[0])
        if not is_cacheable_part(match, names_in(query)):
            return None
        return batch.derive(target=target_of(match.segments, query), match=match)

    def _classify(self, sent: str, target: Target) -> tuple[str, Match]:
        """The effective method and the route: a GET with `_method` is the write that it tunnels."""
        method = sent
        if sent in _SAFE:
            method = tunnelled_method_in(target.query) or "GET"
        return method, self._routes.classify(method, target.segments[1:])

    def _check_method(
        self, request: web.BaseRequest, method: str, match: Match, client: Client
    ) -> None:
        """TunnelDenied or WritesDenied, before the body is received; it may hold a client key."""
        if request.method in _SAFE and method not in _SAFE:
            kind = self._routes.classify("GET", match.segments).route.kind
            check_tunnel(request.method, kind, FetchMetadata(request.headers))
        if not self._authentication.keys:
            self.permission.check_kind(match, client)

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

    def _common_arguments(self, match: Match, sender: Sender, query: str) -> _CommonArguments:
        """The upstream target, and the key: of the target without the secrets in its path."""
        identity = sender.identity
        redacted = self._senders.redact_path(match, sender)
        target = target_of(sender.stripped.segments, query)
        _check_misplaced(target.encode(*_AS_RECEIVED))
        return {
            "target": target,
            "match": redacted,
            "query_names": names_in(query),
            "key": key_of(identity.partition, target_of(redacted.segments, query)),
            "partition": identity.partition,
            "credential": identity.credential,
            "uses_stored_credential": identity.uses_stored_credential,
        }


def _check_misplaced(*texts: object) -> None:
    """ClientKeyRequired if a client key is in what Trello would receive; streams are not read."""
    if any(isinstance(text, bytes) and holds_key(text) for text in texts):
        raise ClientKeyRequired(_MISPLACED)


def _api_target(raw: str) -> Target:
    target = parse(raw)
    if not raw.startswith(("/1/", "/1?")) and raw != "/1":
        raise NoSuchAddress("Trello's API is below /1/; see / for the rest.")
    return target


def _proxy_names(request: web.BaseRequest) -> frozenset[str]:
    """The host name and the address of the proxy that this client uses."""
    local = request.transport.get_extra_info("sockname") if request.transport else None
    address = str(local[0]) if isinstance(local, tuple) else ""
    return frozenset({host_name(request.headers.get("Host", "")) or address, address})


async def _receive_body(
    request: web.BaseRequest, hold: Hold, query: str
) -> tuple[str, RequestBody]:
    """The raw query and the body; parameters in the body of a read are added to its query."""
    if request.method not in _SAFE:
        return query, await read_body(request, hold)
    if not request.body_exists:
        return query, RequestBody()
    parameters, credential = await read_parameters(request, hold)
    if tunnelled_method_in(parameters):
        raise InvalidTarget("Send _method in the query, not in a body.")
    return with_parameters(query, parameters), RequestBody(credential=credential)


def _query_to_send(match: Match, query: str) -> str:
    """The query to send: canonical for a read; a write's parameters keep their order.

    A batch's is unchanged, because only its parts are stored.
    """
    if match.route.kind is Kind.BATCH:
        return query
    return canonical_query(query, ordered=match.route.kind is Kind.WRITE)


def directives_of(request: web.BaseRequest) -> cache_control.Directives:
    """The request's Cache-Control directives, and Pragma (RFC 9111 §5.2.1, §5.4)."""
    directives = ",".join(request.headers.getall("Cache-Control", ()))
    return cache_control.parse(directives, request.headers.get("Pragma", ""))


def _queue_key(context: RequestContext) -> str:
    """The queue key of a client: its name, or address and User-Agent."""
    has_name = bool(context.client.name)
    return context.client_id if has_name else f"{context.client_id} {context.user_agent}"


def _priority(request: web.BaseRequest, kind: Kind) -> Priority:
    """Interactive for an attachment that a browser opens or shows; API for the rest."""
    headers = request.headers
    if headers.get("User-Agent", "").startswith(PREFETCH_USER_AGENT):
        return Priority.PREFETCH
    accept, fetch_mode = headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", "")
    is_browser = bool(fetch_mode) or prefers_html(accept, "") or accepts_images(accept)
    return Priority.INTERACTIVE if kind is Kind.FILE and is_browser else Priority.API


def _fields_to_send(
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
