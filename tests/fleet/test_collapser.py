"""Collapser of relayed reads: who shares what with whom."""

import asyncio

from proxy.server.fleet.collapser import Collapser
from tests.scenarios.conftest import turns


class Sender:
    """Counts what is sent; each response is its number, when it may come."""

    def __init__(self) -> None:
        self.sent = 0
        self.may_end = asyncio.Event()
        self.is_shareable = True

    async def send(self) -> int:
        self.sent += 1
        number = self.sent
        await self.may_end.wait()
        return number

    def may_share(self, _: int) -> bool:
        return self.is_shareable


async def test_a_request_never_shares_one_that_was_sent_before_it_came() -> None:
    collapser, sender = Collapser[int](), Sender()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(collapser.run("key", sender.send, sender.may_share))
        await turns(10)
        later = [
            group.create_task(collapser.run("key", sender.send, sender.may_share))
            for _ in range(100)
        ]
        await turns(10)
        assert sender.sent == 1
        sender.may_end.set()
    assert first.result() == (1, False)
    assert [each.result() for each in later] == [(2, False)] + [(2, True)] * 99


async def test_other_requests_are_sent_at_once() -> None:
    collapser, sender = Collapser[int](), Sender()
    async with asyncio.TaskGroup() as group:
        for key in "abc":
            group.create_task(collapser.run(key, sender.send, sender.may_share))
        await turns(10)
        assert sender.sent == 3
        sender.may_end.set()


async def test_a_response_that_cannot_be_shared_is_requested_for_each() -> None:
    collapser, sender = Collapser[int](), Sender()
    sender.is_shareable = False
    sender.may_end.set()
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(collapser.run("key", sender.send, sender.may_share)) for _ in range(5)
        ]
    assert sender.sent == 5
    assert not any(was_shared for _, was_shared in (each.result() for each in asked))


async def test_the_others_go_on_when_the_one_that_sends_for_them_leaves() -> None:
    collapser, sender = Collapser[int](), Sender()
    first = asyncio.ensure_future(collapser.run("key", sender.send, sender.may_share))
    await turns(10)
    second = asyncio.ensure_future(collapser.run("key", sender.send, sender.may_share))
    third = asyncio.ensure_future(collapser.run("key", sender.send, sender.may_share))
    await turns(10)
    second.cancel()
    first.cancel()
    await turns(10)
    sender.may_end.set()
    assert await third == (2, False)
    await asyncio.gather(first, second, return_exceptions=True)
