"""Credentials of a request: found and removed in its query, header and path. Pure.

A credential goes by the names `key`, `token` and `oauth_*`, however a receiver may spell them
(`http_semantics/parameters.py`). Removing one leaves every other byte, and the order, as sent.
"""

import base64
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, unquote_plus

from proxy.credentials.redaction import SecretFinder
from proxy.http_semantics.parameters import root_of
from proxy.model import Credential

Part = Literal["key", "token", "other"]
"""The part of a credential in a parameter; `other` is a signature, a nonce and the like."""

Location = Literal["query", "form", "json", "multipart", "header", "path", "batch"]

_PARTS: dict[str, Part] = {
    "key": "key",
    "token": "token",
    "oauth_consumer_key": "key",
    "oauth_token": "token",
}
# A name begins at a word boundary: matching inside words would take quadratic time.
_HEADER_PARAMETER = re.compile(r'(?<!\w)(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]*))', re.A)
_NO_AUTHORIZATION = frozenset({"", "null", "undefined", "none"})


@dataclass(frozen=True, slots=True)
class ExtractedCredential:
    """The key and token of a request, and all locations of credentials in it; not in its repr."""

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    locations: tuple[Location, ...] = ()
    bearer: str | None = field(default=None, repr=False)
    """Of `Bearer`, or the password of `Basic`: Trello accepts neither, the proxy may (D56)."""

    def merge(self, other: "ExtractedCredential") -> "ExtractedCredential":
        """Both; the key and token of `self` take precedence."""
        if not other.locations:
            return self
        return ExtractedCredential(
            self.key or other.key,
            self.token or other.token,
            tuple(dict.fromkeys(self.locations + other.locations)),
            self.bearer or other.bearer,
        )


NOTHING = ExtractedCredential()


def part_of(name: str) -> Part | None:
    """The part of a credential that a decoded parameter name stands for; None for other names."""
    root = root_of(name)
    is_one = root in _PARTS or root.startswith("oauth_")
    return _PARTS.get(root, "other") if is_one else None


def extracted_from(location: Location, part: Part, value: str | None) -> ExtractedCredential:
    """The credential in one parameter; an empty value is located, but is no key or token."""
    value = (value or "").strip() or None
    return ExtractedCredential(
        value if part == "key" else None, value if part == "token" else None, (location,)
    )


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How parameters are delimited, and how often their names are percent-encoded."""

    separator: re.Pattern[str]
    equals: re.Pattern[str]
    encodings: int = 1

    def pieces(self, raw: str) -> Iterator[tuple[str, str]]:
        """(preceding separator, parameter) of each parameter; their concatenation is `raw`."""
        tokens = ["", *self.separator.split(raw)]
        return zip(tokens[::2], tokens[1::2], strict=True)

    def read(self, parameter: str) -> tuple[Part | None, str]:
        """The part of a credential that a parameter is, and its decoded value."""
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
_DISPLAYED = _Spelling(re.compile("([&;])"), re.compile("="))
"""For display only, where it does no harm to remove too much."""
_BATCH = _Spelling(re.compile("([?&]|%3f|%26)", re.I), re.compile("=|%3d", re.I), 2)
_BATCH_TWICE = _Spelling(
    re.compile("([?&]|%(?:25)?(?:3f|26))", re.I), re.compile("=|%(?:25)?3d", re.I), 3
)
_MAY_NAME_A_CREDENTIAL = re.compile("key|token|oauth_|%", re.I)
"""Also matches `%`: the name may be percent-encoded."""
_QUESTION = re.compile(r"\?|%3f", re.I)
_COMMA = re.compile("(,|%2c)", re.I)


def strip_parameters(raw: str, location: Location) -> tuple[str, ExtractedCredential]:
    """`name=value` pairs separated by `&`, never by `;`, without credentials."""
    return _strip(raw, _PLAIN, location)


def strip_query(raw: str) -> tuple[str, ExtractedCredential]:
    """A raw query, without its `?`, without credentials; the same string if it has none."""
    if not _MAY_NAME_A_CREDENTIAL.search(raw):
        return raw, NOTHING
    return _strip(raw, _PLAIN, "query")


def strip_url(url: str) -> str:
    """A URL or request target without credentials in its query; for display only."""
    path, mark, query = url.partition("?")
    return path + mark + _strip(query, _DISPLAYED, "query")[0]


def strip_batch_query(raw: str) -> tuple[str, ExtractedCredential]:
    """The raw query of `/1/batch` without its own credentials and those of its sub-URLs.

    A comma, raw or encoded once, ends a sub-URL and so a value. Parameters of a sub-URL whose `&`
    is not encoded look like those of the batch; both are removed. A sub-URL may be encoded not at
    all, once, or twice; a value encoded once more than its sub-URL is data and stays.
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


