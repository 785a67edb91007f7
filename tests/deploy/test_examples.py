"""Every proxy.yaml in deploy/ is a sound one, and keeps the operator's pages apart."""

import pytest

from tests.deploy.examples import DEPLOY, Example

EXAMPLES = [str(path.relative_to(DEPLOY)) for path in sorted(DEPLOY.rglob("proxy.yaml"))]


def test_there_is_one_for_each_way_to_run_it() -> None:
    ways = ["docker/proxy.yaml", "kubernetes/proxy.yaml", "systemd/proxy.yaml"]
    assert sorted([*ways, *(f"fleet/{way}" for way in ways)]) == EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES)
def test_it_is_sound_and_takes_key_and_token_from_files(path: str) -> None:
    example = Example(path)
    config = example.load()
    assert config.credentials.key is not None
    assert config.credentials.token is not None
    assert [path.rpartition("/")[2] for path in example.secrets[:2]] == [
        "trello-key",
        "trello-token",
    ]


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_operators_pages_are_on_a_port_of_their_own(path: str) -> None:
    config = Example(path).load()
    assert config.admin.listen is not None
    assert (config.listen.port, config.admin.listen.port) == (8080, 8081)
    assert config.admin.token is None, "purging is for the machine itself"


@pytest.mark.parametrize("path", EXAMPLES)
def test_it_keeps_everything_in_one_place(path: str) -> None:
    assert Example(path).load().cache.directory == "/var/cache/trello-proxy"
