"""Messages between nodes: JSON objects, one per WebSocket message.

A node that connects sends first. `StatusRequest` is replied to by `Status`, and the connection
ends. `Hello` asks to join as a follower: a leader replies with `Welcome`, every other node with
`Status`, after which the connection ends. After the welcome the follower pings each HEARTBEAT_S;
messages arrive in the order in which they were sent. A node that cannot reach the leader sends its
`Hello` to another follower, which passes all messages of that session on, both ways.

A receiver ignores fields that it does not know; a message of an unknown type is None. A node with
another PROTOCOL is refused. Pure.

`Invalidation` and `Acknowledgement` keep near caches right (D72): an invalidation of the leader's
store is numbered, and applied by the follower before it is acknowledged.
"""

import msgspec

from proxy.model import CacheKey, Tag

PROTOCOL = 1
"""Raised when nodes of two versions may no longer be in one fleet."""
MAX_MESSAGE_BYTES = 64 * 1024


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Follower to leader: accept me."""

    address: str
    """Where other nodes reach it; `host:port`. It identifies the member."""
    instance: str
    """Random, of this process."""
    version: str = ""
    config: str = ""
    """Digest of the settings that all nodes must share."""
    protocol: int = PROTOCOL
    keeps: bool = False
    """Whether it has a near cache, and so acknowledges invalidations."""
    leader: str = ""
    """Address of the leader to which the receiver passes the session on; empty: the receiver."""
    through: str = ""
    """Address of the follower that passed it on: there is one at most."""
    term: int = 0
    """Of the leader that gave what its near cache has; 0: that is empty."""
    number: int = 0
    """Of the last invalidation in that term that it has applied."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Leader to follower: accepted."""

    term: int
    is_behind: bool
    """As in `Pong`."""
    number: int | None = None
    """Of an invalidation; those that follow are sent. None: none is.

    That of `Hello`, if the leader still knows all that followed in its term; else its last one.
    """


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Follower to leader, each HEARTBEAT_S."""

    number: int
    used: tuple[CacheKey, ...] = ()
    """The leader's keys of responses that were served from the near cache since the last ping."""
    config: str = ""
    """As in `Hello`, after a reload since."""
    kept: int = 0
    """Responses in its near cache."""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Leader to follower."""

    number: int
    """That of the ping."""
    acts: bool
    """Whether it is still the leader; if not, the session ends."""
    is_behind: bool
    """Whether Redis may lack something that was acknowledged to a client."""
    run_id: str
    """Of the Redis server that confirmed the last renewal."""
    beat: int
    """Number of that renewal."""
    watched_s: float = 0.0
    """For how many seconds more its watched boards count as watched."""
    config: str = ""
    """As in `Hello`; a follower with other settings uses no near cache."""
    wants_sample: bool = False
    """Whether the next hit is to be relayed, so that the leader verifies it (D33)."""


class Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    """Leader to follower, each HEARTBEAT_S: the lease, so that its age is known when it ends.

    It says nothing of the follower's pings.
    """

    run_id: str
    beat: int
    """Both as in `Pong`."""


class Invalidation(msgspec.Struct, frozen=True, tag="inv"):
    """Leader to follower: what carries one of the tags, and was given before, must not be used."""

    number: int
    tags: tuple[Tag, ...]
    is_of_all: bool = False
    """Whether it is everything that was given before."""


class Acknowledgement(msgspec.Struct, frozen=True, tag="ack"):
    """Follower to leader: invalidations up to this number are applied."""

    number: int


class PromiseRequest(msgspec.Struct, frozen=True, tag="promise-request"):
    """Leader to follower: Redis does not respond; do not run for leader for PROMISE_S."""

    number: int


class Promise(msgspec.Struct, frozen=True, tag="promise"):
    """Follower to leader."""

    number: int
    """That of the request."""


class Leaving(msgspec.Struct, frozen=True, tag="leaving"):
    """From a leader: it hands over, hold new requests. From a follower: it is no member any more.

    Both close the session afterwards, not at once.
    """


class StatusRequest(msgspec.Struct, frozen=True, tag="status-request"):
    """Any node to any other, before it runs for leader."""


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Reply to `StatusRequest`, and to a `Hello` that was not accepted."""

    acts: bool
    """Whether this node is the leader."""
    has_promised: bool
    """Whether it has promised a leader not to run, so that one may be acting without Redis."""
    leader: str = ""
    """Address of the leader with which it has a session that it did not need another node for, or
    its own; empty: there is none."""
    term: int = 0


Message = (
    Hello
    | Welcome
    | Ping
    | Pong
    | Renewed
    | Invalidation
    | Acknowledgement
    | PromiseRequest
    | Promise
    | Leaving
    | StatusRequest
    | Status
)

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """One object."""
    return msgspec.json.encode(message)


def decode(text: str | bytes) -> Message | None:
    """The message; None if it is of no known type, or not one."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
