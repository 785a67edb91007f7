"""Upstream availability: circuit breakers, and whether Trello accepts the stored token.

There is one breaker for connections, one for each route, which opens only if the route fails for
more than one client, and one for each client of a route (D37). After Trello refused the stored
credential, no request is sent with it until one of the proxy's own probes succeeds (D39).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from proxy.runtime.lru import LruDict
from proxy.runtime.randomness import RandomBytes, uniform
from proxy.trello.failures import is_credential_refused, is_gateway_failure
from proxy.trello.message import ApiRequest
from proxy.upstream.circuit_breaker import Call, CircuitBreaker, State

FIRST_PROBE_S = 30.0
MAX_PROBE_S = 300.0
LOG_INTERVAL_S = 60.0
"""Between two log lines about one kind of connection error."""
MAX_ROUTES = 1000
"""Routes with their own breaker, more than Trello has; further ones share one."""
MAX_CLIENTS = 1000
"""Pairs of route and client with their own breaker; the least recently used is evicted."""
_CONNECTIONS = "connections"


class TokenHealth:
    """Whether Trello accepts the stored credential, as far as is known."""

    def __init__(self) -> None:
        self.is_refused = False
        self.refused = asyncio.Event()
        """Set while the credential is refused."""
        self.next_probe_at = 0.0
        self._pause_s = 0.0
        self._trusted_until = -inf

    def mark_refused(self, now: float) -> bool:
        """Record a refusal; whether that is a change.

        For 30 s after a successful request a refusal is ignored: it has another cause then.
        """
        if self.is_refused or now < self._trusted_until:
            return False
        self.is_refused = True
        self.next_probe_at, self._pause_s = now, FIRST_PROBE_S / 2
        self.refused.set()
        return True

    def postpone_probe(self, now: float, jitter: float) -> float:
        """Record a failed probe; seconds until the next, with `jitter` from 0 to 1."""
        self._pause_s = min(MAX_PROBE_S, self._pause_s * 2)
        self.next_probe_at = now + self._pause_s * (1 + jitter / 10)
        return self.next_probe_at - now

    def mark_accepted(self, now: float) -> bool:
        """Record a successful request; whether that is a change."""
        was_refused, self.is_refused = self.is_refused, False
        self._trusted_until = now + FIRST_PROBE_S
        self.refused.clear()
        return was_refused


@dataclass(slots=True)
class Attempt:
    """One request through its three breakers."""

    host: Call
    route: Call
    client: Call
    status: int = 0
    """Set when the header of the response has arrived."""


class CircuitBreakers:
    """The circuit breakers, and the health of the stored credential."""

    def __init__(
        self, stored: StoredCredential, clock: Clock, log: Log, random_bytes: RandomBytes
    ) -> None:
        self._stored = stored
        self.token = TokenHealth()
        self._last_success_at: float | None = None
        self._clock = clock
        self._log = log
        self._random_bytes = random_bytes
        self._host = CircuitBreaker()
        self._routes: dict[str, CircuitBreaker] = {}
        self._clients: LruDict[tuple[str, str], CircuitBreaker] = LruDict(MAX_CLIENTS)
        """By route and client."""
        self._logged_until: dict[str, float] = {}
        """By the slug of a connection error."""

    def with_current_credential(self, request: ApiRequest) -> ApiRequest:
        """The request with the current stored credential, if it uses the stored one."""
        credential = self._stored.credential
        if not request.uses_stored_credential or request.credential is credential:
            return request
        return replace(request, credential=credential)

    def check(self, request: ApiRequest) -> None:
        """CircuitOpen or TokenRefused for a request that would very probably fail."""
        now = self._clock.monotonic()
        if request.uses_stored_credential and self.token.is_refused:
            raise TokenRefused(_seconds(self.token.next_probe_at - now))
        breakers = self._host, self._route(request), self._client(request)
        wait_s = max(each.wait_s(now) for each in breakers)
        if wait_s > 0:
            raise CircuitOpen(_seconds(wait_s))

    @contextmanager
    def attempt(self, request: ApiRequest, *, is_last: bool) -> Iterator[Attempt]:
        """Around the sending of a request; its outcome is counted. Raises as `check`.

        `is_last`: it will not be retried. A terminated connection counts as a failure only then.
        """
        self.check(request)
        attempt = Attempt(
            self._host.acquire(),
            self._route(request).acquire(request.queue_key),
            self._client(request).acquire(),
        )
        try:
            yield attempt
        except (Unreachable, ConnectTimeout) as error:
            attempt.route.cancel()
            attempt.client.cancel()
            self._fail(attempt.host, _CONNECTIONS)
            self.log_connect_error(error)
            raise
        except UpstreamError as error:
            self._succeed(attempt.host, _CONNECTIONS)
            if is_last or not isinstance(error, ConnectionTerminated):
                self._fail_route(request, attempt.route, attempt.client)
            else:
                attempt.route.cancel()
                attempt.client.cancel()
            raise
        except BaseException:
            for call in (attempt.host, attempt.route, attempt.client):
                call.cancel()
            raise
        self._record_response(request, attempt)

    @contextmanager
    def body_errors(self, request: ApiRequest) -> Iterator[None]:
        """Around the processing of a body: an UpstreamError is a failure of the request's route."""
        try:
            yield
        except UpstreamError:
            now = self._clock.monotonic()
            route = self._route(request).resume(now, request.queue_key)
            self._fail_route(request, route, self._client(request).resume(now))
            raise

    def note_unauthorized(self, request: ApiRequest, status: int, text: bytes) -> None:
        """Record a 401 that refuses the current stored credential.

        On a route with a token in its path, a refusal may be about that token.
        """
        is_stored = (
            request.credential == self._stored.credential and not request.match.secret_positions
        )
        if is_stored and is_credential_refused(status, text):
            self.mark_refused()

    def log_connect_error(self, error: UpstreamError) -> None:
        """Log a failed connection, each kind of error at most once a minute."""
        now = self._clock.monotonic()
        if error.sent or now < self._logged_until.get(error.slug, 0.0):
            return
        self._logged_until[error.slug] = now + LOG_INTERVAL_S
        self._log.event("error", "connect failed", type=error.slug, reason=error.reason)

    def mark_refused(self) -> None:
        """Record that Trello refuses the stored credential."""
        if self.token.mark_refused(self._clock.monotonic()):
            self._log.event("error", "token refused")

    def mark_accepted(self) -> None:
        """Record a successful request with the stored credential."""
        if self.token.mark_accepted(self._clock.monotonic()):
            self._log.event("info", "token accepted")

    def open_breakers(self) -> list[str]:
        """The names of breakers that are not closed, three at most."""
        now = self._clock.monotonic()
        breakers = {_CONNECTIONS: self._host, **self._routes}
        return [name for name, each in breakers.items() if each.state(now) != "closed"][:3]

    def last_success_age_s(self) -> float | None:
        """Seconds since the last response that was not a failure; None: there was none."""
        last = self._last_success_at
        return None if last is None else self._clock.monotonic() - last

    def host_state(self) -> State:
        """The state of the breaker for connections."""
        return self._host.state(self._clock.monotonic())

    def states(self) -> dict[str, float]:
        """The number of breakers in each state, that for connections included."""
        now, counts = self._clock.monotonic(), {"closed": 0.0, "half-open": 0.0, "open": 0.0}
        for breaker in (self._host, *self._routes.copy().values()):
            counts[breaker.state(now)] += 1
        return counts

    def _record_response(self, request: ApiRequest, attempt: Attempt) -> None:
        self._succeed(attempt.host, _CONNECTIONS)
        if is_gateway_failure(attempt.status):
            self._fail_route(request, attempt.route, attempt.client)
            return
        now = self._clock.monotonic()
        self._succeed(attempt.route, _name(request))
        attempt.client.succeed(now)
        if attempt.status not in (401, 429):
            self._last_success_at = now

    def _route(self, request: ApiRequest) -> CircuitBreaker:
        name = _name(request)
        if name not in self._routes and len(self._routes) >= MAX_ROUTES:
            name = ""
        return self._routes.setdefault(name, CircuitBreaker(is_shared=True))

    def _client(self, request: ApiRequest) -> CircuitBreaker:
        key = (_name(request), request.queue_key)
        breaker = self._clients.use(key)
        if breaker is None:
            breaker = self._clients[key] = CircuitBreaker()
        return breaker

    def _fail_route(self, request: ApiRequest, route: Call, client: Call) -> None:
        """Count a failed request; for its route only while most of its client's succeed.

        Else one client with a request that always fails would open the route for all.
        """
        now = self._clock.monotonic()
        if client.breaker.state(now) == "closed":
            self._fail(route, _name(request))
        else:
            route.cancel()
        if client.fail(now, self._jitter()):
            self._log.event(
                "warning", "circuit opened", name=_name(request), tool=request.client_name
            )

    def _fail(self, call: Call, name: str) -> None:
        if call.fail(self._clock.monotonic(), self._jitter()):
            self._log.event("error", "circuit opened", name=name)

    def _succeed(self, call: Call, name: str) -> None:
        if call.succeed(self._clock.monotonic()):
            self._log.event("info", "circuit closed", name=name)

    def _jitter(self) -> float:
        return uniform(self._random_bytes)


def _name(request: ApiRequest) -> str:
    return f"{request.method} {request.match.route.template}"


def _seconds(wait_s: float) -> int:
    return max(1, ceil(wait_s))
