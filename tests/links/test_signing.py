"""A signature opens one file, until it expires or its key or the file is withdrawn."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    LinkExpired,
    LinkNotSigned,
    LinkRevoked,
)
from proxy.links.signing import (
    DAY_S,
    FileIds,
    LinkSigner,
    strip_signature,
)

NOW = 1_790_000_000.0
Fold = Callable[[str], str]
OLD, NEW, OTHER = "old-key-of-the-past", "new-key-of-today-1", "somebody-elses-key"
FILE = FileIds("5f1a" * 6, "6b2c" * 6, "7d3e" * 6)
SIGNING = LinkSigner([NEW], 7 * DAY_S)
QUERY = f"s={SIGNING.sign(FILE, NOW)}"


def test_a_signature_opens_its_file() -> None:
    SIGNING.check(FILE, QUERY, NOW)
    SIGNING.check(FILE, f"download&{QUERY}", NOW)
    SIGNING.check(FILE, f"{QUERY})._and-more", NOW)


OTHERS = {
    "another card": replace(FILE, card="1" * 24),
    "another attachment": replace(FILE, attachment="1" * 24),
    "another preview": replace(FILE, preview="1" * 24),
    "the file of a preview": replace(FILE, preview=""),
}


@pytest.mark.parametrize("file", OTHERS.values(), ids=OTHERS.keys())
def test_it_opens_no_other_file(file: FileIds) -> None:
    with pytest.raises(LinkNotSigned):
        SIGNING.check(file, QUERY, NOW)


FORGED = {
    "nothing": "",
    "no value": "s=",
    "a later day": f"s={int(QUERY[2:].partition('.')[0]) + 1}.{QUERY.partition('.')[2]}",
    "a bit changed": QUERY[:-2] + ("A" if QUERY[-2] != "A" else "B") + QUERY[-1],
    "its last, meaningless bits changed": QUERY[:-1] + chr(ord(QUERY[-1]) + 1),
    "cut": QUERY[:-1],
    "under another name": QUERY.replace("s=", "sig="),
    "of another key": f"s={LinkSigner([OTHER], 7 * DAY_S).sign(FILE, NOW)}",
}


@pytest.mark.parametrize("query", FORGED.values(), ids=FORGED.keys())
def test_a_forged_signature_opens_nothing(query: str) -> None:
    with pytest.raises(LinkNotSigned):
        SIGNING.check(FILE, query, NOW)


def test_it_lasts_its_lifetime_and_to_the_end_of_that_day() -> None:
    end = ((NOW + 7 * DAY_S) // DAY_S + 1) * DAY_S
    SIGNING.check(FILE, QUERY, end - 1)
    with pytest.raises(LinkExpired):
        SIGNING.check(FILE, QUERY, end)


def test_a_new_key_signs_while_the_old_one_is_still_accepted() -> None:
    before = f"s={LinkSigner([OLD], 7 * DAY_S).sign(FILE, NOW)}"
    both = LinkSigner([NEW, OLD], 7 * DAY_S)
    both.check(FILE, before, NOW)
    assert f"s={both.sign(FILE, NOW)}" == QUERY
    with pytest.raises(LinkNotSigned):
        SIGNING.check(FILE, before, NOW)


def test_a_revoked_file_opens_no_more_and_only_a_valid_signature_reveals_that() -> None:
    revoking = LinkSigner([NEW], 7 * DAY_S, [FILE.attachment])
    with pytest.raises(LinkRevoked):
        revoking.check(FILE, QUERY, NOW)
    with pytest.raises(LinkNotSigned):
        revoking.check(FILE, "", NOW)


CASES = st.sampled_from([str.lower, str.upper, str.swapcase])


@given(CASES, CASES, CASES)
def test_no_letter_case_of_an_id_escapes_revocation(
    card: Fold, attachment: Fold, own: Fold
) -> None:
    revoking = LinkSigner([NEW], 7 * DAY_S, [own(FILE.attachment)])
    spelled = replace(FILE, card=card(FILE.card), attachment=attachment(FILE.attachment))
    query = f"s={revoking.sign(spelled, NOW)}"
    for file in (FILE, spelled):
        with pytest.raises(LinkRevoked):
            revoking.check(file, query, NOW)


def test_the_letter_case_of_a_shortlink_means_something() -> None:
    file = replace(FILE, card="aBcDeFgH")
    query = f"s={SIGNING.sign(file, NOW)}"
    SIGNING.check(file, query, NOW)
    with pytest.raises(LinkNotSigned):
        SIGNING.check(replace(file, card="abcdefgh"), query, NOW)


def test_it_cannot_be_printed() -> None:
    assert NEW not in repr(SIGNING)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (QUERY, ""),
        (f"download&{QUERY}", "download"),
        (f"{QUERY}&download", "download"),
        ("a=1", "a=1"),
    ],
)
def test_a_signature_does_not_go_to_trello(query: str, kept: str) -> None:
    assert strip_signature(query) == kept
