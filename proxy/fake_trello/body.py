"""Request parameters from query, form, JSON and multipart bodies."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.request import File

MAX_BYTES = 256 * 1024 * 1024
_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]\Z")
_CHUNK = 256 * 1024


def parse_query(query: str) -> dict[str, Any]:
    """The parameters of a raw query or form; of a repeated name the last."""
    return expand_brackets(parse_qsl(query, keep_blank_values=True)) if query else {}


def expand_brackets(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The parameters, `a[b]=c` as an object in `a`."""
    out: dict[str, Any] = {}
    for name, value in pairs:
        brackets = _BRACKETS.match(name)
        if brackets is None:
            out[name] = value
            continue
        inside = out.setdefault(brackets[1], {})
        if isinstance(inside, dict):
            inside[brackets[2]] = value
    return out


async def parse_body(request: web.Request) -> tuple[dict[str, Any], File | None, int]:
    """Parameters and file of a request's body, and its size in bytes."""
    if not request.body_exists:
        return {}, None, 0
    if request.content_type.startswith("multipart/"):
        return await _of_multipart(request)
    body = await request.read()
    return _of_bytes(body), None, len(body)


def _of_bytes(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith(("{", "[")):
        return parse_query(text)
    try:
        parsed = json.loads(text)
    except ValueError:
        raise Refusal(400, "invalid JSON") from None
    return parsed if isinstance(parsed, dict) else {}


async def _of_multipart(request: web.Request) -> tuple[dict[str, Any], File | None, int]:
    pairs: list[tuple[str, Any]] = []
    file, size = None, 0
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                continue
            body = await _read(part)
            size += len(body)
            if part.name == "file" or part.filename is not None:
                kind = part.headers.get("Content-Type", "application/octet-stream")
                file = File(part.filename or "upload", kind, body)
            else:
                pairs.append((part.name or "", body.decode("utf-8", "replace")))
    except (ValueError, AssertionError, HttpProcessingError):
        raise Refusal(400, "Error parsing body") from None
    return expand_brackets(pairs), file, size


async def _read(part: BodyPartReader) -> bytes:
    body = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            raise Refusal(413, "File too large")
    return bytes(body)
