"""Pasted URLs, converted into links to the proxy. Pure.

Accepted: the page of a card or board, an attachment's file, any API URL, with or without a scheme,
the proxy's own links, and a bare shortLink or id; in brackets, in Markdown, in a sentence. The
first URL that has a link is used. Keys and tokens in it are removed.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from proxy.credentials.extraction import strip_query
from proxy.links.rewrite import LinkRewriter, file_in_path

_TRELLO = frozenset({"trello.com", "www.trello.com", "api.trello.com"})
_PUBLIC = re.compile(r"(?:.+\.)?(?:amazonaws\.com|cloudfront\.net|atl-paas\.net)\Z")
PAGE_PATH = re.compile(r"/[cb]/[0-9A-Za-z]{1,64}(?![0-9A-Za-z])(?:/.*)?")
"""Of a card's or a board's page, at Trello and here."""
_BARE = re.compile(r"[0-9A-Za-z]{8}|[0-9a-f]{24}")
"""A shortLink or an id."""
_MAX_CHARS = 4096
_INVISIBLE = r"\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_URL = re.compile(
    r"(?:https?://(?:\[[0-9a-f:.]{2,45}\])?|(?<![\w/.@:-])(?=(?:www\.|api\.)?trello\.com/))"
    rf"[^{_INVISIBLE}<>\"`|\\^\[\]{{}}]+",
    re.IGNORECASE,
)
"""A possible URL; in a text it ends at a space, a quote or a bracket."""
_TRAILING = (
    ".,;:!?'*_~"
    "\u00bb\u2019\u201d\u2026\u3001\u3002\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)
"""Punctuation that may follow a URL in a text, Western or East Asian."""
_SURROUNDING = "<>[]()\"'`" + _TRAILING
_PATH_CHARS = "%/!$&'()*+,;=:@~"
_EXPECTED = (
    "Paste the address of a card (https://trello.com/c/…), of a board (https://trello.com/b/…) "
    "or of an attachment."
)


class UnsupportedLink(ValueError):
    """The text contains no URL that has a link; `str()` says what to paste instead."""


def is_trello(host: str) -> bool:
    """Whether a host is Trello's, of its pages or its API."""
    return host in _TRELLO


def to_proxy_link(text: str, links: LinkRewriter, now: float) -> str:
    """The proxy's link for a pasted text; UnsupportedLink, about its first URL, if there is none.

    `now`: POSIX seconds, for the signature.
    """
    if len(text) > _MAX_CHARS:
        raise UnsupportedLink(f"That is too long for an address. {_EXPECTED}")
    bare = text.strip().strip(_SURROUNDING)
    if _BARE.fullmatch(bare):
        return f"{links.public_url}/c/{bare}"
    first_error: UnsupportedLink | None = None
    for url in _urls(text.replace("\\/", "/")):
        try:
            return _link_for(url, links, now)
        except UnsupportedLink as error:
            first_error = first_error or error
    raise first_error or UnsupportedLink(f"There is no address of Trello's in that. {_EXPECTED}")


def _urls(text: str) -> Iterator[str]:
    """The possible URLs of a text, without the punctuation that follows them."""
    for found in _URL.finditer(text):
        url = found[0].rstrip(_TRAILING)
        while url.endswith(")") and url.count("(") < url.count(")"):
            url = url[:-1].rstrip(_TRAILING)
        yield url


def _link_for(text: str, links: LinkRewriter, now: float) -> str:
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = url.hostname or ""
    except ValueError:
        raise UnsupportedLink(f"That is not an address. {_EXPECTED}") from None
    if not is_trello(host) and not links.is_own_host(host):
        raise UnsupportedLink(_other_site(host))
    path = _proxy_path(quote(url.path, safe=_PATH_CHARS, errors="replace"), url.query, links, now)
    return links.public_url + path


def _proxy_path(path: str, query: str, links: LinkRewriter, now: float) -> str:
    page = PAGE_PATH.match(path)
    if page:
        return page[0]
    file = file_in_path(path)
    if file is not None:
        return links.href(file, path, now)
    if path.startswith("/1/"):
        stripped = quote(strip_query(query)[0], safe=f"{_PATH_CHARS}?", errors="replace")
        return f"{path}?{stripped}" if stripped else path
    raise UnsupportedLink(f"Trello has that page, but the proxy does not. {_EXPECTED}")


def _other_site(host: str) -> str:
    if _PUBLIC.match(host):
        return "That address is public storage: it opens as it is, as long as it lasts."
    return f"That is not an address of Trello's. {_EXPECTED}"
