"""Attachment links, rewritten to the proxy in responses and back to Trello in requests (D15). Pure.

Works on bytes: everything but the link is unchanged. Facts:
- Trello's host is `trello.com` or `api.trello.com`; both serve the same object.
- JSON may spell a slash `\\/`, a query or form `%2F`; a link keeps its spelling.
- Downloads of 2020 have the storage URL in `?backingUrl=`; those of previews have no id:
  `…/previews/download?backingUrl=…`.
- Legacy storage URLs, avatars and backgrounds are public, and are not rewritten.
"""

import json
import re
from collections.abc import Collection
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from proxy.http_semantics.parameters import words_in_any_encoding
from proxy.http_semantics.target import host_name
from proxy.links.signing import FileIds, LinkSigner
from proxy.model import Kind
from proxy.trello.routes import UNKNOWN, Match

_CARDS = frozenset({"card", "cards"})
_ENDPOINTS = (b'"https://api.trello.com"', b'"https:\\/\\/api.trello.com"')


def rewrite_client_js(script: bytes, public_url: str) -> bytes:
    """Trello's client.js with `public_url` as its API endpoint; all other bytes unchanged.

    A web page that uses the script then needs no change but the script's address.
    """
    endpoint = json.dumps(public_url).encode()
    for trello in _ENDPOINTS:
        script = script.replace(trello, endpoint)
    return script


MAX_LINK_BYTES = 4096
"""A longer link is read as ending here."""

_MARKS = (b"/attachments/", b"\\/attachments\\/")
_FILE = (
    rb"(?P<path>(?P=s)1(?P=s)cards?(?P=s)(?P<card>[0-9A-Za-z]{1,64})"
    rb"(?P=s)attachments(?P=s)(?P<attachment>[0-9A-Za-z]{1,64})(?P=s)"
    rb"(?:previews(?P=s)(?:(?P<preview>[\w-]{1,64})(?P=s))?)?download)(?![\w-])"
)
_TRELLO_LINK = re.compile(rb"https?:(?P<s>\\?/)(?P=s)(?:api\.)?trello\.com" + _FILE)
_AUTHORITY = rb"(?P<authority>(?:[\w.\-\[\]:]|%(?:3[Aa]|5[BbDd])){1,280})"
_ANY_LINK = re.compile(rb"https?(?P<c>:|%3[Aa])(?P<s>\\?/|%2[Ff])(?P=s)" + _AUTHORITY + _FILE)
_NEXT_LINK = rb"(?<!backingUrl=)https?(?::|%3[Aa])"
"""The beginning of another link, which ends the one before it."""
_NAME = (
    rb"(?:(?!" + _NEXT_LINK + rb")(?:[^\x00-\x20\"\\<>()\[\]{}|`?#]"
    rb"|\([^\x00-\x20\"\\<>()?#:]{0,255}\)|\\u(?!00[0-7])[0-9A-Fa-f]{4})){0,1024}"
)
"""A file name in a URL; brackets are part of it in pairs, as in `photo%20(1).png`."""
_AFTER_PATH = re.compile(
    rb"(?:\\?/" + _NAME + rb"(?<![.,;:!?'*~]))?"
    rb"(?P<query>\?(?:(?!" + _NEXT_LINK + rb")[^\x00-\x20\"\\<>()\[\]#]){0,1024})?"
)
_SIGNED = re.compile(
    rb"(?P<rest>(?:(?!" + _NEXT_LINK + rb")"
    rb"(?:[^\x00-\x20\"<>\\]|\\/|\\u[0-9A-Fa-f]{4})){0,1024}?)"
    rb"(?:\?|%3[Ff]|&|%26)s(?:=|%3[Dd])[0-9]{1,7}\.[A-Za-z0-9_-]{43}"
)
"""The rest of a link up to the end of its signature."""


