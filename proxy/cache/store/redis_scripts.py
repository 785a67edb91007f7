"""Lua scripts of the Redis backend: every change is refused unless the chain is unbroken.

The chain is the hash `meta`: who writes (`holder`), the generation of all keys (`gen`), and how
often it was written (`n`). A script that changes something names the three as the process knows
them; where Redis has others it lost writes, or another process has taken over, and nothing is
changed. So a command that arrives late, after a time-out, cannot do harm either.

KEYS of the changing scripts: meta, lease, epochs, order, names:a, names:b, identity. Keys of
stored responses are made of a prefix; all keys have one hash tag, so one slot of a cluster.
A member of `order` has the score `store number * 8192 + size in units of 256 bytes`.
"""

CHAIN = b"CHAIN"
"""Reply of a script that changed nothing: the chain is broken."""
TAKEN = b"TAKEN"
"""Reply of `OPEN` while the lease of another process runs."""
COMPLETE_FIELD = "_"
"""Field of the epochs' hash; where it is missing, the epochs are not all there."""

_ORDER = """
local bytes = 0
if redis.call('EXISTS', KEYS[4]) == 1 then
  bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
end
local function size_of(score) return (tonumber(score) % 8192) * 256 end
local function forget(key)
  local score = redis.call('ZSCORE', KEYS[4], key)
  if score then
    redis.call('ZREM', KEYS[4], key)
    bytes = bytes - size_of(score)
  end
  return redis.call('DEL', prefix .. key)
end
local function pop_oldest(count)
  if count == 0 then return 0, 0 end
  local oldest, removed = redis.call('ZPOPMIN', KEYS[4], count), 0
  if #oldest == 0 then bytes = 0 end
  for i = 1, #oldest, 2 do
    removed = removed + redis.call('DEL', prefix .. oldest[i])
    bytes = bytes - size_of(oldest[i + 1])
  end
  return removed, #oldest / 2
end
"""

_FENCE = """
local me, gen, n, state, lease_ms, prefix = unpack(ARGV, 1, 6)
local found = redis.call('HMGET', KEYS[1], 'holder', 'gen', 'n')
if found[1] ~= me or found[2] ~= gen or found[3] ~= n
  or (state == 'complete' and redis.call('HEXISTS', KEYS[3], '_') == 0) then
  return {'CHAIN', 0, 0, 0}
end
"""

_DONE = """
redis.call('HSET', KEYS[1], 'bytes', string.format('%.0f', bytes))
redis.call('HSET', KEYS[2], 'holder', me)
redis.call('PEXPIRE', KEYS[2], lease_ms)
return {'OK', redis.call('HINCRBY', KEYS[1], 'n', 1), bytes, evicted}
"""

READ = """#!lua flags=no-writes
local found = redis.call('HMGET', KEYS[1], 'holder', 'gen', 'n')
return {found[1], found[2], found[3], redis.call('GET', KEYS[2])}
"""
"""KEYS: meta, a response. The chain, and the value."""

RENEW = """#!lua flags=allow-oom
local found = redis.call('HMGET', KEYS[1], 'holder', 'gen', 'n')
if found[1] == ARGV[1] then
  redis.call('HSET', KEYS[2], 'holder', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return {found[1], found[2], found[3], redis.call('HEXISTS', KEYS[3], '_')}
"""
"""KEYS: meta, lease, epochs. ARGV: holder, lease in ms. The chain, and whether epochs are whole."""

RELEASE = """#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
"""KEYS: lease. ARGV: holder."""

OPEN = """#!lua flags=allow-oom
local me, lease_ms, holder, gen, n, new_gen, new_n, run_id, schema, keeps, term = unpack(ARGV)
local owner = redis.call('HGET', KEYS[2], 'holder')
local last_term = tonumber(redis.call('HGET', KEYS[1], 'term') or '0')
local is_of_fleet = term ~= '0' and last_term > 0
if (owner and owner ~= me and not is_of_fleet) or (is_of_fleet and last_term > tonumber(term)) then
  return {'TAKEN'}
end
local found = redis.call('HMGET', KEYS[1], 'holder', 'gen', 'n')
if (found[1] or '') ~= holder or (found[2] or '') ~= gen or (found[3] or '0') ~= n then
  return {'CHAIN'}
end
if keeps == '0' then redis.call('UNLINK', KEYS[3], KEYS[5]) end
if gen ~= new_gen then
  redis.call('DEL', KEYS[1])
  redis.call('PEXPIRE', KEYS[4], 86400000)
