"""Explanation of a request (`/-/explain`) as HTML, JSON and text."""

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from markupsafe import Markup

from proxy.model import Tag
from proxy.pages.format import counted, duration_text, time_text
from proxy.pages.identity import identity_json, identity_text
from proxy.pages.layout import EMPTY, page
from proxy.ratelimit.limiter import WaitPrediction
from proxy.status.explain import Explanation, StoredInfo
from proxy.trello.routes import Handling
from proxy.trello.tags import ALL_OF_KIND, EVERYTHING, INFERRED, SPANNING, UNKNOWN_ID

_TITLE = "Explain a request"
_PAGE = Markup("""<h1>{verdict}</h1>
<p class="lead">What the proxy would do now. Explaining sends nothing to Trello.</p>
<form class="panel" method="get" action="/-/explain">
<label for="url">An address of Trello's API, or a path below /1/</label>
<div class="row"><input type="text" inputmode="url" id="url" name="url" value="{target}"
 autocomplete="off" spellcheck="false" placeholder="/1/boards/…"{focused}>
<button class="button first">Explain</button></div></form>
{explanation}""")
_FOCUSED = Markup(" autofocus")
_IDENTITY = Markup("<p>{}</p>\n")
_REQUEST = Markup(
    '<section class="panel"><h2>{label}</h2>\n<dl class="rows">{rows}</dl></section>\n'
)
_NAME = Markup("<dt>{}</dt>")
_VALUE = Markup("<dd>{}</dd>\n")
_CACHE_STATUS = re.compile(r"(?P<hit>hit)(?:; ttl=(?P<ttl>-?[0-9]+))?|fwd=(?P<fwd>[a-z-]+)")
_FORWARD_REASONS = {
    "uri-miss": "nothing is stored",
    "stale": "what is stored has expired",
    "request": "the request asks for it",
}
_VERDICTS = {
    Handling.WRITE: "It would be sent to Trello, once",
    Handling.AUTH_NOTICE: "The proxy would answer itself",
}

_HANDLINGS: dict[Handling, str] = {
    Handling.CACHED_READ: "a cacheable read",
    Handling.BATCH: "a batch, cached part by part",
    Handling.ATTACHMENT: "a file; its metadata is shown here",
    Handling.EXPORT: "a file made for one request",
    Handling.WRITE: "a write, forwarded once",
    Handling.BYPASS: "never stored",
    Handling.AUTH_NOTICE: "a page of the proxy's own",
}
_KINDS = {"cards-of": "data shown on all cards of board", "customField": "custom field"}


def target_of_url(url: str) -> str:
    """The request target of a URL, Trello's or the proxy's, or of a path."""
    split = urlsplit(url.strip())
    path = split.path if split.path.startswith("/") else f"/{split.path}"
    return f"{path}?{split.query}" if split.query else path


def url_parameter(query: str) -> str:
    """The value of `url` in a raw query; empty for none.

    A URL that was typed without encoding keeps its own query: everything after `url=` is the value.
    """
    if not query.startswith("url="):
        return ""
    raw = query.removeprefix("url=")
    return raw if "?" in raw else unquote(raw.partition("&")[0])


def explain_page(explanation: Explanation | None, target: str = "") -> bytes:
    """The explanation as HTML, with a form for the next; None: the form alone.

    `target`: what was asked for, without credentials.
    """
    if explanation is None:
        form = _PAGE.format(verdict=_TITLE, target="", focused=_FOCUSED, explanation="")
        return page(_TITLE, form)
    verdict = _verdict(explanation)
    identity = identity_text(explanation.client, is_admitted=explanation.is_admitted)
    requests = EMPTY.join(map(_request_html, (explanation, *explanation.parts)))
    shown = _IDENTITY.format(identity) + requests
    return page(
        verdict, _PAGE.format(verdict=verdict, target=target, focused="", explanation=shown)
    )


def _verdict(explanation: Explanation) -> str:
    """The outcome in one sentence."""
    if not explanation.is_admitted:
        return "A client without a key would be refused"
    status = _CACHE_STATUS.search(explanation.cache_status)
    if status is None or status["fwd"] == "bypass":
        return _VERDICTS.get(explanation.handling, "Trello would be asked, each time")
    if not status["hit"] and explanation.parts:
        missing = [part for part in explanation.parts if "hit" not in part.cache_status]
        return f"Trello would be asked for {len(missing)} of {len(explanation.parts)} parts"
    if not status["hit"]:
        return f"Trello would be asked: {_FORWARD_REASONS.get(status['fwd'], status['fwd'])}"
    ttl_s = int(status["ttl"] or 0)
    if ttl_s < 0:
        return "A hit, stale, while it is revalidated"
    return f"A hit, for {duration_text(ttl_s)} more" if status["ttl"] else "A hit"


def _request_html(explanation: Explanation) -> Markup:
    rows = (
        (_NAME.format(name) if name else EMPTY) + _VALUE.format(value)
        for name, value in _rows(explanation)
    )
    return _REQUEST.format(label=explanation.label, rows=EMPTY.join(rows))


