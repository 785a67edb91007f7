"""Log of sent requests in Redis: what the next leader has to count.

Key, with the hash tag of `redis.name`: `sends`, a sorted set. A member is a request: its number,
digests of token and key, the route's limit, and the longest window in ms. Its score is
`4 * when it counts no more + state`, in ms of Redis's clock: leaders compare no clocks of theirs. A
member with the score -1 is the head: whose log it is, and on which run of the server. A log without
it, of another run or under other digests is not used, so what Redis loses is noticed.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from proxy.cache.store.redis_connection import RedisConnection
from proxy.config.schema import Limits
from proxy.errors import StoreError
from proxy.fleet.timing import RETRY_S
from proxy.ratelimit.send_log import PriorSends, Send, SendLog, SendState, longest_window_s
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

IN_FLIGHT_MS = 60_000
"""A request in flight is kept for so long beyond its window: nothing says when it ends."""
_PIECE = 500
_STATES = 4

READ_SENDS = f"""#!lua flags=no-writes
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local after = string.format('(%.0f', {_STATES} * now)
return {{string.format('%.0f', now), redis.call('ZRANGEBYSCORE', KEYS[1], -1, -1),
  redis.call('ZRANGEBYSCORE', KEYS[1], after, '+inf', 'WITHSCORES')}}
"""
"""KEYS: sends. Redis's time in ms, the head, members with their scores."""

LOG_SENDS = f"""#!lua flags=allow-oom
local head, mode = ARGV[1], ARGV[3]
local found = redis.call('ZRANGEBYSCORE', KEYS[1], -1, -1)[1]
if found and tonumber(string.match(found, '^%d+')) > tonumber(ARGV[2]) then return 'LATE' end
if mode == 'first' then redis.call('DEL', KEYS[1]) end
if mode == 'some' and found ~= head then return 'LOST' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 6, #ARGV, 3 do
  local score = {_STATES} * (now + ARGV[i + 1]) + ARGV[i + 2]
  redis.call('ZADD', KEYS[1], string.format('%.0f', score), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('%.0f', {_STATES} * now + 3))
if ARGV[5] == '1' then redis.call('ZADD', KEYS[1], -1, head) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 'OK'
"""
"""KEYS: sends.

ARGV: head, term, mode (`first`: first piece of the whole log, `next`: a further one, `some`: what
has changed), lifetime of the log in ms, whether the head is to be written; then member, ms that it
still counts, and state of each.
"""


class RedisSends:
    """Reads the log that a leader finds, and writes its own; for one term."""

    def __init__(
        self,
        connection: Callable[[], RedisConnection],
        clock: Clock,
        *,
        name: str,
        term: int,
        digest: Callable[[str], str],
    ) -> None:
        """`name`: that of the fleet. `digest`: keyed, the same in every node."""
        self._connection = connection
        self._clock = clock
        self._key = f"{{{name}}}:sends"
        self._term = term
        self._digest = digest
        self._digests = digest("sends")
        self._log = SendLog(digest)
        self._window_s = 0.0
        self._is_lost = True
        """Whether Redis may lack more than `changed`."""
        self._tasks = TaskSet()

    async def open(self, limits: Limits, *, is_trusted: bool) -> tuple[PriorSends, SendLog]:
        """What earlier leaders used, and the log of this one; StoreError.

        `is_trusted`: whether Redis has all that the last leader wrote.
        """
        connection = self._connection()
        now_ms, heads, found = await connection.script(READ_SENDS, [self._key])
        now, head = self._clock.monotonic(), heads[0].decode() if heads else ""
        is_readable = head.split(":")[1:-1] == self._mark.split(":")
        sends = []
        if is_readable:
            pairs = zip(found[::2], found[1::2], strict=True)
            since = _STATES * int(now_ms)
            sends = [_parsed(member, int(score) - since, now) for member, score in pairs]
        self._window_s = max([longest_window_s(limits), *(send.window_s for send in sends)])
        prior = PriorSends(
            self._clock.monotonic,
            now + self._window_s,
            sends,
            digest=self._digest,
            is_known=is_trusted and is_readable and head.endswith(":whole"),
        )
        self._log = SendLog(self._digest, sends)
        self._log.on_change = self._note_change
        self._note_change()
        return prior, self._log

    async def flush(self) -> None:
        """Write what is left, once."""
        await self._tasks.stop()
        with suppress(StoreError):
            await self._write_changes()

    async def stop(self) -> None:
        """Write no more."""
        self._log.on_change = lambda: None
        await self._tasks.stop()

    @property
    def _mark(self) -> str:
        """What a log must have to be read: run of the server, and key of the digests."""
        return f"{self._connection().run_id}:{self._digests}"

    def _note_change(self) -> None:
        if not self._tasks:
            self._tasks.spawn(self._write())

    async def _write(self) -> None:
        """Write until there is nothing left; nothing waits for it."""
        while self._log.changed or self._is_lost:
            try:
                await self._write_changes()
            except StoreError:
                await self._clock.sleep(RETRY_S)

    async def _write_changes(self) -> None:
        """Write what has changed, or everything if Redis has lost some of it."""
        log, mode = self._log, "first" if self._is_lost else "some"
        numbers, log.changed = [*(log.sends if self._is_lost else log.changed)], {}
        self._is_lost = True  # until all of it is confirmed
        for start in range(0, max(1, len(numbers)), _PIECE):
            piece, is_last = numbers[start : start + _PIECE], start + _PIECE >= len(numbers)
            reply = await self._send(mode, piece, has_head=is_last)
            if reply != b"OK":
                self._is_lost = reply == b"LOST"
                return
            mode = "next" if mode == "first" else mode
        self._is_lost = False

    async def _send(self, mode: str, numbers: Sequence[int], *, has_head: bool) -> bytes:
        log, now = self._log, self._clock.monotonic()
        entries: list[str | int] = []
        for number in numbers:
            if (send := log.sends.get(number)) is not None:
                self._window_s = max(self._window_s, send.window_s)
                entries += _entry(number, send, now)
        head = f"{self._term}:{self._mark}:{'whole' if log.is_whole else 'partial'}"
        lifetime_ms = int(1000 * self._window_s) + IN_FLIGHT_MS
        arguments = head, self._term, mode, lifetime_ms, int(has_head), *entries
        reply: bytes = await self._connection().script(LOG_SENDS, [self._key], *arguments)
        return reply


def _entry(number: int, send: Send, now: float) -> tuple[str, int, int]:
    """Member, ms that it still counts, and state."""
    window_ms = int(1000 * send.window_s)
    left_ms = int(1000 * (send.at - now)) + window_ms
    if send.state is SendState.IN_FLIGHT:
        left_ms = window_ms + IN_FLIGHT_MS
    member = f"{number}:{send.token}:{send.key}:{send.route}:{window_ms}"
    return member, max(0, left_ms), send.state.value


def _parsed(member: bytes, score: int, now: float) -> Send:
    """A request; `score` less that of now. One in flight is counted from now on."""
    _, token, key, route, window_ms = member.decode().split(":")
    left_ms, state = divmod(score, _STATES)
    window_s, age_s = int(window_ms) / 1000, 0.0
    if state != SendState.IN_FLIGHT:
        age_s = max(0.0, window_s - left_ms / 1000)
    found = SendState.SHARED if state == SendState.SHARED else SendState.ANSWERED
    return Send(token, key, route, window_s, now - age_s, found)