end
redis.call('HSET', KEYS[1], 'holder', me, 'gen', new_gen, 'n', new_n, 'run_id', run_id,
  'schema', schema, 'term', term, 'whole', 0)
redis.call('HSET', KEYS[2], 'holder', me)
redis.call('PEXPIRE', KEYS[2], lease_ms)
return {'OK'}
"""
"""KEYS: meta, lease, epochs, order as they were, epochs from now on.

ARGV: holder, lease in ms, the chain as it was read, the chain from now on, run id of the server,
schema, whether the epochs are kept, term of the fleet's leader (0 without a fleet). Leaders are
distinguished by their terms, other processes by the lease.
"""

HAND_OVER = """#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HSET', KEYS[1], 'whole', 1) end
"""
"""KEYS: meta. ARGV: holder, which has written everything and writes no more invalidation."""

BATCH = f"""#!lua flags=allow-oom
{_FENCE}{_ORDER}
local floor, identity, max_names, crowd = unpack(ARGV, 7, 10)
local at = 11
local function list()
  local first = at + 1
  at = first + tonumber(ARGV[at])
  return first, at - 1
end
local function set_all(key, first, last)
  for i = first, last, 1000 do
    redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, last)))
  end
end
if floor ~= '0' then redis.call('HSET', KEYS[1], 'floor', floor) end
if identity ~= '' then redis.call('SET', KEYS[7], identity) end
local first, last = list()
for i = first, last do forget(ARGV[i]) end
first, last = list()
set_all(KEYS[3], first, last)
first, last = list()
set_all(KEYS[5], first, last)
if redis.call('HLEN', KEYS[5]) >= tonumber(max_names) then
  redis.call('RENAME', KEYS[5], KEYS[6])
end
if state == 'completing' then redis.call('HSET', KEYS[3], '_', 1) end
local evicted = pop_oldest(tonumber(crowd))
{_DONE}"""
"""Changes of everything but responses; passes while Redis is out of memory.

ARGV: holder, gen, n, state of the epochs (`complete`: they must be; `partial`; `completing`),
lease in ms, prefix of responses; floor and identity ('0' and '': as they are), bound of names, how
many of the oldest responses to evict; then three lists, each after its length: keys to delete,
epochs as tag and seq, names as name and id.
"""

PUT = f"""#!lua
{_FENCE}{_ORDER}
local limit = tonumber(ARGV[7])
local stored = tonumber(redis.call('HGET', KEYS[1], 'stored') or '0')
for i = 9, #ARGV, 3 do
  local key, value = ARGV[i], ARGV[i + 1]
  forget(key)
  redis.call('SET', prefix .. key, value, 'PX', ARGV[i + 2])
  stored = stored + 1
  local units = math.ceil((#value + 512) / 256)
  redis.call('ZADD', KEYS[4], string.format('%.0f', stored * 8192 + units), key)
  bytes = bytes + units * 256
end
redis.call('HSET', KEYS[1], 'stored', string.format('%.0f', stored), 'newest', ARGV[8])
for _ = 1, 64 do
  local oldest = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if not oldest or redis.call('EXISTS', prefix .. oldest) == 1 then break end
  forget(oldest)
end
local evicted, popped, count = 0, 0, 1
while bytes > limit and popped < 512 do
  local removed, number = pop_oldest(count)
  evicted, popped, count = evicted + removed, popped + number, math.min(2 * count, 64)
end
{_DONE}"""
"""Responses; refused by Redis while it is out of memory.

What has expired at the old end leaves `order` first; then the oldest are evicted.
ARGV: as BATCH up to the prefix; bound in bytes, when the newest response was requested; then
key, value and lifetime in ms of each.
"""

PRUNE = f"""#!lua flags=allow-oom
{_FENCE}
local cursor, fields = unpack(redis.call('HSCAN', KEYS[3], ARGV[7], 'COUNT', 1000))
local floor = tonumber(ARGV[8])
for i = 1, #fields, 2 do
  if fields[i] ~= '_' and tonumber(fields[i + 1]) < floor then
    redis.call('HDEL', KEYS[3], fields[i])
  end
end
return {{'OK', cursor}}
"""
"""Removes epochs below the floor, some at a time. ARGV: as BATCH to the prefix; cursor, floor."""

SWEEP = """#!lua flags=allow-oom
local oldest = redis.call('ZPOPMIN', KEYS[1], 256)
for i = 1, #oldest, 2 do redis.call('UNLINK', ARGV[1] .. oldest[i]) end
return #oldest / 2
"""
"""Removes responses of an earlier generation, some at a time. KEYS: its order. ARGV: its prefix."""
