"""What somebody pastes becomes a link of the proxy's, or a sentence that says what to paste."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.links import Links
from proxy.policy.pasted import NotALink, link_of
from proxy.policy.signing import FileIds, Signing

US = "http://trello.internal:8080"
NOW = 1_790_000_000.0
C, A = "5f1a" * 6, "6b2c" * 6
FILE = f"/1/cards/{C}/attachments/{A}/download/x%20y.png"
SIGNING = Signing(["k" * 16], 7 * 86_400)
PLAIN, SIGNED = Links(US), Links(US, SIGNING)

LINKS = {
    "a card": ("https://trello.com/c/AbCd1234/12-title", "/c/AbCd1234/12-title"),
    "a card's comment": ("https://trello.com/c/AbCd1234/12-t#comment-1", "/c/AbCd1234/12-t"),
    "a board": ("https://trello.com/b/AbCd1234/name?filter=x", "/b/AbCd1234/name"),
    "blanks around it": ("  https://trello.com/c/AbCd1234\n", "/c/AbCd1234"),
    "no scheme": ("trello.com/c/AbCd1234", "/c/AbCd1234"),
    "www": ("https://www.trello.com/b/AbCd1234", "/b/AbCd1234"),
    "a file": (f"https://trello.com{FILE}", FILE),
    "a file at the API's host": (f"https://api.trello.com{FILE}", FILE),
    "a file with a key and token": (f"https://api.trello.com{FILE}?key=k&token=t", FILE),
    "our own": (f"{US}{FILE}", FILE),
    "the API": ("https://api.trello.com/1/boards/x?fields=name", "/1/boards/x?fields=name"),
    "the API with a key": (
        "https://api.trello.com/1/boards/x?key=a&token=b&fields=name",
        "/1/boards/x?fields=name",
    ),
}

REFUSED = {
    "": "Paste the address",
    "hello there": "not one address",
    "https://example.com/c/AbCd1234": "not an address of Trello's",
    "https://trello.com.example.org/c/AbCd1234": "not an address of Trello's",
    "https://trello.com/u/somebody/boards": "Trello has that page",
    "javascript:alert(1)": "not an",
    "ftp://trello.com/c/AbCd1234": "not an address of Trello's",
    "https://[": "not an address",
    "https://trello-attachments.s3.amazonaws.com/x/y.png": "opens as it is",
    "https://trello.com/c/" + "A" * 5000: "not one address",
}


@pytest.mark.parametrize(("text", "path"), LINKS.values(), ids=LINKS.keys())
def test_an_address_of_trellos_becomes_a_link(text: str, path: str) -> None:
    assert link_of(text, PLAIN, NOW) == US + path


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=map(str, range(len(REFUSED))))
def test_anything_else_is_told_what_to_paste(text: str, why: str) -> None:
    with pytest.raises(NotALink, match=why):
        link_of(text, PLAIN, NOW)


def test_a_file_is_signed_where_links_are() -> None:
    signature = SIGNING.sign(FileIds(C, A), NOW)
    assert link_of(f"https://trello.com{FILE}", SIGNED, NOW) == f"{US}{FILE}?s={signature}"
    assert link_of(f"{US}{FILE}?s=1.{'x' * 43}", SIGNED, NOW) == f"{US}{FILE}?s={signature}"


@given(st.text())
def test_nothing_that_is_pasted_breaks_it(text: str) -> None:
    try:
        link = link_of(text, PLAIN, NOW)
    except NotALink:
        return
    assert link.startswith(f"{US}/")
