"""The error tree: its drawing, and what every problem type says of itself."""

import re

import pytest

from proxy import errors
from proxy.errors import PROBLEM_TYPES, ProxyError, StoreError, Unreachable

DRAWN = re.findall(r"([A-Z]\w+)(?: (\d{3}))?", (errors.__doc__ or "").partition("\n\n")[2])


def test_the_drawing_shows_every_class_once() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    tree = [each.__name__ for each in classes if issubclass(each, ProxyError | StoreError)]
    assert sorted(name for name, _ in DRAWN) == sorted(tree)


def test_the_drawing_shows_every_status() -> None:
    statuses = {each.__name__: str(each.status) for each in PROBLEM_TYPES}
    unreachable = dict.fromkeys((each.__name__ for each in Unreachable.__subclasses__()), "")
    assert {name: status for name, status in DRAWN if name in statuses} == statuses | unreachable


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
