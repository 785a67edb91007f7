"""Hit table: bounded, the least recently used go first, and no secret is a key."""

import pytest

from proxy.server.hit_table import HitTable, has_no_secret

HOST, AGENT = (b"Host", b"proxy:8080"), (b"user-agent", b"tool/1")


def _header(target: str, *fields: tuple[bytes, bytes]) -> tuple[bytes, list[bytes]]:
    lines = [f"GET {target} HTTP/1.1".encode(), *(b"%b: %b" % field for field in fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n", [name for name, _ in fields]


def test_the_least_recently_used_is_evicted_first() -> None:
    table = HitTable[int](3, 1000)
    for number in range(3):
        table.put(b"%d" % number, number)
    table.use(b"0")
    table.put(b"3", 3)
    assert [table.get(b"%d" % number) for number in range(4)] == [0, None, 2, 3]


def test_the_bytes_of_the_keys_are_bounded_too() -> None:
    table = HitTable[int](1000, 100)
    for number in range(30):
        table.put(b"%010d" % number, number)
        table.put(b"%010d" % number, number)
    assert len(table) == 10
    table.put(b"x" * 95, 0)
    assert len(table) == 1
    table.put(b"y" * 101, 0)
    assert len(table) == 0
    table.clear()
    for number in range(30):
        table.put(b"%010d" % number, number)
        table.drop(b"%010d" % number)
    table.put(b"x" * 100, 0)
    assert len(table) == 1


PLAIN = (
    _header("/1/boards/5e9310df53f23017628a8011?fields=name", HOST, AGENT),
    _header("/1/members/me", HOST, (b"ACCEPT-ENCODING", b"gzip"), (b"Accept", b"*/*")),
    _header("/1/members/me", HOST, (b"If-None-Match", b'"5e9310df53f2"'), (b"Origin", b"null")),
)
SECRET = (
    _header("/1/members/me", HOST, (b"Authorization", b"x")),
    _header("/1/members/me", HOST, (b"Cookie", b"a=b")),
    _header("/1/members/me", HOST, (b"X-Api-Key", b"x")),
    _header("/1/members/me", HOST, (b"Referer", b"http://x/?token=y")),
    _header("/1/members/me", HOST, (b"User-Agent", b"0123456789abcdef0123456789abcdef")),
    _header("/1/members/me?x=ATTA0123456789abcdef0123456789abcdef", HOST),
)


@pytest.mark.parametrize(("header", "names"), PLAIN)
def test_a_header_of_listed_fields_has_no_secret(header: bytes, names: list[bytes]) -> None:
    assert has_no_secret(header, names)


@pytest.mark.parametrize(("header", "names"), SECRET)
def test_any_other_field_and_any_long_word_may_be_one(header: bytes, names: list[bytes]) -> None:
    assert not has_no_secret(header, names)
