"""Control API `/-/demo/…`: request log, faults and edits over HTTP; not in the request log."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from proxy.fake_trello.api import Parts
from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.faults import Fault

PREFIX = "/-/demo/"


async def handle(request: web.Request, parts: Parts) -> web.Response:
    """The response of a control; 404 for an unknown control, 400 for a malformed body."""
    control = _CONTROLS.get((request.method, request.path.removeprefix(PREFIX)))
    if control is None:
        return _json({"controls": [f"{m} {PREFIX}{name}" for m, name in _CONTROLS]}, 404)
    text = await request.text()
    try:
        body = json.loads(text) if text.strip() else {}
        return _json(control(parts, dict(body)))
    except Refusal as refusal:
        return _json({"status": refusal.status, "message": refusal.text}, 400)
    except (TypeError, ValueError, KeyError) as error:
        return _json({"message": str(error)}, 400)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _get_log(parts: Parts, _: dict[str, Any]) -> Any:
    return parts.request_log.as_json()


def _reset_log(parts: Parts, _: dict[str, Any]) -> Any:
    parts.request_log.reset()
    return parts.request_log.as_json()


def _fault(parts: Parts, body: dict[str, Any]) -> Any:
    """The fields of a Fault; or clear, latency_s, direct_downloads, limits, hidden."""
    if body.pop("clear", False):
        parts.faults.clear()
    parts.faults.latency_s = float(body.pop("latency_s", parts.faults.latency_s))
    direct = body.pop("direct_downloads", parts.faults.direct_downloads)
    parts.faults.direct_downloads = bool(direct)
    parts.trello.hidden = frozenset(body.pop("hidden", parts.trello.hidden))
    parts.limits.on = bool(body.pop("limits", parts.limits.on))
    if body:
        parts.faults.add(Fault(**body))
    return {"ok": True}


def _edit(parts: Parts, body: dict[str, Any]) -> Any:
    """An edit at Trello itself: method, path, params and, optionally, by (a member id)."""
    method, path = str(body["method"]).upper(), str(body["path"])
    return parts.trello.edit(method, path, body.get("params"), by=str(body.get("by", "")))


_CONTROLS: dict[tuple[str, str], Callable[[Parts, dict[str, Any]], Any]] = {
    ("GET", "asked"): _get_log,
    ("POST", "reset-asked"): _reset_log,
    ("POST", "fault"): _fault,
    ("POST", "edit"): _edit,
}
