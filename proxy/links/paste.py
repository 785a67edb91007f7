"""A pasted text, turned into the proxy's own link. Pure.

Accepted: a card's or board's web address, an attachment's file, any address of the API, with or
without a scheme, links of the proxy's own, and a bare shortLink or id; in brackets, in Markdown, in
a sentence. The first address that leads somewhere counts. Keys and tokens in it are left out.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from proxy.credentials.extraction import strip_query
from proxy.links.rewrite import LinkRewriter, file_in_path

_TRELLO = frozenset({"trello.com", "www.trello.com", "api.trello.com"})
_PUBLIC = re.compile(r"(?:.+\.)?(?:amazonaws\.com|cloudfront\.net|atl-paas\.net)\Z")
_PAGE = re.compile(r"/[cb]/[0-9A-Za-z]{1,64}(?![0-9A-Za-z])(?:/.*)?")
_BARE = re.compile(r"[0-9A-Za-z]{8}|[0-9a-f]{24}")
"""A shortLink, or an id."""
_MOST_CHARS = 4096
_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_ADDRESS = re.compile(
    r"(?:https?://(?:\[[0-9a-f:.]{2,45}\])?|(?<![\w/.@:-])(?=(?:www\.|api\.)?trello\.com/))"
    rf"[^{_UNSEEN}<>\"`|\\^\[\]{{}}]+",
    re.IGNORECASE,
)
"""What may be an address; in a text it ends at a blank, a quote or a bracket."""
_BEHIND = (
    ".,;:!?'*_~"
    "\u00bb\u2019\u201d\u2026\u3001\u3002\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)
"""What a text, of the West or the East, puts behind an address."""
_AROUND = "<>[]()\"'`" + _BEHIND
_PATH_CHARS = "%/!$&'()*+,;=:@~"
_WANTED = (
    "Paste the address of a card (https://trello.com/c/…), of a board (https://trello.com/b/…) "
    "or of an attachment."
)


class UnsupportedLink(ValueError):
    """Nothing that can be turned into a link; `str()` says what to paste instead."""


def to_proxy_link(text: str, links: LinkRewriter, now: float) -> str:
    """The proxy's link for what was pasted; NotALink, of the first address, otherwise."""
    if len(text) > _MOST_CHARS:
        raise UnsupportedLink(f"That is too long for an address. {_WANTED}")
    bare = text.strip().strip(_AROUND)
    if _BARE.fullmatch(bare):
        return f"{links.public_url}/c/{bare}"
    fault: UnsupportedLink | None = None
    for address in _addresses(text.replace("\\/", "/")):
        try:
            return _link_of(address, links, now)
        except UnsupportedLink as error:
            fault = fault or error
    raise fault or UnsupportedLink(f"There is no address of Trello's in that. {_WANTED}")


def _addresses(text: str) -> Iterator[str]:
    """What stands in a text like an address, without what only stands behind it."""
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_BEHIND)
        while address.endswith(")") and address.count("(") < address.count(")"):
            address = address[:-1].rstrip(_BEHIND)
        yield address


def _link_of(address: str, links: LinkRewriter, now: float) -> str:
    try:
        url = urlsplit(address if "://" in address else f"https://{address}")
        host = url.hostname or ""
    except ValueError:
        raise UnsupportedLink(f"That is not an address. {_WANTED}") from None
    if host not in _TRELLO and not links.is_own_host(host):
        raise UnsupportedLink(_elsewhere(host))
    path = _path_of(quote(url.path, safe=_PATH_CHARS, errors="replace"), url.query, links, now)
    return links.public_url + path


def _path_of(path: str, query: str, links: LinkRewriter, now: float) -> str:
    page = _PAGE.match(path)
    if page:
        return page[0]
    file = file_in_path(path)
    if file is not None:
        return links.href(file, path, now)
    if path.startswith("/1/"):
        kept = quote(strip_query(query)[0], safe=f"{_PATH_CHARS}?", errors="replace")
        return f"{path}?{kept}" if kept else path
    raise UnsupportedLink(f"Trello has that page, but the proxy does not. {_WANTED}")


def _elsewhere(host: str) -> str:
    if _PUBLIC.match(host):
        return "That address is public storage: it opens as it is, as long as it lasts."
    return f"That is not an address of Trello's. {_WANTED}"
