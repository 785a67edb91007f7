"""Links to attachments: Trello's become the proxy's own in what clients read, and Trello's again
in what they write (D4). Byte-level, pure: everything but the link itself passes as it came.

Facts:
- Trello's host is `trello.com` or `api.trello.com`; both are the same object.
- JSON may spell a slash `\\/`, a query or form `%2F`; a link keeps the spelling it is found in.
- Downloads of 2020 carry the storage address in `?backingUrl=`; those of previews have no id:
  `…/previews/download?backingUrl=…`.
- Legacy storage addresses, avatars and backgrounds are public, and stay.
"""

import json
import re
from collections.abc import Collection
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from proxy.http_semantics.target import (
    host_name,
)
from proxy.links.signing import FileIds, LinkSigner
from proxy.model import Kind
from proxy.trello.routes import UNKNOWN, Match

_ENDPOINTS = (b'"https://api.trello.com"', b'"https:\\/\\/api.trello.com"')


def rewrite_client_js(script: bytes, public_url: str) -> bytes:
    """The script with its API endpoint set to `public_url`; every other byte as it came."""
    endpoint = json.dumps(public_url).encode()
    for theirs in _ENDPOINTS:
        script = script.replace(theirs, endpoint)
    return script


REACH_BYTES = 4096
"""No link is longer; what would be is read as ending there."""

_MARKS = (b"/attachments/", b"\\/attachments\\/")
_FILE = (
    rb"(?P<path>(?P=s)1(?P=s)cards?(?P=s)(?P<card>[0-9A-Za-z]{1,64})"
    rb"(?P=s)attachments(?P=s)(?P<attachment>[0-9A-Za-z]{1,64})(?P=s)"
    rb"(?:previews(?P=s)(?:(?P<preview>[\w-]{1,64})(?P=s))?)?download)(?![\w-])"
)
_THEIRS = re.compile(rb"https?:(?P<s>\\?/)(?P=s)(?:api\.)?trello\.com" + _FILE)
_AUTHORITY = rb"(?P<authority>(?:[\w.\-\[\]:]|%(?:3[Aa]|5[BbDd])){1,280})"
_ANYONES = re.compile(rb"https?(?P<c>:|%3[Aa])(?P<s>\\?/|%2[Ff])(?P=s)" + _AUTHORITY + _FILE)
_OTHER = rb"(?<!backingUrl=)https?(?::|%3[Aa])"
"""How another link begins: none reaches into the next."""
_NAME = (
    rb"(?:(?!" + _OTHER + rb")(?:[^\x00-\x20\"\\<>()\[\]{}|`?#]"
    rb"|\([^\x00-\x20\"\\<>()?#:]{0,255}\)|\\u(?!00[0-7])[0-9A-Fa-f]{4})){0,1024}"
)
"""A file's name in a URL; brackets belong to it in pairs, as in `photo%20(1).png`."""
_AFTER_ID = re.compile(
    rb"(?:\\?/" + _NAME + rb"(?<![.,;:!?'*~]))?"
    rb"(?P<query>\?(?:(?!" + _OTHER + rb")[^\x00-\x20\"\\<>()\[\]#]){0,1024})?"
)
_SIGNED = re.compile(
    rb"(?P<rest>(?:(?!" + _OTHER + rb")"
    rb"(?:[^\x00-\x20\"<>\\]|\\/|\\u[0-9A-Fa-f]{4})){0,1024}?)"
    rb"(?:\?|%3[Ff]|&|%26)s(?:=|%3[Dd])[0-9]{1,7}\.[A-Za-z0-9_-]{43}"
)
"""The rest of a link, to the end of its signature."""


