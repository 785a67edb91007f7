"""Messages between nodes."""

import pytest

from proxy.fleet.protocol import (
    Acknowledgement,
    Hello,
    Invalidation,
    Leaving,
    Message,
    Ping,
    Pong,
    Promise,
    PromiseRequest,
    Renewed,
    Status,
    StatusRequest,
    Welcome,
    decode,
    encode,
)
from proxy.model import CacheKey, Tag

MESSAGES: list[Message] = [
    Hello("10.0.0.1:7000", "a1", version="0.1.0", config="c0"),
    Welcome(7, is_behind=False),
    Ping(3),
    Pong(3, acts=True, is_behind=True, run_id="r1", beat=9),
    Ping(4, used=(CacheKey("k1"),)),
    Invalidation(5, (Tag("card:1"),)),
    Acknowledgement(5),
    Renewed("r1", beat=9),
    PromiseRequest(4),
    Promise(4),
    Leaving(),
    StatusRequest(),
    Status(acts=False, has_promised=True, leader="10.0.0.2:7000", term=7),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_fields_of_a_later_version_are_ignored(message: Message) -> None:
    assert decode(encode(message).replace(b"{", b'{"mood":{"good":1},', 1)) == message


def test_the_messages_of_the_first_version_are_understood() -> None:
    """In one fleet with this one, until PROTOCOL is raised."""
    hello = b'{"type":"hello","address":"10.0.0.1:7000","instance":"a1","protocol":1}'
    assert decode(hello) == Hello("10.0.0.1:7000", "a1")
    assert decode(b'{"type":"welcome","term":7,"is_behind":false}') == Welcome(7, is_behind=False)
    assert decode(b'{"type":"ping","number":3}') == Ping(3)
    pong = b'{"type":"pong","number":3,"acts":true,"is_behind":false,"run_id":"r","beat":9}'
    assert decode(pong) == Pong(3, acts=True, is_behind=False, run_id="r", beat=9)
    assert decode(b'{"type":"promise-request","number":4}') == PromiseRequest(4)
    assert decode(b'{"type":"promise","number":4}') == Promise(4)
    assert decode(b'{"type":"leaving"}') == Leaving()
    status = b'{"type":"status","acts":true,"has_promised":false}'
    assert decode(status) == Status(acts=True, has_promised=False)


@pytest.mark.parametrize("text", ['{"type":"gossip"}', '{"type":"ping"}', "[]", "", b"\xff", "{"])
def test_what_is_no_known_message_is_none(text: str | bytes) -> None:
    assert decode(text) is None
