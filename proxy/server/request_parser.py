"""From a request on the wire to an Ask: decided on the same bytes that are forwarded (D3, D5)."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.config.schema import Clients
from proxy.credentials.extraction import (
    ExtractedCredential,
    read_authorization,
    replace_in_path,
    strip_batch_query,
    strip_query,
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
from proxy.model import Credential, Fields, Kind, Priority
from proxy.runtime.memory_budget import Hold
from proxy.runtime.offload import run_for_client
from proxy.server.request_body import RequestBody, read_body, receive_parameters
from proxy.server.request_context import RequestContext
from proxy.server.write_permission import WritePermission
from proxy.trello.batch_codec import is_cacheable_part, parse_urls
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.rate_limits import PREFETCH_USER_AGENT
from proxy.trello.routes import Match, RouteTable
from proxy.trello.tunnel import check_tunnel, tunnelled_method_in

PLACEHOLDER = "-"
"""What may stand for the token in /1/tokens/…, and what keys and tags have in its place."""
_USER_AGENT_CHARS = 200
"""Of a User-Agent: enough to tell two tools apart."""
_CREDENTIAL_CHARS = re.compile(r"[A-Za-z0-9_-]*\Z")
_SAFE = frozenset({"GET", "HEAD"})
_FOR_EVERYBODY = frozenset({Kind.AUTHORIZATION_PAGE, Kind.SCRIPT})
"""What nobody needs a credential for: `client.js`, and the pages that tell where to get one."""


class RequestParser:
    """Understands requests; knows the stored credential and what clients are held to."""

    def __init__(
        self, table: RouteTable, stored: StoredCredential, clients: Clients, links: LinkRewriter
    ) -> None:
        self._routes = table
        self._link_rewriter = links
        self._stored_credential = stored
        self._clients = clients
        self.permission = WritePermission(clients, table, signs_links=links.signs)
        """What an Ask may be served for."""

    async def parse(
        self, request: web.BaseRequest, record: RequestContext
    ) -> tuple[ApiRequest, RequestBody]:
        """The Ask, and the body that goes with it; a ClientError when there can be none."""
        parsed = _api_target(request.raw_path)
        method, match = self._route(request.method, parsed)
        record.route = match.route.template
        if request.method in _SAFE and method not in _SAFE:
            kind = self._routes.classify("GET", match.segments).route.kind
            check_tunnel(request.method, kind, FetchMetadata(request.headers))
        self.permission.check_kind(match)
        raw_query, incoming = await _received(request, record.hold, parsed.query)
        query, found = _without_credentials(match, raw_query)
        in_header = read_authorization(request.headers.get("Authorization"))
        if match.route.kind is Kind.WRITE:
            query = await self._restore_links(query, incoming, _own_names(request))
        sent, in_path = self._with_secrets(match)
        record.credentials_sent = (
            found,
            in_header,
            incoming.credential,
            _without_placeholder(in_path),
        )
        identity = self._identity(found.merge(in_header).merge(incoming.credential), in_path)
        if match.route.kind not in _FOR_EVERYBODY:
            self._check_credential(identity)
        masked = self._redact_path(match)
        api_request = ApiRequest(
            effective_method=method,
            method="GET" if request.method == "HEAD" else request.method,
            target=target_of(sent, query),
            match=masked,
            query_names=names_in(query),
            key=key_of(identity.partition, target_of(masked.segments, query)),
            partition=identity.partition,
            credential=identity.credential,
            uses_stored_credential=identity.uses_stored_credential,
            client_name=client_name(record.user_agent),
            directives=directives_of(request),
            fields=_fields(request, method, incoming, record.trace),
            timing=record.timing,
            body=incoming.content or None,
            body_parameters=incoming.parameters,
            priority=_priority(request, match.route.kind),
            queue_key=_queue_key(request),
            params=lambda: {**dict(parse_qsl(query)), **incoming.params()},
        )
        return api_request, incoming

    def internal_get(
        self,
        target: str,
        wanted: cache_control.Directives,
        priority: Priority = Priority.INTERACTIVE,
    ) -> ApiRequest:
        """What a GET of this target alone means, as when the proxy reads for itself.

        In the stored identity, so it shares what is stored; unless the target brings a credential
        of its own, and those are forwarded. BadTarget, NoSuchPage.
        """
        parsed = _api_target(target)
        method, match = self._route("GET", parsed)
        query, found = _without_credentials(match, parsed.query)
        sent, in_path = self._with_secrets(match)
        identity = self._identity(found, in_path)
        masked = self._redact_path(match)
        return ApiRequest(
            effective_method=method,
            method="GET",
            target=target_of(sent, query),
            match=masked,
            query_names=names_in(query),
            key=key_of(identity.partition, target_of(masked.segments, query)),
            partition=identity.partition,
            credential=identity.credential,
            uses_stored_credential=identity.uses_stored_credential,
            directives=wanted,
            priority=priority,
        )

    def page(self, target: str, wanted: cache_control.Directives) -> ApiRequest:
        """What a page for people reads; CredentialRequired where the stored account is not theirs.

        Else as `own`.
        """
        request = self.internal_get(target, wanted)
        self._check_credential(
            RequestIdentity(
                request.credential,
                request.partition,
                uses_stored_credential=request.uses_stored_credential,
            )
        )
        return request

    def batch_parts(self, batch: ApiRequest) -> tuple[ApiRequest, ...]:
        """The reads that a batch lists, in its identity: each shares what plain reads store.

        Empty where it is no batch, where the list is not plain, or names anything that is not from
        the store.
        """
        if batch.match.route.kind is not Kind.BATCH:
            return ()
        parts = [
            self._batch_part(batch, target) for target in parse_urls(batch.target.partition("?")[2])
        ]
        return tuple(part for part in parts if part) if all(parts) else ()

    def _batch_part(self, batch: ApiRequest, listed_as: str) -> ApiRequest | None:
        try:
            parsed = parse(listed_as)
        except InvalidTarget:
            return None
        match = self._routes.classify("GET", parsed.segments[1:])
        query = _without_credentials(match, parsed.query)[0]
        if not is_cacheable_part(match, names_in(query)):
            return None
        return batch.derive(target=target_of(match.segments, query), match=match)

    async def _restore_links(self, query: str, incoming: RequestBody, names: frozenset[str]) -> str:
        """The query of a write, Trello's links for the proxy's in it and in its form or JSON.

        `names`: what else this client calls the proxy. Multipart bodies pass as they are (D16).
        """
        body = incoming.content
        if isinstance(body, bytes):
            incoming.content = await run_for_client(
                len(body), self._link_rewriter.to_trello, body, names
            )
        return self._link_rewriter.to_trello(query.encode(), names).decode() if query else query

    def _route(self, sent: str, target: Target) -> tuple[str, Match]:
        """What is meant: a GET with `_method` is the write it tunnels."""
        method = sent
        if sent in _SAFE:
            method = tunnelled_method_in(target.query) or "GET"
        return method, self._routes.classify(method, target.segments[1:])

    def _with_secrets(self, match: Match) -> tuple[tuple[str, ...], ExtractedCredential]:
        """The path's segments as Trello is to have them: with the stored token, or the client's."""
        theirs = self._clients.forwards_credentials
        return replace_in_path(
            match.segments,
            match.secret_positions,
            None if theirs else self._stored_credential.credential,
        )

    def _identity(
        self, found: ExtractedCredential, in_path: ExtractedCredential
    ) -> RequestIdentity:
        """Whose answer it is, by `clients.credentials`; a path's token is no sender's."""
        if self._clients.credentials == "reject":
            self._reject_credential(found.merge(_without_placeholder(in_path)))
        is_theirs = found.key or found.token or in_path.token
        if not (is_theirs and self._clients.forwards_credentials):
            return self._stored_credential.identity
        theirs = Credential(found.key or "", found.token or in_path.token or "")
        if not _CREDENTIAL_CHARS.match(theirs.key + theirs.token):
            raise InvalidTarget("A key and a token are made of letters and digits.")
        return RequestIdentity(
            theirs,
            self._stored_credential.partitions.of_credential(theirs),
            uses_stored_credential=False,
        )

    def _check_credential(self, identity: RequestIdentity) -> None:
        """CredentialRequired unless the client brought a key and a token, where it has to."""
        theirs = identity.credential
        is_whole = not identity.uses_stored_credential and theirs.key and theirs.token
        if self._clients.requires_credentials and not is_whole:
            raise CredentialRequired(
                "Send a key and a token of your own, best in an Authorization field; "
                "this proxy lends nobody its own (clients.credentials is `require`)."
            )

    @staticmethod
    def _reject_credential(found: ExtractedCredential) -> None:
        if found.locations:
            raise CredentialRejected(
                f"Remove the key and token from the {' and the '.join(found.locations)} "
                f"(in a path, write {PLACEHOLDER} for it); the proxy adds its own."
            )

    def _redact_path(self, match: Match) -> Match:
        """The match with no token or key in it: it goes into keys, tags and logs."""
        if not match.secret_positions:
            return match
        digest = self._stored_credential.partitions.digest
        hidden = {
            match.segments[position]: digest(match.segments[position])
            if self._clients.forwards_credentials
            else PLACEHOLDER
            for position in match.secret_positions
        }
        return replace(
            match,
            segments=tuple(hidden.get(segment, segment) for segment in match.segments),
            params=tuple((name, hidden.get(value, value)) for name, value in match.params),
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
    """The raw query and the body; a read's parameters may come in either, and go in the query."""
    if request.method not in _SAFE:
        return query, await read_body(request, hold)
    carried, found = await receive_parameters(request, hold)
    if tunnelled_method_in(carried):
        raise InvalidTarget("Send _method in the query, not in a body.")
    return with_parameters(query, carried), RequestBody(credential=found)


