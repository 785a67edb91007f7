"""Explanation of a request (`/-/explain`) as HTML, JSON and text."""

import json
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from markupsafe import Markup

from proxy.model import Tag
from proxy.pages.format import counted, duration_text, time_text
from proxy.pages.identity import identity_json, identity_text
from proxy.pages.layout import page
from proxy.ratelimit.limiter import WaitPrediction
from proxy.status.explain import Explanation, StoredInfo
from proxy.trello.routes import Handling
from proxy.trello.tags import ALL_OF_KIND, EVERYTHING, INFERRED, SPANNING, UNKNOWN_ID

_TITLE = "Explanation of a request"
_PAGE = Markup("""<h1>{title}</h1>
<p class="lead">What the proxy would do with it now. Explaining sends nothing to Trello.</p>
<section class="panel"><pre>{text}</pre></section>""")

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


def explain_page(explanation: Explanation) -> bytes:
    """The explanation as HTML."""
    return page(_TITLE, _PAGE.format(title=_TITLE, text="\n".join(_all_lines(explanation))))


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
    yield f"{explanation.label}"
    yield f"  route          {explanation.route} ({_HANDLINGS[explanation.handling]})"
    yield f"  next response  {explanation.cache_status or 'has no Cache-Status'}"
    if explanation.stored is not None:
        yield from _stored_lines(explanation.stored)
    elif explanation.handling in {Handling.CACHED_READ, Handling.ATTACHMENT}:
        yield "  stored         no"
    if explanation.key:
        yield f"  key            {explanation.key}"
    if explanation.wait is not None:
        yield f"  rate limit     {_wait_text(explanation.wait)}"
    for number, line in enumerate(_invalidators(explanation.tags)):
        yield f"  {'' if number else 'invalidated by':14} {line}"
    if explanation.tags:
        yield f"  tags           {' '.join(explanation.tags)}"
    for part in explanation.parts:
        yield ""
        yield from _lines(part)


def _stored_lines(stored: StoredInfo) -> Iterator[str]:
    age = duration_text(int(stored.age_s))
    size = "" if stored.size_bytes is None else f", {counted(stored.size_bytes, 'byte')}"
    when = time_text(stored.requested_at)
    yield f"  stored         {when} ({age} ago): status {stored.status}{size}"
    lifetimes = stored.lifetimes
    lifetime = duration_text(int(lifetimes.lifetime_s))
    watched = ", longer because its boards are watched" if stored.is_watched else ""
    remaining = duration_text(abs(int(stored.remaining_s)))
    end = f"expired {remaining} ago" if stored.remaining_s <= 0 else f"{remaining} left"
    yield f"  lifetime       {lifetime}{watched}; {end}"
    if stored.is_marked_stale:
        yield "                 marked stale: something it shows was changed at Trello"
    yield (
        f"  stale for      {duration_text(int(lifetimes.stale_while_revalidate_s))} while "
        f"revalidating, {duration_text(int(lifetimes.stale_if_error_s))} while Trello fails"
    )


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
