"""The command line, as a person meets it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from proxy.cli import link, options
from proxy.cli.main import run
from proxy.cli.parser import CommandLine

ROOT = Path(__file__).parents[2]
KEY, TOKEN = "0123456789abcdef" * 2, "fedcba9876543210" * 4


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No proxy.yaml and no credentials around, and the package importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of-user"))
    monkeypatch.setattr(options, "_SYSTEM", str(tmp_path / "of-system"))
    for name in ("TRELLO_KEY", "TRELLO_TOKEN", "TRELLO_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)


def test_serve_without_credentials_says_in_one_screen_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["serve"]) == 2
    told = capsys.readouterr().err
    assert "https://trello.com/power-ups/admin" in told
    assert "https://trello.com/1/authorize" in told
    assert "TRELLO_KEY" in told
    assert "trello-proxy demo" in told
    assert len(told.splitlines()) <= 24


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the key and the token are not set."),
        (f"credentials: {{key: {KEY}}}", "the token is not set."),
        (f"credentials: {{token: {TOKEN}}}", "the key is not set."),
    ],
)
def test_serve_says_which_credential_is_not_there(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, text: str, said: str
) -> None:
    (elsewhere / "proxy.yaml").write_text(text)
    assert run(["serve"]) == 2
    assert f"needs Trello's key and token; {said}" in capsys.readouterr().err


def test_serve_refuses_a_credential_that_is_not_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", "abc")
    assert run(["serve"]) == 2
    told = capsys.readouterr().err
    assert "copy all of it" in told
    assert "abc" not in told


def test_check_prints_what_is_in_force_with_secrets_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)
    assert run(["check"]) == 0
    printed = capsys.readouterr().out
    assert "listen: 127.0.0.1:8080" in printed
    assert "'***'" in printed
    assert KEY not in printed
    assert TOKEN not in printed


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "'[::]:8080'"])
@pytest.mark.usefixtures("credentials")
def test_check_warns_of_links_that_lead_nowhere_and_says_what_to_write(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, listen: str
) -> None:
    (elsewhere / "proxy.yaml").write_text(f"listen: {listen}\n")
    assert run(["check"]) == 0
    told = capsys.readouterr()
    assert "public_url: http://localhost:8080\n" in told.out
    assert "public_url is not set" in told.err
    assert told.err.endswith("public_url: http://trello.internal:8080\n")
    (elsewhere / "proxy.yaml").write_text(f"listen: {listen}\npublic_url: http://a.b\n")
    assert run(["check"]) == 0
    assert "public_url" not in capsys.readouterr().err


@pytest.mark.usefixtures("credentials")
def test_check_says_that_an_ipv6_wildcard_is_every_address(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text(
        "listen: '[::]:8080'\npublic_url: https://a.b\nadmin: {listen: '[::]:8081'}\n"
        "clients: {access: keys}\n"
    )
    assert run(["check"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "trello-proxy: listen [::]:8080 is every address, of IPv4 too",
        "trello-proxy: admin.listen [::]:8081 is every address, of IPv4 too",
    ]


@pytest.mark.usefixtures("credentials")
def test_check_warns_of_open_access_on_an_address_that_others_reach(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    for listen, warned in (("192.0.2.7:80", True), ("127.0.0.1:80", False), ("unix:/x", False)):
        text = f"listen: {listen}\npublic_url: https://a.b\n"
        (elsewhere / "proxy.yaml").write_text(text)
        assert run(["check"]) == 0
        assert ("clients.access is open" in capsys.readouterr().err) is warned


@pytest.mark.usefixtures("credentials")
def test_check_warns_of_more_workers_than_there_are_cores_for(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    for workers, warned in ((4, True), (3, False), (1, False)):
        (elsewhere / "proxy.yaml").write_text(f"workers: {workers}\n")
        assert run(["check"]) == 0
        assert ("cores less one" in capsys.readouterr().err) is warned


def test_check_reports_every_fault_at_once_with_file_and_line(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text(
        "listen: 127.0.0.1:8080\nroutes:\n  - {match: /boards/*, lifetime: soon}\nspeed: 9\n"
    )
    assert run(["check"]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert faults[0].startswith("proxy.yaml:3: routes.0.lifetime: ")
    assert faults[1].startswith("proxy.yaml:4: speed: ")


def test_redis_without_its_client_library_is_one_fault(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "other.yaml").write_text("cache: {backend: redis, redis: 'redis://h:1/0'}\n")
    monkeypatch.setattr(options, "find_spec", lambda _: None)
    for command in ("check", "serve"):
        assert run([command, "--config", "other.yaml"]) == 2
        fault = "other.yaml: cache.backend: redis needs its client library; "
        assert capsys.readouterr().err == f"{fault}run pip install '.[redis]' in the checkout\n"


def test_replicas_without_a_fleet_are_one_fault(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    redis = "cache: {backend: redis, redis: 'redis://h:1/0'}\nredis: {replicas: 1}\n"
    for command in ("check", "serve"):
        (elsewhere / "proxy.yaml").write_text(redis)
        assert run([command]) == 2
        assert capsys.readouterr().err.startswith(
            "proxy.yaml: redis.replicas: without fleet.listen there is no lease"
        )
    (elsewhere / "proxy.yaml").write_text(f"{redis}fleet: {{listen: '127.0.0.1:9080'}}\n")
    run(["check"])
    assert "redis.replicas" not in capsys.readouterr().err


def test_a_configuration_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    assert run(["check", "--config", "missing.yaml"]) == 2
    assert "missing.yaml: cannot be read (No such file or directory)" in capsys.readouterr().err
    (elsewhere / "old.yaml").write_bytes(b"links: {revoked: [\xe9]}")
    assert run(["check", "--config", "old.yaml"]) == 2
    assert "old.yaml: is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["~dummy-user/key", '"/a\\0b"', "/dummy"])
def test_a_secret_file_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, path: str
) -> None:
    (elsewhere / "proxy.yaml").write_text(f"credentials:\n  key: {{file: {path}}}\n")
    assert run(["check"]) == 2
    fault = "proxy.yaml:2: credentials.key: the file cannot be read ("
    assert capsys.readouterr().err.startswith(fault)


def test_a_configuration_of_a_user_without_a_home_is_named(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    assert run(["check", "--config", "~dummy-user/proxy.yaml"]) == 2
    assert "~dummy-user/proxy.yaml: cannot be read" in capsys.readouterr().err


def test_purge_without_a_running_proxy_says_so(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("listen: 127.0.0.1:9\n")
    assert run(["purge"]) == 1
    assert "no proxy responds at 127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["nonsense!", "trello.com b", ""])
def test_purge_of_no_board_url_or_tag_says_what_to_give(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    assert run(["purge", target]) == 2
    assert "is no board, URL or tag; give" in capsys.readouterr().err


def test_purge_takes_boards_urls_and_tags(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    with _running("--port", "0") as (_, printed):
        found = re.search(r"http://([0-9.:]+)/b/([0-9a-f]{24})", printed)
        assert found is not None
        (elsewhere / "proxy.yaml").write_text(f"listen: {found[1]}\n")
        for target in (found[2], found[0], f"board:{found[2]}"):
            assert run(["purge", target]) == 0
            assert f"board:{found[2]}" in capsys.readouterr().out
        assert run(["purge", "--json"]) == 0
        assert capsys.readouterr().out == '{"purged": "everything"}\n'
        assert run(["purge", "https://example.com/x"]) == 1
        assert "names no board, card or other object" in capsys.readouterr().err


@pytest.mark.usefixtures("credentials")
def test_the_file_is_searched_for_and_check_says_which_one_was_read(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_by(*arguments: str) -> tuple[str, str]:
        assert run(["check", *arguments]) == 0
        first, second = capsys.readouterr().out.splitlines()[:2]
        return first, second

    assert read_by() == ("# no proxy.yaml; built-in defaults", "listen: 127.0.0.1:8080")
    files = [elsewhere / "of-system/trello-proxy", elsewhere / "of-user/trello-proxy", elsewhere]
    for number, folder in enumerate(files, 1):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proxy.yaml").write_text(f"listen: 127.0.0.1:{number}\n")
        shown = "proxy.yaml" if folder == elsewhere else str(folder / "proxy.yaml")
        assert read_by() == (f"# {shown}", f"listen: 127.0.0.1:{number}")
    monkeypatch.setenv("TRELLO_PROXY_CONFIG", str(files[0] / "proxy.yaml"))
    assert read_by()[1] == "listen: 127.0.0.1:1"
    assert read_by("--config", "proxy.yaml")[1] == "listen: 127.0.0.1:3"
    monkeypatch.setenv("TRELLO_PROXY_CONFIG", "missing.yaml")
    assert run(["check"]) == 2
    assert "missing.yaml: cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("credentials")
def test_variables_override_the_file_and_their_faults_are_named(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "proxy.yaml").write_text("listen: 127.0.0.1:1\nlog: {level: error}\n")
    monkeypatch.setenv("TRELLO_PROXY_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("TRELLO_PROXY_PUBLIC_URL", "https://trello.internal")
    monkeypatch.setenv("TRELLO_PROXY_LOG_LEVEL", "debug")
    assert run(["check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["config"]["listen"] == "127.0.0.1:2"
    assert told["config"]["public_url"] == "https://trello.internal"
    assert told["config"]["log"] == {"level": "debug", "format": "json"}
    assert "listen: TRELLO_PROXY_LISTEN" in told["sources"]
    monkeypatch.setenv("TRELLO_PROXY_LISTEN", "8080")
    monkeypatch.setenv("TRELLO_PROXY_LOG_LEVEL", "loud")
    assert run(["check"]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert [each.partition(":")[0] for each in faults] == [
        "TRELLO_PROXY_LISTEN", "TRELLO_PROXY_LOG_LEVEL"
    ]  # fmt: skip
    assert run(["serve", "--listen", "x", "--log-level", "debug"]) == 2
    assert capsys.readouterr().err.startswith("--listen: ")


def test_check_fails_where_serve_would(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["check"]) == 2
    told = capsys.readouterr()
    assert "listen: 127.0.0.1:8080" in told.out
    assert "the key and the token are not set" in told.err
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", "abc")
    assert run(["check"]) == 2


@pytest.mark.usefixtures("credentials")
def test_an_address_that_is_taken_is_named_with_a_cure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["serve", "--listen", address]) == 1
        assert f"trello-proxy: {address} is taken; " in capsys.readouterr().err
        assert run(["demo", "--port", address.partition(":")[2]]) == 1
        assert f"trello-proxy: {address} is taken; " in capsys.readouterr().err
    assert run(["serve", "--listen", "192.0.2.1:8080"]) == 1
    assert "is no address of this machine" in capsys.readouterr().err


def test_config_prints_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config"]) == 0
    assert capsys.readouterr().out == (ROOT / "proxy.yaml").read_text()


def test_without_a_command_and_with_help_the_commands_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert "TRELLO_PROXY_CONFIG" in listed
    assert run(["help"]) == 0
    assert capsys.readouterr().out == listed
    names = re.findall(r"^    (\w+)", listed, re.M)
    for name in names:
        assert run(["help", *([name] if name != "help" else [])]) == 0
        assert "examples:\n  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["purg"], "did you mean purge?"),
        (["frobnicate"], "choose from demo, serve, "),
        (["help", "serv"], "did you mean serve?"),
        (["demo", "--port", "99999"], "not a port; write 0 to 65535"),
        (["demo", "--port", "x"], "not a port"),
    ],
)
def test_wrong_usage_says_what_to_write(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        assert run(["docs", "http"]) == 1
    assert capsys.readouterr().err == ""


def test_an_interrupted_command_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(link, "run", interrupted)
    assert run(["link", "https://trello.com/c/AbCd1234"]) == 130


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(["frobnicate"])
    assert stopped.value.code == 2
    assert "serve" in capsys.readouterr().err


@contextmanager
def _running(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A demo, and what it printed to begin with."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "the demo ended"
        yield process, "".join(lines)
    finally:
        process.kill()
        process.communicate()


def test_the_demo_prints_three_lines_to_try_and_each_works_twice() -> None:
    with _running("--port", "0") as (process, printed):
        urls = re.findall(r"curl .*'(http://[^']+)'", printed)
        assert len(urls) == 3
        assert "/attachments/" in urls[2]
        statuses = []
        for url in (*urls, *urls):
            with urlopen(Request(url), timeout=10) as response:  # noqa: S310 — printed by ours
                statuses.append((response.status, response.headers["Cache-Status"].split(";")[1]))
        assert statuses[:2] == [(200, " fwd=uri-miss")] * 2
        assert statuses[3:5] == [(200, " hit")] * 2
        assert (statuses[2][0], statuses[5][0]) == (200, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


FILE = f"/1/cards/{'5f1a' * 6}/attachments/{'6b2c' * 6}/download/x.png"


def test_link_turns_an_address_of_trellos_into_the_proxys(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("public_url: http://trello.internal\n")
    assert run(["link", "https://trello.com/c/AbCd1234/12-title"]) == 0
    assert run(["link", f"https://api.trello.com{FILE}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "http://trello.internal/c/AbCd1234/12-title",
        f"http://trello.internal{FILE}",
    ]


def test_link_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["link", "--json", "https://trello.com/c/AbCd1234"]) == 0
    assert json.loads(capsys.readouterr().out) == {"link": "http://127.0.0.1:8080/c/AbCd1234"}


def test_link_signs_where_links_are_signed(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("links: {sign: true, keys: [link-key-0123456789]}\n")
    assert run(["link", f"https://trello.com{FILE}"]) == 0
    link = capsys.readouterr().out.strip()
    assert re.fullmatch(rf"http://127\.0\.0\.1:8080{FILE}\?s=[0-9]+\.[\w-]{{43}}", link)


def test_link_says_what_to_give_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["link", "https://example.com/x"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "not an address of Trello's" in told.err


def test_signing_without_a_key_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("links: {sign: true}\n")
    assert run(["serve"]) == 2
    assert "proxy.yaml:1: links: sign without a key" in capsys.readouterr().err


def test_warm_without_a_running_proxy_says_so(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("listen: 127.0.0.1:9\n")
    assert run(["warm", "AbCd1234"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("trello-proxy: no proxy responds at 127.0.0.1:9: ")
    assert len(told.err.splitlines()) == 1
    assert told.out == ""


def test_warm_says_what_names_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["warm", "AbCd1234", "https://trello.com/c/AbCd1234"]) == 2
    assert "is no board; give its id" in capsys.readouterr().err


def test_warm_fetches_a_board_of_a_running_proxy(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    with _running("--port", "0") as (_, printed):
        found = re.search(r"http://([0-9.:]+)/b/([0-9a-f]{24})", printed)
        assert found is not None
        (elsewhere / "proxy.yaml").write_text(f"listen: {found[1]}\n")
        assert run(["warm", found[2], "--dry-run"]) == 0
        assert "2 files, " in capsys.readouterr().out
        assert run(["warm", found[2], "--dry-run", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["files"] == 2
        assert run(["warm", found[0]]) == 0
        assert "downloaded 2 files, " in capsys.readouterr().out
        assert run(["warm", found[2], "0" * 24]) == 1
        told = capsys.readouterr()
        assert "already stored 2; failed 1" in told.out
        assert f"failed: board {'0' * 24}: 404" in told.out
        assert "2/2 files" in told.err


def test_explain_says_what_would_become_of_a_read(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    with _running("--port", "0") as (_, printed):
        found = re.search(r"http://([0-9.:]+)/1/boards/([0-9a-f]{24})\?fields=name,url", printed)
        assert found is not None
        (elsewhere / "proxy.yaml").write_text(f"listen: {found[1]}\n")
        assert run(["explain", found[0]]) == 0
        assert "next response  trello-proxy; fwd=uri-miss\n" in capsys.readouterr().out
        assert run(["explain", "--json", found[0]]) == 0
        assert json.loads(capsys.readouterr().out)["handling"]
        with urlopen(found[0], timeout=10) as response:  # noqa: S310 — printed by ours
            response.read()
        assert run(["explain", f"https://api.trello.com/1/boards/{found[2]}?fields=name,url"]) == 0
        told = capsys.readouterr().out
        assert "next response  trello-proxy; hit; ttl=" in told
        assert f"a change of board {found[2]}" in told
        assert run(["explain", "/c/AbCd1234"]) == 1
        assert "of the API, below /1/" in capsys.readouterr().err


def test_the_operators_commands_reach_a_proxy_that_listens_everywhere(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with _running("--port", "0") as (_, printed):
        found = re.search(r"http://127\.0\.0\.1:([0-9]+)/b/([0-9a-f]{24})", printed)
        assert found is not None
        (elsewhere / "proxy.yaml").write_text(f"listen: 0.0.0.0:{found[1]}\n")
        assert run(["purge"]) == 0
        assert run(["explain", "/1/members/me"]) == 0
        assert run(["warm", "--dry-run", found[2]]) == 0


CAUTIONED = {
    "public_url: http://trello.internal:8080": True,
    "listen: 192.0.2.7:8080": True,
    "": False,
    "listen: '[::1]:8080'": False,
    "public_url: http://localhost:8080": False,
    "public_url: https://trello.internal": False,
}


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(("text", "is_cautioned"), CAUTIONED.items())
def test_check_says_what_plain_http_under_a_name_costs(
    capsys: pytest.CaptureFixture[str],
    elsewhere: Path,
    text: str,
    is_cautioned: bool,  # noqa: FBT001 — a table's column
) -> None:
    (elsewhere / "proxy.yaml").write_text(text)
    assert run(["check"]) == 0
    told = capsys.readouterr()
    assert ("reached by plain http" in told.err) is is_cautioned
    (elsewhere / "proxy.yaml").write_text(told.out.replace("'***'", TOKEN))
    assert run(["check"]) == 0


def test_explain_without_a_running_proxy_says_so(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("listen: 127.0.0.1:9\n")
    assert run(["explain", "/1/members/me"]) == 1
    assert "no proxy responds at 127.0.0.1:9" in capsys.readouterr().err


def test_a_variable_that_decides_who_may_do_something_must_be_set(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    for setting in ("cache.redis", "fleet.key", "admin.token"):
        section, key = setting.split(".")
        (elsewhere / "proxy.yaml").write_text(f"{section}: {{{key}: {{env: UNSET}}}}\n")
        assert run(["check"]) == 2
        assert capsys.readouterr().err == (
            f"proxy.yaml:1: {setting}: the variable UNSET is not set; set it, or remove this "
            "setting\n"
        )


def test_check_prints_a_count_as_a_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)
    assert run(["check"]) == 0
    assert "  nodes: 4\n" in capsys.readouterr().out


def test_check_warns_of_links_that_differ_between_nodes(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)
    text = "cache: {backend: redis, redis: 'redis://h:1/0'}\nfleet: {listen: '127.0.0.1:9080'}\n"
    for more, is_warned in (("", True), ("public_url: https://a.b\n", False)):
        (elsewhere / "proxy.yaml").write_text(text + more)
        assert run(["check"]) == 0
        assert ("links of a fleet lead to its leader" in capsys.readouterr().err) is is_warned


def test_check_warns_where_the_commands_themselves_are_no_local_clients(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)
    for text, is_warned in (
        ("listen: 10.0.0.11:8080\n", True),
        ("admin: {listen: '10.0.0.11:8081'}\n", True),
        ("admin: {listen: '10.0.0.11:8081', token: of-the-operator-alone}\n", False),
        ("listen: 10.0.0.11:8080\nadmin: {listen: '0.0.0.0:8081'}\n", False),
        ("listen: 10.0.0.11:8080\nadmin: {listen: 'unix:/run/x'}\n", False),
        ("listen: '[::]:8080'\n", False),
    ):
        (elsewhere / "proxy.yaml").write_text(text)
        assert run(["check"]) == 0
        assert ("refused from this machine" in capsys.readouterr().err) is is_warned, text


def test_fleet_without_a_fleet_says_so_and_takes_its_options_in_any_order(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "own.yaml").write_text("listen: 127.0.0.1:9\n")
    for arguments in (
        ["--config", "own.yaml"],
        ["forget", "--config", "own.yaml", "a:1"],
        ["forget", "a:1", "--json", "--config", "own.yaml"],
        ["--json", "forget", "--config", "own.yaml", "a:1"],
    ):
        assert run(["fleet", *arguments]) == 2
        assert "fleet.listen is not set" in capsys.readouterr().err


def test_warm_without_a_key_that_it_could_send_says_what_to_set(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    (elsewhere / "proxy.yaml").write_text("clients: {access: keys}\n")
    assert run(["warm", "kpPww9qv"]) == 2
    assert "set admin.token" in capsys.readouterr().err


def test_the_entry_of_a_key_is_ready_to_be_pasted(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLO_KEY", KEY)
    monkeypatch.setenv("TRELLO_TOKEN", TOKEN)
    assert run(["key", "ci"]) == 0
    entry = capsys.readouterr().out.partition("\nclients:")[2]
    (elsewhere / "proxy.yaml").write_text(f"clients:{entry}")
    assert run(["check"]) == 0
    assert "access: keys" in capsys.readouterr().out


def test_a_page_of_the_documentation_is_also_named_by_its_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("scopes", "scopes.md", "proxy/docs/scopes.md"):
        assert run(["docs", name]) == 0
        assert capsys.readouterr().out.startswith("# Scopes\n")


def test_check_warns_where_trellos_name_leads_to_the_proxy_itself(
    capsys: pytest.CaptureFixture[str],
    credentials: None,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "127.0.0.1"

    def resolved(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == "api.trello.com"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    text = "clients: {hosts: [api.trello.com]}\n"
    for address, more, is_warned in (
        ("127.0.0.1", "", True),
        ("10.0.0.5", "", True),
        ("8.8.8.8", "", False),
        ("127.0.0.1", "upstream: {resolve: [9.9.9.9]}", False),
    ):
        if "resolve" in more and find_spec("aiodns") is None:
            continue
        (elsewhere / "proxy.yaml").write_text(text + more)
        assert run(["check"]) == 0
        said = capsys.readouterr().err
        assert (f"api.trello.com is {address} here" in said) == is_warned


def test_resolve_without_its_library_is_a_fault(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "find_spec", lambda _: None)
    (elsewhere / "proxy.yaml").write_text("upstream: {resolve: [9.9.9.9]}")
    assert run(["check"]) == 2
    assert "pip install '.[resolve]'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert not [name for name in CommandLine().commands if name not in script]
    assert "--dry-run" in script or "dry-run" in script


def test_bash_completes_commands_flags_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for words, wanted in ((["pur"], "purge"), (["warm", "--dr"], "--dry-run")):
        line = " ".join(f'"{word}"' for word in ("trello-proxy", *words))
        ask = (
            f"COMP_WORDS=({line}); COMP_CWORD={len(words)}\n"
            "$(complete -p trello-proxy | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
            'echo "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            [bash, "-c", script + ask], capture_output=True, text=True, check=False
        )
        assert wanted in done.stdout.split(), done.stderr


def test_the_cache_is_where_a_users_caches_are(
    capsys: pytest.CaptureFixture[str], credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, directory in (
        ("/x", "/x/trello-proxy"),
        ("", ".cache/trello-proxy"),
        ("y", ".cache/"),
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert run(["check"]) == 0
        assert directory in capsys.readouterr().out
    monkeypatch.setattr("sys.platform", "darwin")
    assert run(["check"]) == 0
    assert "/Library/Caches/trello-proxy" in capsys.readouterr().out
