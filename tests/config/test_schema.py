"""The configuration is read wholly or not at all, and every fault says where and what instead."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import schema
from proxy.config.fields import fields_by_key
from proxy.config.schema import (
    Admin,
    Cache,
    Config,
    ConfigError,
    Limits,
    RouteRule,
    Upstream,
)
from proxy.model import Listen, Rate, Secret

DUMMY = "dummy-0123456789ABCDEF"
ENVIRON = {
    "TRELLO_KEY": "dummy-key",
    "TRELLO_TOKEN": "dummy-token",
    "HOME": "/home/dummy",
    "STORAGE": "files.internal",
}


def load(text: str) -> Config:
    return schema.load(text, "proxy.yaml", ENVIRON, read_file)


def read_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return list(caught.value.faults)


READ: dict[str, tuple[str, str, object]] = {
    "an address": ("listen: '[::1]:8080'", "listen", Listen("::1", 8080)),
    "links lead to where it listens": ("listen: a:81", "origin", "http://a:81"),
    "or to this machine": ("listen: 0.0.0.0:81", "origin", "http://localhost:81"),
    "or to this machine, in IPv6": ("listen: '[::]:80'", "origin", "http://localhost"),
    "or to what is said": ("{listen: 0.0.0.0:81, public_url: https://a}", "origin", "https://a"),
    "a duration": ("upstream: {connect_timeout: 500ms}", "upstream.connect_timeout_s", 0.5),
    "a size": ("cache: {memory: 64KiB}", "cache.memory_bytes", 65_536),
    "a rate": ("limits: {search: 5/1m}", "limits.search", Rate(5, 60.0)),
    "off": ("freshness: {watch: off}", "freshness.watch_s", "off"),
    "false": ("links: {rewrite: false}", "links.rewrite", False),
    "a list": ("clients: {hosts: [a, B]}", "clients.hosts", ("a", "b")),
    "an empty list": ("upstream: {storage_hosts: []}", "upstream.storage_hosts", ()),
    "a secret": ("admin: {token: dummy}", "admin.token", Secret("dummy")),
    "a secret of the environment": ("", "credentials.token", Secret("dummy-token")),
    "a secret that nobody has set": ("", "credentials.secret", None),
    "a secret that is not wanted": ("credentials: {key: null}", "credentials.key", None),
    "a value of the environment": (
        "upstream: {storage_hosts: [{env: STORAGE}]}",
        "upstream.storage_hosts",
        ("files.internal",),
    ),
    "DNS servers": (
        "upstream: {resolve: [9.9.9.9, '[2620:FE::fe]:5353', '2620:fe::9']}",
        "upstream.resolve",
        ("9.9.9.9", "[2620:fe::fe]:5353", "[2620:fe::9]"),
    ),
    "a name for keys in Redis": ("redis: {name: staging}", "redis.name", "staging"),
    "a Redis address": ("cache: {redis: 'redis://h'}", "cache.redis", Secret("redis://h")),
    "a section with nothing below it": ("limits:", "limits", Limits()),
    "a route with one lifetime": (
        "routes: [{match: /boards/*/**, lifetime: 0s}]",
        "routes",
        (RouteRule(match="/boards/*/**", lifetime_s=0.0),),
    ),
    "a directory": ("cache: {directory: /var/cache/x}", "cache.directory", "/var/cache/x"),
    "a directory at home": ("cache: {directory: ~/x}", "cache.directory", f"{Path.home()}/x"),
}

FAULTS = {
    "a variable that is not set": (
        "public_url: {env: UNSET}",
        "1: public_url: the variable UNSET is not set; set it, or write the value",
    ),
    "a variable's name that is none": ("listen: {env: 'a b'}", "1: listen: not a variable's name"),
    "an egress proxy that speaks TLS": (
        "upstream: {proxy: 'https://proxy.example:3128'}",
        "1: upstream.proxy: not an HTTP proxy; write http://host:3128",
    ),
    "an egress proxy with a path": (
        "upstream:\n  proxy: http://u:p@proxy.example/x",
        "2: upstream.proxy: not an HTTP proxy; write http://host:3128",
    ),
    "an egress proxy to plain http": (
        "upstream: {proxy: 'http://proxy.example', url: 'http://trello.example'}",
        "1: upstream: proxy with an http url, which CONNECT would not encrypt; write url: https",
    ),
    "a name for a DNS server": (
        "upstream: {resolve: [dns.example]}",
        "1: upstream.resolve.0: not the address of a DNS server; write 9.9.9.9",
    ),
    "DNS servers beside an egress proxy": (
        "upstream: {resolve: [9.9.9.9], proxy: 'http://proxy.example:3128'}",
        "1: upstream: resolve with a proxy, which resolves names itself; remove resolve",
    ),
    "no host": ("listen: :8080", "1: listen: no host; write 127.0.0.1:8080"),
    "a duration without a unit": (
        "upstream:\n  read_timeout: 30",
        "2: upstream.read_timeout: not a duration; write a number with its unit: 500ms, 30s",
    ),
    "a time-out of nothing": (
        "upstream: {read_timeout: 0s}",
        "1: upstream.read_timeout: too short; write 1ms or more",
    ),
    "a decimal size": ("cache: {disk: 10GB}", "1: cache.disk: not a size; write a number with"),
    "a rate of two numbers": ("limits: {key: 100/10}", "1: limits.key: not a rate; write"),
    "too little memory for a body": ("limits: {memory: 512KiB}", "1: limits.memory: too little"),
    "a watch that never rests": (
        "freshness: {watch: 10ms}",
        "1: freshness.watch: too short; write 1s or more, or off",
    ),
    "a watch that is none": (
        "freshness: {watch: no}",
        "1: freshness.watch: not a duration; write a number with its unit: 500ms, 30s, 10m, 1h,",
    ),
    "no is not false": ("links: {rewrite: no}", "1: links.rewrite: neither true nor false; write"),
    "a word of another file": (
        "cache: {backend: postgres}",
        "1: cache.backend: not a known word; write sqlite, redis or memory",
    ),
    "a misspelt key": ("\n\nupstraem: {}", "3: upstraem: unknown key; write upstream"),
    "a key nobody knows": ("log: {colour: x}", "1: log.colour: unknown key; the keys here are lev"),
    "a duplicate key": ("log: {}\nlog: {}", "2: log: duplicate key, first on line 1; remove one"),
    "text for a section": ("log: info", "1: log: not a section; write its keys below it: level"),
    "a list for a file": ("- a", "1: not a section; write its keys below it: listen, public_url"),
    "text for a list": (
        "clients: {hosts: a}",
        "1: clients.hosts: not a list; write [one, another]",
    ),
    "nothing for a list": ("clients: {hosts: }", "1: clients.hosts: not a list; write [one"),
    "a list for text": ("listen: [a]", "1: listen: not an address; write host:port"),
    "an item of a list": (
        "clients:\n  hosts:\n    - a\n    - a:80",
        "4: clients.hosts.1: not a host name; write it alone",
    ),
    "an origin with a path": (
        "clients: {origins: [https://a/]}",
        "1: clients.origins.0: not an or",
    ),
    "an upstream with a path": (
        "upstream: {url: https://a/1}",
        "1: upstream.url: not an http origin; w",
    ),
    "a storage host with a scheme": (
        "upstream: {storage_hosts: [https://a]}",
        "1: upstream.storage_hosts.0: not a storage host; write files.trello.com",
    ),
    "a webhook without a scheme": (
        "freshness: {webhook_url: a/b}",
        "1: freshness.webhook_url: not a web address; write https://host/path",
    ),
    "a webhook without what proves it": (
        "log: {}\nfreshness: {webhook_url: https://a/b}",
        "1: freshness.webhook_url without credentials.secret, which verifies",
    ),
    "a route that matches nothing": (
        "routes:\n  - lifetime: 1s",
        "2: routes.0.match: not a pattern; write /boards/*/cards",
    ),
    "a route below /1": (
        "routes: [{match: /1/boards}]",
        "1: routes.0.match: begins with /1; write",
    ),
    "a route in the singular": (
        "routes: [{match: /board/*/cards}]",
        "1: routes.0.match: a singular name; write /boards",
    ),
    "an address that is not Redis": (
        "cache:\n  redis: http://h",
        "2: cache.redis: not a Redis URL; write redis://host:6379/0, rediss://host:6379/0 for TLS",
    ),
    "a name that is no key": (
        "redis: {name: 'a b'}",
        "1: redis.name: not a name for keys; write 1 to 64 letters, digits, dots and hyphens",
    ),
    "too little for Redis": (
        "redis: {memory: 1MiB}",
        "1: redis.memory: too little; write 8MiB or more",
    ),
    "more workers than can be": (
        "workers: 17",
        "1: workers: not a number of processes; write 1 to 16",
    ),
    "workers of a node": (
        "workers: 2\ncache: {backend: redis, redis: 'redis://a'}\nfleet: {listen: 10.0.0.5:1}",
        "1: workers above 1 with fleet.listen; write workers: 1 and start nodes",
    ),
    "Redis without an address": (
        "cache:\n  backend: redis",
        "1: cache: backend redis without an address; add redis: redis://host:6379/0",
    ),
    "a file nobody can read": (
        "credentials:\n  key: {file: /none}",
        "2: credentials.key: the file cannot be read (No such file or directory); check the path",
    ),
    "a token in braces": (
        "credentials: {token: {Ab1}}",
        "1: credentials.token: not a secret; write",
    ),
    "a directory of nothing": ("cache: {directory: ~}", "1: cache.directory: not a directory; wri"),
    "a home nobody has": (
        "cache: {directory: ~dummy-nobody/x}",
        "1: cache.directory: ~ of a user without a home; write an absolute path",
    ),
    "a list in itself": ("clients: {hosts: &x [*x]}", "1: clients.hosts.0: not a host name; wr"),
    "a word with an asterisk": (
        f"admin: {{token: *{DUMMY}}}",
        "1: not YAML, found undefined alias; check the indentation, or put the value in quotes",
    ),
    "no YAML": ("log: {", "1: not YAML, expected"),
}
NOT_PATTERNS = [
    "''",
    "boards",
    "/",
    "/boards/",
    "/Boards",
    "/**/a",
    "/a/***",
    "/a*",
    "/a b",
    "/a/%",
]


@pytest.mark.parametrize(("text", "place", "value"), READ.values(), ids=READ.keys())
def test_what_is_read(text: str, place: str, value: object) -> None:
    found: Any = load(text)
    for name in place.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(("text", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong(text: str, fault: str) -> None:
    (found,) = faults_of(text)
    assert found.startswith(f"proxy.yaml:{fault}")


@pytest.mark.parametrize("pattern", NOT_PATTERNS)
def test_a_route_pattern_has_one_spelling(pattern: str) -> None:
    (fault,) = faults_of(f"routes: [{{match: {pattern}}}]")
    assert fault.startswith("proxy.yaml:1: routes.0.match: not a pattern; write")


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = (
        "log: {level: loud, format: xml}\nlisten: here\nlog: {}\ncache:\n  dsik: 1GiB\nlimit: 3\n"
    )
    assert [fault.split(";")[0] for fault in faults_of(text)] == [
        "proxy.yaml:1: log.level: not a known word",
        "proxy.yaml:1: log.format: not a known word",
        "proxy.yaml:2: listen: not an address",
        "proxy.yaml:3: log: duplicate key, first on line 1",
        "proxy.yaml:5: cache.dsik: unknown key",
        "proxy.yaml:6: limit: unknown key",
    ]


def test_a_bad_variable_is_reported_though_the_file_does_not_name_it() -> None:
    with pytest.raises(ConfigError, match=r"^f:1: credentials.token: the variable TRELLO_TOKEN"):
        schema.load("", "f", {"TRELLO_TOKEN": "{dummy}"}, read_file)


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().limits.wait_s = 0.0  # type: ignore[misc]


def test_a_section_alone_has_its_defaults() -> None:
    assert Config() == schema.load("", "x", {}, str)
    assert Upstream(url="http://a").storage_hosts == Config().upstream.storage_hosts


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(tree: object) -> str:
    return str(yaml.dump(tree, Dumper=Dumper))


CHOICES: dict[str, st.SearchStrategy[object]] = {
    "listen": st.sampled_from(["127.0.0.1:0", "[::1]:80", "a.b:1"]),
    "public_url": st.sampled_from([None, "https://a.b", "http://[::1]:81"]),
    "credentials": st.fixed_dictionaries({}, optional={"key": st.just(DUMMY), "token": st.none()}),
    "clients": st.fixed_dictionaries(
        {"hosts": st.lists(st.sampled_from(["a", "null.b", "[::1]"]))}
    ),
    "cache": st.sampled_from([{"backend": "memory"}, {"directory": "off"}]),
    "routes": st.lists(st.sampled_from([{"match": "/**"}, {"match": "/*", "lifetime": "90s"}])),
    "freshness": st.fixed_dictionaries({"watch": st.sampled_from(["off", "1s", "90m"])}),
    "limits": st.fixed_dictionaries({"token": st.sampled_from(["1/1ms", "7/7d"])}),
    "admin": st.sampled_from([{"listen": "[::]:9", "token": "dummy"}, {"listen": None}, None]),
}


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=CHOICES))
def test_what_is_in_force_can_be_read_back(tree: dict[str, object]) -> None:
    shown = schema.masked(load(dump(tree)))
    assert schema.masked(load(shown)) == shown
    assert DUMMY not in shown


def test_what_is_in_force_is_shown_without_secrets() -> None:
    text = f"cache: {{backend: redis, redis: 'redis://u:{DUMMY}@h:1/0'}}\nadmin: {{token: {DUMMY}}}"
    shown = yaml.safe_load(schema.masked(load(text)))
    assert shown["cache"]["redis"] == "***"
    assert shown["credentials"] == {"key": "***", "token": "***", "secret": None}
    assert shown["admin"] == {"listen": None, "token": "***"}
    assert DUMMY not in repr(load(text))


KEYS = [*yaml.safe_load(schema.masked(Config())), *fields_by_key(RouteRule)]
KEYS += [key for part in (Upstream, Cache, Limits, Admin) for key in fields_by_key(part)]
SCALARS = st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=9)
WORDS = st.sampled_from(["off", "30s", "1GiB", "5/1s", "a:80", "/boards/*", "redis", DUMMY])
TREES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "env", "file", DUMMY]) | SCALARS, inner)
    ),
    max_leaves=12,
)


def assert_loads_or_says_why(text: str) -> None:
    try:
        load(text)
    except ConfigError as error:
        refusal = error
    else:
        return
    assert all(fault.startswith("proxy.yaml:") and "; " in fault for fault in refusal.faults)
    assert DUMMY not in str(refusal)
    assert refusal.__context__ is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), TREES) | TREES)
def test_every_tree_loads_or_says_why_and_repeats_no_value(tree: object) -> None:
    assert_loads_or_says_why(dump(tree))


@settings(deadline=None)
@given(
    st.text() | st.text("listen: cah\n{}[]&*!|'\"%@-#?") | st.from_regex(rf"[ -~]*{DUMMY}[ -~]*")
)
def test_every_text_loads_or_says_why_and_repeats_no_value(text: str) -> None:
    assert_loads_or_says_why(text)
