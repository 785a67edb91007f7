"""Attachment links are rewritten to the proxy and back; no other byte changes."""

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.links.rewrite import (
    MAX_LINK_BYTES,
    LinkRewriter,
    file_in_path,
    rewrite_client_js,
)
from proxy.links.signing import FileIds, LinkSigner

PROXY = "http://trello.internal:8080"
NOW = 1_790_000_000.0
C, A, P = "5f1a" * 6, "6b2c" * 6, "7d3e" * 6
FILE = f"/1/cards/{C}/attachments/{A}/download"
PREVIEW = f"/1/cards/{C}/attachments/{A}/previews/{P}/download"
SIGNING = LinkSigner(["k" * 16], 7 * 86_400)
PLAIN, SIGNED = LinkRewriter(PROXY), LinkRewriter(PROXY, SIGNING)

BACKING = f"backingUrl=https%3A%2F%2Ftrello-attachments.s3.amazonaws.com%2F{C}%2F70x50%2Fx.png"

REWRITTEN = {
    "a download of 2020": (f'"https://trello.com{FILE}?{BACKING}"', f'"{PROXY}{FILE}?{BACKING}"'),
    "a preview of 2020": (
        f'"https://trello.com/1/cards/{C}/attachments/{A}/previews/download?{BACKING}"',
        f'"{PROXY}/1/cards/{C}/attachments/{A}/previews/download?{BACKING}"',
    ),
    "a file": (f'"https://trello.com{FILE}/x.png"', f'"{PROXY}{FILE}/x.png"'),
    "the API's host": (f'"https://api.trello.com{FILE}/x"', f'"{PROXY}{FILE}/x"'),
    "http": (f'"http://trello.com{FILE}/x.png"', f'"{PROXY}{FILE}/x.png"'),
    "a preview": (f'"https://trello.com{PREVIEW}/x.png"', f'"{PROXY}{PREVIEW}/x.png"'),
    "a preview without a name": (f'"https://trello.com{PREVIEW}"', f'"{PROXY}{PREVIEW}"'),
    "a named preview": (
        f'"https://trello.com/1/cards/{C}/attachments/{A}/previews/preview2x/download/x.webp"',
        f'"{PROXY}/1/cards/{C}/attachments/{A}/previews/preview2x/download/x.webp"',
    ),
    "a shortLink": (
        f'"https://trello.com/1/cards/AbCd1234/attachments/{A}/download/x"',
        f'"{PROXY}/1/cards/AbCd1234/attachments/{A}/download/x"',
    ),
    "escaped slashes": (
        f'"https://trello.com{FILE}/x.png"'.replace("/", r"\/"),
        f'"{PROXY}{FILE}/x.png"'.replace("/", r"\/"),
    ),
    "in a text": (
        f'"text":"look: ![x](https://trello.com{FILE}/x%20(1).png), and"',
        f'"text":"look: ![x]({PROXY}{FILE}/x%20(1).png), and"',
    ),
}

UNTOUCHED = {
    "a card's page": '"https://trello.com/c/AbCd1234/1-x/attachments/"',
    "legacy storage": f'"https://trello-attachments.s3.amazonaws.com/{C}/attachments/x.png"',
    "an avatar": '"https://trello-members.s3.amazonaws.com/x/attachments/170.png"',
    "another host": f'"https://trello.com.example.org{FILE}/x.png"',
    "a host that ends like it": f'"https://nottrello.com{FILE}/x.png"',
    "metadata": f'"https://trello.com/1/cards/{C}/attachments/{A}"',
    "a word that begins like it": f'"https://trello.com{FILE}er/x"',
    "mixed slashes": f'"https://trello.com{FILE}"'.replace("/1/", r"\/1/"),
    "our own": f'"{PROXY}{FILE}/x.png"',
}


