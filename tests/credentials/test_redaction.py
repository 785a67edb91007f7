"""No secret of the proxy is in a redacted body, and every length stays the same."""

from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.redaction import MAX_ADDED, PIECE_BYTES, Redactor, SecretFinder

KEY = "dummykey0123"
LONG = KEY + "ATTAxyz"
OTHER = "ATTA-another-one"
ODD = "a/b+c-d_e"
REDACTOR = Redactor([KEY, LONG, ODD])


def percent(secret: str) -> str:
    """Every character percent-encoded."""
    return "".join(f"%{ord(character):02x}" for character in secret)


def escaped(secret: str) -> str:
    """Every character as JSON can escape it."""
    return "".join(f"\\u{ord(character):04x}" for character in secret)


SPELLINGS = {
    "as it is": KEY,
    "one that begins like another": LONG,
    "in a URL's encoding": quote(ODD, safe=""),
    "percent-encoded throughout": percent(LONG),
    "percent-encoded in upper case": percent(LONG).upper(),
    "JSON-escaped throughout": escaped(KEY),
    "JSON-escaped, digits in upper case": escaped(KEY).upper().replace("U", "u"),
    "in upper case": KEY.upper(),
    "one letter percent-encoded": KEY[:-1] + percent(KEY[-1]),
    "one letter JSON-escaped": escaped(LONG[0]) + LONG[1:],
    "percent-encoded twice": percent(LONG).replace("%", "%25"),
    "percent-encoded three times": percent(LONG).replace("%", "%2525"),
    "a percent sign that is JSON-escaped": percent(KEY).replace("%", "\\u0025"),
}

INNOCENT = {
    "nothing": b"",
    "half a secret": KEY[:-1].encode(),
    "some encoding": b"%64%75 \\u0064 100% %",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("before", [1, 5, 17])
def test_a_secret_is_found_where_a_long_body_is_divided(spelling: str, before: int) -> None:
    start = PIECE_BYTES - min(before, len(spelling) - 1)
    body = b"x" * start + spelling.encode() + b"x" * PIECE_BYTES
    assert REDACTOR.contains_secret(body)
    assert REDACTOR.redact(body) == body.replace(spelling.encode(), b"*" * len(spelling))


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_secret_becomes_asterisks(spelling: str) -> None:
    expected = f"<{'*' * len(spelling)}>"
    assert REDACTOR.redact_text(f"<{spelling}>") == expected
    assert REDACTOR.redact(f"<{spelling}>".encode()) == expected.encode()
    assert REDACTOR.contains_secret(spelling)


@pytest.mark.parametrize("body", INNOCENT.values(), ids=INNOCENT.keys())
def test_a_body_without_secrets_is_the_same_object(body: bytes) -> None:
    assert REDACTOR.redact(body) is body
    assert not REDACTOR.contains_secret(body)


@pytest.mark.parametrize("secret", ["", "short77", "asterisk*s", "sécret-77"])
def test_a_secret_that_would_damage_bodies_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="a secret needs"):
        Redactor([KEY, secret])


def test_without_secrets_nothing_changes() -> None:
    stream = Redactor([]).stream()
    assert (stream.feed(b"abc"), stream.finish()) == (b"abc", b"")
    assert Redactor([]).redact_text("%41\\u0041") == "%41\\u0041"


def test_a_secret_is_not_in_the_repr() -> None:
    assert KEY not in f"{REDACTOR!r} {REDACTOR.stream()!r}"


def test_a_stream_buffers_less_than_the_longest_secret() -> None:
    stream = REDACTOR.stream()
    fed = sent = 0
    for _ in range(50):
        sent += len(stream.feed(b"x" * 37))
        fed += 37
        assert fed - sent < REDACTOR.max_secret_bytes
    assert len(stream.finish()) == fed - sent


PIECES = st.sampled_from([*SPELLINGS.values(), KEY[:5], KEY[5:], LONG[:4], "%", "\\u00", "\udc80"])
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=8).map("".join)


@given(TEXTS)
def test_no_secret_survives_any_surroundings(text: str) -> None:
    redacted = REDACTOR.redact_text(text)
    assert len(redacted) == len(text)
    for spelling in SPELLINGS.values():
        assert spelling not in redacted
    assert all(new in ("*", old) for new, old in zip(redacted, text, strict=True))


ENCODERS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.lower,
    percent,
    lambda each: percent(each).upper(),
    lambda each: percent(each).replace("%", "%25"),
    lambda each: percent(each).replace("%", "%2525"),
    lambda each: percent(each).replace("%", "\\u0025"),
    escaped,
    lambda each: escaped(each).upper().replace("U", "u"),
]


@given(st.sampled_from([KEY, LONG]), st.data(), st.text(max_size=9), st.text(max_size=9))
def test_no_mixture_of_spellings_hides_a_secret(
    secret: str, data: st.DataObject, before: str, behind: str
) -> None:
    encoders = data.draw(
        st.lists(st.sampled_from(ENCODERS), min_size=len(secret), max_size=len(secret))
    )
    spelled = "".join(encode(char) for encode, char in zip(encoders, secret, strict=True))
    redacted = REDACTOR.redact_text(before + spelled + behind)
    assert "*" * len(spelled) in redacted
    assert SecretFinder([secret]).contains_secret(f"{before}{spelled}{behind}")
    stream = REDACTOR.stream()
    body = (before + spelled + behind).encode()
    out = b"".join(stream.feed(body[at : at + 7]) for at in range(0, len(body), 7))
    out += stream.finish()
    assert out == redacted.encode()


@given(st.text(max_size=300))
def test_what_holds_no_secret_is_the_same_object(text: str) -> None:
    body = text.encode()
    assert REDACTOR.redact(body) is body


@given(TEXTS, st.lists(st.integers(0, 300), max_size=6))
def test_chunk_boundaries_change_nothing(text: str, cuts: list[int]) -> None:
    body = text.encode("utf-8", "surrogatepass")
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    stream = REDACTOR.stream()
    out = [stream.feed(body[start:end]) for start, end in pairwise(edges)]
    assert b"".join(out) + stream.finish() == REDACTOR.redact(body)


def test_an_added_secret_is_redacted_besides_the_first() -> None:
    redactor = Redactor([KEY])
    redactor.add_secret([OTHER])
    assert redactor.redact(f"{KEY} {OTHER}".encode()) == b"*" * len(KEY) + b" " + b"*" * len(OTHER)


def test_an_invalid_secret_is_not_added_and_changes_nothing() -> None:
    redactor = Redactor([KEY])
    with pytest.raises(ValueError, match="a secret needs"):
        redactor.add_secret([OTHER, "short"])
    assert redactor.contains_secret(KEY)
    assert not redactor.contains_secret(OTHER)


def test_initial_secrets_and_those_added_again_are_never_dropped() -> None:
    redactor = Redactor([KEY])
    for number in range(3 * MAX_ADDED):
        redactor.add_secret([f"rejected-{number}", OTHER])
    assert redactor.contains_secret(KEY)
    assert redactor.contains_secret(OTHER)
    assert not redactor.contains_secret("rejected-0.")
