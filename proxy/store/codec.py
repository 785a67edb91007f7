"""A stored response as bytes: one line of JSON, then the body as it came. No pickle (D1)."""

import json

from proxy.model import CacheKey, StoredResponse, Tag

_VERSION = 1


def dumps(stored: StoredResponse) -> bytes:
    """What `loads` reads; readable with any sqlite3 shell."""
    meta = {
        "v": _VERSION,
        "status": stored.status,
        "head": stored.head.decode("latin-1"),
        "gzip": stored.gzip,
        "etag": stored.etag,
        "asked_at": stored.requested_at,
        "asked_seq": stored.requested_seq,
        "tags": stored.tags,
        "missing_since": stored.missing_since,
        "length": len(stored.body),
    }
    return json.dumps(meta, separators=(",", ":")).encode() + b"\n" + stored.body


def loads(key: CacheKey, row: bytes) -> StoredResponse | None:
    """The stored response, or None for a row that is damaged, cut or of another version."""
    head, _, body = row.partition(b"\n")
    try:
        meta = json.loads(head)
        if meta["v"] != _VERSION or meta["length"] != len(body):
            return None
        missing_since = meta["missing_since"]
        return StoredResponse(
            key=key,
            status=int(meta["status"]),
            head=meta["head"].encode("latin-1"),
            body=body,
            gzip=bool(meta["gzip"]),
            etag=str(meta["etag"]),
            requested_at=float(meta["asked_at"]),
            requested_seq=int(meta["asked_seq"]),
            tags=tuple(Tag(str(tag)) for tag in meta["tags"]),
            missing_since=None if missing_since is None else float(missing_since),
        )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