class LinkRewriter:
    """Rewrites attachment links to the proxy's public URL and back."""

    def __init__(
        self, public_url: str, signer: LinkSigner | None = None, hosts: Collection[str] = ()
    ) -> None:
        """Links are signed by `signer`, if any.

        `hosts`: all other host names of the proxy, without port or brackets.
        """
        self.public_url = public_url
        self._signer = signer
        self.signs = signer is not None
        """Whether a file opens by a signed link only."""
        self._origins = {b"/": public_url.encode(), b"\\/": public_url.replace("/", r"\/").encode()}
        self._hosts = frozenset({urlsplit(public_url).hostname or "", *hosts})

    def rewrite(self, body: bytes, now: float) -> bytes:
        """The body with links to the proxy for those to Trello; the same object without any.

        `now`: POSIX seconds, for signatures.
        """
        if not any(mark in body for mark in _MARKS):
            return body
        return self.rewrite_until(body, now, len(body))[0]

    def rewrite_until(self, body: bytes, now: float, until: int) -> tuple[bytes, bytes]:
        """The part of the body whose links begin before `until`, rewritten; and the rest."""
        out: list[bytes] = []
        at = 0
        for link in _TRELLO_LINK.finditer(body):
            if link.start() >= until:
                break
            out += (body[at : link.start()], self._origins[link["s"]], link["path"])
            at = link.end()
            if self._signer:
                rest = _AFTER_PATH.match(body, at)
                if rest:
                    at = rest.end()
                    mark = b"&" if rest["query"] else b"?"
                    out += (rest[0], mark, b"s=", self._signature(self._signer, link, now))
        if not at and until >= len(body):
            return body, b""
        until = max(at, until)
        return b"".join((*out, body[at:until])), body[until:]

    def stream(self, now: float) -> "LinkStream":
        """As `rewrite`, for a body in chunks."""
        return LinkStream(self, now)

    def to_trello(self, body: bytes, also: Collection[str] = ()) -> bytes:
        """The body with links to Trello for those to the proxy, in any spelling, at any port.

        The same object without any. `also`: further host names by which this client may know the
        proxy. Signatures are removed.
        """
        if b"attachments" not in body:
            return body
        out: list[bytes] = []
        at = 0
        for link in _ANY_LINK.finditer(body):
            host = host_name(unquote_to_bytes(link["authority"]).decode("ascii", "replace"))
            if host not in self._hosts and host not in also:
                continue
            slash, colon = link["s"], link["c"]
            out += (body[at : link.start()], b"https", colon, slash, slash, b"trello.com")
            out.append(link["path"])
            at = link.end()
            signed = _SIGNED.match(body, at)
            if signed:
                out.append(signed["rest"])
                at = signed.end()
        return b"".join((*out, body[at:])) if at else body

    def is_own_host(self, host: str) -> bool:
        """Whether `host`, without port or brackets, is one of the proxy's names."""
        return host in self._hosts

    def href(self, file: FileIds, path: str, now: float) -> str:
        """The path of a file's link, with its signature if links are signed."""
        return f"{path}?s={self._signer.sign(file, now)}" if self._signer else path

    @staticmethod
    def _signature(signer: LinkSigner, link: re.Match[bytes], now: float) -> bytes:
        preview = link["preview"] or b""
        ids = (link["card"].decode(), link["attachment"].decode(), preview.decode())
        return signer.sign(FileIds(*ids), now).encode()


class LinkStream:
    """Incremental `rewrite` of one body; buffers less than `2 * MAX_LINK_BYTES`."""

    __slots__ = ("_buffer", "_links", "_now")

    def __init__(self, links: LinkRewriter, now: float) -> None:
        self._links = links
        self._now = now
        self._buffer = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be sent after `chunk`.

        A link that begins MAX_LINK_BYTES or more before the end is complete.
        """
        buffer = self._buffer + chunk
        until = len(buffer) - MAX_LINK_BYTES
        if until <= 0:
            self._buffer = buffer
            return b""
        rewritten, self._buffer = self._links.rewrite_until(buffer, self._now, until)
        return rewritten

    def finish(self) -> bytes:
        """The rest of the body; call it after the last chunk."""
        buffer, self._buffer = self._buffer, b""
        return self._links.rewrite_until(buffer, self._now, len(buffer))[0]


def file_in_path(path: str) -> FileIds | None:
    """The ids in a path below `/1` of an attachment's file; None for any other path."""
    segments = [unquote(segment) for segment in path.split("/") if segment]
    match segments:
        case ["1", cards, card, "attachments", attachment, "download", *_] if cards in _CARDS:
            return FileIds(card, attachment)
        case ["1", cards, card, "attachments", attachment, "previews", "download"] if (
            cards in _CARDS
        ):
            return FileIds(card, attachment)
        case ["1", cards, card, "attachments", attachment, "previews", preview, "download", *_] if (
            cards in _CARDS
        ):
            return FileIds(card, attachment, preview)
    return None


def file_in_route(match: Match) -> FileIds | None:
    """The ids of the file that a request is for, in any spelling of its path; None for no file.

    An unknown route that looks like a file gets empty ids, which no signature is valid for.
    """
    if match.route.kind is Kind.FILE:
        params = dict(match.params)
        if "idAttachment" in params:
            return FileIds(params["id"], params["idAttachment"], params.get("idPreview", ""))
    elif match.route.template == UNKNOWN or match.route.template.endswith("{field}"):
        readings = words_in_any_encoding("/".join(match.segments))
        is_file = any(_FILE_LIKE.search(" ".join(words)) for words in readings)
        return FileIds("", "") if is_file else None
    return None


_FILE_LIKE = re.compile(r"\battachments?\b.*\bdownload")
