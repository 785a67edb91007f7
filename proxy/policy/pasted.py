"""What somebody pastes, turned into the proxy's own link. Pure.

Accepted: a card's or board's web address, an attachment's file, any address of the API, with or
without a scheme, and links of the proxy's own. Keys and tokens in them are left out.
"""

import re
from urllib.parse import urlsplit

from proxy.policy.credentials import strip_query
from proxy.policy.links import Links, file_of

_TRELLO = frozenset({"trello.com", "www.trello.com", "api.trello.com"})
_PUBLIC = re.compile(r"(?:.+\.)?(?:amazonaws\.com|cloudfront\.net|atl-paas\.net)\Z")
_PAGE = re.compile(r"/(?:c|b)/[0-9A-Za-z]{1,64}(?:/|\Z)")
_MOST_CHARS = 4096
_WANTED = (
    "Paste the address of a card (https://trello.com/c/…), of a board (https://trello.com/b/…) "
    "or of an attachment."
)


class NotALink(ValueError):
    """Nothing that can be turned into a link; `str()` says what to paste instead."""


def link_of(text: str, links: Links, now: float) -> str:
    """The proxy's link for a pasted address; NotALink otherwise."""
    text = text.strip()
    if not text:
        raise NotALink(_WANTED)
    if len(text) > _MOST_CHARS or not text.isprintable() or " " in text:
        raise NotALink(f"That is not one address. {_WANTED}")
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = url.hostname or ""
    except ValueError:
        raise NotALink(f"That is not an address. {_WANTED}") from None
    ours = text.startswith(f"{links.public_url}/")
    if url.scheme not in {"http", "https"} or not (ours or host in _TRELLO):
        raise NotALink(_elsewhere(host))
    return links.public_url + _path_of(url.path, url.query, links, now)


def _path_of(path: str, query: str, links: Links, now: float) -> str:
    if _PAGE.match(path):
        return path
    file = file_of(path)
    if file is not None:
        return links.href(file, path, now)
    if path.startswith("/1/"):
        kept = strip_query(query)[0]
        return f"{path}?{kept}" if kept else path
    raise NotALink(f"Trello has that page, but the proxy does not. {_WANTED}")


def _elsewhere(host: str) -> str:
    if _PUBLIC.match(host):
        return "That address is public storage: it opens as it is, as long as it lasts."
    return f"That is not an address of Trello's. {_WANTED}"
