"""Why a read is or is not a hit, told to the operator: as text and as JSON. Pure."""

import json
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from proxy.model import Tag
from proxy.pages.format import (
    counted,
    span_text,
    time_text,
)
from proxy.pages.layout import e, page
from proxy.ratelimit.limiter import WaitPrediction
from proxy.status.explain import Explanation, StoredInfo
from proxy.trello.routes import Handling
from proxy.trello.tags import (
    ALL_OF_KIND,
    EVERYTHING,
    INFERRED,
    SPANNING,
    UNKNOWN_ID,
)


def target_in(url: str) -> str:
    """The request target in a URL, of Trello's or of the proxy's, or in the path of one."""
    split = urlsplit(url.strip())
    path = split.path if split.path.startswith("/") else f"/{split.path}"
    return f"{path}?{split.query}" if split.query else path


def url_in(query: str) -> str:
    """The value of `url` in a query; as it stands where whoever typed it did not encode it."""
    if not query.startswith("url="):
        return ""
    raw = query.removeprefix("url=")
    return raw if "?" in raw else unquote(raw.partition("&")[0])


def as_text(explained: Explanation) -> bytes:
    """For a terminal."""
    return "\n".join(_lines(explained)).encode() + b"\n"


def as_page(explained: Explanation) -> bytes:
    """For a browser."""
    text = e("\n".join(_lines(explained)))
    main = f'<h1>What would become of it</h1>\n<section class="panel"><pre>{text}</pre></section>'
    return page("What would become of it", main)


def as_json(explained: Explanation) -> bytes:
    """For programs."""
    return json.dumps(_object(explained), ensure_ascii=False).encode() + b"\n"


def _lines(explained: Explanation) -> Iterator[str]:
    yield f"{explained.label}"
    yield f"  route          {explained.route} ({_HANDLINGS[explained.handling]})"
    yield f"  next answer    {explained.cache_status or 'has no Cache-Status'}"
    if explained.stored is not None:
        yield from _stored_lines(explained.stored)
    elif explained.handling in {Handling.CACHED_READ, Handling.ATTACHMENT}:
        yield "  stored         no"
    if explained.key:
        yield f"  key            {explained.key}"
    if explained.wait is not None:
        yield f"  limiter        {_wait_text(explained.wait)}"
    for number, line in enumerate(_invalidators(explained.tags)):
        yield f"  {'' if number else 'invalidated by':14} {line}"
    if explained.tags:
        yield f"  tags           {' '.join(explained.tags)}"
    for part in explained.parts:
        yield ""
        yield from _lines(part)


_HANDLINGS: dict[Handling, str] = {
    Handling.CACHED_READ: "a read that is stored",
    Handling.BATCH: "a batch, part by part",
    Handling.ATTACHMENT: "a file; what is stored is its metadata",
    Handling.EXPORT: "a file that is made for one asker",
    Handling.WRITE: "a write: forwarded once",
    Handling.BYPASS: "never stored",
    Handling.AUTH_NOTICE: "a page of the proxy's own",
}


def _stored_lines(kept: StoredInfo) -> Iterator[str]:
    age = span_text(int(kept.age_s))
    yield (
        f"  stored         since {time_text(kept.since)} ({age} ago): status {kept.status}, "
        f"{counted(kept.size_bytes, 'byte')}"
    )
    lifetimes = kept.lifetimes
    lifetime = span_text(int(lifetimes.lifetime_s))
    watched = ", longer because its boards are watched" if kept.is_watched else ""
    left = span_text(abs(int(kept.remaining_s)))
    over = "over since" if kept.remaining_s <= 0 else "left"
    yield f"  lifetime       {lifetime}{watched}; {over} {left}"
    if kept.is_outdated:
        yield "                 stale all the same: what it shows was changed in Trello itself"
    yield (
        f"  after that     {span_text(int(lifetimes.stale_while_revalidate_s))} while asking, "
        f"{span_text(int(lifetimes.stale_if_error_s))} while Trello fails"
    )


def _wait_text(turn: WaitPrediction) -> str:
    if turn.is_rejected:
        return f"429: the {turn.limit} limit has room in {turn.wait_s:.1f} s only"
    if turn.wait_s > 0:
        return f"waits {turn.wait_s:.1f} s for the {turn.limit} limit"
    return "goes at once"


def _invalidators(tags: Sequence[Tag]) -> Iterator[str]:
    """What names one of the tags, in words; the tags that only make doubt safe are not repeated."""
    ids: dict[str, list[str]] = {}
    for tag in tags:
        kind, _, each = tag.partition(":")
        if each and each != ALL_OF_KIND:
            ids.setdefault(kind, []).append(each)
    for kind, named in sorted(ids.items()):
        what = _KINDS.get(kind, kind)
        if UNKNOWN_ID in named:
            yield f"a change of any {what}: the answer does not show which it depends on"
        else:
            yield f"a change of {what} {', '.join(each for each in named if each != INFERRED)}"
    if SPANNING in tags:
        yield "a change of anything that lists over several boards show"
    if EVERYTHING in tags:
        yield "a purge, and what cannot be understood"


_KINDS = {"cards-of": "what all cards show of board", "customField": "custom field"}


def _object(explained: Explanation) -> dict[str, object]:
    kept, turn = explained.stored, explained.wait
    return {
        "request": explained.label,
        "route": explained.route,
        "way": explained.handling,
        "key": explained.key or None,
        "cache_status": explained.cache_status or None,
        "stored": _stored_object(kept) if kept else None,
        "limiter": (
            {"limit": turn.limit, "wait_s": round(turn.wait_s, 3), "refused": turn.is_rejected}
            if turn
            else None
        ),
        "tags": list(explained.tags),
        "invalidated_by": list(_invalidators(explained.tags)),
        "parts": [_object(part) for part in explained.parts],
    }


def _stored_object(kept: StoredInfo) -> dict[str, object]:
    lifetimes = kept.lifetimes
    return {
        "status": kept.status,
        "since": kept.since,
        "age_s": round(kept.age_s, 3),
        "bytes": kept.size_bytes,
        "remaining_s": round(kept.remaining_s, 3),
        "lifetime_s": lifetimes.lifetime_s,
        "stale_while_revalidate_s": lifetimes.stale_while_revalidate_s,
        "stale_if_error_s": lifetimes.stale_if_error_s,
        "watched": kept.is_watched,
        "outdated": kept.is_outdated,
    }
