"""What asking Trello promises now: nothing is sent that is bound to fail.

Three things are watched. Whether connections come about at all: one circuit breaker for the host.
Whether a route is answered: one for each route, which opens only if the route fails for more than
one client, and one for each client at each route. Whether the stored credential is accepted: after
one refusal nothing goes out with it until a request of the proxy's own was answered.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import ceil, inf

from proxy.credentials.identity import StoredCredential
from proxy.errors import (
    CircuitOpen,
    ConnectionTerminated,
    ConnectTimeout,
    TokenRefused,
    Unreachable,
    UpstreamError,
)
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.trello.failures import is_credential_rejected, is_failure
from proxy.trello.message import ApiRequest
from proxy.upstream.circuit_breaker import CircuitBreaker, State

FIRST_PROBE_S = 30.0
MAX_PROBE_S = 300.0
SILENT_S = 60.0
"""From one log line about a kind of failed connection to the next."""
_MAX_ROUTES = 1000
"""More than Trello has; further ones share a breaker."""
MAX_CLIENTS = 1000
"""Clients at routes that have a breaker of their own; of others the one used longest ago goes."""


class TokenHealth:
    """Whether Trello accepts the stored credential, as far as is known."""

    def __init__(self) -> None:
        self.is_refused = False
        self.refused = asyncio.Event()
        """Set while it is refused."""
        self.next_probe_at = 0.0
        self._pause_s = 0.0
        self._trusted_until = -inf

    def mark_refused(self, now: float) -> bool:
        """Trello said so; whether that is news.

        Not within half a minute of a question that was answered: then it means something else.
        """
        if self.is_refused or now < self._trusted_until:
            return False
        self.is_refused = True
        self.next_probe_at, self._pause_s = now, FIRST_PROBE_S / 2
        self.refused.set()
        return True

    def postpone_probe(self, now: float, jitter: float) -> float:
        """A probe failed; seconds until the next."""
        self._pause_s = min(MAX_PROBE_S, self._pause_s * 2)
        self.next_probe_at = now + self._pause_s * (1 + jitter / 10)
        return self.next_probe_at - now

    def mark_accepted(self, now: float) -> bool:
        """A question was answered with it; whether that is news."""
        was_refused, self.is_refused = self.is_refused, False
        self._trusted_until = now + FIRST_PROBE_S
        self.refused.clear()
        return was_refused


class Attempt:
    """One request that goes out; `answered` says that it was, and how."""

    def __init__(
        self,
        host: tuple[CircuitBreaker, bool],
        route: tuple[CircuitBreaker, bool],
        client: tuple[CircuitBreaker, bool],
    ) -> None:
        """Each breaker with whether this is a probe of it."""
        self.host = host
        self.route = route
        self.client = client
        self.status = 0

    def record_response(self, status: int) -> None:
        """The header of an answer is there."""
        self.status = status


class CircuitBreakers:
    """The breakers, and the stored credential's state."""

    def __init__(
        self, stored: StoredCredential, clock: Clock, log: Log, random: Callable[[int], bytes]
    ) -> None:
        self._stored = stored
        self.token = TokenHealth()
        self._last_success_at: float | None = None
        self._clock = clock
        self._log = log
        self._random = random
        self._host = CircuitBreaker()
        self._silent_until: dict[str, float] = {}
        """By the slug of an error that was logged."""
        self._routes: dict[str, CircuitBreaker] = {}
        self._clients: OrderedDict[tuple[str, str], CircuitBreaker] = OrderedDict()
        """By route and client, the one used longest ago first."""

    def with_current_credential(self, request: ApiRequest) -> ApiRequest:
        """The Ask with the credential that is stored now, if it is the proxy's own."""
        credential = self._stored.credential
        if not request.uses_stored_credential or request.credential is credential:
            return request
        return replace(request, credential=credential)

    def check(self, request: ApiRequest) -> None:
        """Resting or TokenRefused where this had better not be sent."""
        now = self._clock.monotonic()
        if request.uses_stored_credential and self.token.is_refused:
            raise TokenRefused(_seconds(self.token.next_probe_at - now))
        breakers = self._host, self._route(request), self._client(request)
        wait_s = max(each.wait_s(now) for each in breakers)
        if wait_s > 0:
            raise CircuitOpen(_seconds(wait_s))

    @contextmanager
    def attempt(self, request: ApiRequest, *, is_last: bool) -> Iterator[Attempt]:
        """Around one sending: what comes of it is heeded; raises as `check` does.

        `is_last`: it will not be repeated. Else a connection that ended proves nothing.
        """
        self.check(request)
        breakers = self._host, self._route(request), self._client(request)
        made = Attempt(*((each, each.acquire()) for each in breakers))
        try:
            yield made
        except (Unreachable, ConnectTimeout) as error:
            self._cancel_attempt(made.route, made.client)
            self._fail(made.host, "connections")
            self.log_connect_error(error)
            raise
        except UpstreamError as error:
            self._succeed(made.host, "connections")
            if is_last or not isinstance(error, ConnectionTerminated):
                self._fail_route(request, made.route, made.client)
            else:
                self._cancel_attempt(made.route, made.client)
            raise
        except BaseException:
            self._cancel_attempt(made.host, made.route, made.client)
            raise
        self._record_response(request, made)

    @contextmanager
    def body_errors(self, request: ApiRequest) -> Iterator[None]:
        """Around the body of an answer: one that is cut or makes no sense is a failure."""
        try:
            yield
        except UpstreamError:
            now = self._clock.monotonic()
            route, client = (
                (each, each.state(now) == "half-open")
                for each in (self._route(request), self._client(request))
            )
            self._fail_route(request, route, client)
            raise

    def note_unauthorized(self, request: ApiRequest, status: int, sentence: bytes) -> None:
        """An answer that may say that a credential is no good; the one stored now is heeded.

        What names a token in its path may speak of that.
        """
        is_stored = (
            request.credential == self._stored.credential and not request.match.secret_positions
        )
        if is_stored and is_credential_rejected(status, sentence):
            self.mark_refused()

    def log_connect_error(self, error: UpstreamError) -> None:
        """No connection came about: one log line for each kind of reason in a minute."""
        now = self._clock.monotonic()
        if error.sent or now < self._silent_until.get(error.slug, 0.0):
            return
        self._silent_until[error.slug] = now + SILENT_S
        self._log.event("error", "connect failed", type=error.slug, reason=error.reason)

    def mark_refused(self) -> None:
        """Trello does not accept the stored credential."""
        if self.token.mark_refused(self._clock.monotonic()):
            self._log.event("error", "token rejected")

    def mark_accepted(self) -> None:
        """A question with the stored credential was answered."""
        if self.token.mark_accepted(self._clock.monotonic()):
            self._log.event("info", "token accepted")

    def open_breakers(self) -> list[str]:
        """The names of the breakers that are not closed, three at most."""
        now = self._clock.monotonic()
        named = {"connections": self._host, **self._routes}
        return [name for name, each in named.items() if each.state(now) != "closed"][:3]

    def last_success_age_s(self) -> float | None:
        """Seconds since Trello gave an answer that is none of trouble; None: not yet."""
        last = self._last_success_at
        return None if last is None else self._clock.monotonic() - last

    def host_state(self) -> State:
        """Of the breaker for connections."""
        return self._host.state(self._clock.monotonic())

    def states(self) -> dict[str, float]:
        """How many breakers are in each state, the host's among them."""
        now, counts = self._clock.monotonic(), {"closed": 0.0, "half-open": 0.0, "open": 0.0}
        for breaker in (self._host, *self._routes.copy().values()):
            counts[breaker.state(now)] += 1
        return counts

    def jitter(self) -> float:
        """Between 0 and 1."""
        return int.from_bytes(self._random(2), "big") / 0xFFFF

    def _record_response(self, request: ApiRequest, made: Attempt) -> None:
        self._succeed(made.host, "connections")
        if is_failure(made.status):
            self._fail_route(request, made.route, made.client)
            return
        self._succeed(made.route, _name(request), request.queue_key)
        made.client[0].succeed(self._clock.monotonic(), is_probe=made.client[1])
        if made.status not in (401, 429):
            self._last_success_at = self._clock.monotonic()

    def _route(self, request: ApiRequest) -> CircuitBreaker:
        name = _name(request)
        if name not in self._routes and len(self._routes) >= _MAX_ROUTES:
            name = ""
        return self._routes.setdefault(name, CircuitBreaker(is_shared=True))

    def _client(self, request: ApiRequest) -> CircuitBreaker:
        key = (_name(request), request.queue_key)
        breaker = self._clients.setdefault(key, CircuitBreaker())
        self._clients.move_to_end(key)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return breaker

    def _fail_route(
        self,
        request: ApiRequest,
        route: tuple[CircuitBreaker, bool],
        client: tuple[CircuitBreaker, bool],
    ) -> None:
        """A request failed: where most of this client's do, that says nothing of the others."""
        now, (own, is_probe) = self._clock.monotonic(), client
        if own.state(now) == "closed":
            self._fail(route, _name(request), request.queue_key)
        else:
            self._cancel_attempt(route)
        if own.fail(now, self.jitter(), is_probe=is_probe):
            self._log.event(
                "warning", "circuit opened", name=_name(request), tool=request.client_name
            )

    def _fail(self, breaker: tuple[CircuitBreaker, bool], name: str, client: str = "") -> None:
        each, is_probe = breaker
        now = self._clock.monotonic()
        if each.fail(now, self.jitter(), is_probe=is_probe, client=client):
            self._log.event("error", "circuit opened", name=name)

    def _succeed(self, breaker: tuple[CircuitBreaker, bool], name: str, client: str = "") -> None:
        each, is_probe = breaker
        if each.succeed(self._clock.monotonic(), is_probe=is_probe, client=client):
            self._log.event("info", "circuit closed", name=name)

    @staticmethod
    def _cancel_attempt(*breakers: tuple[CircuitBreaker, bool]) -> None:
        for breaker, is_probe in breakers:
            breaker.release(is_probe=is_probe)


def _name(request: ApiRequest) -> str:
    return f"{request.method} {request.match.route.template}"


def _seconds(wait_s: float) -> int:
    return max(1, ceil(wait_s))