class LinkRewriter:
    """Rewrites attachment links to the proxy's public URL and back, signed where that is wanted."""

    def __init__(
        self, public_url: str, signing: LinkSigner | None = None, hosts: Collection[str] = ()
    ) -> None:
        """`hosts`: every other host name the proxy answers to, without port or brackets."""
        self.public_url = public_url
        self._signer = signing
        self._origins = {b"/": public_url.encode(), b"\\/": public_url.replace("/", r"\/").encode()}
        self._hosts = frozenset({urlsplit(public_url).hostname or "", *hosts})

    def rewrite(self, body: bytes, now: float) -> bytes:
        """The body with our links for Trello's; the same object when there is none."""
        if not any(mark in body for mark in _MARKS):
            return body
        return self.rewrite_until(body, now, len(body))[0]

    def rewrite_until(self, body: bytes, now: float, until: int) -> tuple[bytes, bytes]:
        """What begins before `until`, rewritten, and the rest, untouched."""
        out: list[bytes] = []
        at = 0
        for link in _THEIRS.finditer(body):
            if link.start() >= until:
                break
            out += (body[at : link.start()], self._origins[link["s"]], link["path"])
            at = link.end()
            if self._signer:
                rest = _AFTER_ID.match(body, at)
                if rest:
                    at = rest.end()
                    mark = b"&" if rest["query"] else b"?"
                    out += (rest[0], mark, b"s=", self._signature(self._signer, link, now))
        if not at and until >= len(body):
            return body, b""
        until = max(at, until)
        return b"".join((*out, body[at:until])), body[until:]

    def stream(self, now: float) -> "LinkStream":
        """As `rewrite`, for a body that comes in chunks."""
        return LinkStream(self, now)

    def to_trello(self, body: bytes, also: Collection[str] = ()) -> bytes:
        """The body with Trello's links for the proxy's, in any spelling, whatever the port.

        `also`: more host names that this request's client may know the proxy by. The same object
        when there is no such link. A signature is no part of the link: it goes.
        """
        if b"attachments" not in body:
            return body
        out: list[bytes] = []
        at = 0
        for link in _ANYONES.finditer(body):
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
        """Whether a host name, without port or brackets, is one of the proxy's."""
        return host in self._hosts

    def href(self, file: FileIds, path: str, now: float) -> str:
        """The path of a file's link with what opens it."""
        return f"{path}?s={self._signer.sign(file, now)}" if self._signer else path

    @staticmethod
    def _signature(signing: LinkSigner, link: re.Match[bytes], now: float) -> bytes:
        preview = link["preview"] or b""
        ids = (link["card"].decode(), link["attachment"].decode(), preview.decode())
        return signing.sign(FileIds(*ids), now).encode()


class LinkStream:
    """One body on its way; holds back less than `2 * REACH_BYTES`."""

    __slots__ = ("_held", "_links", "_now")

    def __init__(self, links: LinkRewriter, now: float) -> None:
        self._links = links
        self._now = now
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be sent on, now that `chunk` has come.

        A link that begins further from the end than it can reach is there in full.
        """
        held = self._held + chunk
        until = len(held) - REACH_BYTES
        if until <= 0:
            self._held = held
            return b""
        settled, self._held = self._links.rewrite_until(held, self._now, until)
        return settled

    def finish(self) -> bytes:
        """The rest."""
        held, self._held = self._held, b""
        return self._links.rewrite_until(held, self._now, len(held))[0]


def file_in_path(path: str) -> FileIds | None:
    """The ids in a path below `/1`, when it is an attachment's file; None otherwise."""
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
    """The ids of the file that a request is for, however it spells the path; None for no file.

    What no route fits and yet looks like a file has ids that nothing is signed for.
    """
    if match.route.kind is Kind.FILE:
        params = dict(match.params)
        if "idAttachment" in params:
            return FileIds(params["id"], params["idAttachment"], params.get("idPreview", ""))
    elif match.route.template == UNKNOWN:
        words = {segment.lower() for segment in match.segments}
        return FileIds("", "") if {"attachments", "download"} <= words else None
    return None


_CARDS = frozenset({"card", "cards"})