def explain_text(explanation: Explanation) -> bytes:
    """The explanation as plain text."""
    return "\n".join(_all_lines(explanation)).encode() + b"\n"


def explain_json(explanation: Explanation) -> bytes:
    """The explanation as JSON."""
    value = {"client": identity_json(explanation.client), **_json_object(explanation)}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _all_lines(explanation: Explanation) -> Iterator[str]:
    yield identity_text(explanation.client, is_admitted=explanation.is_admitted)
    yield from _lines(explanation)


def _lines(explanation: Explanation) -> Iterator[str]:
    yield explanation.label
    for name, value in _rows(explanation):
        yield f"  {name:14} {value}"
    for part in explanation.parts:
        yield ""
        yield from _lines(part)


def _rows(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Names and values; a further value of the same name has an empty one."""
    yield "route", f"{explanation.route} ({_HANDLINGS[explanation.handling]})"
    yield "next response", explanation.cache_status or "has no Cache-Status"
    if explanation.stored is not None:
        yield from _stored_rows(explanation.stored)
    elif explanation.handling in {Handling.CACHED_READ, Handling.ATTACHMENT}:
        yield "stored", "no"
    if explanation.key:
        yield "key", explanation.key
    if explanation.wait is not None:
        yield "rate limit", _wait_text(explanation.wait)
    for number, event in enumerate(_invalidators(explanation.tags)):
        yield "" if number else "invalidated by", event
    if explanation.tags:
        yield "tags", " ".join(explanation.tags)


def _stored_rows(stored: StoredInfo) -> Iterator[tuple[str, str]]:
    age = duration_text(int(stored.age_s))
    size = "" if stored.size_bytes is None else f", {counted(stored.size_bytes, 'byte')}"
    when = time_text(stored.requested_at)
    yield "stored", f"{when} ({age} ago): status {stored.status}{size}"
    lifetimes = stored.lifetimes
    lifetime = duration_text(int(lifetimes.lifetime_s))
    watched = ", longer because its boards are watched" if stored.is_watched else ""
    remaining = duration_text(abs(int(stored.remaining_s)))
    end = f"expired {remaining} ago" if stored.remaining_s <= 0 else f"{remaining} left"
    yield "lifetime", f"{lifetime}{watched}; {end}"
    if stored.is_marked_stale:
        yield "", "marked stale: something it shows was changed at Trello"
    revalidating = duration_text(int(lifetimes.stale_while_revalidate_s))
    failing = duration_text(int(lifetimes.stale_if_error_s))
    yield "stale for", f"{revalidating} while revalidating, {failing} while Trello fails"


def _wait_text(wait: WaitPrediction) -> str:
    if wait.is_rejected:
        return f"rejected with 429: the {wait.limit} limit has no room for {wait.wait_s:.1f} s"
    if wait.wait_s > 0:
        return f"waits {wait.wait_s:.1f} s for the {wait.limit} limit"
    return "sent at once"


def _invalidators(tags: Sequence[Tag]) -> Iterator[str]:
    """The events that invalidate a response with these tags; `*` tags repeat the named ones."""
    ids: dict[str, list[str]] = {}
    for tag in tags:
        kind, _, object_id = tag.partition(":")
        if object_id and object_id != ALL_OF_KIND:
            ids.setdefault(kind, []).append(object_id)
    for kind, named in sorted(ids.items()):
        what = _KINDS.get(kind, kind)
        if UNKNOWN_ID in named:
            yield f"a change of any {what}: the response does not show which it depends on"
        else:
            yield f"a change of {what} {', '.join(each for each in named if each != INFERRED)}"
    if SPANNING in tags:
        yield "a change of anything shown by lists over several boards"
    if EVERYTHING in tags:
        yield "a purge, and any change whose effect is unknown"


def _json_object(explanation: Explanation) -> dict[str, object]:
    stored, wait = explanation.stored, explanation.wait
    return {
        "request": explanation.label,
        "route": explanation.route,
        "handling": explanation.handling,
        "key": explanation.key or None,
        "cache_status": explanation.cache_status or None,
        "stored": _stored_object(stored) if stored else None,
        "rate_limit": (
            {"limit": wait.limit, "wait_s": round(wait.wait_s, 3), "rejected": wait.is_rejected}
            if wait
            else None
        ),
        "tags": list(explanation.tags),
        "invalidated_by": list(_invalidators(explanation.tags)),
        "parts": [_json_object(part) for part in explanation.parts],
    }


def _stored_object(stored: StoredInfo) -> dict[str, object]:
    lifetimes = stored.lifetimes
    return {
        "status": stored.status,
        "requested_at": stored.requested_at,
        "age_s": round(stored.age_s, 3),
        "bytes": stored.size_bytes,
        "remaining_s": round(stored.remaining_s, 3),
        "lifetime_s": lifetimes.lifetime_s,
        "stale_while_revalidate_s": lifetimes.stale_while_revalidate_s,
        "stale_if_error_s": lifetimes.stale_if_error_s,
        "watched": stored.is_watched,
        "marked_stale": stored.is_marked_stale,
    }
