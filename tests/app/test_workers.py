"""Workers as processes: what clients see, and what becomes of them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ctypes import CDLL, c_ulong
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.fake_trello.server import FakeTrello
from proxy.fleet.timing import SESSION_TIMEOUT_S
from proxy.runtime.clock import SystemClock
from proxy.runtime.tasks import TaskSet
from proxy.server.fleet.envelope import SESSION
from tests.app.history import History
from tests.app.serving import (
    ADMIN_TOKEN,
    ServedProxy,
    command_of,
    eventually,
)
from tests.fleet.nodes import now
from tests.samples import fill
from tests.scenarios.conftest import KEY, TOKEN
from tests.serve_process import READY_S

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
PR_SET_CHILD_SUBREAPER = 36
HUNG_S = 1.0
"""After so long a worker that replies to nothing is killed."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trello() -> AsyncIterator[FakeTrello]:
    made = FakeTrello(SystemClock(), key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    tmp_path_factory: pytest.TempPathFactory, trello: FakeTrello
) -> AsyncIterator[ServedProxy]:
    """One that all tests of this module use, one after another; the last ones end it."""
    made = ServedProxy(tmp_path_factory.mktemp("workers"), trello)
    try:
        await made.start()
        yield made
    finally:
        await made.kill()


@pytest.fixture
def card(trello: FakeTrello) -> str:
    return f"/1/cards/{trello.trello.example_card}"


async def test_a_write_through_one_worker_is_seen_through_the_other_at_once(
    proxy: ServedProxy, card: str
) -> None:
    async with proxy.of_each_worker() as wires:
        one, other = wires.values()
        for number in range(20):
            body = b'{"name": "v%d"}' % number
            assert (await proxy.ask(one, "PUT", card, body=body)).status == 200
            heard = await proxy.ask(other, "GET", f"{card}?fields=name")
            assert heard.json["name"] == f"v{number}"
            one, other = other, one


@pytest.mark.parametrize(
    ("target", "status"),
    [("/1/members/me?", 200), ("/1/members/me#a", 400), ("/?", 200), (SESSION, 404)],
)
async def test_an_odd_target_is_served_as_without_workers(
    proxy: ServedProxy, target: str, status: int
) -> None:
    assert (await proxy.get(target)).status == status


async def test_what_one_worker_fetched_is_a_hit_at_the_other(
    proxy: ServedProxy, card: str, trello: FakeTrello
) -> None:
    trello.request_log.reset()
    async with proxy.of_each_worker() as wires:
        heard = [await proxy.ask(each, "GET", f"{card}?fields=desc") for each in wires.values()]
    assert len({each.body for each in heard}) == 1
    assert [("; hit" in each.fields["cache-status"]) for each in heard] == [False, True]
    assert trello.request_log.count("GET", card) == 1


async def test_files_and_uploads_pass_through_a_worker(
    proxy: ServedProxy, trello: FakeTrello, card: str
) -> None:
    path = trello.trello.example_attachment_path
    async with proxy.connected() as wire:
        whole = await proxy.ask(wire, "GET", path)
        part = await proxy.ask(wire, "GET", path, "Range: bytes=3-9")
        assert (whole.status, part.status, part.body) == (200, 206, whole.body[3:10])
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        form += b"x" * 300_000 + b"\r\n--b--\r\n"
        wire.send(
            f"POST {card}/attachments HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n\r\n"
            "".encode()
            + form
        )
        heard = await wire.hear("POST")
        assert (heard.status, heard.json["bytes"]) == (200, 300_000)


async def test_no_worker_has_a_credential_in_its_memory_or_environment(
    proxy: ServedProxy, card: str
) -> None:
    for _ in range(4):
        assert (await proxy.get(f"{card}?fields=id")).status == 200
    assert has_in_memory(proxy.pid, KEY, TOKEN, ADMIN_TOKEN)
    assert len(proxy.workers) == 2
    for pid in proxy.workers:
        assert not has_in_memory(pid, KEY, TOKEN, ADMIN_TOKEN)
        assert not has_in_environment(pid, "TRELLO", "ADMIN")


def has_in_environment(pid: int, *names: str) -> bool:
    environment = Path(f"/proc/{pid}/environ").read_text()
    return any(name in environment for name in names)


def has_in_memory(pid: int, *secrets: str) -> list[str]:
    """The secrets that stand in any page of a process that it may read."""
    found = set[str]()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, access, *_ = line.split()
            if not access.startswith("r") or "[v" in line:
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            memory.seek(start)
            data = memory.read(end - start)
            found |= {each for each in secrets if each.encode() in data}
    return sorted(found)


async def test_the_log_is_one_stream_in_which_no_secret_stands(
    proxy: ServedProxy, card: str
) -> None:
    heard = await proxy.get(card, f"X-Request-Id: {KEY}", "User-Agent: log")
    assert heard.status == 200
    await eventually(lambda: any(line.get("tool") == "log" for line in proxy.events))
    assert KEY.encode() not in proxy.log_file.read_bytes()
    assert len({line["id"].partition("-")[0] for line in proxy.logged("request")}) >= 2


