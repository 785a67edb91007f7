"""Multipart bodies lose the parts that hold a credential, in any chunks, and nothing else."""

import email
from email.message import Message
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.body_extraction import MAX_PARAMS
from proxy.credentials.extraction import NOTHING, ExtractedCredential
from proxy.credentials.multipart_extraction import (
    LOOKAHEAD_BYTES,
    MAX_VALUE_BYTES,
    MultipartStripper,
    boundary_of,
)
from proxy.errors import BodyTooLarge
from proxy.http_semantics.parameters import MAX_MEMBERS

BOUNDARY = b"cut-here"
END = b"--cut-here--\r\n"
BOTH = ExtractedCredential("K", "T", ("multipart",))
JUST_T = ExtractedCredential(None, "T", ("multipart",))


def part(disposition: str, body: bytes, *fields: str) -> bytes:
    """One part as clients write it, with the delimiter before it and the CRLF after it."""
    head = "\r\n".join((f"Content-Disposition: form-data; {disposition}", *fields))
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n"


def passed(body: bytes, *cuts: int, declared: bool = False) -> tuple[bytes, MultipartStripper]:
    """What leaves when `body` comes in pieces, cut at those offsets."""
    stripper = MultipartStripper(BOUNDARY, len(body) if declared else None)
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(edges)]
    out = [stripper.feed(chunk) for chunk in chunks]
    while rest := stripper.finish():
        out.append(rest)
    return b"".join(out), stripper


FILE = part('name="file"; filename="token"', b"\x00\r\n--cut\r\n", "Content-Type: image/png")
NAME = part('name="name"', b"Lunch")
KEY = part('name="key"', b"K")
TOKEN = part('name="token"', b"T")

BODIES = {
    "nothing to find": (NAME + FILE + END, NAME + FILE + END, NOTHING),
    "the credential in front": (KEY + TOKEN + NAME + FILE + END, NAME + FILE + END, BOTH),
    "between": (NAME + KEY + TOKEN + FILE + END, NAME + FILE + END, BOTH),
    "behind": (FILE + KEY + TOKEN + END, FILE + END, BOTH),
    "nothing else": (KEY + TOKEN + END, END, BOTH),
    "after a preamble": (b"Hello\r\n" + TOKEN + NAME + END, b"Hello\r\n" + NAME + END, JUST_T),
    "before an epilogue": (TOKEN + END + TOKEN, END + TOKEN, JUST_T),
    "without the last line end": (TOKEN + NAME + END[:-2], NAME + END[:-2], JUST_T),
    "a name without quotes": (part("name=token", b"T") + END, END, JUST_T),
    "a percent-encoded name": (part('name="t%6fken"', b"T") + END, END, JUST_T),
    "an extended name": (part("name*=UTF-8''tok%65n", b"T") + END, END, JUST_T),
    "an escaped name": (part(r'name="t\oken"', b"T") + END, END, JUST_T),
    "a bracketed name": (part('name="token[]"', b"T") + END, END, JUST_T),
    "letter case and blanks": (part('Name = "TOKEN"', b"T") + END, END, JUST_T),
    "the name behind a file name": (part('filename="a;b"; name="token"', b"T") + END, END, JUST_T),
    "the name on a line of its own": (part('x=1;\r\n name="token"', b"T") + END, END, JUST_T),
    "field names in upper case": (TOKEN.replace(b"Con", b"CON") + END, END, JUST_T),
    "after other fields": (
        TOKEN.replace(b"Content-D", b"Content-Type: text/plain\r\nContent-D") + END,
        END,
        JUST_T,
    ),
    "blanks after the boundary": (
        TOKEN.replace(b"here", b"here \t") + NAME + END,
        NAME + END,
        JUST_T,
    ),
    "an OAuth name": (
        part('name="oauth_nonce"', b"N") + END,
        END,
        ExtractedCredential(locations=("multipart",)),
    ),
    "a file name is no name": (FILE + END, FILE + END, NOTHING),
    "a longer boundary is no boundary": (
        part('name="a"', b"x\r\n--cut-here-not\r\n" + TOKEN[12:]) + END,
        part('name="a"', b"x\r\n--cut-here-not\r\n" + TOKEN[12:]) + END,
        NOTHING,
    ),
    "a part without a body": (
        b"--cut-here\r\nContent-Disposition: form-data; name=a\r\n" + TOKEN + NAME + END,
        b"--cut-here\r\nContent-Disposition: form-data; name=a\r\n" + NAME + END,
        JUST_T,
    ),
    "a part without fields": (
        b"--cut-here\r\n\r\nx\r\n" + TOKEN + END,
        b"--cut-here\r\n\r\nx\r\n" + END,
        JUST_T,
    ),
    "line feeds only": (TOKEN.replace(b"\r", b"") + END, TOKEN.replace(b"\r", b"") + END, NOTHING),
    "cut in a credential": (NAME + TOKEN[:-2], NAME[:-2], JUST_T),
    "cut in a header section": (NAME + TOKEN[:30], NAME + TOKEN[:30], NOTHING),
    "no multipart at all": (b"key=K&token=T", b"key=K&token=T", NOTHING),
    "nothing": (b"", b"", NOTHING),
}

