"""Of a chain of proxies, only what trusted ones appended is believed."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.forwarding import TrustedProxies, user_of

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "unix"])
PEER = "10.0.0.1"


def client(**fields: str) -> str:
    sent = {name.replace("_", "-"): [value] for name, value in fields.items()}
    return PROXIES.client_address(PEER, lambda name: sent.get(name, ()))


def test_networks_addresses_and_names_are_trusted() -> None:
    trusted = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "unix"]
    others = ["11.0.0.1", "2001:db9::7", "", "localhost"]
    assert [PROXIES.trusts(peer) for peer in trusted + others] == [True] * 4 + [False] * 4
    assert not TrustedProxies([]).trusts("127.0.0.1")


def test_the_client_is_the_right_most_untrusted_address() -> None:
    assert client(X_Forwarded_For="1.1.1.1, 192.0.2.7") == "192.0.2.7"
    assert client(X_Forwarded_For="1.1.1.1, 192.0.2.7, 10.0.0.9") == "192.0.2.7"
    assert client(X_Forwarded_For="192.0.2.7:4711,10.0.0.9") == "192.0.2.7"
    assert client(X_Forwarded_For="[2001:db9::1]:80") == "2001:db9::1"
    assert client(X_Real_IP="192.0.2.7") == "192.0.2.7"
    assert client(Forwarded='for=1.1.1.1, For="[2001:db9::1]:80";proto=https') == "2001:db9::1"
    assert client(Forwarded="by=10.0.0.1;for=192.0.2.7, for=10.0.0.3") == "192.0.2.7"


def test_of_trusted_addresses_alone_it_is_the_first() -> None:
    assert client(X_Forwarded_For="10.0.0.5, 10.0.0.6") == "10.0.0.5"


def test_what_is_no_address_ends_the_chain() -> None:
    for junk in ("unknown", "_hidden", "", "1.2.3", "<script>", "1.1.1.1 2.2.2.2"):
        assert client(X_Forwarded_For=f"1.1.1.1, {junk}") == PEER
        assert client(X_Forwarded_For=f"1.1.1.1, {junk}, 10.0.0.6") == "10.0.0.6"
    assert client(Forwarded="proto=https") == PEER
    assert client() == PEER


def test_fields_that_disagree_are_not_believed() -> None:
    assert client(X_Forwarded_For="192.0.2.7", Forwarded="for=127.0.0.1") == PEER
    assert client(X_Forwarded_For="192.0.2.7", X_Real_IP="127.0.0.1") == PEER
    assert client(X_Forwarded_For="192.0.2.7", Forwarded="for=192.0.2.7") == "192.0.2.7"
    assert client(X_Forwarded_For="192.0.2.7, 10.0.0.9", X_Real_IP="10.0.0.9") == "192.0.2.7"


@given(st.text(max_size=40))
def test_a_client_cannot_choose_its_address(written: str) -> None:
    assert client(X_Forwarded_For=f"{written}, 192.0.2.7") == "192.0.2.7"
    assert client(Forwarded=f"{written}, for=192.0.2.7") == "192.0.2.7"


def test_a_user_is_named_once_and_printably() -> None:
    assert user_of(["anna@home"]) == user_of([" anna@home "]) == "anna@home"
    assert user_of(["Anna Meier"]) == "Anna Meier"
    for values in ([], [""], ["anna", "ben"], ["a\nb"], ["\x7f"], ["x" * 101], ["\udcff"]):
        assert user_of(values) == ""
