"""A user's file cannot act in the proxy's name, and comes from where it may."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.files import SAFE_FIELDS, disposition, is_storage_host

SHOWN = ["image/png", "IMAGE/JPEG", "image/webp", "text/plain; charset=utf-8", "application/pdf",
         "video/mp4", "audio/ogg"]  # fmt: skip
SAVED = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript",
         "application/octet-stream", "text/plain2", "", "videos/mp4", "text/css"]  # fmt: skip


@pytest.mark.parametrize("media_type", SHOWN)
def test_passive_files_are_shown(media_type: str) -> None:
    assert disposition(media_type, "a").startswith("inline; ")


@pytest.mark.parametrize("media_type", SAVED)
def test_everything_else_is_saved(media_type: str) -> None:
    assert disposition(media_type, "a").startswith("attachment; ")


def test_a_name_is_told_twice_once_for_everybody_and_once_in_full() -> None:
    assert disposition("image/png", 'a "b"%\\é.png') == (
        "inline; filename=\"a _b____.png\"; filename*=UTF-8''a%20%22b%22%25%5C%C3%A9.png"
    )


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_name_breaks_out_of_its_field(name: str) -> None:
    value = disposition("image/png", name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert unquote(value.rpartition("''")[2]) == name


def test_a_shown_file_runs_nothing() -> None:
    fields = dict(SAFE_FIELDS)
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in fields["Content-Security-Policy"]
    assert "sandbox" in fields["Content-Security-Policy"]
    assert "no-cache" in fields["Cache-Control"]


ALLOWED = ("files.trello.com", "*.amazonaws.com", "127.0.0.1:9000", "*.cdn.test:8443")

HOSTS = {
    "listed": ("files.trello.com", 443, True),
    "listed, in any letter case": ("Files.Trello.COM", 443, True),
    "below a suffix": ("bucket.s3.amazonaws.com", 443, True),
    "listed with its port": ("127.0.0.1", 9000, True),
    "below a suffix with its port": ("a.cdn.test", 8443, True),
    "not on another port": ("127.0.0.1", 9001, False),
    "not without its port": ("127.0.0.1", None, False),
    "not below a suffix on another port": ("a.cdn.test", 443, False),
    "not the suffix itself": ("amazonaws.com", 443, False),
    "not what ends alike": ("evilamazonaws.com", 443, False),
    "not what begins alike": ("files.trello.com.evil.example", 443, False),
    "not below a listed host": ("x.files.trello.com", 443, False),
    "not Trello's API": ("api.trello.com", 443, False),
    "not the machine itself": ("localhost", 80, False),
    "not its metadata": ("169.254.169.254", 80, False),
    "not nothing": ("", None, False),
}


@pytest.mark.parametrize(("host", "port", "may"), HOSTS.values(), ids=HOSTS.keys())
def test_a_download_may_be_redirected_to(host: str, port: int | None, *, may: bool) -> None:
    assert is_storage_host(host, port, ALLOWED) is may


def test_an_empty_list_allows_nothing() -> None:
    assert not is_storage_host("files.trello.com", 443, ())
