"""Where a request carries a Trello credential, and the request without it. Pure.

A credential goes by the names `key`, `token` and `oauth_*`: in any letter case, percent-encoded, or
with brackets (`key[]`). Removing one leaves every other byte, and the order, as sent.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, unquote_plus

from proxy.model import Credential

Part = Literal["key", "token", "other"]
"""What a parameter's name makes of its value; `other` is a signature, a nonce and the like."""

Location = Literal["query", "form", "json", "multipart", "header", "path", "batch"]

_NAME = re.compile(r"[\s?\[]*(key|token|oauth_[^\[\]\s]*)\s*(?:[\[\]].*)?", re.I | re.A | re.S)
_PARTS: dict[str, Part] = {
    "key": "key",
    "token": "token",
    "oauth_consumer_key": "key",
    "oauth_token": "token",
}
# A name begins where a word does: were it sought inside words, a long one would take its square.
_HEADER_PARAMETER = re.compile(r'(?<!\w)(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]*))', re.A)
_NO_AUTHORIZATION = frozenset({"", "null", "undefined", "none"})


@dataclass(frozen=True, slots=True)
class ExtractedCredential:
    """The key and token a request carried, and all places where it carried any. Not printed."""

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    locations: tuple[Location, ...] = ()

    def merge(self, other: "ExtractedCredential") -> "ExtractedCredential":
        """Both; what was found first wins."""
        if not other.locations:
            return self
        return ExtractedCredential(
            self.key or other.key,
            self.token or other.token,
            tuple(dict.fromkeys(self.locations + other.locations)),
        )


NOTHING = ExtractedCredential()


def part_of(name: str) -> Part | None:
    """Which part of a credential a decoded parameter name announces, if any."""
    match = _NAME.fullmatch(name)
    return _PARTS.get(match[1].lower(), "other") if match else None


def extracted_from(place: Location, part: Part, value: str | None) -> ExtractedCredential:
    """One parameter's worth; an empty value is carried, but is no key or token."""
    value = (value or "").strip() or None
    return ExtractedCredential(
        value if part == "key" else None, value if part == "token" else None, (place,)
    )


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the parameters of a string are delimited, and how often their names are encoded."""

    separator: re.Pattern[str]
    equals: re.Pattern[str]
    encodings: int = 1

    def pieces(self, raw: str) -> Iterator[tuple[str, str]]:
        """(separator before it, parameter); joined again they are `raw`."""
        tokens = ["", *self.separator.split(raw)]
        return zip(tokens[::2], tokens[1::2], strict=True)

    def read(self, parameter: str) -> tuple[Part | None, str]:
        """The credential part a parameter is, and its decoded value."""
        name, *value = self.equals.split(parameter, maxsplit=1)
        part = part_of(self._decode(name))
        return part, self._decode(value[0]) if part and value else ""

    def _decode(self, text: str) -> str:
        for _ in range(self.encodings):
            if "%" not in text and "+" not in text:
                break
            text = unquote_plus(text)
        return text


_PLAIN = _Spelling(re.compile("(&)"), re.compile("="))
_SHOWN = _Spelling(re.compile("([&;])"), re.compile("="))
"""Nobody parses what is only displayed: a parameter too many removed does no harm."""
_BATCH = _Spelling(re.compile("([?&]|%3f|%26)", re.I), re.compile("=|%3d", re.I), 2)
_BATCH_TWICE = _Spelling(
    re.compile("([?&]|%(?:25)?(?:3f|26))", re.I), re.compile("=|%(?:25)?3d", re.I), 3
)
_MAY_NAME_A_CREDENTIAL = re.compile("key|token|oauth_|%", re.I)
"""A name that is not plainly there may be percent-encoded."""
_QUESTION = re.compile(r"\?|%3f", re.I)
_COMMA = re.compile("(,|%2c)", re.I)


def strip_parameters(raw: str, place: Location) -> tuple[str, ExtractedCredential]:
    """`name=value` pairs joined by `&`, never by `;`, without the credentials among them."""
    return _strip(raw, _PLAIN, place)


def strip_query(raw: str) -> tuple[str, ExtractedCredential]:
    """A raw query, without its `?`; the same string when it carries no credential."""
    if not _MAY_NAME_A_CREDENTIAL.search(raw):
        return raw, NOTHING
    return _strip(raw, _PLAIN, "query")


def strip_url(address: str) -> str:
    """A URL, or a request's target, to be shown again: without the credentials in its query."""
    path, mark, query = address.partition("?")
    return path + mark + _strip(query, _SHOWN, "query")[0]


