"""Any request for Trello's API: aiohttp ⇄ Ask and Answer, and the flow that serves it."""

from dataclasses import replace

from aiohttp import web

from proxy.clock import Clock
from proxy.edge import problem
from proxy.edge.bodies import Incoming
from proxy.edge.body_thread import work_on
from proxy.edge.handlers.files import FileHandler
from proxy.edge.handlers.grant import grant_page
from proxy.edge.intake import Intake
from proxy.edge.readable import wants_page
from proxy.edge.record import Record
from proxy.edge.rendered import SLICE_BYTES, Rendered
from proxy.edge.stored_body import body_of
from proxy.errors import UpstreamError
from proxy.flow.ask import Answer, Ask
from proxy.flow.batch import Batch
from proxy.flow.download import Download
from proxy.flow.export import Export
from proxy.flow.proof import Proof
from proxy.flow.read_through import ReadThrough
from proxy.flow.turns import Turns
from proxy.flow.write_through import WriteThrough
from proxy.memory_budget import Hold
from proxy.model import Kind, StoredResponse
from proxy.policy.cache_status import cache_status
from proxy.policy.codings import accepts_gzip
from proxy.policy.directives import NONE
from proxy.policy.freshness import age_of
from proxy.policy.links import file_in
from proxy.policy.proving import may_prove
from proxy.policy.quota import quota_fields
from proxy.policy.signing import Signing, unsigned
from proxy.policy.validation import for_coding, not_modified
from proxy.policy.way import Way, way_of
from proxy.policy.wire import head_of


class Api:
    """Serves /1/…"""

    def __init__(
        self,
        intake: Intake,
        flows: tuple[ReadThrough, WriteThrough, Download, Export, Batch, Proof],
        turns: Turns,
        clock: Clock,
        signing: Signing | None,
    ) -> None:
        """`signing`: what opens files, where links are to be signed."""
        self._intake = intake
        self._reads, self._writes, downloads, self._exports, self._batches, self._proof = flows
        self._turns = turns
        self._files = FileHandler(downloads, clock)
        self._clock = clock
        self._signing = signing

    async def handle(self, request: web.BaseRequest, record: Record) -> Rendered:
        """The answer; a ProxyError is the caller's to render."""
        ask, incoming = await self._intake.read(request, record)
        if ask.match.route.kind is Kind.GRANT:
            return grant_page(
                ask.match.route.template, ask.method, keyless=self._intake.permission.keyless
            )
        parts = self._intake.parts(ask)
        body = ask.body if isinstance(ask.body, bytes) else b""
        await work_on(body, self._intake.permission.check, ask, parts)
        ask = self._admitted(ask)
        if way_of(ask.match, ask.query_names) is Way.ATTACHMENT:
            served = await self._files.handle(request, ask)
        else:
            served = await self._answer(ask, parts, incoming)
        if isinstance(served, Answer):
            record.outcome = served.outcome
            if _is_refused(ask, served) and wants_page(request):
                await _close(served)
                return problem.refused_file(served.status, record.request_id, request)
            rendered = self._rendered(request, record.hold, ask, served)
        else:
            rendered, record.outcome = served
        rendered.told += b"Cache-Status: %b\r\n" % cache_status(record.outcome).encode()
        if record.outcome.fwd is not None:
            rendered.told += head_of(quota_fields(self._turns.quotas(ask)))
        return rendered

    def _rendered(self, request: web.BaseRequest, hold: Hold, ask: Ask, answer: Answer) -> Rendered:
        if answer.stored is not None:
            return self._from_stored(request, hold, ask, answer, answer.stored)
        is_read = ask.match.route.kind is not Kind.WRITE  # what was done is told
        if is_read and isinstance(answer.body, bytes) and len(answer.body) > SLICE_BYTES:
            hold.take("responses", len(answer.body))
        return Rendered(answer.status, answer.head, answer.body, answer.length)

    async def _answer(self, ask: Ask, parts: tuple[Ask, ...], incoming: Incoming) -> Answer:
        match way_of(ask.match, ask.query_names):
            case Way.WRITE:
                return await self._write(ask, incoming)
            case Way.EXPORT:
                return await self._exports.serve(ask)
            case Way.BATCH if parts:
                return await self._batches.serve(ask, parts)
            case Way.READ:
                return await self._reads.serve(ask)
            case _:
                return await self._reads.bypass(ask)

    def _admitted(self, ask: Ask) -> Ask:
        """The Ask; a file's if its link opens it, without the signature: Trello knows none."""
        path, _, query = ask.target.partition("?")
        file = file_in(ask.match)
        if file is None:
            return ask
        if self._signing:
            self._signing.check(file, query, self._clock.now())
        kept = unsigned(query)
        return replace(ask, target=f"{path}?{kept}" if kept else path)

    async def _write(self, ask: Ask, incoming: Incoming) -> Answer:
        try:
            return await self._writes.serve(ask)
        except UpstreamError:
            if incoming.failure is not None:
                raise incoming.failure from None
            raise

    def _from_stored(
        self, request: web.BaseRequest, hold: Hold, ask: Ask, answer: Answer, stored: StoredResponse
    ) -> Rendered:
        gzip = stored.gzip and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        etag = for_coding(stored.etag, gzip=gzip)
        ours = _fields(stored, etag, gzip=gzip)
        if stored.status == 200 and not_modified(request.headers.get("If-None-Match", ""), etag):
            rendered = Rendered(304, ours)
        else:
            body, length = body_of(stored, self._reads.responses.memory, hold, gzip=gzip)
            rendered = Rendered(stored.status, stored.head + ours, body, length)
        now = self._clock.now()
        rendered.told = b"Age: %d\r\n" % int(age_of(stored.asked_at, now))
        lifetime_s = self._reads.lifetimes(ask, stored).lifetime_s
        is_hit = answer.outcome.result == "hit" and lifetime_s > 0
        if is_hit and ask.directives == NONE:
            is_watched = lifetime_s > ask.match.route.lifetimes.lifetime_s
            rendered.repeatable = (stored, lifetime_s, is_watched)
            rendered.proof = self._proof_of(ask, stored)
        return rendered

    def _proof_of(self, ask: Ask, stored: StoredResponse) -> Proof | None:
        """Who asks this hit again, if one is due; None where that may not be."""
        if not may_prove(ask.match, stored, own=ask.own):
            return None
        self._proof.offer(ask, stored)
        return self._proof


def _is_refused(ask: Ask, answer: Answer) -> bool:
    return ask.match.route.kind is Kind.FILE and answer.status >= 400


async def _close(answer: Answer) -> None:
    """Have done with an answer that is not sent."""
    if not isinstance(answer.body, bytes):
        await answer.body.aclose()


def _fields(stored: StoredResponse, etag: str, *, gzip: bool) -> bytes:
    """Ours, in place of Trello's orders to caches."""
    lines = [b"Cache-Control: private, no-cache\r\n"]
    if stored.status == 200:
        lines.append(b"ETag: %b\r\n" % etag.encode())
    if stored.gzip:
        lines.append(b"Vary: Accept-Encoding\r\n")
    if gzip:
        lines.append(b"Content-Encoding: gzip\r\n")
    return b"".join(lines)
