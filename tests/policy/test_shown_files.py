"""How a user's file may be shown, and where it may come from."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.files import (
    content_type_of,
    disposition,
    harmless_name,
    is_named,
    is_shown,
    is_storage_host,
    safe_fields,
)

NAMES = {
    "a plain name": ("photo.png", "photo.png"),
    "letters of the world": ("Grüße 東京.png", "Grüße 東京.png"),
    "a path": ("../../etc/passwd", ".._.._etc_passwd"),
    "a path, backwards": ("..\\boot.ini", ".._boot.ini"),
    "a drive": ("C:\\x", "C__x"),
    "line ends": ("a\r\nb", "ab"),
    "right to left": ("gpj\u202e.exe", "gpj.exe"),
    "isolates": ("\u2066a\u2069", "a"),
    "nul": ("a\x00b", "ab"),
    "a lone surrogate": ("a\ud800b", "ab"),
    "dots": ("..", "file"),
    "nothing": ("", "file"),
    "spaces": ("   ", "file"),
    "long": ("x" * 500 + ".png", "x" * 176 + ".png"),
    "long, of one suffix": ("a." + "x" * 500, "a." + "x" * 178),
}


@pytest.mark.parametrize(("name", "harmless"), NAMES.values(), ids=NAMES.keys())
def test_a_name_without_what_deceives(name: str, harmless: str) -> None:
    assert harmless_name(name) == harmless


_FIELD = re.compile(r"(inline|attachment); filename=\"([ !#-\[\]-~]*)\"; filename\*=UTF-8''(\S*)")


@given(st.text())
def test_any_name_makes_one_field_that_reads_back(name: str) -> None:
    field = _FIELD.fullmatch(disposition("image/png", name))
    assert field is not None
    assert unquote(field[3]) == harmless_name(name)
    assert not set(unquote(field[3])) & set("/\\\r\n\x00\u202e")


TYPES = {
    "the storage's": (("image/png", "text/html"), "image/png"),
    "the storage's says nothing": (("binary/octet-stream", "image/png"), "image/png"),
    "neither says anything": (("", ""), "application/octet-stream"),
    "in capitals": (("IMAGE/PNG",), "image/png"),
    "with a charset": (('text/plain; Charset="utf-8"',), "text/plain; charset=utf-8"),
    "with something else": (("image/png; a=b",), "image/png"),
    "none at all": (("rubbish", "image/gif"), "image/gif"),
    "two lines": (("image/png\r\nX: y", "image/gif"), "image/gif"),
    "a list": (("image/png, text/html", "image/gif"), "image/gif"),
}


@pytest.mark.parametrize(("named", "chosen"), TYPES.values(), ids=TYPES.keys())
def test_a_type_that_says_something(named: tuple[str, ...], chosen: str) -> None:
    assert content_type_of(named) == chosen


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "image/jpeg",
        "text/plain; charset=x",
        "application/pdf",
        "audio/ogg",
        "video/mp4",
    ],
)
def test_passive_types_are_shown(content_type: str) -> None:
    assert is_shown(content_type)
    assert disposition(content_type, "a").startswith("inline")
    assert disposition(content_type, "a", save=True).startswith("attachment")


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript",
     "application/octet-stream", "video/x+xml", "multipart/x-mixed-replace", "", "text/plainish"],
)  # fmt: skip
def test_anything_else_is_saved(content_type: str) -> None:
    assert not is_shown(content_type)


def test_all_but_a_pdf_is_in_a_sandbox() -> None:
    policies = {kind: dict(safe_fields(kind))["Content-Security-Policy"] for kind in
                ("text/html", "image/png", "application/pdf")}  # fmt: skip
    assert all("default-src 'none'" in policy for policy in policies.values())
    assert [kind for kind, policy in policies.items() if "sandbox" not in policy] == [
        "application/pdf"
    ]


HOSTS: dict[str, tuple[str, int | None, tuple[str, ...], tuple[bool, bool]]] = {
    "by name": ("files.trello.com", 443, ("files.trello.com",), (True, True)),
    "by name, in capitals": ("Files.Trello.com", 443, ("files.trello.com",), (True, True)),
    "by pattern": ("x.s3.amazonaws.com", 443, ("*.amazonaws.com",), (True, False)),
    "the pattern's own name": ("amazonaws.com", 443, ("*.amazonaws.com",), (False, False)),
    "ends alike": ("evilamazonaws.com", 443, ("*.amazonaws.com",), (False, False)),
    "with its port": ("127.0.0.1", 9000, ("127.0.0.1:9000",), (True, True)),
    "with another port": ("127.0.0.1", 9001, ("127.0.0.1:9000",), (False, False)),
    "IPv6": ("::1", 9000, ("[::1]:9000",), (True, True)),
    "IPv6, any port": ("::1", 1, ("[::1]",), (True, True)),
    "not at all": ("evil.example", 443, ("files.trello.com",), (False, False)),
    "nothing": ("", None, ("files.trello.com",), (False, False)),
}


@pytest.mark.parametrize(("host", "port", "listed", "verdicts"), HOSTS.values(), ids=HOSTS.keys())
def test_a_storage_host(
    host: str, port: int | None, listed: tuple[str, ...], verdicts: tuple[bool, bool]
) -> None:
    assert (is_storage_host(host, port, listed), is_named(host, port, listed)) == verdicts
