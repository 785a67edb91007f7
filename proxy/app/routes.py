"""Routes: which handler serves which path, for clients and at the operator's own address."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from proxy.access.client import ANONYMOUS
from proxy.app.components import Components, Environment
from proxy.app.from_config import build_signer
from proxy.fleet.giver import Giver
from proxy.http_semantics.cache_control import NONE
from proxy.model import Detail, Priority
from proxy.pages.docs import URL as DOCS
from proxy.pages.home import Offer
from proxy.pages.identity import identity_text
from proxy.server.client_access import ClientAccess
from proxy.server.handlers.admin import (
    AUDIT,
    CLIENT_CREDENTIALS,
    EXPLAIN,
    HEALTHZ,
    METRICS,
    READYZ,
    AdminAccess,
    AdminHandler,
)
from proxy.server.handlers.api import ApiHandler
from proxy.server.handlers.archives import ArchiveHandler
from proxy.server.handlers.attachments import AttachmentHandler
from proxy.server.handlers.board_metrics import BOARD_METRICS, BoardMetricsHandler
from proxy.server.handlers.cards_csv import CardsCsvHandler
from proxy.server.handlers.docs import docs_handlers
from proxy.server.handlers.json_addresses import JsonAddressHandler
from proxy.server.handlers.page_reads import PageReads
from proxy.server.handlers.pages import FILES, PageHandler
from proxy.server.handlers.purge import PURGE, PurgeHandler
from proxy.server.handlers.webhooks import WebhookHandler
from proxy.server.middleware import Handler, Routes
from proxy.server.request_context import RequestContext
from proxy.status.board_metrics import BoardMetrics
from proxy.status.explain import Explainer
from proxy.status.health import Health
from proxy.trello.message import ApiRequest
from proxy.trello.webhook_payload import PATH as CALLBACK_PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRoutes:
    """The routes of each listener."""

    clients: Routes
    admin: Routes
    """Routes at `admin.listen`."""


class RouteBuilder:
    """Builds the handlers of one proxy."""

    def __init__(
        self, environment: Environment, components: Components, detail: Detail | None = None
    ) -> None:
        """`detail`: in each Cache-Status."""
        self._detail = detail
        self._board_metrics = _board_metrics_handler(environment, components).show
        self._config = environment.config
        self._clock = environment.clock
        self._metrics = environment.metrics
        self._components = components
        token = self._config.admin.token
        self._admin = AdminAccess(token.reveal() if token else None)
        self._audit = environment.audit
        self._authentication = environment.authentication
        self._clients = ClientAccess(self._authentication)
        self._has_admin_address = self._config.admin.listen is not None
        self._purge = PurgeHandler(
            invalidator=components.services.invalidator,
            parser=components.services.parser,
            aliases=components.services.cache.aliases,
        )

    def build(self) -> ListenerRoutes:
        """The routes; without `admin.listen` those of clients include the operator's pages."""
        admin_pages = self._admin_pages()
        api, pages = self._api_handler(), self._page_handler()
        assets, docs, only = dict.fromkeys(FILES, pages.asset), docs_handlers(), self._clients.only
        exact = {"/": only("/", pages.home), **assets}
        exact |= {path: only(DOCS, handler) for path, handler in docs.items()}
        receiver = self._components.changes.webhook_receiver
        if receiver is not None:
            exact[CALLBACK_PATH] = WebhookHandler(receiver).handle
        purge_target = self._admin.only(PURGE, self._purge.purge_target)
        if not self._has_admin_address:
            exact |= admin_pages
        csv = CardsCsvHandler(reads=self._page_reads()).handle
        archives = self._archive_handler(api)
        card, board = archives.of_cards(pages.card), archives.of_boards(pages.board)
        prefixes = {
            "/c/": JsonAddressHandler(only("/c/{card}", card), api.handle, csv).handle,
            "/b/": JsonAddressHandler(only("/b/{board}", board), api.handle, csv).handle,
        }
        return ListenerRoutes(
            clients=Routes(
                exact,
                prefixes,
                api.handle,
                purge=None if self._has_admin_address else purge_target,
            ),
            admin=Routes({**admin_pages, **assets, **docs}, purge=purge_target),
        )

    def _api_handler(self) -> ApiHandler:
        services, clock = self._components.services, self._clock
        return ApiHandler(
            parser=services.parser,
            audit=self._audit,
            reads=services.reads,
            lookup=services.cache.lookup,
            memory=self._components.stores.responses.memory,
            writes=services.writes,
            batches=services.batches,
            attachments=AttachmentHandler(services.attachments, services.cache.lookup, clock),
            exports=services.exports,
            scoping=services.scoping,
            verifier=services.verifier,
            limiter=self._components.upstream.limiter,
            clock=clock,
            signer=build_signer(self._config.links),
            detail=self._detail,
            giver=Giver(self._components.stores.responses, services.cache.lookup, clock),
        )

    def _page_handler(self) -> PageHandler:
        return PageHandler(
            reads=self._page_reads(),
            links=self._components.upstream.links,
            clock=self._clock,
            watched=self._components.services.cache.watched,
            dashboard=self._components.dashboard,
            offer=self._offer,
        )

    def _archive_handler(self, api: ApiHandler) -> ArchiveHandler:
        links = self._components.upstream.links
        return ArchiveHandler(
            reads=self._page_reads(), api=api.handle, links=links, clock=self._clock
        )

    def _page_reads(self) -> PageReads:
        services = self._components.services
        return PageReads(parser=services.parser, reads=services.reads, scoping=services.scoping)

    def _offer(self, request: web.BaseRequest, context: RequestContext) -> Offer:
        """What the page at `/` offers to the sender of a request."""
        return Offer(
            shows_admin_links=not self._has_admin_address and self._admin.admits(request),
            is_keyless=not self._config.clients.requires_credentials,
            needs_client_key=context.client.source != "certificate"
            and not self._authentication.admits(ANONYMOUS),
            identity=identity_text(context.client),
        )

    def _admin_pages(self) -> Mapping[str, Handler]:
        """The operator's pages by path; among clients' routes more of them need admin access."""
        admin = self._admin_handler()
        public: dict[str, Handler] = {HEALTHZ: admin.healthz, READYZ: admin.readyz}
        restricted: dict[str, Handler] = {
            PURGE: self._purge.purge,
            EXPLAIN: self._clients.identified(admin.explain),
            AUDIT: admin.show_audit,
        }
        reports: dict[str, Handler] = {
            METRICS: admin.show_metrics,
            BOARD_METRICS: self._board_metrics,
            CLIENT_CREDENTIALS: admin.client_credentials,
        }
        if self._has_admin_address:
            public |= reports
        else:
            restricted |= reports
        return {
            **public,
            **{path: self._admin.only(path, handler) for path, handler in restricted.items()},
        }

    def _admin_handler(self) -> AdminHandler:
        return AdminHandler(
            metrics=self._metrics,
            audit=self._audit,
            health=health_of(self._components),
            explainer=self._explainer(),
            parser=self._components.services.parser,
            authentication=self._authentication,
            scoping=self._components.services.scoping,
            credential_usage=self._components.credential_usage,
        )

    def _explainer(self) -> Explainer:
        services = self._components.services
        return Explainer(
            reads=services.reads,
            batches=services.batches,
            attachments=services.attachments,
            lookup=services.cache.lookup,
            aliases=services.cache.aliases,
            limiter=self._components.upstream.limiter,
            responses=self._components.stores.responses,
            clock=self._clock,
        )


def _board_metrics_handler(environment: Environment, components: Components) -> BoardMetricsHandler:
    services = components.services

    def request_of(target: str) -> ApiRequest:
        return services.parser.internal_get(target, NONE, Priority.API)

    metrics = BoardMetrics(
        environment.config.metrics.boards,
        reads=services.reads,
        responses=components.stores.responses,
        watched=services.cache.watched,
        request_of=request_of,
        clock=environment.clock,
    )
    return BoardMetricsHandler(environment.own(metrics))


def health_of(components: Components) -> Health:
    """The readiness of a proxy, or of a fleet's leader."""
    return Health(
        responses=components.stores.responses,
        files=components.stores.attachments,
        limiter=components.upstream.limiter,
        poller=components.changes.poller,
        availability=components.upstream.availability,
        credential_manager=components.credential_manager,
    )
