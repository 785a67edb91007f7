"""The nouns: what a credential shows, and what an outcome is called."""

import pytest

from proxy.model import (
    STORED_OVERHEAD_BYTES,
    Credential,
    Fwd,
    Outcome,
)
from tests.cache.store.conftest import answer


def test_a_credential_cannot_be_printed() -> None:
    credential = Credential("thekey", "thetoken")
    printed = f"{credential} {credential!r} {[credential]}"
    assert "thekey" not in printed
    assert "thetoken" not in printed


RESULTS = {
    "answered from the store": (Outcome(hit=True, ttl_s=3), "hit"),
    "in its last second": (Outcome(hit=True, ttl_s=0), "hit"),
    "answered stale": (Outcome(hit=True, ttl_s=-1), "stale"),
    "asked": (Outcome(fwd=Fwd.URI_MISS), "miss"),
    "asked because it was stale": (Outcome(fwd=Fwd.STALE), "miss"),
    "asked because the client would not have it": (Outcome(fwd=Fwd.REQUEST), "miss"),
    "shared": (Outcome(fwd=Fwd.URI_MISS, collapsed=True), "collapsed"),
    "a write": (Outcome(fwd=Fwd.METHOD), "pass"),
    "never stored": (Outcome(fwd=Fwd.BYPASS), "pass"),
    "an error of ours": (Outcome(), "none"),
}


@pytest.mark.parametrize(("outcome", "result"), RESULTS.values(), ids=RESULTS.keys())
def test_the_metrics_call_it(outcome: Outcome, result: str) -> None:
    assert outcome.result == result


def test_a_stored_response_takes_its_bytes_and_the_objects_around_them() -> None:
    stored = answer(1, bytes(1_000))
    assert stored.size_bytes == 1_000 + len(stored.head) + STORED_OVERHEAD_BYTES
