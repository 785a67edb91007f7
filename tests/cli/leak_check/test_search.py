"""A secret is found in every spelling."""

import base64
import gzip
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.leak_check.search import (
    Spelling,
    decompressed,
    spellings,
)

SECRET = "ATTA5ec2e70f1d8b4a6c9e3750d2"  # noqa: S105 - opens nothing
PLAIN = SECRET.encode()

CASES: dict[str, tuple[bytes, Spelling | None]] = {
    "as it is": (b"token=" + PLAIN, "plain"),
    "in small letters": (PLAIN.lower(), "plain"),
    "in capitals": (PLAIN.upper(), "plain"),
    "percent-encoded throughout": (b"".join(b"%%%02x" % each for each in PLAIN), "URL-encoded"),
    "in capitals too": (b"".join(b"%%%02X" % each for each in PLAIN), "URL-encoded"),
    "as JSON may escape it": ("".join(f"\\u{each:04x}" for each in PLAIN).encode(), "escaped"),
    "as Python escapes it": (b"".join(b"\\x%02x" % each for each in PLAIN), "escaped"),
    "hex": (PLAIN.hex().encode(), "hex"),
    "base64": (base64.b64encode(PLAIN), "base64"),
    "base64 behind a user's name": (base64.b64encode(b"me:" + PLAIN), "base64"),
    "base64 behind another": (base64.b64encode(b"you:" + PLAIN + b":x"), "base64"),
    "base64 for URLs": (base64.urlsafe_b64encode(b"\xff" + PLAIN), "base64"),
    "the beginning alone": (PLAIN[:16], "part"),
    "the end alone": (b"..." + PLAIN[-16:], "part"),
    "packed": (b"HTTP/1.1 200 OK\r\n\r\n" + gzip.compress(b"{" + PLAIN + b"}") + b"x", "plain"),
    "backwards": (PLAIN[::-1], "reversed"),
    "a few letters of it": (PLAIN[:8], None),
    "something else": (b"innocent", None),
    "something packed that is cut": (gzip.compress(b"innocent")[:12], None),
}  # fmt: skip


def found(data: bytes, secret: str) -> Spelling | None:
    forms, contents = spellings(secret).items(), list(decompressed(data))
    return next((each for content in contents for form, each in forms if form in content), None)


@pytest.mark.parametrize(("data", "spelling"), CASES.values(), ids=CASES.keys())
def test_it_is_found(data: bytes, spelling: Spelling | None) -> None:
    assert found(data, SECRET) == spelling


@given(
    st.text("0123456789abcdefABCDEF~/+ ", min_size=16, max_size=80),
    st.binary(max_size=20),
    st.binary(max_size=20),
)
def test_any_secret_is_found_in_any_surroundings(secret: str, before: bytes, after: bytes) -> None:
    plain = secret.encode()
    for written in (
        plain,
        plain.hex().encode(),
        quote(secret, safe="").encode(),
        base64.b64encode(before + plain + after),
        gzip.compress(before + plain + after),
    ):
        assert found(b"x" + written + b"y", secret)
