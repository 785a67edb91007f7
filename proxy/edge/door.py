"""Around every request: who may ask, which room serves it, and what is told of it afterwards."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import ref

from aiohttp import web
from aiohttp.http import HttpVersion11

from proxy.edge import problem
from proxy.edge.connection import Connection
from proxy.edge.plan import PLANNED_BODY_BYTES, HitPlan, Tools
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.errors import LoopDetected, MethodNotAllowed, NoSuchPage, ProxyError
from proxy.log import RequestLine
from proxy.metrics import Metrics, count
from proxy.policy.guard import PREFLIGHT, Guard
from proxy.policy.wire import head_of

Handler = Callable[[web.BaseRequest, Record], Awaitable[Rendered]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_CREDENTIAL_LIKE = re.compile(r"[0-9A-Fa-f]{32,}|ATTA\w{20,}")
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_EMBEDDABLE = re.compile(r"/1/(?:client\.js(?:\?|\Z)|cards?/[^/?]+/attachments/[^?]*/download)")
"""What a page of any site may point at: a script that asks again, a file that is only shown."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What is served where: exact paths, what begins like one, and the rest, for the API."""

    pages: Mapping[str, Handler]
    sections: Mapping[str, Handler] = field(default_factory=dict)
    """By first segment, with both its slashes: `/c/`."""
    api: Handler | None = None

    def find(self, raw_path: str) -> Handler:
        path = raw_path.partition("?")[0]
        if path in self.pages:
            return self.pages[path]
        section = path[: path.find("/", 1) + 1]
        if section in self.sections:
            return self.sections[section]
        if self.api is None:
            raise NoSuchPage("The operator's pages are /metrics, /healthz and /readyz.")
        return self.api


class Door:
    """The one handler of a listener."""

    def __init__(
        self, rooms: Rooms, guard: Guard, via: str, tools: Tools, metrics: Metrics
    ) -> None:
        self._rooms = rooms
        self._guard = guard
        self._via = via
        self._tools = tools
        self._metrics = metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """An answer to anything; what is raised here is a fault of the program's own."""
        began = self._tools.clock.monotonic()
        theirs = request.headers.get("X-Request-Id", "")
        record = Record(
            self._tools.scrub(theirs) if _REQUEST_ID.match(theirs) else self._tools.ids.next()
        )
        try:
            response = await self._serve(request, record)
        except ProxyError as error:
            count(self._metrics.errors, error.slug)
            response = problem.render(error, record.request_id, request)
        response.head += head_of(self._guard.cors(request.headers.get("Origin", "")))
        self._plan(request, record, response)
        response.told += b"X-Request-Id: %b\r\n" % record.request_id.encode()
        response.sent = lambda sent: self._tell(request, record, response.status, began, sent)
        return response

    async def _serve(self, request: web.BaseRequest, record: Record) -> Rendered:
        headers = request.headers
        local = request.transport.get_extra_info("sockname") if request.transport else None
        self._guard.check_host(
            headers.get("Host", ""), str(local[0]) if isinstance(local, tuple) else ""
        )
        embeddable = request.method in {"GET", "HEAD"} and (
            headers.get("Sec-Fetch-Mode") == "navigate" or bool(_EMBEDDABLE.match(request.raw_path))
        )
        self._guard.check_origin(
            headers.get("Origin", ""),
            headers.get("Sec-Fetch-Site", ""),
            headers.get("Host", ""),
            embeddable=embeddable,
        )
        if self._via in ",".join(headers.getall("Via", ())):
            raise LoopDetected("Point upstream.url at Trello, not at this proxy.")
        if request.method == "OPTIONS":
            return _options(headers.get("Access-Control-Request-Method") is not None)
        if request.method not in _KNOWN_METHODS:
            raise MethodNotAllowed(f"Use one of {', '.join(sorted(_KNOWN_METHODS))}.")
        handler = self._rooms.find(request.raw_path)
        if headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await handler(request, record)

    def _plan(self, request: web.BaseRequest, record: Record, response: Rendered) -> None:
        """Have the same header answered without being parsed again, where nothing else matters."""
        protocol = request.protocol
        if response.repeatable is None or not isinstance(protocol, Connection):
            return
        stored, fresh_until = response.repeatable
        body = response.payload
        whole = body is stored.body and len(stored.body) <= PLANNED_BODY_BYTES
        if not (whole or response.status == 304) or not _is_plain(request):
            return
        own = response.head.removeprefix(stored.head) if whole else response.head
        protocol.learn(
            HitPlan(
                tools=self._tools,
                stored=ref(stored),
                fresh_until=fresh_until,
                status=response.status,
                start=response.start() + own,
                route=record.route,
                tool=_tool(request),
                cell=self._metrics.cell(record.route, "GET", response.status, "hit"),
            )
        )

    def _tell(
        self, request: web.BaseRequest, record: Record, status: int, began: float, sent: int
    ) -> None:
        duration_s = self._tools.clock.monotonic() - began
        method = request.method if request.method in _KNOWN_METHODS else "other"
        result = record.outcome.result
        self._metrics.cell(record.route, method, status, result).add(duration_s)
        self._tools.log.request(
            RequestLine(
                request_id=record.request_id,
                client=request.remote or "",
                method=method,
                route=record.route,
                status=status,
                cache=result,
                detail=record.outcome.detail,
                duration_s=duration_s,
                sent_bytes=sent,
                tool=_tool(request),
            )
        )


def _is_plain(request: web.BaseRequest) -> bool:
    return (
        request.method == "GET"
        and request.version == HttpVersion11
        and request.keep_alive
        and not request.body_exists
        and "X-Request-Id" not in request.headers
        and "Expect" not in request.headers
    )


def _tool(request: web.BaseRequest) -> str:
    """The client's name for itself, without anything that could be a key or a token."""
    return _CREDENTIAL_LIKE.sub("***", request.headers.get("User-Agent", "-"))


def _options(preflight: bool) -> Rendered:  # noqa: FBT001 — one question, answered by its caller
    fields = PREFLIGHT if preflight else (("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),)
    return Rendered(204, head_of(fields))
