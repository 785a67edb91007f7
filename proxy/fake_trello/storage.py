"""Storage host: files behind signed URLs that expire; takes no keys or tokens."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote

from proxy.fake_trello.request import File
from proxy.fake_trello.responses import Response
from proxy.fake_trello.state import State
from proxy.runtime.clock import Clock

_XML = "application/xml"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class Signer:
    """Signs URLs of the storage host; a signature expires after `life_s` seconds."""

    def __init__(self, clock: Clock, secret: str, life_s: float = 300.0) -> None:
        self._clock = clock
        self._secret = secret.encode()
        self.life_s = life_s

    def sign(self, path: str) -> str:
        """The path with a signature in its query."""
        expires = str(int(self._clock.now() + self.life_s))
        return f"{path}?X-Expires={expires}&X-Signature={self._digest(path, expires)}"

    def error_code(self, path: str, query: str) -> str | None:
        """The storage's error code for a URL; None when its signature is valid."""
        parameters = dict(parse_qsl(query))
        expires, signature = parameters.get("X-Expires", ""), parameters.get("X-Signature", "")
        if not signature or not expires.isdecimal():
            return "AccessDenied"
        if not hmac.compare_digest(self._digest(path, expires).encode(), signature.encode()):
            return "SignatureDoesNotMatch"
        return None if int(expires) > self._clock.now() else "AccessDenied"

    def _digest(self, path: str, expires: str) -> str:
        """Digest of the decoded path: clients may encode it differently."""
        text = f"{unquote(path)}|{expires}"
        return hmac.digest(self._secret, text.encode(), "sha256").hex()


def file_path(file_id: str, name: str) -> str:
    """The path of a file at the storage host."""
    return f"/files/{file_id}/{quote(name)}"


class Storage:
    """Handles GET and HEAD of stored files."""

    def __init__(self, state: State, signer: Signer) -> None:
        self._state = state
        self._signer = signer

    def respond(self, method: str, raw_path: str, fields: Mapping[str, str]) -> Response:
        """The file, a range of it, or an error in the storage's XML."""
        path, _, query = raw_path.partition("?")
        if "Authorization" in fields:
            return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
        if method not in ("GET", "HEAD"):
            return _error(405, "MethodNotAllowed", "Not allowed against this resource")
        code = self._signer.error_code(path, query)
        if code is not None:
            return _error(403, code, "Request has expired or was not signed for this")
        file = self._state.files.get(unquote(path).split("/")[2])
        if file is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return _complete(file) if "Range" not in fields else _partial(file, fields["Range"])


def _error(status: int, code: str, message: str) -> Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(status, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(), _XML)


def _complete(file: File) -> Response:
    response = Response(200, file.body, file.content_type or "binary/octet-stream")
    digest = hashlib.blake2b(file.body, digest_size=16).hexdigest()
    response.fields["ETag"] = f'"{digest}"'
    response.fields["Accept-Ranges"] = "bytes"
    response.fields["Server"] = "AmazonS3"
    return response


def _partial(file: File, range_field: str) -> Response:
    """206 for one range of bytes; other Range fields are ignored (RFC 9110 §14.2)."""
    response = _complete(file)
    match, length = _RANGE.match(range_field), len(file.body)
    if match is None or match[0] == "bytes=-":
        return response
    if not match[1]:
        start, end = max(0, length - int(match[2])), length
    else:
        start, end = int(match[1]), min(length, int(match[2]) + 1) if match[2] else length
    if start >= end:
        refused = _error(416, "InvalidRange", "The requested range is not satisfiable")
        refused.fields["Content-Range"] = f"bytes */{length}"
        return refused
    response.status, response.body = 206, file.body[start:end]
    response.fields["Content-Range"] = f"bytes {start}-{end - 1}/{length}"
    return response
