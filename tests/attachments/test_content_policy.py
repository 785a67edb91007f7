"""Attachments run nothing in the origin of the proxy, and come from listed hosts only."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.attachments import content_policy
from proxy.attachments.content_policy import (
    disposition,
    first_content_type,
    is_inline,
    is_listed_by_name,
    is_storage_host,
    safe_fields,
    safe_name,
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


@pytest.mark.parametrize(("name", "safe"), NAMES.values(), ids=NAMES.keys())
def test_a_name_without_deceptive_characters(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_name_is_sent_in_ascii_and_in_full() -> None:
    assert disposition("image/png", 'a "b"%\\é.png') == (
        "inline; filename=\"a _b____-218bb22d.png\"; filename*=UTF-8''a%20%22b%22%25_%C3%A9.png"
    )
    assert disposition("image/png", "a b.png") == (
        "inline; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"
    )


PLAIN = re.compile(r"filename=\"([^\"]*)\"")


@pytest.mark.parametrize(
    ("one", "other", "ending"),
    [
        ("中文.txt", "日本.txt", ".txt"),
        ("中文", "日本", ""),
        ("a/b.txt", "a:b.txt", ".txt"),
        ('a"b.png', "a%b.png", ".png"),
        ("x" * 500 + "a.png", "x" * 500 + "b.png", ".png"),
        (".é", ".è", ""),
    ],
)
def test_the_ascii_names_of_two_files_differ(one: str, other: str, ending: str) -> None:
    names = [PLAIN.findall(disposition("text/plain", name))[0] for name in (one, other)]
    assert names[0] != names[1]
    assert all(name.isascii() and name.endswith(ending) and len(name) < 200 for name in names)
    assert names[0] == PLAIN.findall(disposition("text/plain", one))[0]


_FIELD = re.compile(r"(inline|attachment); filename=\"([ !#-\[\]-~]*)\"; filename\*=UTF-8''(\S*)")


@given(st.text())
def test_any_name_makes_one_field_that_reads_back(name: str) -> None:
    value = disposition("image/png", name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    field = _FIELD.fullmatch(value)
    assert field is not None
    assert unquote(field[3]) == safe_name(name)
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


@pytest.mark.parametrize(("content_types", "chosen"), TYPES.values(), ids=TYPES.keys())
def test_the_first_informative_type(content_types: tuple[str, ...], chosen: str) -> None:
    assert first_content_type(content_types) == chosen


ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "Application/X-PDF; a=b": "application/pdf",
    "image/x-ms-bmp": "image/bmp",
}


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_of_a_passive_type_becomes_its_registered_name(alias: str, name: str) -> None:
    assert first_content_type([alias]) == name
    assert first_content_type([first_content_type([alias])]) == name
    assert is_inline(name)


def test_every_alias_leads_to_a_passive_type() -> None:
    for alias, name in content_policy._ALIASES.items():
        assert is_inline(name)
        assert not is_inline(alias) or alias == name


SHOWN = ["image/png", "IMAGE/JPEG", "image/webp", "text/plain; charset=utf-8", "application/pdf",
         "video/mp4", "audio/ogg"]  # fmt: skip
SAVED = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript",
         "application/octet-stream", "text/plain2", "", "videos/mp4", "text/css", "video/x+xml",
         "multipart/x-mixed-replace"]  # fmt: skip


@pytest.mark.parametrize("content_type", SHOWN)
def test_passive_files_are_displayed_inline(content_type: str) -> None:
    assert is_inline(content_type)
    assert disposition(content_type, "a").startswith("inline; ")
    assert disposition(content_type, "a", save=True).startswith("attachment; ")


@pytest.mark.parametrize("content_type", SAVED)
def test_everything_else_is_saved(content_type: str) -> None:
    assert not is_inline(content_type)
    assert disposition(content_type, "a").startswith("attachment; ")


@pytest.mark.parametrize("content_type", [*SHOWN, *SAVED])
def test_a_file_runs_nothing_and_all_but_a_pdf_is_in_a_sandbox(content_type: str) -> None:
    fields = dict(safe_fields(content_type))
    assert fields["X-Content-Type-Options"] == "nosniff"
    policy = fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert ("sandbox" in policy) is (content_type != "application/pdf")


ALLOWED = ("files.trello.com", "*.amazonaws.com", "127.0.0.1:9000", "*.cdn.test:8443",
           "[::1]:9000", "[::2]")  # fmt: skip

NAMED, FITS, NOT = (True, True), (True, False), (False, False)
"""Whether it may be, and whether the list has its very name."""

HOSTS = {
    "listed": ("files.trello.com", 443, NAMED),
    "listed, in any letter case": ("Files.Trello.COM", 443, NAMED),
    "below a suffix": ("bucket.s3.amazonaws.com", 443, FITS),
    "listed with its port": ("127.0.0.1", 9000, NAMED),
    "below a suffix with its port": ("a.cdn.test", 8443, FITS),
    "IPv6": ("::1", 9000, NAMED),
    "IPv6, on any port": ("::2", 1, NAMED),
    "not IPv6 on another port": ("::1", 9001, NOT),
    "not on another port": ("127.0.0.1", 9001, NOT),
    "not without its port": ("127.0.0.1", None, NOT),
    "not below a suffix on another port": ("a.cdn.test", 443, NOT),
    "not the suffix itself": ("amazonaws.com", 443, NOT),
    "not what ends alike": ("evilamazonaws.com", 443, NOT),
    "not what begins alike": ("files.trello.com.evil.example", 443, NOT),
    "not below a listed host": ("x.files.trello.com", 443, NOT),
    "not Trello's API": ("api.trello.com", 443, NOT),
    "not the machine itself": ("localhost", 80, NOT),
    "not its metadata": ("169.254.169.254", 80, NOT),
    "not nothing": ("", None, NOT),
}


@pytest.mark.parametrize(("host", "port", "verdicts"), HOSTS.values(), ids=HOSTS.keys())
def test_a_download_may_be_redirected_to(
    host: str, port: int | None, verdicts: tuple[bool, bool]
) -> None:
    assert (
        is_storage_host(host, port, ALLOWED),
        is_listed_by_name(host, port, ALLOWED),
    ) == verdicts


def test_an_empty_list_allows_nothing() -> None:
    assert not is_storage_host("files.trello.com", 443, ())