def strip_batch_query(raw: str) -> tuple[str, ExtractedCredential]:
    """The raw query of `/1/batch`: its own credentials, and those inside the URLs it lists.

    A comma, raw or encoded once, ends a sub-URL and so a value. Where a sub-URL's `&` is not
    encoded, its parameters look like the batch's own; both are removed. A sub-URL may be encoded
    not at all, once, or twice; a value encoded once more than its sub-URL is data and stays.
    """
    items, found = [], NOTHING
    tokens = _COMMA.split(raw)
    for item in tokens[::2]:
        twice = "%253f" in item.lower() and not _QUESTION.search(item)
        kept, more = _strip(item, _BATCH_TWICE if twice else _BATCH, "query")
        items.append(kept)
        found = found.merge(more)
    tokens[::2] = items
    return ("".join(tokens) if found.locations else raw), found


def _strip(raw: str, spelling: _Spelling, place: Location) -> tuple[str, ExtractedCredential]:
    """Without credentials; what comes after a `?` inside `raw` is found in the place `batch`."""
    found, kept = NOTHING, []
    freed: str | None = None
    query_depth = 0
    for own, parameter in spelling.pieces(raw):
        if own == "?" or own[-2:] in ("3f", "3F"):
            query_depth = len(own)
        part, value = spelling.read(parameter)
        if part:
            inside = 0 < query_depth <= len(own)
            found = found.merge(extracted_from("batch" if inside else place, part, value))
            freed = own if freed is None else freed
        else:
            kept.append(_separator(freed, own) + parameter)
            freed = None
    return ("".join(kept) if found.locations else raw), found


def _separator(freed: str | None, own: str) -> str:
    """What stands before a parameter: the separator of what was removed before it, or its own.

    Its own if that is less encoded: it then belongs to an outer query.
    """
    return own if freed is None or len(own) < len(freed) else freed


def read_authorization(value: str | None) -> ExtractedCredential:
    """What an Authorization field value carries: OAuth parameters, signed or not, else no pair.

    Basic, Bearer and garbage count as carried in the header; an absent field, and what scripts send
    for an absent one (`null`), do not.
    """
    if value is None or value.strip().lower() in _NO_AUTHORIZATION:
        return NOTHING
    found = ExtractedCredential(locations=("header",))
    for name, quoted, plain in _HEADER_PARAMETER.findall(value):
        part = part_of(name)
        if part:
            found = found.merge(extracted_from("header", part, unquote(quoted or plain)))
    return found


def response_contains(credential: Credential, response: bytes) -> bool:
    """Whether an answer repeats a part of the credential it was asked with."""
    parts = {part for part in (credential.key, credential.token) if part}
    spelt = parts | {quote(part, safe="", errors="surrogateescape") for part in parts}
    return any(part.encode("utf-8", "surrogateescape") in response for part in spelt)


def authorization(credential: Credential) -> str:
    """The Authorization field value that Trello accepts on every route."""
    return f'OAuth oauth_consumer_key="{credential.key}", oauth_token="{credential.token}"'


def replace_in_path(
    segments: Sequence[str], positions: Collection[int], credential: Credential | None
) -> tuple[tuple[str, ...], ExtractedCredential]:
    """A path's segments with ours where the client's key or token stood; unchanged without ours.

    `positions` as the route table gives them. A segment after `applications` is a key, any other a
    token.
    """
    replaced, found = list(segments), NOTHING
    for position in positions:
        part: Part = "key" if segments[position - 1] == "applications" else "token"
        found = found.merge(extracted_from("path", part, segments[position]))
        if credential:
            replaced[position] = credential.key if part == "key" else credential.token
    return tuple(replaced), found