BOUNDARIES = {
    "plain": ("multipart/form-data; boundary=----WebKit_x", b"----WebKit_x"),
    "quoted": ('multipart/form-data; charset=utf-8; boundary="a b;c"', b"a b;c"),
    "other letter case": ("Multipart/Mixed;BOUNDARY=x", b"x"),
    "named inside another's value": ('multipart/form-data; a=";boundary=x"; boundary=y', b"y"),
    "another type": ("text/plain; boundary=x", None),
    "none": ("multipart/form-data", None),
    "empty": ('multipart/form-data; boundary=""', None),
}


@pytest.mark.parametrize(("body", "kept", "found"), BODIES.values(), ids=BODIES.keys())
def test_credential_parts_are_dropped(body: bytes, kept: bytes, found: ExtractedCredential) -> None:
    out, stripper = passed(body)
    assert (out, stripper.credential) == (kept, found)


@pytest.mark.parametrize("body", [body for body, _, _ in BODIES.values()], ids=BODIES.keys())
def test_chunk_boundaries_change_nothing(body: bytes) -> None:
    whole, at_once = passed(body)
    for cuts in (range(1, len(body)), *([cut] for cut in range(1, len(body)))):
        out, stripper = passed(body, *cuts)
        assert (out, stripper.credential, stripper.params) == (
            whole,
            at_once.credential,
            at_once.params,
        )


@pytest.mark.parametrize("body", [body for body, _, _ in BODIES.values()], ids=BODIES.keys())
def test_a_declared_length_is_kept(body: bytes) -> None:
    out, _ = passed(body, declared=True)
    kept, _ = passed(body)
    assert out == kept + b" " * (len(body) - len(kept))


