"""Stored form of a response: one line of JSON, then the body as received; no pickle (D1)."""

import json

from proxy.model import CacheKey, StoredResponse, Tag

VERSION = 3
"""Of the stored form; another one is not read."""


def dumps(stored: StoredResponse, ahead_s: float = 0.0) -> bytes:
    """The value of a response, for `loads`; readable with any shell of the database.

    `ahead_s`: how far this machine's clock is ahead of the one by which times are stored.
    """
    missing_since = stored.missing_since
    meta = {
        "v": VERSION,
        "status": stored.status,
        "head": stored.head.decode("latin-1"),
        "gzip": stored.gzip,
        "etag": stored.etag,
        "requested_at": stored.requested_at - ahead_s,
        "requested_seq": stored.requested_seq,
        "tags": stored.tags,
        "missing_since": None if missing_since is None else missing_since - ahead_s,
        "usable_s": stored.usable_s,
        "length": len(stored.body),
    }
    return json.dumps(meta, separators=(",", ":")).encode() + b"\n" + stored.body


def loads(key: CacheKey, row: bytes, ahead_s: float = 0.0) -> StoredResponse | None:
    """The stored response, or None for a value that is damaged, truncated or of another version."""
    head, _, body = row.partition(b"\n")
    try:
        meta = json.loads(head)
        if meta["v"] != VERSION or meta["length"] != len(body):
            return None
        missing_since = meta["missing_since"]
        return StoredResponse(
            key=key,
            status=int(meta["status"]),
            head=meta["head"].encode("latin-1"),
            body=body,
            gzip=bool(meta["gzip"]),
            etag=str(meta["etag"]),
            requested_at=float(meta["requested_at"]) + ahead_s,
            requested_seq=int(meta["requested_seq"]),
            tags=tuple(Tag(str(tag)) for tag in meta["tags"]),
            missing_since=None if missing_since is None else float(missing_since) + ahead_s,
            usable_s=float(meta["usable_s"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
