"""Multipart bodies without the parts that hold the client's credential, as a stream. Pure.

The caller feeds chunks as they arrive and sends the bytes that are returned. Parts named like a
credential are removed and replaced by padding (D13), all other bytes are unchanged; at most
`LOOKAHEAD_BYTES` are buffered.

Facts (RFC 2046 §5.1.1, RFC 7578):
- a delimiter is CRLF, `--`, the boundary, and then `--` (the last one) or blanks and CRLF;
- its first CRLF is no part of the body before it. The first delimiter needs none: so the stream
  is read as if it began with a CRLF, which is never returned;
- a header section ends with an empty line, or at once with a delimiter;
- the receiver ignores the epilogue, after the last delimiter.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from urllib.parse import unquote

from proxy.credentials.body_extraction import MAX_PARAMS
from proxy.credentials.extraction import NOTHING, Part, extracted_from, part_of
from proxy.errors import BodyTooLarge, TunnelDenied
from proxy.http_semantics.content import parameters_of
from proxy.http_semantics.parameters import MAX_MEMBERS, METHOD_PARAMETER, root_of

LOOKAHEAD_BYTES = 16 * 1024
"""Longest header section; after a longer one the rest of the body is unchanged."""
MAX_VALUE_BYTES = 4096
"""A longer part is not in `params`, nor read as a credential, though it is removed as one."""

_MAX_BOUNDARY_BYTES = 256
"""RFC 2046 §5.1.1 allows 70 characters; patterns are compiled from it."""
_CRLF = b"\r\n"
_DISPOSITION = re.compile(r"^content-disposition\s*:(.*)$", re.I | re.M)
_FOLD = re.compile(r"\r\n(?=[ \t])")


def boundary_of(content_type: str) -> bytes | None:
    """The boundary in a multipart Content-Type (RFC 2046 §5.1.1); None for other types.

    BodyTooLarge for a boundary of more than 256 bytes.
    """
    if not content_type.lstrip().lower().startswith("multipart/"):
        return None
    boundary = dict(parameters_of(content_type)).get("boundary", "")
    delimiter = boundary.encode("utf-8", "surrogateescape")
    if len(delimiter) > _MAX_BOUNDARY_BYTES:
        raise BodyTooLarge(f"Use a multipart boundary of at most {_MAX_BOUNDARY_BYTES} bytes.")
    return delimiter or None


class _State(Enum):
    """The part of a multipart body that the buffer begins with."""

    BODY = auto()
    """A part's body, or the preamble; with the CRLF before it."""
    HEAD = auto()
    """A part's header section, with the CRLF before it; its delimiter is pending."""
    END = auto()
    """The epilogue, or a rest that is not parsed."""