@pytest.mark.parametrize(("content_type", "boundary"), BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_boundary_of(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


def test_short_parts_that_are_no_files_are_params() -> None:
    long = part('name="desc"', b"x" * (MAX_VALUE_BYTES + 1))
    short = part('name="value[text]"', b"x" * MAX_VALUE_BYTES)
    body = TOKEN + NAME + FILE + long + short + part('name="due"', b"") + END
    _, stripper = passed(body)
    assert stripper.params == {"name": "Lunch", "value[text]": "x" * MAX_VALUE_BYTES, "due": ""}


def test_params_are_bounded_in_number() -> None:
    parts = [part(f'name="p{number}"', b"1") for number in range(MAX_PARAMS + 9)]
    _, stripper = passed(b"".join(parts) + END)
    assert len(stripper.params) == MAX_PARAMS


def test_a_long_credential_is_removed_unread_and_padded_in_bounded_pieces() -> None:
    body = part('name="token"', b"T" * 3 * LOOKAHEAD_BYTES) + NAME + END
    stripper = MultipartStripper(BOUNDARY, len(body))
    pieces = [stripper.feed(body)]
    while piece := stripper.finish():
        pieces.append(piece)
    assert b"".join(pieces) == (NAME + END).ljust(len(body))
    assert max(map(len, pieces)) <= LOOKAHEAD_BYTES
    assert stripper.credential == ExtractedCredential(locations=("multipart",))


@pytest.mark.parametrize("excess", range(-3, 4))
def test_an_endless_header_section_is_not_awaited(excess: int) -> None:
    shortest = part('name="token"', b"T", "x: ").index(b"\r\n\r\n") - len(b"--cut-here")
    fields = "x: " + "y" * (LOOKAHEAD_BYTES - len(b"\r\n\r\n") - shortest + excess)
    body = part('name="token"', b"T", fields) + NAME + END
    expected = NAME + END if excess <= 0 else body
    section_end = body.index(b"\r\n\r\n")
    for cut in range(section_end - 3, section_end + 6):
        assert passed(body, cut)[0] == expected


def test_a_file_is_forwarded_as_it_arrives() -> None:
    stripper = MultipartStripper(BOUNDARY, None)
    stripper.feed(part('name="file"; filename="f"', b"")[:-2])
    assert all(stripper.feed(b"\r\n--cut-her" * 50).count(b"cut") >= 49 for _ in range(20))


DATA = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--cut-here", b"x", b" ", b"\x00", b"\r\n--cut-her"])
).map(b"".join)
NAMES = st.sampled_from(["key", "token", "oauth_x", "file", "name", "keys"])
PARTS = st.lists(st.tuples(NAMES, DATA), max_size=5)


def seen(body: bytes) -> list[tuple[object, object]]:
    """(name, bytes) of each part, as the standard library reads the body."""
    head = b"Content-Type: multipart/form-data; boundary=" + BOUNDARY + b"\r\n\r\n"
    message: Message = email.message_from_bytes(head + body)
    return [
        (p.get_param("name", header="content-disposition"), p.get_payload(decode=True))
        for p in message.walk()
        if not p.is_multipart()
    ]


@given(PARTS, st.lists(st.integers(0, 400), max_size=6))
def test_the_receiver_sees_the_same_without_the_credentials(
    parts: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    clean = [(name, data.replace(b"--cut-here", b"")) for name, data in parts]
    body = b"".join(part(f'name="{name}"', data) for name, data in clean) + END
    out, stripper = passed(body, *(cut for cut in cuts if cut < len(body)), declared=True)
    others = [(n, data) for n, data in clean if n in {"file", "name", "keys"}]
    assert len(out) == len(body)
    assert stripper.credential.locations or out == body
    if others:
        assert seen(out) == [p for p in seen(body) if p[0] in {"file", "name", "keys"}]


@given(DATA, st.lists(st.integers(0, 200), max_size=6))
def test_junk_is_the_same_in_any_chunks(junk: bytes, cuts: list[int]) -> None:
    body = TOKEN + junk + NAME + END
    whole, _ = passed(body)
    assert passed(body, *(cut for cut in cuts if cut < len(body)))[0] == whole
    assert len(passed(body, declared=True)[0]) == len(body)


def test_parts_are_bounded_in_number() -> None:
    assert passed(NAME * (MAX_MEMBERS - 1) + TOKEN + END)[1].credential == JUST_T
    with pytest.raises(BodyTooLarge):
        passed(NAME * (MAX_MEMBERS + 1) + END)


def test_a_boundary_is_no_pattern_of_any_length() -> None:
    assert boundary_of(f"multipart/form-data; boundary={'b' * 256}") == b"b" * 256
    with pytest.raises(BodyTooLarge):
        boundary_of(f"multipart/form-data; boundary={'b' * 257}")
