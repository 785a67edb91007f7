"""Form and JSON bodies lose the credential and not one other byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.body_extraction import (
    MAX_DEPTH,
    MAX_PARAMS,
    MAX_VALUE_CHARS,
    BodyForm,
    body_form,
    form_query,
    json_query,
    parse_form,
    parse_json,
)
from proxy.credentials.extraction import (
    NOTHING,
    ExtractedCredential,
    part_of,
)
from proxy.errors import BodyTooLarge, CharsetNotUtf8, MalformedJson
from proxy.http_semantics.parameters import MAX_MEMBERS, words_of

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

BODY_FORMS: dict[str, tuple[str | None, bytes, BodyForm]] = {
    "a form": (FORM, b"name=a&key=b", "form"),
    "a form with charset": (FORM + "; charset=UTF-8", b"name=a", "form"),
    "a form of odd names": (FORM, b"\xc3\xa9=1", "form"),
    "JSON": ("application/json", b'{"a": 1}', "json"),
    "JSON of another name": ("application/vnd.api+json;v=1", b" {", "json"),
    "JSON not yet begun": ("application/json", b"  ", "json"),
    "multipart": ("Multipart/Form-Data; boundary=x", b"--x\r\n", "multipart"),
    "JSON under no name": (None, b'{"key": "K"}', "json"),
    "JSON behind a byte order mark": (None, b"\xef\xbb\xbf\r\n{}", "json"),
    "JSON called text": ("text/plain", b'\n{"key": "K"}', "json"),
    "JSON called a form, as curl does": (FORM, b'{"key": "K"}', "json"),
    "JSON called multipart": ("multipart/form-data", b'{"key": "K"}', "json"),
    "a list": (None, b"[1]", "json"),
    "a form under no name": (None, b"key=K", "form"),
    "a form called JSON": ("application/json", b"key=K&token=T", "form"),
    "a form called bytes": ("application/octet-stream", b"value[text]=a", "form"),
    "a form that begins with a bracket": (FORM, b"[key]=K", "form"),
    "an image": ("image/png", b"\x89PNG\r\n", "opaque"),
    "prose": ("text/plain", b"the key = value", "opaque"),
    "nothing": (None, b"", "opaque"),
}

FORMS = {
    "nothing to find": (b"name=C2-changed", b"name=C2-changed", NOTHING),
    "the credential": (
        b"key=K&name=a%20b&token=T",
        b"name=a%20b",
        ExtractedCredential("K", "T", ("form",)),
    ),
    "a semicolon separates nothing": (
        b"desc=Host=a;Key=b;Port=1",
        b"desc=Host=a;Key=b;Port=1",
        NOTHING,
    ),
    "bytes that are no UTF-8 stay": (
        b"a=\xff&token=T",
        b"a=\xff",
        ExtractedCredential(None, "T", ("form",)),
    ),
    "a line end after the last": (
        b"a=1&token=T\n",
        b"a=1",
        ExtractedCredential(None, "T", ("form",)),
    ),
}

BOTH = ExtractedCredential("K", "T", ("json",))
JUST_K = ExtractedCredential("K", None, ("json",))
NO_VALUE = ExtractedCredential(locations=("json",))

OBJECTS = {
    "nothing to find": (b'{"name": "key"}', b'{"name": "key"}', NOTHING),
    "the credential": (b'{"key":"K","name":"a","token":"T"}', b'{"name":"a"}', BOTH),
    "nothing but the credential": (b'{"key":"K", "token":"T"}', b"{}", BOTH),
    "blanks of others stay": (b' {\n "a" : 1 , "key":"K"}\n', b' {\n "a" : 1 }\n', JUST_K),
    "in front": (b'{ "key": "K", "a": [1, {"b": 2}]}', b'{ "a": [1, {"b": 2}]}', JUST_K),
    "an escaped name": (b'{"\\u006bey":"K","\\u0074oken":"T"}', b"{}", BOTH),
    "another letter case": (b'{"KEY":"K"}', b"{}", JUST_K),
    "OAuth names": (b'{"oauth_consumer_key":"K","oauth_x":{"a":[]}}', b"{}", JUST_K),
    "each of two": (b'{"key":"K","a":1,"key":"L","a":2}', b'{"a":1,"a":2}', JUST_K),
    "an escaped value": (b'{"key":"\\u004b"}', b"{}", JUST_K),
    "a value that is no text": (b'{"key":{"token":"T"},"a":1}', b'{"a":1}', NO_VALUE),
    "a number of any length": (
        b'{"a":' + b"9" * 9999 + b',"key":null}',
        b'{"a":' + b"9" * 9999 + b"}",
        NO_VALUE,
    ),
    "quotes, braces and commas in texts": (
        b'{"a":"\\",\\"key\\":{[","key":"K","b":"}"}',
        b'{"a":"\\",\\"key\\":{[","b":"}"}',
        JUST_K,
    ),
    "behind a byte order mark": (b'\xef\xbb\xbf{"key":"K"}', b"\xef\xbb\xbf{}", JUST_K),
    "however deep it nests elsewhere": (
        b'{"a":' + b"[" * 90 + b"]" * 90 + b',"key":"K"}',
        b'{"a":' + b"[" * 90 + b"]" * 90 + b"}",
        JUST_K,
    ),
    "a member of a member is data": (b'{"a":{"key":"x"}}', b'{"a":{"key":"x"}}', NOTHING),
    "a list is data": (b'[{"key":"x"}]', b'[{"key":"x"}]', NOTHING),
    "a text is data": (b'"{\\"key\\":1}"', b'"{\\"key\\":1}"', NOTHING),
    "nothing at all": (b" ", b" ", NOTHING),
}

PARAMS = {
    "texts": ({"name": "é", "idBoard": "b"}, {"name": "é", "idBoard": "b"}),
    "numbers and truths as written": (
        {"pos": 1.50, "n": 3, "closed": True},
        {"pos": "1.5", "n": "3", "closed": "true"},
    ),
    "no nothing, lists or objects": ({"due": None, "a": [1], "b": {}}, {}),
    "nothing too long": ({"a": "x" * (MAX_VALUE_CHARS + 1), "b": "x"}, {"b": "x"}),
}


@pytest.mark.parametrize(
    ("content_type", "head", "form"), BODY_FORMS.values(), ids=BODY_FORMS.keys()
)
def test_body_form(content_type: str | None, head: bytes, form: BodyForm) -> None:
    assert body_form(content_type, head) == form


@pytest.mark.parametrize(("body", "kept", "found"), FORMS.values(), ids=FORMS.keys())
def test_a_form_without_its_credential(
    body: bytes, kept: bytes, found: ExtractedCredential
) -> None:
    parsed = parse_form(body)
    assert (parsed.body, parsed.credential) == (kept, found)


@pytest.mark.parametrize(("body", "kept", "found"), OBJECTS.values(), ids=OBJECTS.keys())
def test_json_without_its_credential(body: bytes, kept: bytes, found: ExtractedCredential) -> None:
    parsed = parse_json(body, JSON)
    assert (parsed.body, parsed.credential) == (kept, found)


@pytest.mark.parametrize(("document", "params"), PARAMS.values(), ids=PARAMS.keys())
def test_params_of_json(document: object, params: dict[str, str]) -> None:
    assert parse_json(json.dumps(document).encode(), JSON).params == params


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b'"name"'])
def test_other_values_than_objects_have_no_params(body: bytes) -> None:
    assert parse_json(body, JSON).params == {}


def test_params_of_a_form_are_decoded_and_the_last_of_a_name_counts() -> None:
    parsed = parse_form(b"a=1&a=2&b=%C3%A9+x&c=")
    assert parsed.params == {"a": "2", "b": "\u00e9 x", "c": ""}
    assert parsed.parameters == (("a", "1"), ("a", "2"), ("b", "\u00e9 x"), ("c", ""))


def test_params_are_bounded_in_number_and_length() -> None:
    many = "&".join(f"p{number}=1" for number in range(MAX_PARAMS + 9))
    assert len(parse_form(many.encode()).params) == MAX_PARAMS
    assert parse_form(b"a=" + b"x" * (MAX_VALUE_CHARS + 1) + b"&b=1").params == {"b": "1"}


def test_every_scalar_of_json_is_a_parameter() -> None:
    body = b'{"a":{"b":[1,{"c":true}],"d":{}},"a":null,"e":1%b}' % (b"1" * 5000)
    assert parse_json(body, JSON).parameters == (
        ("a[b][]", "1"),
        ("a[b][][c]", "true"),
        ("a[d]", ""),
        ("a", ""),
        ("e", "1" * 5001),
    )


@pytest.mark.parametrize("content_type", [FORM, "text/plain", ""])
def test_json_that_is_not_called_json_is_read_as_a_form_too(content_type: str) -> None:
    body = b'{"a":"&prefs/selfJoin=true&"}'
    assert ("prefs/selfJoin", "true") in parse_json(body, content_type).parameters
    assert parse_json(body, JSON).parameters == (("a", "&prefs/selfJoin=true&"),)
    with pytest.raises(BodyTooLarge):
        parse_json(b'"' + b"&" * MAX_MEMBERS + b'"', content_type)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
NAMES = st.one_of(TEXTS, st.sampled_from(["key", "Token", "oauth_nonce"]))
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.sampled_from([None, 1]))
def test_an_object_loses_its_credentials_and_nothing_else(
    document: dict[str, object], indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=indent is None, indent=indent).encode()
    parsed = parse_json(body, JSON)
    kept, found = parsed.body, parsed.credential
    others = {name: value for name, value in json.loads(body).items() if part_of(name) is None}
    assert list(json.loads(kept).items()) == list(others.items())
    assert kept is body or found.locations


AS_QUERIES = {
    "a form": (b"a=1&b=x+y%2C", "a=1&b=x+y%2C"),
    "a form of raw letters": ("é=ü\n".encode(), "%C3%A9=%C3%BC%0A"),
    "nothing": (b"", ""),
}

AS_QUERIES_OF_JSON = {
    "nothing": (b"{}", ""),
    "scalars": (
        b'{"a": "x y", "n": 1, "f": 1.50, "t": true, "o": false, "z": null}',
        "a=x%20y&n=1&f=1.50&t=true&o=false",
    ),
    "a list": (b'{"fields": ["name", "url", 3]}', "fields=name%2Curl%2C3"),
    "an empty list": (b'{"fields": []}', "fields="),
    "deeper": (b'{"a": {"b": 1}, "c": [[1]], "d": [null], "e": 1}', "e=1"),
    "letters beyond ASCII": (b'{"\\u00e9": "\\ud83d\\ude00"}', "%C3%A9=%F0%9F%98%80"),
    "half a letter": (b'{"a": "\\ud83d"}', "a=%3F"),
    "an array": (b"[]", ""),
    "a string": (b'""', ""),
    "null": (b"null", ""),
    "nothing at all": (b"", ""),
}


@pytest.mark.parametrize(("body", "query"), AS_QUERIES.values(), ids=AS_QUERIES)
def test_a_form_as_a_query(body: bytes, query: str) -> None:
    assert form_query(body) == query


@pytest.mark.parametrize(("body", "query"), AS_QUERIES_OF_JSON.values(), ids=AS_QUERIES_OF_JSON)
def test_a_json_object_as_a_query(body: bytes, query: str) -> None:
    assert json_query(body) == query


@given(st.binary(max_size=60))
def test_any_body_has_a_query_of_printable_ascii(body: bytes) -> None:
    text = json.dumps({body.decode("latin-1"): body.decode("latin-1")}).encode()
    for query in (form_query(body), json_query(text)):
        assert all("!" <= char <= "~" for char in query)


JSON_OF_MANY = {
    "members": b'{"a":1' + b',"a":1' * (MAX_MEMBERS - 2) + b"}",
    "values of a list": b"[0" + b",0" * (MAX_MEMBERS - 2) + b"]",
    "empty objects": b"[{}" + b",{}" * (MAX_MEMBERS // 2 - 2) + b",0]",
    "levels": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "levels of objects": b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
}
ONE_MORE = {
    "members": b'{"a":1' + b',"a":1' * MAX_MEMBERS + b"}",
    "values of a list": b"[0" + b",0" * MAX_MEMBERS + b"]",
    "empty objects": b"[{}" + b",{}" * (MAX_MEMBERS // 2) + b",0]",
    "levels": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "levels without an end": b'{"token":' + b"[" * 9999,
    "members behind no end of a text": b'{"a":"b' + b'","c' * 9 + b'"' + b",1" * MAX_MEMBERS,
}


@pytest.mark.parametrize("body", JSON_OF_MANY.values(), ids=JSON_OF_MANY.keys())
def test_json_within_the_limits_is_accepted(body: bytes) -> None:
    assert parse_json(body, JSON).body == body


@pytest.mark.parametrize("body", ONE_MORE.values(), ids=ONE_MORE.keys())
def test_json_beyond_the_limits_is_refused(body: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        parse_json(body, JSON)


def test_brackets_in_a_string_are_one_value() -> None:
    for text in ("," * 16_384, "[{" * 8_192, '"' * 16_384, "\\" * 16_384, '\\",' * 9_000):
        body = json.dumps({"desc": text, "token": "T"}).encode()
        assert parse_json(body, JSON).credential == ExtractedCredential(None, "T", ("json",))


def test_the_number_of_parameters_of_a_form_is_bounded() -> None:
    parsed = parse_form(b"a&" * (MAX_MEMBERS - 1) + b"token=T")
    assert parsed.credential == ExtractedCredential(None, "T", ("form",))
    with pytest.raises(BodyTooLarge):
        parse_form(b"a&" * MAX_MEMBERS)
    with pytest.raises(BodyTooLarge):
        parse_form(b"a;" * MAX_MEMBERS)


@given(st.binary(max_size=60), st.sampled_from([b"", b'{"key":"K",', b"[", b'"\\']))
def test_any_bytes_are_parsed_or_refused(junk: bytes, opening: bytes) -> None:
    body_form(None, junk)
    parsed = parse_form(junk)
    assert parsed.credential.locations or parsed.body == junk
    try:
        read = parse_json(opening + junk, JSON)
    except (MalformedJson, CharsetNotUtf8):
        return
    assert read.credential.locations or read.body == opening + junk


@given(VALUES)
def test_every_name_of_a_document_is_judged(document: object) -> None:
    parameters = parse_json(json.dumps(document).encode(), JSON).parameters
    assert len(parameters) >= 1
    hidden = json.dumps({"a": [document, {"b": {"prefs": document}}]}).encode()
    assert any("prefs" in words_of(name) for name, _ in parse_json(hidden, JSON).parameters)
