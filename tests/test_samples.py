"""Samples: a copy is what creating them makes."""

from proxy.fake_trello import samples
from proxy.fake_trello.service import Trello
from proxy.runtime.clock import FakeClock
from tests.samples import OWN, fill


def made() -> Trello:
    return Trello(FakeClock(), key="k" * 32, token="t" * 64)


def everything_of(trello: Trello) -> str:
    return repr(
        {
            name: vars(value) if hasattr(value, "__dict__") else value
            for name, value in vars(trello).items()
            if name not in OWN
        }
    )


def test_a_copy_is_what_creating_the_samples_makes() -> None:
    created, copied = made(), made()
    samples.fill(created)
    fill(copied)
    assert everything_of(copied) == everything_of(created)


def test_copies_share_nothing() -> None:
    first, second = made(), made()
    fill(first)
    fill(second)
    before = everything_of(second)
    first.edit("PUT", f"/1/boards/{first.example_board}", {"name": "Another name"})
    assert everything_of(second) == before
    assert first.me is first.members[first.me["id"]]
