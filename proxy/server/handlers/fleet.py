"""Fleet handlers: the pages that each node of a fleet serves itself."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.errors import InvalidTarget, MethodNotAllowed
from proxy.fleet.leadership import Leadership, Session
from proxy.fleet.near import Near
from proxy.fleet.node import Node, Role
from proxy.http_semantics.fields import serialize
from proxy.observability.metrics import Metrics
from proxy.pages.fleet import FleetState, MemberRow, fleet_json, fleet_page, fleet_text
from proxy.server.handlers.admin import HEALTHZ, METRICS, READYZ, AdminAccess
from proxy.server.middleware import Handler
from proxy.server.negotiation import negotiated_response
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.status.health import Health, Report

FLEET = "/-/fleet"
FORGET = "/-/fleet/forget"
_FIELDS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPages:
    """Handlers of health, metrics and the fleet's state."""

    node: Node
    near: Near
    """The node's own."""
    metrics: Metrics
    health: Callable[[], Health | None]
    """Of the components, while this node leads."""
    access: AdminAccess
    has_admin_address: bool

    def routes(self, *, is_admin: bool) -> dict[str, Handler]:
        """Handlers by path; `is_admin`: at `admin.listen`."""
        public: dict[str, Handler] = {HEALTHZ: self.healthz, READYZ: self.readyz}
        restricted: dict[str, Handler] = {FLEET: self.show, FORGET: self.forget}
        if is_admin:
            public[METRICS] = self.show_metrics
        elif self.has_admin_address:
            return {}
        else:
            restricted[METRICS] = self.show_metrics
        only = self.access.only
        return public | {path: only(path, handler) for path, handler in restricted.items()}

    async def healthz(self, _: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Liveness probe: 200."""
        context.route = HEALTHZ
        return _json({"status": "ok"})

    async def readyz(self, _: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Readiness probe: 503 only for a leader that can serve nothing."""
        context.route = READYZ
        report = self._report()
        return _json(
            {"status": report.status, **report.parts}, 503 if report.status == "down" else 200
        )

    def _report(self) -> Report:
        role, leader, health = self.node.role, self.node.leader, self.health()
        if role is Role.LEADER and health is not None:
            report = health.report()
            return Report(report.status, {"fleet": "leader", **report.parts})
        if leader is not None:
            through = f" through {leader.through}" if leader.through else ""
            return Report("ready", {"fleet": f"follower of {leader.address}{through}"})
        return Report("degraded", {"fleet": role.value})

    async def show_metrics(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The metrics of this node."""
        context.route = METRICS
        accept = request.headers.get("Accept", "")
        media_type, body = await asyncio.to_thread(self.metrics.render, accept)
        fields = (("Content-Type", media_type), ("Cache-Control", "no-store"))
        return WireResponse(200, serialize(fields), body)

    async def show(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The fleet as this node knows it."""
        context.route = FLEET
        state = self._state()
        return negotiated_response(
            request,
            page=partial(fleet_page, state),
            json=partial(fleet_json, state),
            text=partial(fleet_text, state),
        )

    async def forget(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Forget a member that will not come back; MethodNotAllowed, InvalidTarget."""
        context.route, context.is_audited = FORGET, True
        if request.method != "POST":
            raise MethodNotAllowed("Use POST.", "POST, OPTIONS")
        address = dict(parse_qsl(request.raw_path.partition("?")[2])).get("node", "")
        if address not in self.node.members - {self.node.address}:
            raise InvalidTarget(f"Name another member: {FORGET}?node=host:port")
        if self.node.leader is not None and self.node.leader.address == address:
            raise InvalidTarget("This node leads now; name one that will not come back.")
        if self.node.leadership is not None and address in self.node.leadership.sessions:
            raise InvalidTarget("It is connected to this node; name one that will not come back.")
        self.node.forget(address)
        return _json({"forgotten": address})

    def _state(self) -> FleetState:
        node, leader, leadership = self.node, self.node.leader, self.node.leadership
        leads = leader.address if leader else ""
        rows = []
        for address in sorted(node.members):
            if address == node.address:
                rows.append(self._own_row())
            elif leadership and address in leadership.sessions:
                rows.append(_follower_row(leadership, leadership.sessions[address]))
            else:
                rows.append(MemberRow(address=address, role="leader" if address == leads else ""))
        return FleetState(
            address=node.address, role=node.role.value, leader=leads, term=node.term, members=rows
        )

    def _own_row(self) -> MemberRow:
        leader, hello, near = self.node.leader, self.node.hello, self.near
        role = "" if leader is None else "leader" if leader.is_self else "follower"
        return MemberRow(
            address=hello.address,
            role=role,
            version=hello.version,
            settings=hello.config,
            trusted_s=near.trusted_s if near.term else None,
            kept=near.kept if near.term else None,
            through=leader.through if leader else "",
        )


def _follower_row(leadership: Leadership, session: Session) -> MemberRow:
    hello, subscription = session.hello, session.subscription
    return MemberRow(
        address=hello.address,
        role="follower",
        version=hello.version,
        settings=hello.config,
        heard_s=leadership.heard_s(session),
        trusted_s=subscription.trusted_s if subscription else None,
        lag=subscription.lag if subscription else None,
        kept=session.kept if subscription else None,
        through=hello.through,
    )


def _json(value: dict[str, str | float | None], status: int = 200) -> WireResponse:
    return WireResponse(status, serialize(_FIELDS), json.dumps(value).encode() + b"\n")
