"""What the benchmark of economy is measured with: the oracle, the day, and virtual time."""

import asyncio
import json

import pytest

from proxy.fake_trello.service import Trello
from tests.bench.office import (
    HOUR_S,
    Office,
    Plan,
)
from tests.bench.office_boards import furnish
from tests.bench.servers import KEY, TOKEN
from tests.bench.truth import (
    FRESH,
    Oracle,
    Staleness,
    Target,
)
from tests.bench.virtual import VirtualClock, VirtualLoop


class Seen:
    """One card of a small Trello, and what was true of its name."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.trello = Trello(self.clock, key=KEY, token=TOKEN)
        (self.board,) = furnish(self.trello, 1)
        self.card = self.board.cards[0]
        path = f"/1/cards/{self.card.id}?fields=name"
        self.target = Target(path, self.board.id, self.card.id)
        self.oracle = Oracle(self.trello)
        self.oracle.follow([self.target])

    @property
    def body(self) -> bytes:
        return json.dumps(self.trello.request(self.target.path)).encode()

    def edit(self, path: str, *, own: bool = False, **params: str) -> None:
        self.clock.advance(1)
        self.trello.edit("PUT", path, params)
        self.oracle.changed(self.board.id, self.card.id, own=own)

    def rename(self, name: str, *, own: bool = False) -> None:
        self.edit(f"/1/cards/{self.card.id}", own=own, name=name)

    def judge(self, body: bytes, began: float | None = None) -> Staleness:
        requested_at = self.clock.now() if began is None else began
        (found,) = self.oracle.judge([self.target], body, requested_at)
        return found


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_what_is_true_is_fresh_and_stays_so_when_other_things_change(seen: Seen) -> None:
    body = seen.body
    seen.edit(f"/1/cards/{seen.card.id}", desc="Something else")
    seen.clock.advance(60)
    assert seen.judge(body) == FRESH


def test_an_answer_is_stale_since_the_first_change_after_it(seen: Seen) -> None:
    old = seen.body
    seen.rename("One")
    seen.rename("Two", own=True)
    seen.rename("Three")
    seen.clock.advance(10)
    assert seen.judge(old) == Staleness(any_s=12, signalled_s=12, own_s=11)


def test_what_became_true_again_is_fresh(seen: Seen) -> None:
    seen.rename("One")
    one = seen.body
    seen.rename("Two")
    seen.rename("One")
    assert seen.judge(one) == FRESH
    seen.rename("Two")
    seen.clock.advance(5)
    assert seen.judge(one).any_s == 5


def test_a_change_after_the_question_is_not_held_against_its_answer(seen: Seen) -> None:
    old, began = seen.body, seen.clock.now()
    seen.rename("One")
    seen.clock.advance(5)
    assert seen.judge(old, began) == FRESH


def test_what_never_was_true_is_told_apart(seen: Seen) -> None:
    assert not seen.judge(b'{"id":"x","name":"Nobody said so"}').was_true


def test_each_part_of_a_batch_is_judged_by_itself(seen: Seen) -> None:
    other = Target(f"/1/boards/{seen.board.id}/name", seen.board.id)
    seen.oracle.follow([other])
    bodies = [seen.trello.request(target.path) for target in (seen.target, other)]
    body = json.dumps([{"200": each} for each in bodies]).encode()
    seen.rename("One")
    seen.clock.advance(3)
    stale, fresh = seen.oracle.judge([seen.target, other], body, seen.clock.now())
    assert (stale.any_s, fresh) == (3, FRESH)


def test_the_same_seed_makes_the_same_day_and_another_one_another(seen: Seen) -> None:
    days = [
        list(Office([seen.board], Plan(HOUR_S), seed, seen.clock.now()).events())
        for seed in (1, 1, 2)
    ]
    assert days[0] == days[1] != days[2]
    moments = [event.at for event in days[0]]
    assert len(moments) > 1_000
    assert moments == sorted(moments)
    assert moments[-1] <= seen.clock.now() + HOUR_S


def test_rest_is_when_the_threads_are_back_and_the_sockets_are_silent() -> None:
    done: list[str] = []

    async def over_a_socket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"ping")
        done.append((await reader.read()).decode())
        writer.close()
        done.append(await asyncio.to_thread(str, "thread"))

    async def main() -> None:
        server = await asyncio.start_server(over_a_socket, "127.0.0.1", 0)
        asking = asyncio.ensure_future(client(server.sockets[0].getsockname()[1]))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await loop.rest(lambda: not asking.done())
        assert done == ["ping", "thread"]
        await asking
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def test_the_clock_stops_for_every_sleeper_on_its_way() -> None:
    clock, woken = VirtualClock(100.0), list[float]()

    async def sleeper(delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append(clock.now())

    tasks = [asyncio.ensure_future(sleeper(delay_s)) for delay_s in (3, 1)]
    await asyncio.sleep(0)
    while not clock.run_until(110.0):  # noqa: ASYNC110 - what is tested
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert woken == [101.0, 103.0]
    assert clock.now() == 110.0
