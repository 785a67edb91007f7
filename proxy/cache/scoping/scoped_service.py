"""Scoped service: serves a client what it may see, as Trello would serve such an account (D58).

A response is stored once, whole, for all clients; each scope gets what is left of it. An object
must be known to be on a visible board no earlier than its response was requested: a card that left
the board is not shown as it is elsewhere.
"""

from dataclasses import replace

from proxy.access.attribution import STATIONARY, Attribution, Form, owned_kind
from proxy.access.read_plan import ReadPlan, plan_read
from proxy.access.response_filter import ScopeFilter
from proxy.access.visible import NotVisible, Visible
from proxy.access.write_references import BOARD, WORKSPACE, Reference, references_of
from proxy.cache.boards import boards_of
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.internal_reads import InternalReads, body_of
from proxy.cache.scoping.owners import Object, Owners
from proxy.errors import NotInCache, OutsideScope
from proxy.http_semantics.cache_control import Directives
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.content import identity_of
from proxy.model import Outcome, StoredResponse
from proxy.runtime.lru import LruDict
from proxy.runtime.tasks import run_if_large
from proxy.trello.batch_codec import JSON_HEAD
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.routes import Handling, handling_of

MAX_FORMS = 256
MAX_FORM_BYTES = 64 * 1024
"""Longer filtered bodies are made anew for each request."""
MAX_UNCHANGED = 20_000
MAX_REFUSED = 20_000
REFUSED_S = 10.0
"""How long an object is refused without asking Trello again."""
_REVALIDATE = Directives(no_cache=True)
_REFUSAL_HEAD = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
_WRITTEN = ReadPlan(Attribution(Form.BOARD), "")
_GZIP_RATIO = 8

FormKey = tuple[str, str, str, ReadPlan]


