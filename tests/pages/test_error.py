"""Every refusal of a file has an error page with a remedy."""

import pytest

from proxy.pages.error import refusal_of


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 418, 429, 500, 503])
def test_every_refusal_says_what_happened_and_what_to_do(status: int) -> None:
    failure = refusal_of(status)
    assert failure.status == status
    assert failure.title
    assert failure.remedy.endswith(".")
