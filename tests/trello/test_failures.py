"""When a stale answer is better than what Trello says."""

import pytest

from proxy.trello.failures import is_upstream_failure

CASES = {
    "a server error": (500, b"", True),
    "a gateway's error": (502, b"<html>", True),
    "a gateway's wait": (504, b"", True),
    "throttling": (429, b'{"error":"API_TOKEN_LIMIT_EXCEEDED"}', True),
    "a revoked token": (401, b"invalid token\n", True),
    "a wrong key": (401, b"invalid key", True),
    "an expired token": (401, b"expired token", True),
    "what the member may not see": (401, b"unauthorized card permission requested", False),
    "a refusal": (403, b"forbidden", False),
    "what is not there": (404, b"board not found", False),
    "what is gone": (410, b"", False),
    "a bad request": (400, b"invalid token", False),
    "an answer": (200, b"invalid token", False),
}


@pytest.mark.parametrize(("status", "body", "trouble"), CASES.values(), ids=CASES.keys())
def test_trouble_with_the_stored_credential(status: int, body: bytes, *, trouble: bool) -> None:
    assert is_upstream_failure(status, body, own=True) is trouble


def test_a_clients_own_bad_token_is_an_answer() -> None:
    assert not is_upstream_failure(401, b"invalid token", own=False)
    assert is_upstream_failure(503, b"", own=False)