class ScopedService:
    """Serves reads of clients with a scope, and admits their writes."""

    def __init__(self, reads: ReadThrough, owners: Owners, internal: InternalReads) -> None:
        self._reads = reads
        self._owners = owners
        self._now = internal.now
        self._forms = LruDict[FormKey, StoredResponse](MAX_FORMS)
        self._unchanged = LruDict[FormKey, bool](MAX_UNCHANGED)
        self._refused = LruDict[tuple[str, Object], tuple[int, str, float]](MAX_REFUSED)

    async def read(self, request: ApiRequest, visible: Visible) -> ApiResponse:
        """The response, without what is not visible; Trello's refusal for what is not at all.

        OutsideScope if it cannot be attributed; UpstreamError, NotInCache.
        """
        try:
            return await self.read_visible(request, visible)
        except NotVisible as refusal:
            return refused(refusal)

    async def read_visible(self, request: ApiRequest, visible: Visible) -> ApiResponse:
        """The same; NotVisible for what is not visible at all, or not there."""
        plan = await self.admit(request, visible)
        wider = with_query(request, plan.query)
        response = await self._serve(wider)
        if _is_foreign(response, plan, visible):
            response = await self._serve(replace(wider, directives=_REVALIDATE))
        await self._check_attribution(wider, plan, response, visible)
        return await self._filtered(response, plan, visible)

    async def admit(self, request: ApiRequest, visible: Visible) -> ReadPlan:
        """The plan of a read of something visible; NotVisible, OutsideScope, UpstreamError."""
        if request.method != "GET" or request.effective_method != "GET":
            raise OutsideScope("Send the method itself instead of `_method`.")
        plan = plan_read(request.match, request.target.partition("?")[2], visible)
        form, name = plan.attribution.form, request.match.segments[1:2]
        if form is Form.BOARD:
            _check_board(visible, *name)
        elif form is Form.WORKSPACE and not visible.workspace_names.issuperset(name):
            raise NotVisible
        elif form is Form.OWNED:
            await self._check_object(Object(owned_kind(request.match), *name), request, visible)
        return plan

    async def admit_write(self, request: ApiRequest, visible: Visible) -> None:
        """NotVisible unless everything that a write names is visible; OutsideScope."""
        query = request.target.partition("?")[2]
        if request.method == "GET":
            raise OutsideScope("Send the method itself instead of `_method`.")
        for each in references_of(
            request.effective_method, request.match, query, request.body_parameters
        ):
            try:
                await self._check_reference(each, request, visible)
            except NotVisible as refusal:
                if refusal.status == 401 or each.in_path:
                    raise
                # There is no such object: Trello says so in its own words.

    async def filter_write(self, response: ApiResponse, visible: Visible) -> ApiResponse:
        """The response to a write, without what is not visible: the write has been made."""
        try:
            return await self._filtered(response, _WRITTEN, visible)
        except (NotVisible, OutsideScope):
            return replace(response, head=JSON_HEAD, body=b"{}", gzip=False, length=None)

    async def _serve(self, request: ApiRequest) -> ApiResponse:
        if handling_of(request.match, request.query_names) is Handling.CACHED_READ:
            return await self._reads.serve(request)
        return await self._reads.bypass(request)

    async def _check_reference(
        self, reference: Reference, request: ApiRequest, visible: Visible
    ) -> None:
        if reference.kind == BOARD:
            _check_board(visible, reference.name)
        elif reference.kind == WORKSPACE:
            if reference.name not in visible.workspace_names:
                raise NotVisible
        else:
            obj = Object(reference.kind, reference.name)
            await self._check_object(obj, request, visible, fresh=reference.kind not in STATIONARY)

    async def _check_object(
        self, obj: Object, request: ApiRequest, visible: Visible, *, fresh: bool = False
    ) -> None:
        """NotVisible unless the object is on a visible board; `fresh`: by Trello's word of now.

        Only what is known to be visible saves an upstream request: how long a refusal takes must
        not depend on what other clients read.
        """
        known = self._owners.known(obj)
        if not fresh and known is not None and known.board in visible.boards:
            return
        if request.directives.only_if_cached:
            raise NotInCache("Ask again without only-if-cached.")
        status, sentence, until = self._refused.use((visible.version, obj)) or (0, "", 0.0)
        if until - REFUSED_S <= self._now().at < until:
            raise NotVisible(status, sentence)
        try:
            observed = await self._owners.ask(obj, request)
            _check_board(visible, observed.board)
        except NotVisible as refusal:
            until = self._now().at + REFUSED_S
            self._refused[visible.version, obj] = refusal.status, refusal.sentence, until
            raise

    async def _check_attribution(
        self, request: ApiRequest, plan: ReadPlan, response: ApiResponse, visible: Visible
    ) -> None:
        """NotVisible unless the response is of what was visible when it was requested."""
        if response.status >= 400 or plan.attribution.form is not Form.OWNED:
            return
        if _is_foreign(response, plan, visible):
            raise NotVisible
        if plan.names_board:
            return
        obj = Object(owned_kind(request.match), request.match.segments[1])
        stored = response.stored
        requested = stored.requested if stored is not None else self._now()
        known = self._owners.known(obj)
        if known is None or known.requested < requested:
            known = await self._owners.ask(obj, request, requested)
        _check_board(visible, known.board)

    async def _filtered(
        self, response: ApiResponse, plan: ReadPlan, visible: Visible
    ) -> ApiResponse:
        if _shows_nothing(response) or plan.attribution.form is Form.OPEN:
            return response
        stored, scope_filter = response.stored, ScopeFilter(visible)
        if stored is None:
            body = await body_of(response)
            filtered = await run_if_large(len(body), scope_filter.response, body, plan)
            return replace(response, body=filtered, gzip=False, length=None)
        form = await self._form_of(stored, plan, visible)
        return replace(response, body=form.body, gzip=form.gzip, stored=form, whole=stored)

    async def _form_of(
        self, stored: StoredResponse, plan: ReadPlan, visible: Visible
    ) -> StoredResponse:
        """What is left of a stored response; the same one if that is all of it."""
        key = (stored.key, stored.etag, visible.version, plan)
        if self._unchanged.use(key):
            return stored
        form = self._forms.use(key)
        if form is not None and form.requested == stored.requested:
            return form
        size = len(stored.body) * (_GZIP_RATIO if stored.gzip else 1)
        form = await run_if_large(size, _filter, stored, plan, ScopeFilter(visible))
        if form is stored:
            self._unchanged[key] = True
        elif len(form.body) <= MAX_FORM_BYTES:
            self._forms[key] = form
        return form


def with_query(request: ApiRequest, query: str) -> ApiRequest:
    """The request with another query; the same one if it has that already."""
    path, _, own = request.target.partition("?")
    return request if query == own else request.derive(target=f"{path}?{query}" if query else path)


def refused(refusal: NotVisible) -> ApiResponse:
    """Trello's refusal; it is the same for what is not visible and for what is not there."""
    return ApiResponse(refusal.status, _REFUSAL_HEAD, refusal.sentence.encode(), Outcome())


def _shows_nothing(response: ApiResponse) -> bool:
    """Whether the response is an error or empty, and so has nothing to be filtered."""
    return response.status >= 400 or response.body == b""


def _check_board(visible: Visible, name: str) -> None:
    if name not in visible.board_names:
        raise NotVisible


def _is_foreign(response: ApiResponse, plan: ReadPlan, visible: Visible) -> bool:
    """Whether the response was requested while its object was on another board, or may have been.

    Its tags have the board, as far as that was known then. What cannot leave its board, or names it
    by itself, need not have it.
    """
    if response.stored is None or plan.attribution.form not in (Form.BOARD, Form.OWNED):
        return False
    boards = boards_of(response.stored.tags)
    is_certain = bool(boards) or plan.names_board or response.stored.status != 200
    return not (is_certain and boards <= visible.boards)


def _filter(stored: StoredResponse, plan: ReadPlan, scope_filter: ScopeFilter) -> StoredResponse:
    body = identity_of(stored.body, gzip=stored.gzip)
    filtered = scope_filter.response(body, plan)
    if filtered == body:
        return stored
    return replace(stored, body=filtered, gzip=False, etag=etag_of(filtered))