class MultipartStripper:
    """Incremental filter of one body; `credential` and `params` grow with it.

    `params` has the short parts that are no files.

    `feed` and `finish` raise BodyTooLarge for more than MAX_MEMBERS parts, TunnelDenied for a part
    that names a method.
    """

    def __init__(self, boundary: bytes, declared_length: int | None) -> None:
        """`declared_length`: the Content-Length sent to the receiver, if any."""
        self.credential = NOTHING
        self.params: dict[str, str] = {}
        self.names: set[str] = set()
        """Of all parts so far."""
        self.is_unread = False
        """Whether parts may follow that are not read: a header section was too long."""
        self._parts = 0
        self._is_length_declared = declared_length is not None
        self._delimiter = _CRLF + b"--" + boundary
        delimiter = re.escape(self._delimiter)
        self._line = re.compile(delimiter + rb"(?:(--)|[ \t]{0,1000}(?=\r\n))")
        self._cut_line = re.compile(delimiter + rb"(?:-|[ \t]{0,1000}\r?)\Z")
        self._head_end = re.compile(rb"\r\n(?=\r\n)|(?=" + delimiter + rb")")
        self._at = _State.BODY
        self._buffer = _CRLF
        self._consumed = 0
        self._searched = 0
        self._unreturned_bytes = len(_CRLF)
        self._pending = b""
        self._out: list[bytes] = []
        self._dropped_bytes = 0
        self._part: Part | None = None
        self._name: str | None = None
        self._value: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be sent after `chunk`."""
        self._buffer += chunk
        while self._advance():
            pass
        self._buffer = self._buffer[self._consumed :]
        self._consumed = 0
        return self._send()

    def finish(self) -> bytes:
        """The rest of the body; to be called until it returns nothing.

        Spaces after the last delimiter replace removed parts of a body with a declared length, at
        most `LOOKAHEAD_BYTES` per call.
        """
        if self._at is _State.BODY:
            self._pass_body(len(self._buffer))
            self._end_part()
        self._fail()
        self._out.append(self._consume(len(self._buffer)))
        if self._is_length_declared:
            padding_bytes = min(self._dropped_bytes, LOOKAHEAD_BYTES)
            self._dropped_bytes -= padding_bytes
            self._out.append(b" " * padding_bytes)
        return self._send()

    def _consume(self, until: int) -> bytes:
        """The unconsumed bytes of the buffer up to `until`."""
        data, self._consumed = self._buffer[self._consumed : until], until
        return data

    def _send(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        sent = out[self._unreturned_bytes :]
        self._unreturned_bytes = max(0, self._unreturned_bytes - len(out))
        return sent

    def _advance(self) -> bool:
        """Consume what can be decided; whether more may be."""
        match self._at:
            case _State.BODY:
                return self._read_body()
            case _State.HEAD:
                return self._read_head()
            case _State.END:
                self._out.append(self._consume(len(self._buffer)))
                return False

    def _read_body(self) -> bool:
        line = self._line.search(self._buffer, self._consumed)
        if not line:
            self._pass_body(self._undecided_from())
            return False
        self._pass_body(line.start())
        self._end_part()
        self._pending = self._consume(line.end())
        self._at, self._searched = _State.HEAD, 0
        if line[1]:
            self._fail()
        return True

    def _undecided_from(self) -> int:
        """The offset of a possible delimiter whose rest is still to arrive."""
        cut_line = self._cut_line.search(self._buffer, self._consumed)
        if cut_line:
            return cut_line.start()
        start = self._buffer.rfind(b"\r", self._consumed)
        if start >= 0 and self._delimiter.startswith(self._buffer[start:]):
            return start
        return len(self._buffer)

    def _read_head(self) -> bool:
        limit = self._consumed + LOOKAHEAD_BYTES
        end = self._head_end.search(self._buffer, self._consumed + self._searched, limit)
        if end:
            self._begin_part(self._consume(end.end()))
            return True
        if len(self._buffer) >= limit:
            self.is_unread = True
            self._fail()
            return True
        searched = len(self._buffer) - self._consumed - len(self._delimiter) - len(_CRLF)
        self._searched = max(0, searched)
        return False

    def _fail(self) -> None:
        """Leave all bytes from the pending delimiter on unchanged."""
        self._out.append(self._pending)
        self._pending, self._at = b"", _State.END

    def _begin_part(self, head: bytes) -> None:
        self._parts += 1
        if self._parts > MAX_MEMBERS:
            raise BodyTooLarge(f"Send at most {MAX_MEMBERS:,} parts in a multipart body.")
        parameters = list(_disposition(head))
        names = [unquote(value) for name, value in parameters if name == "name"]
        self.names.update(names or [""])
        if any(root_of(name) == METHOD_PARAMETER for name in names):
            raise TunnelDenied("Send the method itself instead of `_method`.")
        self._part = next((part for part in map(part_of, names) if part), None)
        self._name = names[0] if names else None
        is_file = any(name == "filename" for name, _ in parameters)
        self._value = None if is_file and not self._part else b""
        self._keep_or_drop(self._pending + head)
        self._pending, self._at = b"", _State.BODY

    def _pass_body(self, until: int) -> None:
        data = self._consume(until)
        if self._value is not None:
            self._value += data
            if len(self._value) > len(_CRLF) + MAX_VALUE_BYTES:
                self._value = None
        self._keep_or_drop(data)

    def _keep_or_drop(self, data: bytes) -> None:
        if self._part:
            self._dropped_bytes += len(data)
        else:
            self._out.append(data)

    def _end_part(self) -> None:
        value = None
        if self._value is not None:
            value = self._value[len(_CRLF) :].decode("utf-8", "replace")
        if self._part:
            self.credential = self.credential.merge(extracted_from("multipart", self._part, value))
        elif self._name and value is not None and len(self.params) < MAX_PARAMS:
            self.params[self._name] = value
        self._part, self._name, self._value = None, None, None


def _disposition(head: bytes) -> Iterator[tuple[str, str]]:
    """The parameters of a part's Content-Disposition, whatever the case of its name."""
    for value in _DISPOSITION.findall(_FOLD.sub("", head.decode("latin-1"))):
        yield from parameters_of(value)
