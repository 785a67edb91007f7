"""Hosts, origins and addresses are taken in one spelling, and nothing near them is taken."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import addresses
from proxy.model import Listen, Secret

Reader = Callable[[str], object]

READ: dict[str, tuple[Reader, str, object]] = {
    "a port of this machine": (addresses.listen, "127.0.0.1:8080", Listen("127.0.0.1", 8080)),
    "an IPv6 port": (addresses.listen, "[::1]:8080", Listen("::1", 8080)),
    "any free port": (addresses.listen, "localhost:0", Listen("localhost", 0)),
    "a Unix socket": (addresses.listen, "unix:/run/p/s", Listen("localhost", 0, "/run/p/s")),
    "a host in lower case": (addresses.host, "Trello.Internal", "trello.internal"),
    "a host with underscores": (addresses.host, "trello_proxy", "trello_proxy"),
    "an IPv4 host": (addresses.host, "192.0.2.7", "192.0.2.7"),
    "an IPv6 host, shortened": (addresses.host, "[0:0::0:1]", "[::1]"),
    "a storage host": (addresses.storage_host, "files.trello.com", "files.trello.com"),
    "a storage host with a port": (addresses.storage_host, "127.0.0.1:9000", "127.0.0.1:9000"),
    "every storage host below a name": (addresses.storage_host, "*.AWS.com", "*.aws.com"),
    "an origin": (addresses.origin, "https://Tools.internal", "https://tools.internal"),
    "an origin with a port": (addresses.origin, "http://localhost:3000", "http://localhost:3000"),
    "the scheme's own port is left out": (addresses.origin, "https://a.b:443", "https://a.b"),
    "the other scheme's port is not": (addresses.origin, "http://a.b:443", "http://a.b:443"),
    "an extension's origin": (addresses.origin, "moz-extension://a-b", "moz-extension://a-b"),
    "a base URL": (addresses.base_url, "http://[::1]:80", "http://[::1]"),
    "a public URL": (addresses.public_url, "https://Trello.internal", "https://trello.internal"),
    "a URL keeps its case": (addresses.url, "https://a.b/-/Hook?x=1", "https://a.b/-/Hook?x=1"),
}
REFUSED: dict[str, tuple[Reader, list[str], str]] = {
    "no path of a Unix socket": (
        addresses.listen,
        ["unix:", "unix:s", "unix:/run/", "unix:/" + "s" * 107, "unix:/" + "ü" * 54],
        "not the path of a Unix socket; write unix:/run/trello-proxy/http.sock",
    ),
    "a port alone": (addresses.listen, [":8080", "8080"], "no host; write 127.0.0.1:8080"),
    "no address": (
        addresses.listen,
        [
            "",
            "localhost",
            "/run/p/s",
            "::1:8080",
            "*:80",
            "a:65536",
            "a:b",
            "http://a:80",
            "[::1%lo]:80",
        ],
        "not an address; write host:port",
    ),
    "no host name": (
        addresses.host,
        ["", "a:80", "a b", "a..b", ".a", "-a", "a.", "*.a", "256.1.1.1", "1.2", "[::1", "::1"],
        "not a host name; write it alone",
    ),
    "still no host name": (
        addresses.host,
        ["[::1%lo]", "ä.de", "a" * 64, "a." * 127 + "a", "http://a", "user@a", "a\n", "a/b"],
        "not a host name; write it alone",
    ),
    "no storage host": (
        addresses.storage_host,
        ["", "*", "*.", "*.*.a", "a.*", "*.a:80", "*.[::1]", "https://a", "a/b", "a:99999"],
        "not a storage host; write files.trello.com",
    ),
    "no origin": (
        addresses.origin,
        ["", "null", "*", "a.b", "//a.b", "https://", "https://a/", "https://a/b", "https://a?b"],
        "not an origin; write scheme://host",
    ),
    "still no origin": (
        addresses.origin,
        ["https://a#b", "https://u@a", "https://u:p@a", "https://*.a", "https://a:99999"],
        "not an origin; write scheme://host",
    ),
    "the public URL of nobody": (
        addresses.public_url,
        ["http://0.0.0.0:8080", "https://0.0.0.0", "http://[::]:80", "http://[::ffff:0.0.0.0]"],
        "a wildcard address; write the name by which others reach the proxy",
    ),
    "no base URL": (addresses.base_url, ["", "ftp://a", "a.b"], "not an http origin; write http"),
    "no URL": (addresses.url, ["", "a.b", "https://u@a/", "https://a/#b", "https://a/ b"], "write"),
}
READERS = [reader for reader, _, _ in REFUSED.values()]


@pytest.mark.parametrize(("reader", "text", "meaning"), READ.values(), ids=READ.keys())
def test_what_is_taken(reader: Reader, text: str, meaning: object) -> None:
    assert reader(text) == meaning


@pytest.mark.parametrize(("reader", "texts", "fault"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(reader: Reader, texts: list[str], fault: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=fault.replace("*", r"\*")):
            reader(text)


@settings(deadline=None)
@given(st.sampled_from(READERS), st.text("aZ0.:/@*[]-_#? ä%\n") | st.text())
def test_what_is_taken_reads_the_same_when_written_back(reader: Reader, text: str) -> None:
    try:
        meaning = reader(text)
    except ValueError:
        return
    assert reader(str(meaning)) == meaning


REACHED = {
    "a host": ("trello.internal:80", False, "http://trello.internal"),
    "an address": ("192.0.2.7:8080", False, "http://192.0.2.7:8080"),
    "an address in IPv6": ("[::1]:8080", False, "http://[::1]:8080"),
    "every address": ("0.0.0.0:8080", True, "http://localhost:8080"),
    "every address in IPv6": ("[::]:8080", True, "http://localhost:8080"),
    "every address in IPv6, at length": ("[0:0::0]:8080", True, "http://localhost:8080"),
    "every address of IPv4, in IPv6": ("[::ffff:0.0.0.0]:80", True, "http://localhost"),
}


@pytest.mark.parametrize(("text", "is_wildcard", "url"), REACHED.values(), ids=REACHED.keys())
def test_the_machine_itself_reaches_it_at(text: str, url: str, *, is_wildcard: bool) -> None:
    listen = addresses.listen(text)
    assert (listen.is_wildcard, listen.origin("http")) == (is_wildcard, url)


REDIS = {
    "a host": "redis://h",
    "a port and a database": "redis://h:6379/0",
    "a user and a password": "redis://u:p%40ss@h/1",
    "a password alone": "redis://:p@h",
    "TLS": "rediss://h:6380/0",
    "an IPv6 address": "redis://[::1]:6379/0",
    "one Sentinel": "redis+sentinel://h/mymaster",
    "Sentinels": "redis+sentinel://u:p@h1:26379,h2:26379,[::1]:1/my-master.1/2",
}
NOT_REDIS = [
    "", "a:6379", "http://a", "redis://", "redis://a/x", "redis://u:p@q@a", "redis://a:b",
    "redis://a,b", "redis+sentinel://h", "redis+sentinel://h,/m", "redis+sentinel://h/m/x",
    "redis://a/0?ssl_cert_reqs=none",
]  # fmt: skip


@pytest.mark.parametrize("url", REDIS.values(), ids=REDIS.keys())
def test_a_redis_url_is_taken_as_it_is(url: str) -> None:
    assert addresses.redis_url(Secret(url)) == Secret(url)


@pytest.mark.parametrize("url", NOT_REDIS)
def test_what_is_no_redis_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="not a Redis URL; write redis://host:6379/0") as caught:
        addresses.redis_url(Secret(url))
    assert "u:p" not in str(caught.value)
