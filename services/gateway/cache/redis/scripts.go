package redis

import goredis "github.com/redis/go-redis/v9"

// A key holds a value or a mark, told apart by the first byte.
const (
	valueTag = '='
	markTag  = '-'
)

// The scripts' clock is Redis' own, in microseconds, so that processes with
// different clocks agree. Lua's numbers are exact up to 2^53, the year 2255.

// takeScript is cache.Quota.Take: KEYS[1] the bucket, ARGV[1] the step, ARGV[2]
// the size. It answers whether, what is left, and the wait. No bucket is emptier
// than empty, as another Redis with an earlier clock may have taken over. One
// that is full again is not kept.
var takeScript = goredis.NewScript(`
local t = redis.call('TIME')
local now, step = t[1] * 1000000 + t[2], tonumber(ARGV[1])
local size = ARGV[2] * step
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.max(now, math.min(full, now + size))
local over = full + step - now - size
if over <= 0 then
  full = full + step
end
redis.call('SET', KEYS[1], full, 'PX', math.ceil((full - now) / 1000))
if over > 0 then
  return {0, 0, over}
end
return {1, math.floor((now + size - full) / step), 0}
`)

// getScript answers the time and what KEYS[1] holds.
var getScript = goredis.NewScript(`
local t = redis.call('TIME')
return {t[1] * 1000000 + t[2], redis.call('GET', KEYS[1])}
`)

// putScript sets KEYS[1] to ARGV[4] if it still holds ARGV[1], as at the time
// ARGV[2], until ARGV[3] microseconds after that, or after now if the clock has
// gone back.
var putScript = goredis.NewScript(`
local t = redis.call('TIME')
local ttl = tonumber(ARGV[3])
local rest = math.min(ttl, ARGV[2] + ttl - (t[1] * 1000000 + t[2]))
if rest < 1000 or (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return {}
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', math.floor(rest / 1000))
return {}
`)

// invalidateScript sets all KEYS to the mark ARGV[1] for ARGV[2] milliseconds.
var invalidateScript = goredis.NewScript(`
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return {}
`)
