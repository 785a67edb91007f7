"""Links are signed with sound keys or not at all."""

import pytest

from proxy.config import schema
from proxy.config.schema import ConfigError, Links
from proxy.model import Secret

ENVIRON = {"LINK_KEY": "dummy-link-key-01"}


def load(text: str) -> Links:
    return schema.load(text, "proxy.yaml", ENVIRON, str).links


def test_links_are_rewritten_and_not_signed_by_default() -> None:
    assert load("") == Links()
    assert (Links().rewrite, Links().sign, Links().keys) == (True, False, ())


def test_several_keys_may_be_given() -> None:
    links = load("links: {sign: true, keys: [{env: LINK_KEY}, old-key-0123456789]}")
    assert links.keys == (Secret("dummy-link-key-01"), Secret("old-key-0123456789"))


def test_a_lifetime_and_revoked_files_may_be_given() -> None:
    links = load(f"links: {{lifetime: 30d, revoked: [{'5f1a' * 6}]}}")
    assert (links.lifetime_s, links.revoked) == (30 * 86_400.0, ("5f1a" * 6,))


FAULTS = {
    "signing without a key": (
        "links:\n  sign: true",
        "1: links: sign without a key; write keys: [{env: LINK_KEY}]",
    ),
    "signing with a key that nobody has set": (
        "links: {sign: true, keys: [{env: OTHER_KEY}]}",
        "1: links: sign with a key that is not set; set its variable, or remove it",
    ),
    "a key too short to sign with": (
        "links: {keys: [short]}",
        "1: links.keys.0: too short to sign with; write 16 characters or more",
    ),
    "a key that was masked": (
        "links: {keys: ['***']}",
        "1: links.keys.0: too short to sign with; write 16 characters or more",
    ),
    "links that end before responses do": (
        "links: {lifetime: 1h}",
        "1: links.lifetime: too short; write 1d or more",
    ),
    "a revoked file that is none": (
        "links: {revoked: [cat.png]}",
        "1: links.revoked.0: not an attachment's id; write its 24 characters, 0-9 and a-f",
    ),
}


@pytest.mark.parametrize(("text", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.faults == (f"proxy.yaml:{fault}",)


def test_a_key_is_masked_when_it_is_shown() -> None:
    shown = schema.masked(schema.load("links: {keys: [{env: LINK_KEY}]}", "x", ENVIRON, str))
    assert ENVIRON["LINK_KEY"] not in shown
