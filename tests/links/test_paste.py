"""A pasted text becomes a link to the proxy, or a sentence that says what to paste."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds, LinkSigner

PROXY = "http://trello.internal:8080"
NOW = 1_790_000_000.0
C, A = "5f1a" * 6, "6b2c" * 6
FILE = f"/1/cards/{C}/attachments/{A}/download/x%20y.png"
SIGNING = LinkSigner(["k" * 16], 7 * 86_400)
PLAIN, SIGNED = LinkRewriter(PROXY, hosts=("localhost", "::1")), LinkRewriter(PROXY, SIGNING)

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
    "our own": (f"{PROXY}{FILE}", FILE),
    "our own by another name": (f"http://localhost:9000{FILE}", FILE),
    "our own page, in IPv6": ("http://[::1]:8080/b/AbCd1234", "/b/AbCd1234"),
    "a card in angle brackets": ("<https://trello.com/c/AbCd1234/12-t>", "/c/AbCd1234/12-t"),
    "a card with a title, as chats write it": (
        "<https://trello.com/c/AbCd1234|A title>",
        "/c/AbCd1234",
    ),
    "a card at the end of a sentence": ("Look at https://trello.com/c/AbCd1234.", "/c/AbCd1234"),
    "a card in the middle": (
        "Look (https://trello.com/c/AbCd1234/12-t), it is new",
        "/c/AbCd1234/12-t",
    ),
    "a card in Markdown": ("[card](https://trello.com/c/AbCd1234/12-t)", "/c/AbCd1234/12-t"),
    "a card in Markdown, as Trello writes it": (
        '[https://trello.com/c/AbCd1234/12-t](https://trello.com/c/AbCd1234/12-t "smartCard")',
        "/c/AbCd1234/12-t",
    ),
    "a card in HTML": ("<a href='https://trello.com/c/AbCd1234'>x</a>", "/c/AbCd1234"),
    "a card in emphasis": ("**https://trello.com/c/AbCd1234**", "/c/AbCd1234"),
    "a card in code": ("`https://trello.com/c/AbCd1234`", "/c/AbCd1234"),
    "a card in quotation marks": ("\u201chttps://trello.com/c/AbCd1234\u201d", "/c/AbCd1234"),
    "a card with letters right behind it": ("https://trello.com/c/AbCd1234を見て", "/c/AbCd1234"),
    "a card with a mark nobody sees": ("\u200bhttps://trello.com/c/AbCd1234\u200b", "/c/AbCd1234"),
    "a card on the second line": ("Hi,\nsee trello.com/c/AbCd1234\nBye", "/c/AbCd1234"),
    "a card with a title of the world": (
        "https://trello.com/c/AbCd1234/12-größe",
        "/c/AbCd1234/12-gr%C3%B6%C3%9Fe",
    ),
    "a card in JSON": (r'{"url":"https:\/\/trello.com\/c\/AbCd1234"}', "/c/AbCd1234"),
    "a card behind another site": (
        "https://example.com/c/x and https://trello.com/c/AbCd1234",
        "/c/AbCd1234",
    ),
    "a file with brackets in its name": (
        f"({FILE.join(('https://trello.com', ''))[:-4]}%20(1).png).",
        f"{FILE[:-4]}%20(1).png",
    ),
    "a shortLink": ("AbCd1234", "/c/AbCd1234"),
    "a shortLink in quotation marks": (' "AbCd1234". ', "/c/AbCd1234"),
    "an id": (C, f"/c/{C}"),
    "the API": ("https://api.trello.com/1/boards/x?fields=name", "/1/boards/x?fields=name"),
    "the API with a key": (
        "https://api.trello.com/1/boards/x?key=a&token=b&fields=name",
        "/1/boards/x?fields=name",
    ),
}

REFUSED = {
    "": "Paste the address",
    "hello there": "no address of Trello's in that",
    "hello": "no address of Trello's in that",
    "https://trello.com/c/" + "A" * 65: "Trello has that page",
    "https://trello.com@evil.example/c/AbCd1234": "not an address of Trello's",
    "https://eviltrello.com/c/AbCd1234": "not an address of Trello's",
    "eviltrello.com/c/AbCd1234": "no address of Trello's in that",
    "evil@trello.com/c/AbCd1234": "no address of Trello's in that",
    "AbCd1234 EfGh5678": "no address of Trello's in that",
    "https://example.com/c/AbCd1234": "not an address of Trello's",
    "https://trello.com.example.org/c/AbCd1234": "not an address of Trello's",
    "https://trello.com/u/somebody/boards": "Trello has that page",
    "javascript:alert(1)": "no address of Trello's in that",
    "ftp://trello.com/c/AbCd1234": "no address of Trello's in that",
    "https://[": "no address of Trello's in that",
    "https://trello-attachments.s3.amazonaws.com/x/y.png": "opens as it is",
    "https://trello.com/c/" + "A" * 5000: "too long for an address",
}


@pytest.mark.parametrize(("text", "path"), LINKS.values(), ids=LINKS.keys())
def test_a_url_of_trello_becomes_a_link(text: str, path: str) -> None:
    assert to_proxy_link(text, PLAIN, NOW) == PROXY + path


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=map(str, range(len(REFUSED))))
def test_for_anything_else_the_error_says_what_to_paste(text: str, why: str) -> None:
    with pytest.raises(UnsupportedLink, match=why):
        to_proxy_link(text, PLAIN, NOW)


def test_a_files_link_is_signed_when_links_are() -> None:
    signature = SIGNING.sign(FileIds(C, A), NOW)
    assert to_proxy_link(f"https://trello.com{FILE}", SIGNED, NOW) == f"{PROXY}{FILE}?s={signature}"
    assert (
        to_proxy_link(f"{PROXY}{FILE}?s=1.{'x' * 43}", SIGNED, NOW)
        == f"{PROXY}{FILE}?s={signature}"
    )


@given(
    st.text() | st.from_regex(r"[ -~]*https://(api\.)?trello\.com/[cb1]/\S*(.|\n)*", fullmatch=True)
)
def test_any_text_gives_a_link_or_the_error(text: str) -> None:
    try:
        link = to_proxy_link(text, PLAIN, NOW)
    except UnsupportedLink:
        return
    assert link.startswith(f"{PROXY}/")
    assert link.isascii()
    assert not set(link) & set(' \t\r\n<>"`\\')


@pytest.mark.parametrize(
    "text", ["(" * 2048 + ")" * 2048, "http://" + ")" * 4089, "trello.com/" * 372]
)
def test_the_longest_text_takes_no_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(UnsupportedLink):
        to_proxy_link(text, PLAIN, NOW)
    assert time.process_time() - began < 0.1
