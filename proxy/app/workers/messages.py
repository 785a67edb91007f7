"""Messages between the parent and a worker: JSON objects, one a line, over a socket pair. Pure."""

import msgspec

from proxy.observability.transfer import Figures


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """Parent to worker, first of all: what it needs to serve. No credential is in it."""

    number: int
    """From 1; names the worker in metrics."""
    config: str
    """proxy.yaml, as `worker_settings` has it."""
    parent: str
    """Name of the parent's abstract Unix socket, without the leading NUL."""
    key: str
    """Of this run, in hex digits: signs what the worker relays there."""
    max_relays: int
    """Connections to the parent."""


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """Parent to worker: another configuration was applied."""

    config: str


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Parent to worker: reply at once."""

    number: int
    wants_figures: bool


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Parent to worker: finish the requests in progress, and end."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Worker to parent: it accepts connections."""


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """Worker to parent: the reply to a check, and its last message."""

    number: int
    """That of the check; 0: it ends."""
    figures: Figures | None = None


ToWorker = Setup | Reload | Check | Stop
ToParent = Ready | Alive

_to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_to_parent: msgspec.json.Decoder[ToParent] = msgspec.json.Decoder(ToParent)


def line(message: ToWorker | ToParent) -> bytes:
    """The message as one line."""
    return msgspec.json.encode(message) + b"\n"


def to_worker(text: bytes) -> ToWorker:
    """The parent's message in a line; ValueError."""
    return _to_worker.decode(text)


def to_parent(text: bytes) -> ToParent:
    """A worker's message in a line; ValueError."""
    return _to_parent.decode(text)
