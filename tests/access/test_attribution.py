"""Attribution: every operation is in exactly one of both tables."""

import re

import pytest

from proxy.access.attribution import TABLE, attribution_of
from proxy.errors import OutsideScope
from proxy.trello.read_operations import READS
from proxy.trello.routes import RouteTable
from proxy.trello.write_operations import operations
from tests.access.refused_operations import REFUSED

NO_DATA = {
    ("GET", "/OAuthAuthorizeToken"),
    ("GET", "/OAuthGetAccessToken"),
    ("GET", "/OAuthGetRequestToken"),
    ("GET", "/appKey/generate"),
    ("GET", "/authorize"),
    ("GET", "/batch"),
    ("GET", "/connect"),
    ("GET", "/tokens/approve"),
}
"""A batch is judged part by part; the others are pages of the proxy's own."""
REFUSED_OPERATIONS = {
    (method, line.split()[1])
    for line in REFUSED.strip().splitlines()
    for method in line.split()[0].split(",")
}


def test_each_operation_is_attributed_or_refused_and_never_both() -> None:
    reads = {
        ("GET", re.sub(r"=[^}]*", "", each)) for _, _, block in READS for each in block.split()
    }
    known = reads | {(method, template) for method, template, _ in operations()}
    assert not set(TABLE) & REFUSED_OPERATIONS
    assert set(TABLE) | REFUSED_OPERATIONS == known - NO_DATA


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "boards/kpPww9qv/some/newRoute"),
        ("GET", "members/me/tokens"),
        ("GET", "webhooks/5f0000000000000000000001"),
        ("POST", "notifications/all/read"),
        ("DELETE", "members/me"),
        ("GET", ""),
    ],
)
def test_what_no_table_attributes_is_refused(method: str, path: str) -> None:
    match = RouteTable().classify(method, path.split("/") if path else ())
    with pytest.raises(OutsideScope):
        attribution_of(method, match)