async def test_more_workers_than_cores_are_a_warning_in_the_log(proxy: ServedProxy) -> None:
    warnings = [line["detail"] for line in proxy.logged("configuration")]
    is_warned = any(each.startswith("workers 2 on ") for each in warnings)
    assert is_warned is ((os.cpu_count() or 1) <= 2)


async def test_a_worker_that_is_killed_under_load_costs_its_own_connections_alone(
    proxy: ServedProxy, card: str
) -> None:
    before = await proxy.figures("requests_total")
    killed_at, load = 0.0, Load(proxy, card)
    async with load.running():
        for _ in range(3):
            await asyncio.sleep(0.1)
            await eventually(lambda: len(proxy.workers) == 2)
            killed_at = now()
            os.kill(proxy.workers[0], signal.SIGKILL)
        await asyncio.sleep(0.1)
        await eventually(lambda: len(proxy.workers) == 2)
    assert load.refused == 0
    assert load.answered > 0
    assert load.broken <= 3 * load.clients
    assert now() - killed_at < READY_S
    after = await proxy.figures("requests_total")
    assert [labels for labels in before if after.get(labels, 0) < before[labels]] == []
    assert (await proxy.figures("worker_restarts_total"))[""] == 3
    assert len(proxy.logged("worker ended")) == 3


class Load:
    """Clients that connect, request and disconnect, again and again."""

    clients = 4

    def __init__(self, proxy: ServedProxy, target: str) -> None:
        self._proxy = proxy
        self._target = target
        self.answered = self.broken = self.refused = 0
        self._tasks = TaskSet()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for _ in range(self.clients):
            self._tasks.spawn(self._run())
        try:
            yield
        finally:
            await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                heard = await self._proxy.get(self._target)
                self.answered += heard.status == 200
            except ConnectionRefusedError:
                self.refused += 1
            except (OSError, EOFError):
                self.broken += 1
            await asyncio.sleep(0)


async def test_a_worker_that_hangs_is_replaced_and_the_other_serves_meanwhile(
    proxy: ServedProxy, card: str
) -> None:
    await eventually(lambda: len(proxy.workers) == 2)
    async with proxy.of_each_worker() as wires:
        hung = proxy.workers[0]
        os.kill(hung, signal.SIGSTOP)
        began = now()
        heard = [asyncio.ensure_future(proxy.ask(each, "GET", card)) for each in wires.values()]
        done, waiting = await asyncio.wait(heard, timeout=HUNG_S / 2)
        assert [each.result().status for each in done] == [200]
        await eventually(lambda: hung not in proxy.workers)
        assert now() - began < HUNG_S + 2
        with pytest.raises((EOFError, ConnectionError)):
            await waiting.pop()
    await eventually(lambda: len(proxy.workers) == 2)
    assert len(proxy.logged("worker hangs")) == 1


async def test_a_write_waits_for_a_worker_that_hangs_until_it_is_killed(
    proxy: ServedProxy, card: str
) -> None:
    """It may serve what it keeps as long as it lives, so the write is not over before."""
    async with proxy.of_each_worker() as wires:
        one, other = wires.values()
        for wire in (one, other) * 2:
            assert (await proxy.ask(wire, "GET", card)).status == 200
        hung = proxy.workers[0]
        os.kill(hung, signal.SIGSTOP)
        began = now()
        writes = [
            asyncio.ensure_future(proxy.ask(each, "PUT", card, body=b'{"name": "over"}'))
            for each in (one, other)
        ]
        done, _ = await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        took_s = now() - began
        if (write := done.pop()).exception() is not None:  # of the worker that hung
            (write,) = (each for each in writes if each is not write)
            await write
        assert hung not in proxy.workers
        assert took_s < HUNG_S + 1.5
        heard = await proxy.get(card)
        assert heard.json["name"] == "over"
        await asyncio.gather(*writes, return_exceptions=True)
    await eventually(lambda: len(proxy.workers) == 2)


async def test_a_parent_that_is_stopped_for_a_moment_loses_no_request(
    proxy: ServedProxy, card: str, trello: FakeTrello
) -> None:
    trello.faults.latency_s = 0.2
    trello.request_log.reset()
    async with proxy.of_each_worker() as wires:
        writes = [
            asyncio.ensure_future(proxy.ask(each, "PUT", card, body=b'{"name": "late"}'))
            for each in wires.values()
        ]
        await eventually(lambda: trello.request_log.count("PUT", card) == len(writes))
        proxy.send_signal(signal.SIGSTOP)
        await asyncio.sleep(SESSION_TIMEOUT_S + 0.5)
        proxy.send_signal(signal.SIGCONT)
        assert [(await each).status for each in writes] == [200, 200]
    trello.faults.clear()


