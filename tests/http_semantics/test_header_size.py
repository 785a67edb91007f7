"""Bounds on a request header: bytes, parameters, list members."""

import pytest

from proxy.errors import HeaderFieldsTooLarge, InvalidTarget
from proxy.http_semantics.fields import MAX_HEADER_BYTES, check_fields_size
from proxy.http_semantics.parameters import MAX_MEMBERS
from proxy.http_semantics.target import check_target_size


@pytest.mark.parametrize("piece", ["&a", "/a", ",", "%2C", "%26", "%3b", "%3F", ";a"])
def test_a_target_has_so_many_pieces(piece: str) -> None:
    check_target_size("/1" + piece * (MAX_MEMBERS - 1))
    with pytest.raises(InvalidTarget):
        check_target_size("/1" + piece * MAX_MEMBERS)


def test_a_long_text_is_one_piece() -> None:
    check_target_size("/1/search?query=" + "%C3%A9" * 5_000)


def test_fields_have_so_many_bytes() -> None:
    assert check_fields_size([(b"A", b"x" * 99), (b"B", b"")]) == 101
    check_fields_size([(b"A", b"x" * (MAX_HEADER_BYTES - 1))])
    with pytest.raises(HeaderFieldsTooLarge):
        check_fields_size([(b"A", b"x" * 30_000)] * 3)


@pytest.mark.parametrize("mark", [b",", b";"])
def test_their_lists_have_so_many_members(mark: bytes) -> None:
    check_fields_size([(b"A", mark * MAX_MEMBERS)])
    with pytest.raises(HeaderFieldsTooLarge):
        check_fields_size([(b"A", mark * MAX_MEMBERS), (b"B", mark)])
