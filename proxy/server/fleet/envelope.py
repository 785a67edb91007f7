"""Envelope of a relayed request: what the node that received it knows, signed with the fleet's key.

The signature covers method, target and content, so that neither a client nor another program can
make one. The network between the nodes must be private all the same: bodies are not signed, and
nothing is encrypted. Pure.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import msgspec

from proxy.access.client import Source
from proxy.attachments.store.shared_file import FileOffer, StoredRange
from proxy.fleet.near import Given
from proxy.model import Outcome

REQUEST_FIELD = "Trello-Proxy-Relayed"
RESULT_FIELD = "Trello-Proxy-Result"
INTERNAL_PREFIX = "trello-proxy-"
"""Fields that begin with it are removed from clients' requests and from responses to clients."""
SESSION = "/-/fleet/session"
"""Target of the WebSocket of a session."""
FILES = "/-/fleet/files/"
"""With the quoted id of a file, target of a node's own request for it."""


class Envelope(msgspec.Struct, frozen=True):
    """From the node that the client connected to.

    Nodes of two versions serve one fleet while it is updated: a new field has a default.
    """

    request_id: str
    peer: str
    """Address of the connection."""
    address: str
    """Of the client, not of a trusted proxy in between."""
    name: str = ""
    """That a trusted proxy or a certificate gives the client."""
    source: Source = "anonymous"
    is_forwarded: bool = False
    is_admin: bool = False
    """Whether it came to `admin.listen`."""
    stored_form: int = 0
    """Version of the stored form (`codec.py`) in which that node can keep the response; 0: none."""
    is_for_leader: bool = False
    """Whether the receiver is to relay it to its leader, which the first one cannot reach (D79)."""
    takes_file: bool = False
    """Whether that process, a worker, can send a stored file itself."""
    takes_offer: bool = False
    """Whether that node can send a file from a store of its own (D82)."""
    lacks_file: bool = False
    """Whether it then needs the file's bytes, as the body of the response."""
    reads_file: bool = False
    """Whether it is no client's request but that node's own, for a file in the receiver's store."""


class Result(msgspec.Struct, frozen=True):
    """From the leader, for log, metrics and fields at the node that the client connected to."""

    route: str
    outcome: Outcome
    client: str = ""
    """Name that a client key gives the client."""
    queue_s: float = 0.0
    upstream_s: float = 0.0
    was_sent: bool = False
    """Whether the client waited for Trello."""
    is_moved: bool = False
    """Whether this node does not lead: nothing of the request was done."""
    file: StoredRange | None = None
    """Where the body is stored, of which nothing follows."""
    offer: FileOffer | None = None
    """What that node is to send as the body; what follows is the whole file, or nothing."""
    given: Given | None = None
    """The body is in stored form, and what lets the other node keep it."""


class _OtherResult(msgspec.Struct, frozen=True):
    """What is read of a result that has values of another version."""

    route: str
    is_moved: bool = False


_envelopes = msgspec.json.Decoder(Envelope)
_results = msgspec.json.Decoder(Result)
_other_results = msgspec.json.Decoder(_OtherResult)


def seal(envelope: Envelope, key: bytes, method: str, target: str) -> str:
    """The value of REQUEST_FIELD."""
    content = urlsafe_b64encode(msgspec.json.encode(envelope)).decode()
    return f"{content}.{_signature(key, method, target, content)}"


def unseal(value: str, key: bytes, method: str, target: str) -> Envelope | None:
    """The envelope; None if it was not sealed with this key for this request."""
    content, _, signature = value.partition(".")
    expected = _signature(key, method, target, content)
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        return None
    return _envelopes.decode(urlsafe_b64decode(content))


def proof(key: bytes, value: str) -> bytes:
    """What shows the opener of a session, who sent `value`, that this node has the key."""
    return hmac.new(key, b"accepted " + value.encode(), sha256).hexdigest().encode()


def result_line(result: Result) -> bytes:
    """The field with the result, as one line."""
    content = urlsafe_b64encode(msgspec.json.encode(result))
    return b"%b: %b\r\n" % (RESULT_FIELD.encode(), content)


def parse_result(value: str) -> Result | None:
    """The result, of another version without its outcome; None if it is not one."""
    try:
        content = urlsafe_b64decode(value)
        try:
            return _results.decode(content)
        except msgspec.ValidationError:
            other = _other_results.decode(content)
            return Result(other.route, Outcome(), is_moved=other.is_moved)
    except ValueError:
        return None


def _signature(key: bytes, method: str, target: str, content: str) -> str:
    text = f"{method} {target}\n{content}".encode("utf-8", "surrogateescape")
    return hmac.new(key, text, sha256).hexdigest()
