"""Downloads connect to public addresses, and to those that the operator listed."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.attachments.ssrf_guard import is_public, may_connect

INSIDE = [
    "0.0.0.0",  # noqa: S104
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "100.64.0.1", "169.254.169.254", "192.0.0.192", "192.88.99.1", "198.18.0.1",
    "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a00:1::", "2002:c0a8:101::", "2001:0:7f00:1::", "2001:0:4136:e378::",
    "2002:808:808::", "fec0::1", "localhost", "nonsense",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "52.216.0.1", "8.8.8.8", "2606:4700::1111", "2a00:1450::1", "64:ff9b::101:101",
    "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not may_connect(address, 443, ("*.amazonaws.com",), is_host_named=False)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_allowed(address: str) -> None:
    assert may_connect(address, 443, ("*.amazonaws.com",), is_host_named=False)


LISTED: dict[str, tuple[str, int, tuple[str, ...], bool, bool]] = {
    "the address itself": ("127.0.0.1", 9000, ("127.0.0.1:9000",), False, True),
    "the address at another port": ("127.0.0.1", 9001, ("127.0.0.1:9000",), False, False),
    "an address of a named host": ("10.0.0.5", 443, ("minio.internal",), True, True),
    "loopback of a named host": ("127.0.0.1", 443, ("minio.internal",), True, True),
    "a machine's metadata, of a named host": ("169.254.169.254", 80, ("a.example",), True, False),
    "the same, mapped": ("::ffff:169.254.169.254", 80, ("a.example",), True, False),
    "the same at a public address": ("168.63.129.16", 80, ("a.example",), True, False),
    "the same, listed": ("169.254.169.254", 80, ("169.254.169.254",), True, True),
    "link-local of a named host": ("fe80::1", 80, ("a.example",), True, False),
    "nowhere, of a named host": ("0.0.0.0", 80, ("a.example",), True, False),  # noqa: S104
    "a pattern that looks like an address": ("127.0.0.1", 80, ("*.0.0.1",), False, False),
}


@pytest.mark.parametrize("case", LISTED.values(), ids=LISTED.keys())
def test_listed_addresses(case: tuple[str, int, tuple[str, ...], bool, bool]) -> None:
    address, port, listed, is_host_named, reached = case
    assert may_connect(address, port, listed, is_host_named=is_host_named) is reached


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_ipv6(address: IPv4Address) -> None:
    for spelling in (f"::ffff:{address}", f"64:ff9b::{address}"):
        reached = may_connect(spelling, 443, (), is_host_named=False)
        assert reached is is_public(address)
