"""Credentials are found in every location, and only they are removed."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.extraction import (
    NOTHING,
    PATH_PLACEHOLDER,
    ExtractedCredential,
    authorization,
    part_of,
    read_authorization,
    replace_in_path,
    strip_batch_query,
    strip_query,
    strip_request,
)
from proxy.model import Credential

STORED = Credential("our-key", "our-token")
RECORDED = Path(__file__).parents[2] / "../shared/trello/recorded.jsonl"

K = ExtractedCredential("K", None, ("query",))
T = ExtractedCredential(None, "T", ("query",))
KT = ExtractedCredential("K", "T", ("query",))
UNKNOWN = ExtractedCredential(locations=("query",))
IN_BATCH = ExtractedCredential("K", "T", ("batch",))
BOTH = ExtractedCredential("K", "T", ("batch", "query"))

QUERIES = {
    "nothing to find": ("fields=name,desc&limit=10", "fields=name,desc&limit=10", NOTHING),
    "an empty query": ("", "", NOTHING),
    "only the credential": ("key=K&token=T", "", KT),
    "before the others": ("key=K&token=T&fields=name", "fields=name", KT),
    "after the others": ("fields=name&key=K&token=T", "fields=name", KT),
    "between the others": ("a=1&key=K&b=2&token=T&c=3", "a=1&b=2&c=3", KT),
    "the order and the bytes of others stay": ("b=%2c,+%zz&key=K&a", "b=%2c,+%zz&a", K),
    "names in other letter case": ("KEY=K&Token=T", "", KT),
    "percent-encoded names": ("%6bey=K&t%6Fken=T&x=1", "x=1", KT),
    "encoded twice is another name": ("%256bey=K", "%256bey=K", NOTHING),
    "bracketed names": ("key[]=K&token[0]=T", "", KT),
    "encoded brackets": ("key%5B%5D=K&token%5b0%5d=T", "", KT),
    "a leading bracket, as Trello's parser reads it": ("[key]=K&x=1", "x=1", K),
    "blanks around a name": ("+key=K&token%20=T", "", KT),
    "a doubled question mark": ("?key=K&x=1", "x=1", K),
    "OAuth parameters": ("oauth_consumer_key=K&oauth_token=T&oauth_nonce=N&x=1", "x=1", KT),
    "an unknown OAuth parameter": ("oauth_new=1&x=1", "x=1", UNKNOWN),
    "the first of two wins": ("key=K&key=L", "", K),
    "an empty value is carried but is no key": ("key=&x=1", "x=1", UNKNOWN),
    "a name without value": ("token&x=1", "x=1", UNKNOWN),
    "an encoded value is decoded": ("key=%4B&x=1", "x=1", K),
    "a semicolon separates nothing": ("query=key;token=5", "query=key;token=5", NOTHING),
    "a semicolon in a credential": (
        "key=K;token=T;fields=name&x=1",
        "x=1",
        ExtractedCredential("K;token=T;fields=name", None, ("query",)),
    ),
    "empty parts stay": ("a=1&&key=K&&b=2&", "a=1&&&b=2&", K),
    "names that only begin alike": (
        "keys=1&tokens=2&keyword=3",
        "keys=1&tokens=2&keyword=3",
        NOTHING,
    ),
    "names that only end alike": (
        "idKey=1&xtoken=2&x[key]=3",
        "idKey=1&xtoken=2&x[key]=3",
        NOTHING,
    ),
    "a value that names one": ("query=key&x=key%3D1", "query=key&x=key%3D1", NOTHING),
}

BATCHES = {
    "nothing to find": (
        "urls=/boards/x?fields=name,/cards/y?tags=a%252Cb",
        "urls=/boards/x?fields=name,/cards/y?tags=a%252Cb",
        NOTHING,
    ),
    "the batch's own": ("urls=/boards/x,/cards/y&key=K&token=T", "urls=/boards/x,/cards/y", KT),
    "in front of urls": ("key=K&token=T&urls=/boards/x", "urls=/boards/x", KT),
    "inside one sub-URL": ("urls=/boards/x?key=K%26token=T,/b", "urls=/boards/x,/b", IN_BATCH),
    "inside, the & not encoded": (
        "urls=/boards/x?key=K&token=T,/cards/y?fields=id",
        "urls=/boards/x,/cards/y?fields=id",
        IN_BATCH,
    ),
    "inside, after others": (
        "urls=/boards/x?fields=name&key=K&token=T,/cards/y?fields=id&key=K",
        "urls=/boards/x?fields=name,/cards/y?fields=id",
        IN_BATCH,
    ),
    "inside, before others": (
        "urls=/boards/x?key=K%26token=T%26fields=name",
        "urls=/boards/x?fields=name",
        IN_BATCH,
    ),
    "a list encoded once": (
        "urls=%2Fboards%2Fx%3Fkey%3DK%26fields%3Dname%26token%3DT%2C%2Fcards%2Fy",
        "urls=%2Fboards%2Fx%3Ffields%3Dname%2C%2Fcards%2Fy",
        IN_BATCH,
    ),
    "hex digits in lower case": (
        "urls=%2fb%3fkey%3dK%26token%3dT%2c%2fc",
        "urls=%2fb%2c%2fc",
        IN_BATCH,
    ),
    "an outer parameter does not slip into an encoded sub-URL": (
        "urls=%2Fboards%2Fx%3Ftoken%3DT&limit=5&key=K",
        "urls=%2Fboards%2Fx&limit=5",
        BOTH,
    ),
    "sub-URLs encoded one by one, and again": (
        "urls=%252Fboards%252Fx%253Fkey%253DK%2526token%253DT%2526a%253D1,%2Fcards",
        "urls=%252Fboards%252Fx%253Fa%253D1,%2Fcards",
        IN_BATCH,
    ),
    "an encoded name inside": ("urls=/b?%256bey=K%26t%6Fken=T", "urls=/b", IN_BATCH),
    "a search text inside stays": (
        "urls=/search?query=a%2526key%253Db,/cards/y",
        "urls=/search?query=a%2526key%253Db,/cards/y",
        NOTHING,
    ),
    "an encoded question mark inside stays": (
        "urls=/search?query=a%253F%2526key%253Db",
        "urls=/search?query=a%253F%2526key%253Db",
        NOTHING,
    ),
    "the web client's spelling stays": (
        "urls=%2FMember%2Fx%2Fdeltas%3Ftags%3Dmessages%252Cupdates%2C%2FBoard%2Fy&key=K&token=T",
        "urls=%2FMember%2Fx%2Fdeltas%3Ftags%3Dmessages%252Cupdates%2C%2FBoard%2Fy",
        KT,
    ),
}

HEADER = ExtractedCredential("K", "T", ("header",))
NO_PAIR = ExtractedCredential(locations=("header",))

AUTHORIZATIONS = {
    "absent": (None, NOTHING),
    "empty": (" ", NOTHING),
    "the word null": ("null", NOTHING),
    "the word undefined": ("undefined", NOTHING),
    "documented": ('OAuth oauth_consumer_key="K", oauth_token="T"', HEADER),
    "without the blank": ('OAuth oauth_consumer_key="K",oauth_token="T"', HEADER),
    "with more blanks": ('OAuth  oauth_consumer_key = "K" ,  oauth_token = "T"', HEADER),
    "without quotes": ("OAuth oauth_consumer_key=K, oauth_token=T", HEADER),
    "scheme and names in other letter case": (
        'oauth OAUTH_CONSUMER_KEY="K",OAuth_Token="T"',
        HEADER,
    ),
    "short names": ('OAuth key="K", token="T"', HEADER),
    "no scheme": ('oauth_consumer_key="K", oauth_token="T"', HEADER),
    "signed": (
        (
            'OAuth realm="oauth_token=x", oauth_nonce="n", oauth_timestamp="1", '
            'oauth_version="1.0", oauth_signature_method="HMAC-SHA1", oauth_consumer_key="%4B", '
            'oauth_token="T", oauth_signature="a%2Bb%3D"'
        ),
        HEADER,
    ),
    "key only": ('OAuth oauth_consumer_key="K"', ExtractedCredential("K", None, ("header",))),
    "empty values": ('OAuth oauth_consumer_key="", oauth_token=""', NO_PAIR),
    "Bearer": ("Bearer abc.def=", ExtractedCredential(None, None, ("header",), "abc.def=")),
    "Basic": ("basic a2V5OnRva2Vu", ExtractedCredential(None, None, ("header",), "token")),
    "Basic without a password": ("Basic a2V5", NO_PAIR),
    "Basic of no text": ("Basic =/w==", NO_PAIR),
    "an unclosed quote": ('OAuth oauth_token="', NO_PAIR),
    "garbage": (',,="";oauth_=\x80', NO_PAIR),
}

PATHS = {
    "a token": ("tokens/T/webhooks", (1,), "tokens/our-token/webhooks", "T", None),
    "a key": ("applications/K/compliance", (1,), "applications/our-key/compliance", None, "K"),
    "none": ("boards/x", (), "boards/x", None, None),
}


@pytest.mark.parametrize(("raw", "kept", "found"), QUERIES.values(), ids=QUERIES.keys())
def test_strip_query(raw: str, kept: str, found: ExtractedCredential) -> None:
    assert strip_query(raw) == (kept, found)


@pytest.mark.parametrize(("raw", "kept", "found"), BATCHES.values(), ids=BATCHES.keys())
def test_strip_batch_query(raw: str, kept: str, found: ExtractedCredential) -> None:
    assert strip_batch_query(raw) == (kept, found)


@pytest.mark.parametrize(("value", "found"), AUTHORIZATIONS.values(), ids=AUTHORIZATIONS.keys())
def test_read_authorization(value: str | None, found: ExtractedCredential) -> None:
    assert read_authorization(value) == found


@pytest.mark.parametrize(
    ("path", "positions", "replaced", "token", "key"), PATHS.values(), ids=PATHS.keys()
)
def test_replace_in_path(
    path: str, positions: tuple[int, ...], replaced: str, token: str | None, key: str | None
) -> None:
    found = ExtractedCredential(key, token, ("path",) if positions else ())
    segments = tuple(path.split("/"))
    assert replace_in_path(segments, positions, STORED) == (tuple(replaced.split("/")), found)
    assert replace_in_path(segments, positions, None) == (segments, found)


def test_a_stripped_request_names_the_sender_apart_from_the_token_in_its_path() -> None:
    stripped = strip_request(
        "a=1&key=q",
        ("tokens", "p", "member"),
        (1,),
        authorization="OAuth oauth_token=h",
        in_body=ExtractedCredential("b", "b", ("form",)),
        replacement=STORED,
    )
    assert (stripped.query, stripped.segments) == ("a=1", ("tokens", STORED.token, "member"))
    assert stripped.sender == ExtractedCredential("q", "h", ("query", "header", "form"))
    assert stripped.in_path == ExtractedCredential(None, "p", ("path",))
    assert [each.locations for each in stripped.found] == [
        ("query",), ("header",), ("form",), ("path",),
    ]  # fmt: skip


@pytest.mark.parametrize("token", ["-", "p"])
def test_a_placeholder_in_a_path_is_no_credential_of_the_clients(token: str) -> None:
    stripped = strip_request("", ("tokens", token), (1,), replacement=None)
    assert stripped.segments == ("tokens", token)
    assert stripped.in_path.token == token
    assert bool(stripped.found) is (token != PATH_PLACEHOLDER)


def test_the_proxys_own_header_is_read_as_its_credential() -> None:
    assert read_authorization(authorization(STORED)) == ExtractedCredential(
        "our-key", "our-token", ("header",)
    )


def test_an_extracted_credential_is_not_in_its_repr() -> None:
    assert "secret" not in f"{ExtractedCredential('secret-key', 'secret-token', ('query',))!r}"


def test_the_first_key_and_token_win_and_every_location_is_named() -> None:
    header = ExtractedCredential("H", "T", ("header", "query"))
    assert K.merge(header) == ExtractedCredential("K", "T", ("query", "header"))


NAMES = st.sampled_from(["key", "token", "TOKEN", "oauth_token", "oauth_x", "key[]", "%74oken"])
JUNK = st.text(alphabet="abk=%6b[]+,/?:.~é", max_size=8).filter(
    lambda part: part_of(part.partition("=")[0]) is None
)
PARAMETERS = st.lists(st.one_of(JUNK, st.builds("{}=secret".format, NAMES)), max_size=8)


@given(PARAMETERS)
def test_all_other_parameters_keep_their_bytes_and_order(parameters: list[str]) -> None:
    kept, found = strip_query("&".join(parameters))
    others = [p for p in parameters if not p.endswith("=secret")]
    assert kept == "&".join(others)
    assert bool(found.locations) == (len(others) < len(parameters))


@given(st.lists(st.sampled_from([*"&;=?,[]/%+", "key", "%6b", "ey", "é"])).map("".join))
def test_nothing_is_found_in_a_stripped_query(raw: str) -> None:
    assert strip_query(strip_query(raw)[0])[1] == NOTHING


@given(st.text(max_size=80))
def test_any_string_without_a_credential_is_the_same_object(raw: str) -> None:
    read_authorization(raw)
    for strip in (strip_query, strip_batch_query):
        kept, found = strip(raw)
        assert found.locations or kept is raw


@given(st.integers(0, 2), st.lists(st.sampled_from(["key=s3", "token=s3", "a=1"]), max_size=4))
def test_no_encoding_of_a_batch_hides_a_credential(times: int, parameters: list[str]) -> None:
    urls = "/boards/x?" + "&".join(parameters)
    for _ in range(times):
        urls = quote(urls, safe="")
    kept, found = strip_batch_query("urls=" + urls)
    assert "s3" not in kept
    assert kept.count("a") - 1 == parameters.count("a=1")
    assert found.locations == (("batch",) if set(parameters) - {"a=1"} else ())


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded traffic is not here")
def test_recorded_queries_lose_their_credential_and_nothing_else() -> None:
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)["path_and_query"].partition("?")[2]
        expected = "&".join(p for p in raw.split("&") if "=SCRUBBED" not in p)
        strip = strip_batch_query if raw.startswith("urls=") else strip_query
        assert strip(raw)[0] == expected