def _without_credentials(match: Match, raw_query: str) -> tuple[str, ExtractedCredential]:
    """The query to send, and what was taken out of it.

    A read's is canonical, a write's keeps its order; a batch's stays as it came, for it is known
    by its parts alone.
    """
    if match.route.kind is Kind.BATCH:
        return strip_batch_query(raw_query)
    query, found = strip_query(raw_query)
    return canonical_query(query, ordered=match.route.kind is Kind.WRITE), found


def _without_placeholder(in_path: ExtractedCredential) -> ExtractedCredential:
    return ExtractedCredential() if in_path.token == PLACEHOLDER else in_path


def directives_of(request: web.BaseRequest) -> cache_control.Directives:
    """What a client asks of the cache."""
    directives = ",".join(request.headers.getall("Cache-Control", ()))
    return cache_control.parse(directives, request.headers.get("Pragma", ""))


def _queue_key(request: web.BaseRequest) -> str:
    """Whose turn it is in the fair queue: an address and a User-Agent."""
    return f"{request.remote} {request.headers.get('User-Agent', '')[:_USER_AGENT_CHARS]}"


def _priority(request: web.BaseRequest, kind: Kind) -> Priority:
    """A file that a browser opens or shows is for a person; a script's is not."""
    headers = request.headers
    if headers.get("User-Agent", "").startswith(PREFETCH_USER_AGENT):
        return Priority.PREFETCH
    accept, fetch_mode = headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", "")
    is_browser = bool(fetch_mode) or prefers_html(accept, "") or accepts_images(accept)
    return Priority.INTERACTIVE if kind is Kind.FILE and is_browser else Priority.API


def _fields(
    request: web.BaseRequest, method: str, incoming: RequestBody, trace: TraceContext | None
) -> Fields:
    """What goes along: of a read the way it came, who asks, and its trace."""
    fields = to_upstream(request.headers.items())
    if method == "GET":
        fields = tuple(field for field in fields if field[0].lower() in TO_UPSTREAM_WITH_READS)
    elif request.method in _SAFE:
        fields = tuple(field for field in fields if field[0].lower() != "content-type")
    if trace is not None:
        fields = (*fields, ("traceparent", trace.parent))
    if method != "GET" and incoming.length is not None:
        fields = (*fields, ("Content-Length", str(incoming.length)))
    return fields