async def test_reads_show_every_write_before_them_while_workers_come_and_go(
    proxy: ServedProxy, card: str, trello: FakeTrello
) -> None:
    history = History(proxy, trello, f"{card}?fields=name", card)
    async with history.running():
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            await eventually(lambda: len(proxy.workers) == 2)
            pid = proxy.workers[0]
            if number is signal.SIGCONT:
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(HUNG_S / 2)
            os.kill(pid, number)
            await eventually(partial(history.has_gone_on, history.acknowledged, history.reads))
    assert history.wrong == []
    assert history.hits > 5


async def test_metrics_have_the_figures_of_this_moment(proxy: ServedProxy, card: str) -> None:
    async def requests() -> float:
        figures = await proxy.figures("requests_total")
        mine = [labels for labels in figures if 'method="GET",route="/cards/{id}"' in labels]
        return sum(figures[labels] for labels in mine)

    before = await requests()
    async with proxy.of_each_worker() as wires:
        for wire in wires.values():
            for _ in range(5):
                await proxy.ask(wire, "GET", card)
        ends = now() + READY_S
        while await requests() < before + 10:
            assert now() < ends  # a scrape waits for 0.2 s at most, a busy machine for longer
        assert (await proxy.figures("connections"))[""] >= 2
    assert (await proxy.figures("workers"))[""] == 2
    assert len(await proxy.figures("worker_cpu_seconds_total")) == 2
    assert (await proxy.figures("fleet_relays_total"))['{result="ok"}'] > 10
    assert (await proxy.figures("near_responses"))[""] >= 2
    assert (await proxy.figures("client_api_requests_total"))[""] > 20


async def test_a_reload_reaches_the_workers(proxy: ServedProxy) -> None:
    before = (await proxy.figures("client_memory_limit_bytes"))[""]
    proxy.configure(replaced=("64MiB", "32MiB"))
    proxy.send_signal(signal.SIGHUP)
    await eventually(lambda: proxy.logged("configuration reloaded"))
    ends = now() + READY_S
    while (await proxy.figures("client_memory_limit_bytes"))[""] != before / 2:
        assert now() < ends
    pids = proxy.workers
    for pid in pids:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(pid, number)  # as a service manager or terminal may
    assert (await proxy.get("/healthz")).status == 200
    assert proxy.workers == pids


async def test_a_reload_ends_what_workers_would_serve_by_themselves(
    proxy: ServedProxy, card: str
) -> None:
    async with proxy.of_each_worker() as wires:
        for wire in [*wires.values()] * 2:
            assert (await proxy.ask(wire, "GET", card)).status == 200
        before = len(proxy.logged("configuration reloaded"))
        for settings, status in (("clients: {access: keys}\n", 401), ("", 200)):
            proxy.configure(settings)
            proxy.send_signal(signal.SIGHUP)
            before += 1
            await eventually(partial(logged, proxy, "configuration reloaded", before))
            for wire in wires.values():
                ends = now() + 1.0
                while (await proxy.ask(wire, "GET", card)).status != status:
                    assert now() < ends


def logged(proxy: ServedProxy, message: str, times: int) -> bool:
    return len(proxy.logged(message)) == times


async def test_a_second_proxy_at_the_same_address_says_that_it_is_taken(
    proxy: ServedProxy, trello: FakeTrello, tmp_path: Path
) -> None:
    second = ServedProxy(tmp_path, trello)
    second._settings = second._settings.replace(str(second.port), str(proxy.port))
    process = await second.run()
    assert await process.wait() == 1
    assert f"127.0.0.1:{proxy.port} is taken" in second.log_file.read_text()


async def test_sigterm_ends_all_of_them_and_finishes_what_is_in_progress(
    proxy: ServedProxy, card: str, trello: FakeTrello
) -> None:
    pids = proxy.workers
    trello.faults.latency_s = 0.3
    trello.request_log.reset()
    async with proxy.connected() as wire:
        asked = asyncio.ensure_future(proxy.ask(wire, "GET", card, "Cache-Control: no-cache"))
        await eventually(lambda: trello.request_log.count("GET", card) > 0)
        began = now()
        proxy.send_signal(signal.SIGTERM)
        assert (await asked).status == 200
    trello.faults.clear()
    assert await proxy.ended() == 0
    assert now() - began < 3.0
    assert [pid for pid in pids if b"worker" in command_of(pid)] == []


async def test_workers_end_with_their_parent(proxy: ServedProxy) -> None:
    await proxy.kill()
    await proxy.start()
    pids = proxy.workers
    assert len(pids) == 2
    await proxy.kill()
    await eventually(lambda: not any(command_of(pid) for pid in pids), within_s=1.0)


async def test_a_worker_that_is_stopped_ends_with_its_parent(proxy: ServedProxy) -> None:
    await proxy.start()
    pids = proxy.workers
    with adopting(pids):
        os.kill(pids[0], signal.SIGSTOP)
        await proxy.kill()
        await eventually(lambda: not any(command_of(pid) for pid in pids), within_s=1.0)


@contextmanager
def adopting(pids: list[int]) -> Iterator[None]:
    """Be the next parent of processes that lose theirs, as an init of the same session would be.

    With one of another session the kernel has those go on that are stopped.
    """
    prctl = CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, c_ulong(1))
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, c_ulong(0))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
