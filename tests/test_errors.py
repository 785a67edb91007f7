"""What every problem type says of itself."""

import re
from copy import copy
from inspect import signature

import pytest

import proxy.fleet.errors  # noqa: F401 — completes the table
from proxy.errors import PROBLEM_TYPES, ProxyError

VALUES = {str: "detail", int: 7}


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


@pytest.mark.parametrize("problem", PROBLEM_TYPES)
def test_an_error_that_several_wait_for_is_raised_to_each(problem: type[ProxyError]) -> None:
    has_own = "__init__" in vars(problem)
    parameters = signature(problem).parameters.values() if has_own else ()
    error = problem(*(VALUES[each.annotation] for each in parameters))
    raised = copy(error)
    assert raised is not error
    assert (type(raised), raised.args, vars(raised)) == (problem, error.args, vars(error))
