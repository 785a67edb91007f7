"""Batch codec: the sub-URLs of a batch, and the items of its response as raw bytes. Pure.

Facts:
- `urls` is one list joined by commas; it is decoded once, and every comma then ends a sub-URL.
  A comma inside one is therefore encoded twice.
- Some clients encode each sub-URL, and the list again: such an item still begins with `%2F`.
- Some leave the `&` of a sub-URL unencoded. It looks like a separator of the batch's own
  parameters, of which there are none but `urls`: after an unencoded `?` it is the sub-URL's.
- An item is `{"200": body}`, or `{"name": …, "message": …, "statusCode": …}` if it failed.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, unquote_plus

from proxy.http_semantics.content import identity_of
from proxy.http_semantics.json_members import elements, object_of, only_member
from proxy.model import Kind, StoredResponse
from proxy.trello.routes import UNKNOWN, Match
from proxy.trello.tunnel import is_plain

MAX_PARTS = 10
"""Trello's limit; longer lists are forwarded, for Trello to refuse."""

JSON_HEAD = b"Content-Type: application/json; charset=utf-8\r\n"
"""The fields of a composed response."""

_OF_THE_BATCH = frozenset({"callback", "_", "_method"})
"""Parameters that scripts append to any URL."""
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F))
_ENCODED_SLASH = re.compile("%2f", re.I)
_STATUS = re.compile("[0-9]{3}")
_PLAIN = re.compile(r"[\w.~/-]*", re.ASCII)
_NAMES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a batch response."""

    status: int
    """Status of the part; 0 if the item has none."""
    raw: bytes = field(repr=False)
    """The item as received."""
    body: bytes = field(default=b"", repr=False)
    """The body of a single read; empty for a failure."""


def parse_urls(query: str) -> tuple[str, ...]:
    """The sub-URLs of a batch's raw query as targets below `/1`, in their order.

    Empty unless the query is plainly a list of one to ten.
    """
    urls = _urls_in(query)
    if urls is None:
        return ()
    items = unquote_plus(urls, errors="surrogateescape").split(",")
    if len(items) > MAX_PARTS or not all(items):
        return ()
    targets = [_target_of(item) for item in items]
    return tuple(target for target in targets if target) if all(targets) else ()


def is_cacheable_part(match: Match, query_names: Collection[str]) -> bool:
    """Whether a sub-URL is an ordinary read; a batch with any other is forwarded unchanged.

    Not ordinary are files, paths with a token, unknown paths, JSONP, tunnelled writes, nested
    batches, and paths or names that would change if Trello decoded them once more.
    """
    return (
        all(map(_PLAIN.fullmatch, (*match.segments, *query_names)))
        and match.route.kind is Kind.READ
        and match.route.template != UNKNOWN
        and not match.secret_positions
        and is_plain(query_names)
    )


def batch_target(targets: Sequence[str]) -> str:
    """The target of a batch of these; every sub-URL survives one decoding."""
    urls = ",".join(target.removeprefix("/1").replace(",", "%2C") for target in targets)
    return f"/1/batch?urls={quote(urls, safe='')}"


def split_items(plain: bytes, count: int) -> list[Item] | None:
    """The items of a batch response, as slices of its bytes; None unless there are `count`."""
    try:
        items = [_item(each) for each in elements(plain)]
    except ValueError:
        return None
    return items if len(items) == count else None


def compose_body(pieces: Sequence[StoredResponse | bytes]) -> bytes:
    """A batch response of stored responses and raw items, in Trello's compact form."""
    return b"[%b]" % b",".join(
        piece
        if isinstance(piece, bytes)
        else make_item(piece.status, identity_of(piece.body, gzip=piece.gzip))
        for piece in pieces
    )


def make_item(status: int, plain: bytes) -> bytes:
    """The item of a part that was read singly; a failure has Trello's status and message."""
    if 200 <= status < 300:
        return b'{"%d":%b}' % (status, plain)
    failure = {
        "name": _NAMES.get(status, "Error"),
        "message": _sentence(plain),
        "statusCode": status,
    }
    return json.dumps(failure, separators=(",", ":"), ensure_ascii=False).encode()


def _urls_in(query: str) -> str | None:
    """The raw value of `urls`; None if there are two, or other parameters of the batch."""
    urls: str | None = None
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if not parameter:
            continue
        if urls is None and name == "urls":
            urls = value
        elif urls is not None and name not in _OF_THE_BATCH and "?" in urls.rpartition(",")[2]:
            urls = f"{urls}&{parameter}"
        else:
            return None
    return urls


def _target_of(item: str) -> str | None:
    """One sub-URL below `/1`, encoded; None if it is ambiguous whether a comma ends it."""
    if _ENCODED_SLASH.match(item):
        item = unquote(item, errors="surrogateescape")
        if ",/" in item or "," in item.partition("?")[0]:
            return None
    sent = quote(item, safe=_SAFE, errors="surrogateescape")
    return f"/1{sent}" if sent.startswith("/") else f"/1/{sent}"


def _item(raw: bytes) -> Item:
    """An item; ValueError if it has a status and other members."""
    name, value = only_member(raw) or ("", b"")
    if _STATUS.fullmatch(name):
        return Item(int(name), raw, value if name == "200" else b"")
    shown = object_of(raw)
    if _STATUS.fullmatch(next(iter(shown), "")):
        raise ValueError("a status and other members")
    status = shown.get("statusCode")
    return Item(status if isinstance(status, int) and status != 200 else 0, raw)


def _sentence(plain: bytes) -> str:
    """The message of an error response: its text, or the `message` of a JSON object."""
    text = plain.decode("utf-8", "replace").strip()
    message = object_of(text).get("message")
    return message if isinstance(message, str) else text