@pytest.mark.parametrize(("to_trello", "to_proxy"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_links_to_trello_become_links_to_the_proxy(to_trello: str, to_proxy: str) -> None:
    assert PLAIN.rewrite(f"[{to_trello}]".encode(), NOW).decode() == f"[{to_proxy}]"


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
@pytest.mark.parametrize("links", [PLAIN, SIGNED], ids=["plain", "signed"])
def test_everything_else_is_the_same_object(links: LinkRewriter, text: str) -> None:
    body = f"[{text}]".encode()
    assert links.rewrite(body, NOW) is body


ENDS = {
    "the string": (f"https://trello.com{FILE}/x.png", '"'),
    "a bracket": (f"https://trello.com{FILE}/x%20(1).png", ")"),
    "a full stop": (f"https://trello.com{FILE}/x.png", '. Next"'),
    "an escape": (f"https://trello.com{FILE}/x.png", r'\nmore"'),
    "a link without a name": (f"https://trello.com{FILE}", '"'),
}
OF_2020 = {
    "the string": '"',
    "a bracket": ")",
    "an escape": r"\nmore",
}


@pytest.mark.parametrize("rest", OF_2020.values(), ids=OF_2020.keys())
@pytest.mark.parametrize("backing", [BACKING, BACKING.replace("%3A%2F%2F", "://")])
def test_a_signature_follows_the_backing_url_in_a_link_of_2020(rest: str, backing: str) -> None:
    to_trello = f"https://trello.com{FILE}?{backing}"
    rewritten = SIGNED.rewrite(f'"{to_trello}{rest}'.encode(), NOW).decode()
    signature = SIGNING.sign(FileIds(C, A), NOW)
    assert rewritten == f'"{PROXY}{FILE}?{backing}&s={signature}{rest}'
    assert SIGNED.to_trello(rewritten.encode()).decode() == f'"{to_trello}{rest}'


@pytest.mark.parametrize(("link", "rest"), ENDS.values(), ids=ENDS.keys())
def test_a_signature_is_at_the_end_of_the_link(link: str, rest: str) -> None:
    to_proxy = link.replace("https://trello.com", PROXY)
    signature = SIGNING.sign(FileIds(C, A), NOW)
    rewritten = SIGNED.rewrite(f'"{link}{rest}'.encode(), NOW).decode()
    assert rewritten == f'"{to_proxy}?s={signature}{rest}'
    assert SIGNED.to_trello(rewritten.encode()).decode() == f'"{link}{rest}'


def test_a_preview_is_signed_as_one() -> None:
    rewritten = SIGNED.rewrite(f'"https://trello.com{PREVIEW}/x"'.encode(), NOW).decode()
    assert rewritten == f'"{PROXY}{PREVIEW}/x?s={SIGNING.sign(FileIds(C, A, P), NOW)}"'


def test_the_same_body_has_the_same_bytes_all_day() -> None:
    body = f'"https://trello.com{FILE}/x"'.encode()
    midnight = NOW // 86_400 * 86_400
    assert SIGNED.rewrite(body, midnight) == SIGNED.rewrite(body, midnight + 86_399)
    assert SIGNED.rewrite(body, midnight) != SIGNED.rewrite(body, midnight + 86_400)


WRITTEN_BACK = {
    "a query": (
        f"url={quote(PROXY + FILE, safe='')}%2Fx%2520y.png&name=z",
        f"url={quote('https://trello.com' + FILE, safe='')}%2Fx%2520y.png&name=z",
    ),
    "a raw query": (
        f"url={PROXY}{FILE}/x.png&name=z",
        f"url=https://trello.com{FILE}/x.png&name=z",
    ),
    "lower-case encoding": (
        f"u={quote(PROXY + FILE, safe='')}".replace("%2F", "%2f").replace("%3A", "%3a"),
        f"u={quote('https://trello.com' + FILE, safe='')}".replace("%2F", "%2f").replace(
            "%3A", "%3a"
        ),
    ),
    "a signed link in a form": (
        f"text=see+{quote(f'{PROXY}{FILE}/x.png?s=20000.' + 'a' * 43, safe='')}+there&name=z",
        f"text=see+{quote(f'https://trello.com{FILE}/x.png', safe='')}+there&name=z",
    ),
    "a signed link with a raw ampersand after it": (
        f"url={PROXY}{FILE}/x.png?s=20000.{'a' * 43}&name=z",
        f"url=https://trello.com{FILE}/x.png&name=z",
    ),
    "two signed links": (
        f"{PROXY}{FILE}?s=20000.{'a' * 43} {PROXY}{PREVIEW}/y?s=20000.{'b' * 43}",
        f"https://trello.com{FILE} https://trello.com{PREVIEW}/y",
    ),
    "two links run together, the second signed": (
        f"{PROXY}{FILE},{PROXY}{PREVIEW}/y?s=20000.{'b' * 43}",
        f"https://trello.com{FILE},https://trello.com{PREVIEW}/y",
    ),
    "https of the same host": (f"https://trello.internal:8080{FILE}", f"https://trello.com{FILE}"),
}


@pytest.mark.parametrize(("to_proxy", "to_trello"), WRITTEN_BACK.values(), ids=WRITTEN_BACK.keys())
def test_links_to_the_proxy_are_restored_in_any_spelling(to_proxy: str, to_trello: str) -> None:
    assert PLAIN.to_trello(to_proxy.encode()).decode() == to_trello


NAMES = {
    "the public name, without a port": ("trello.internal", True),
    "the public name, in capitals": ("Trello.Internal:8080", True),
    "the loopback": ("localhost:8080", True),
    "the loopback, without a port": ("localhost", True),
    "the loopback's address": ("127.0.0.1:8080", True),
    "the loopback's address in IPv6": ("[::1]:8080", True),
    "another name of to_proxy": ("trello:9000", True),
    "an address in IPv6": ("[2001:db8::1]", True),
    "what this client calls us": ("192.0.2.7:8080", True),
    "another host": ("example.org", False),
    "a host that ends like to_proxy": ("evil-trello.internal", False),
    "a host that begins like to_proxy": ("trello.internal.example.org", False),
    "a user of to_proxy elsewhere": ("localhost@example.org", False),
    "no host": ("[::1", False),
}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "escaped": lambda text: text.replace("/", r"\/"),
    "encoded": lambda text: quote(text, safe=""),
}


@pytest.mark.parametrize(("authority", "is_own"), NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_link_is_restored_from_every_name_of_the_proxy(
    authority: str, spelling: str, *, is_own: bool
) -> None:
    links = LinkRewriter(PROXY, hosts=("localhost", "127.0.0.1", "::1", "trello", "2001:db8::1"))
    spell = SPELLINGS[spelling]
    before, after = spell("see "), spell(" there")
    body = f"{before}{spell(f'http://{authority}{FILE}/x.png')}{after}".encode()
    to_trello = f"{before}{spell(f'https://trello.com{FILE}/x.png')}{after}".encode()
    assert links.to_trello(body, {"192.0.2.7"}) == (to_trello if is_own else body)


@given(st.binary(), st.binary(max_size=300))
def test_all_text_besides_links_to_the_proxy_is_unchanged(body: bytes, authority: bytes) -> None:
    assert PLAIN.to_trello(body) is body
    written = b"http://" + authority + FILE.encode()
    assert PLAIN.to_trello(written) in {written, b"https://trello.com" + FILE.encode()}


def test_other_urls_of_the_proxy_are_unchanged() -> None:
    body = f"see {PROXY}/c/AbCd1234 and {PROXY}/1/boards/x".encode()
    assert PLAIN.to_trello(body) is body


ids = st.text("0123456789abcdef", min_size=24, max_size=24)
names = st.text(min_size=0, max_size=20).map(
    lambda name: quote(name, safe="!'()*~", errors="ignore")
)
texts = st.text(max_size=30)


@st.composite
def trello_links(draw: st.DrawFn) -> str:
    base = f"https://trello.com/1/cards/{draw(ids)}/attachments/{draw(ids)}"
    middle = draw(
        st.sampled_from(["", f"/previews/{draw(ids)}", "/previews/preview2x", "/previews"])
    )
    if draw(st.booleans()):
        colon = draw(st.sampled_from([":", "%3A"]))
        return f"{base}{middle}/download?backingUrl=https{colon}%2F%2Fa.example%2F{draw(names)}"
    name = draw(names)
    return f"{base}{middle}/download" + (f"/{name}" if name else "")


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    pieces = draw(st.lists(st.one_of(texts, trello_links()), max_size=8))
    joint = draw(st.sampled_from([" ", "", ", ", "\n", ")(", '"']))
    document = {"url": draw(trello_links()), "desc": joint.join(pieces), "items": pieces}
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    return (text.replace("/", r"\/") if draw(st.booleans()) else text).encode(
        "utf-8", "surrogatepass"
    )


@given(
    bodies(),
    st.sampled_from([PLAIN, SIGNED, LinkRewriter("http://[::1]:81"), LinkRewriter("http://t")]),
)
def test_rewriting_and_restoring_round_trips(body: bytes, links: LinkRewriter) -> None:
    rewritten = links.rewrite(body, NOW)
    url = json.loads(rewritten.decode("utf-8", "surrogatepass"))["url"]
    assert url.startswith(f"{links.public_url}/1/cards/")
    assert links.to_trello(rewritten) == body
    assert links.rewrite(rewritten, NOW) is rewritten


@given(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_a_body_without_links_is_the_same_object(document: object) -> None:
    body = json.dumps(document).encode()
    assert PLAIN.rewrite(body, NOW) is body
    assert PLAIN.to_trello(body) is body


@given(st.lists(bodies(), max_size=4), st.integers(1, 3000), st.sampled_from([PLAIN, SIGNED]))
def test_a_stream_is_rewritten_like_the_whole_body(
    parts: list[bytes], chunk_bytes: int, links: LinkRewriter
) -> None:
    body = (b" " * MAX_LINK_BYTES).join(parts)
    stream = links.stream(NOW)
    chunks = [stream.feed(body[at : at + chunk_bytes]) for at in range(0, len(body), chunk_bytes)]
    assert b"".join(chunks) + stream.finish() == links.rewrite(body, NOW)


FILES = {
    f"{FILE}/x.png": FileIds(C, A),
    f"{PREVIEW}": FileIds(C, A, P),
    f"/1//card/{C}/attachments/{A}/download/": FileIds(C, A),
    f"/1/cards/{C}/attachments/{A}/previews/download": FileIds(C, A),
    f"/1/cards/{C}/attachments/{A}": None,
    f"/1/boards/{C}/attachments/{A}/download": None,
}


@pytest.mark.parametrize(("path", "file"), FILES.items(), ids=FILES.keys())
def test_the_ids_of_a_file_are_in_its_path(path: str, file: FileIds | None) -> None:
    assert file_in_path(path) == file


HERE = "http://trello.internal:8080"


def test_the_api_endpoint_becomes_the_proxy() -> None:
    script = b'var o={"version":1,"apiEndpoint":"https://api.trello.com","authEndpoint":"https://trello.com"};'
    assert rewrite_client_js(script, HERE) == (
        b'var o={"version":1,"apiEndpoint":"http://trello.internal:8080",'
        b'"authEndpoint":"https://trello.com"};'
    )


def test_so_does_an_endpoint_with_escaped_slashes() -> None:
    assert rewrite_client_js(b'{"apiEndpoint":"https:\\/\\/api.trello.com"}', HERE) == (
        b'{"apiEndpoint":"http://trello.internal:8080"}'
    )


def test_urls_with_the_same_beginning_are_unchanged() -> None:
    script = (
        b'"https://api.trello.com/1/x" \'https://api.trello.com\' "https://api.trello.com.evil"'
    )
    assert rewrite_client_js(script, HERE) == script


def test_an_address_cannot_break_out_of_its_quotes() -> None:
    assert rewrite_client_js(b'"https://api.trello.com"', 'http://a"b') == b'"http://a\\"b"'
