-- What wrk asks for: arguments are a prefix of 12 hex digits, how many different boards, the
-- body's size, and how many requests later each is asked for once more (0: not).

local prefix, different, size, again
local n = 0
local ready = {}

function init(args)
  prefix, different, size, again = args[1], tonumber(args[2]), args[3], tonumber(args[4])
end

local function ask(number)
  return wrk.format("GET", string.format("/1/boards/%s%012x/cards?limit=%s", prefix, number, size))
end

function request()
  n = n + 1
  if different <= 1000 then
    local number = n % different
    ready[number] = ready[number] or ask(number)
    return ready[number]
  end
  if again > 0 then
    local number = math.floor(n / 2)
    return ask(n % 2 == 0 and number or math.max(0, number - again))
  end
  return ask(n)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "FIGURES %d %.0f %.0f %.0f %.0f %d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
