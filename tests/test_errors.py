"""What every problem type says of itself."""

import re

import pytest

import proxy.fleet.errors  # noqa: F401 — completes the table
from proxy.errors import PROBLEM_TYPES, ProxyError


def test_a_problem_type_has_one_slug() -> None:
    slugs = [each.slug for each in PROBLEM_TYPES]
    assert len(slugs) == len(set(slugs)) > 40


@pytest.mark.parametrize("problem", PROBLEM_TYPES)
def test_a_problem_type_explains_itself(problem: type[ProxyError]) -> None:
    assert (problem.__doc__ or "").partition("\n")[0].endswith(".")
    assert problem.title
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", problem.slug)
    assert re.fullmatch(r"[a-z_]+", problem.proxy_error)
    assert problem.source in {"client", "proxy", "upstream"}


def test_an_upstream_failure_is_never_a_404() -> None:
    assert not [each for each in PROBLEM_TYPES if each.source != "client" and each.status == 404]
