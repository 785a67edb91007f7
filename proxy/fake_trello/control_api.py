"""/-/demo/…: the strings of the stand-in, pulled over HTTP. These requests are not counted."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from proxy.fake_trello.api import Parts
from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.faults import Fault

PREFIX = "/-/demo/"


async def handle(request: web.Request, parts: Parts) -> web.Response:
    """The answer of one control; 404 for no such control, 400 for a wrong body."""
    control = _CONTROLS.get((request.method, request.path.removeprefix(PREFIX)))
    if control is None:
        return _json({"controls": [f"{m} {PREFIX}{name}" for m, name in _CONTROLS]}, 404)
    text = await request.text()
    try:
        wanted = json.loads(text) if text.strip() else {}
        return _json(control(parts, dict(wanted)))
    except Refusal as refusal:
        return _json({"status": refusal.status, "message": refusal.sentence}, 400)
    except (TypeError, ValueError, KeyError) as error:
        return _json({"message": str(error)}, 400)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _asked(parts: Parts, _: dict[str, Any]) -> Any:
    return parts.asked.as_json()


def _reset_asked(parts: Parts, _: dict[str, Any]) -> Any:
    parts.asked.reset()
    return parts.asked.as_json()


def _fault(parts: Parts, wanted: dict[str, Any]) -> Any:
    """A Fault's fields, or one of: clear, latency_s, direct_downloads, limits, hidden."""
    if wanted.pop("clear", False):
        parts.faults.clear()
    parts.faults.latency_s = float(wanted.pop("latency_s", parts.faults.latency_s))
    direct = wanted.pop("direct_downloads", parts.faults.direct_downloads)
    parts.faults.direct_downloads = bool(direct)
    parts.trello.hidden = frozenset(wanted.pop("hidden", parts.trello.hidden))
    parts.limits.on = bool(wanted.pop("limits", parts.limits.on))
    if wanted:
        parts.faults.add(Fault(**wanted))
    return {"ok": True}


def _edit(parts: Parts, wanted: dict[str, Any]) -> Any:
    """method, path, params and, optionally, by: done in Trello's own UI."""
    method, path = str(wanted["method"]).upper(), str(wanted["path"])
    return parts.trello.edit(method, path, wanted.get("params"), by=str(wanted.get("by", "")))


_CONTROLS: dict[tuple[str, str], Callable[[Parts, dict[str, Any]], Any]] = {
    ("GET", "asked"): _asked,
    ("POST", "reset-asked"): _reset_asked,
    ("POST", "fault"): _fault,
    ("POST", "edit"): _edit,
}