def _strip(raw: str, spelling: _Spelling, location: Location) -> tuple[str, ExtractedCredential]:
    """`raw` without credentials; those after a `?` inside `raw` have the location `batch`."""
    found, kept = NOTHING, []
    removed: str | None = None
    query_depth = 0
    for separator, parameter in spelling.pieces(raw):
        if separator == "?" or separator[-2:] in ("3f", "3F"):
            query_depth = len(separator)
        part, value = spelling.read(parameter)
        if part:
            inside = 0 < query_depth <= len(separator)
            found = found.merge(extracted_from("batch" if inside else location, part, value))
            removed = separator if removed is None else removed
        else:
            kept.append(_separator(removed, separator) + parameter)
            removed = None
    return ("".join(kept) if found.locations else raw), found


def _separator(removed: str | None, own: str) -> str:
    """The separator before a parameter: that of the parameter removed before it, or its own.

    Its own if it is less encoded, as it then belongs to an outer query.
    """
    return own if removed is None or len(own) < len(removed) else removed


def read_authorization(value: str | None) -> ExtractedCredential:
    """The OAuth parameters, signed or not, of an Authorization field value, or its `bearer`.

    Basic, Bearer and garbage have the location `header` and no key or token; an absent field, or
    what scripts send instead of one (`null`), has no location.
    """
    if value is None or value.strip().lower() in _NO_AUTHORIZATION:
        return NOTHING
    found = ExtractedCredential(locations=("header",), bearer=_bearer_of(value))
    for name, quoted, plain in _HEADER_PARAMETER.findall(value):
        part = part_of(name)
        if part:
            found = found.merge(extracted_from("header", part, unquote(quoted or plain)))
    return found


def is_bearer(authorization: str) -> bool:
    """Whether an Authorization field value has a Bearer token, as of OAuth 2.0 (RFC 6750 §2.1)."""
    return re.split("[ \t,]", authorization.lstrip(), maxsplit=1)[0].lower() == "bearer"


def _bearer_of(value: str) -> str | None:
    """The token of `Bearer` (RFC 6750 §2.1), or the password of `Basic` (RFC 7617 §2)."""
    scheme, _, text = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return text.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return None
    return pair.partition(":")[2] or None


def response_contains(credential: Credential, response: bytes) -> bool:
    """Whether a response repeats a part of the credential of its request."""
    return SecretFinder((credential.key, credential.token)).contains_secret(response)


def authorization(credential: Credential) -> str:
    """The Authorization field value for Trello, accepted on every route."""
    return f'OAuth oauth_consumer_key="{credential.key}", oauth_token="{credential.token}"'


def replace_in_path(
    segments: Sequence[str], positions: Collection[int], credential: Credential | None
) -> tuple[tuple[str, ...], ExtractedCredential]:
    """A path's segments with `credential` in place of the client's; unchanged if that is None.

    `positions`: those of the credential's segments, from the route table. A segment after
    `applications` is a key, any other a token.
    """
    replaced, found = list(segments), NOTHING
    for position in positions:
        part: Part = "key" if segments[position - 1] == "applications" else "token"
        found = found.merge(extracted_from("path", part, segments[position]))
        if credential:
            replaced[position] = credential.key if part == "key" else credential.token
    return tuple(replaced), found


PATH_PLACEHOLDER = "-"
"""What a client may write in a path in place of the stored token or key."""


@dataclass(frozen=True, slots=True)
class StrippedRequest:
    """A request's query and path without the client's credential, and the credential."""

    query: str
    """Raw, without the `?`."""
    segments: tuple[str, ...]
    """The path's, with the replacement where the client's key or token stood."""
    found: tuple[ExtractedCredential, ...]
    """What was found in each of query, header, body and path, where there was anything."""
    sender: ExtractedCredential
    """The key and token that the request is sent with."""
    in_path: ExtractedCredential
    """The key or token that the path is about, which need not be the sender's."""


def strip_request(
    query: str,
    segments: tuple[str, ...],
    secret_positions: Collection[int],
    *,
    is_batch: bool = False,
    authorization: str | None = None,
    in_body: ExtractedCredential = NOTHING,
    replacement: Credential | None,
) -> StrippedRequest:
    """A request without the client's credential, wherever it carries one.

    `authorization`: the field's value; `in_body`: what was found in the body, without
    `replacement` the path keeps what the client wrote.
    """
    query, in_query = strip_batch_query(query) if is_batch else strip_query(query)
    in_header = read_authorization(authorization)
    in_path = NOTHING
    if secret_positions:
        segments, in_path = replace_in_path(segments, secret_positions, replacement)
    named = NOTHING if in_path.token == PATH_PLACEHOLDER else in_path
    found = tuple(each for each in (in_query, in_header, in_body, named) if each.locations)
    sender = in_query.merge(in_header).merge(in_body)
    return StrippedRequest(query, segments, found, sender, in_path)
