"""`check --leaks`: finds nothing in a sound proxy, and every leak in one that leaks."""

import re
from pathlib import Path

import pytest

from proxy.cli.leak_check.requests import RequestSet
from proxy.cli.main import run
from proxy.credentials.redaction import Redactor
from proxy.server import middleware
from tests.redis_server import RedisServer, needs_redis


def leaks(capsys: pytest.CaptureFixture[str], *, code: int) -> str:
    assert run(["check", "--leaks"]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No proxy.yaml around, and no credentials."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "yaml",
    [
        "",
        (
            "clients: {credentials: forward}\nlog: {format: text}\n"
            "links: {sign: true, keys: [0123456789abcdef0123]}"
        ),
        (
            "clients: {credentials: reject, access: keys, boards: [AbCd1234], "
            "keys: [{name: a, key: 0123456789abcdef0123}]}\ncache: {backend: memory}"
        ),
        "clients: {credentials: require, writes: all}\nworkers: 2",
    ],
)
def test_a_sound_proxy_leaks_nothing(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, yaml: str
) -> None:
    (elsewhere / "proxy.yaml").write_text(yaml)
    told = leaks(capsys, code=0)
    found = re.fullmatch(
        r"no leak in ([\d,]+) responses(?:, [\d,]+ files and values)?, .* lines\n", told
    )
    assert found is not None, told
    assert int(found[1].replace(",", "")) > 700
    assert ("files and values" in told) == ("memory" not in yaml)


@needs_redis
def test_what_trello_repeats_unmasked_is_found_in_redis(
    capsys: pytest.CaptureFixture[str],
    elsewhere: Path,
    shared_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a node of a fleet too, which is searched as one process while the node runs."""
    yaml = f"cache: {{backend: redis, redis: '{shared_redis.url}'}}"
    yaml += f"\nfleet: {{listen: 127.0.0.1:{shared_redis.port}}}"  # taken
    (elsewhere / "proxy.yaml").write_text(yaml)
    monkeypatch.setattr(Redactor, "redact", lambda _, body: body)
    told = leaks(capsys, code=1)
    assert re.search(r"the stored key, plain, in a value of \{leaks-.*\}:r:.* in Redis", told), told
    with shared_redis.client() as client:
        assert not client.keys("*")


def test_without_its_redis_nothing_is_proven(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    yaml = "cache: {backend: redis, redis: 'redis://127.0.0.1:1'}"
    (elsewhere / "proxy.yaml").write_text(yaml)
    assert "nothing is proven: Redis: " in leaks(capsys, code=1)


def test_leaks_are_found_where_they_are_sent_where_they_are_kept_and_in_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Trello repeats is not masked, and what clients send is logged."""
    monkeypatch.setattr(Redactor, "redact", lambda _, body: body)
    monkeypatch.setattr(middleware, "_CREDENTIAL_LIKE", re.compile("(?!)"))
    told = leaks(capsys, code=1)
    assert "the stored token, plain, in the response to GET /members/{id}\n" in told
    assert "the stored key, plain, in the response to PUT /cards/{id}\n" in told
    assert re.search(r"the stored token, plain, in a value in .*sqlite", told), told
    assert re.search(r"(?m)^a client's token, plain, in line \d+ of the log$", told), told


def test_a_walk_that_hardly_anything_answers_proves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RequestSet, "reads", lambda _: iter(()))
    monkeypatch.setattr(RequestSet, "writes", lambda _: iter(()))
    assert "nothing is proven: fewer than 100 responses of 200" in leaks(capsys, code=1)
