-- One limit of all replicas, and the share of the one that asks. Times are those of the server.
-- KEYS: 1 the limit (hash), 2 the replicas (hash: name -> "time demand under_way share")
-- ARGV: 1 name, 2 demand, 3 under way, 4 growth, 5 refused (0 or 1), 6 start, 7 highest, 8 seconds of a beat,
--       9 seconds for which a limit that was refused is not to be tried again, 10 under way here when it was,
--       11 whether it may be tried all the same (0 or 1), because answers have become quicker,
--       12 seconds since the replica was answered last (-1: it was not)
-- Returns the limit, the share of the replica, the number of replicas, the latest limit that was too high (0: none), the
-- seconds for which it is not to be tried again, and those since any replica was answered (-1: none was).
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local name, beat = ARGV[1], tonumber(ARGV[8])
local highest = tonumber(ARGV[7])
local stored = redis.call('HMGET', KEYS[1], 'value', 'decreased', 'refused', 'retry_at', 'answered')
local value = tonumber(stored[1]) or tonumber(ARGV[6])
local decreased = tonumber(stored[2]) or 0
local refused, retry_at = tonumber(stored[3]) or 0, tonumber(stored[4]) or 0
local answered, since = tonumber(stored[5]) or -1, tonumber(ARGV[12])
if since >= 0 then answered = math.max(answered, now - since) end

local me = { name = name, demand = tonumber(ARGV[2]), under_way = tonumber(ARGV[3]), held = 0 }
local replicas, held = { me }, 0
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  if entries[i] ~= name then
    local at, demand, under_way, share = string.match(entries[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
    demand, under_way, share = tonumber(demand), tonumber(under_way), tonumber(share)
    local age = now - tonumber(at)
    if age > 30 * beat then
      redis.call('HDEL', KEYS[2], entries[i])
    else
      -- One that had requests and says nothing for some beats is gone, or hangs: its requests may still be under way for
      -- a while. One without any says little.
      if demand > 0 and age > 3 * beat then demand, share = 0, 0 end
      if demand == 0 and age > 10 * beat then under_way = 0 end
      -- What it was given is its own until it asks again, and what it has under way until that has ended.
      held = held + math.max(share, under_way)
      replicas[#replicas + 1] = { name = entries[i], demand = demand }
    end
  end
end

-- What replicas have learned at the same time adds up, but not beyond a limit that is not to be tried again.
local grown = math.min(highest, value + tonumber(ARGV[4]))
local below = math.ceil(refused) - 0.01
if refused > 0 and now < retry_at and ARGV[11] == '0' then grown = math.max(value, math.min(grown, below)) end
value = grown
if value > refused and now >= retry_at then refused = 0 end
if ARGV[5] == '1' then
  -- As many as there were then: a pause, by which most have ended, may have begun since.
  local total = held + tonumber(ARGV[10])
  refused = math.max(1, math.min(value, total + 1))
  retry_at = now + tonumber(ARGV[9])
  if now - decreased >= 1 then
    -- Half of that after a wait (see gateway.admission.controller).
    value = value * (tonumber(ARGV[9]) > 0 and 0.35 or 0.7)
    decreased = now
  else
    value = math.min(value, total)
  end
  value = math.max(1, value)
end
redis.call('HSET', KEYS[1], 'value', tostring(value), 'decreased', string.format('%.3f', decreased),
  'refused', tostring(refused), 'retry_at', string.format('%.3f', retry_at),
  'answered', string.format('%.3f', answered))
redis.call('EXPIRE', KEYS[1], 3600)

-- Max-min fair: who wants least comes first, and what it leaves is for the others. Among equals the first place goes
-- round, so that a limit below the number of replicas is everybody's in turn. Each time a slot is unused until the one
-- before has agreed to have less, so that it goes round slowly while everybody has one.
table.sort(replicas, function(a, b) return a.name < b.name end)
local each = value < #replicas and beat or 10 * beat
local turn = math.floor(now / each) % #replicas
for i, replica in ipairs(replicas) do replica.place = (i + turn) % #replicas end
table.sort(replicas, function(a, b)
  if a.demand ~= b.demand then return a.demand < b.demand end
  return a.place < b.place
end)
local left, mine = math.floor(value), 0
for i, replica in ipairs(replicas) do
  local give = math.min(replica.demand, math.floor(left / (#replicas - i + 1)))
  left = left - give
  if replica.name == name then mine = give end
end
-- What nobody wants is divided, so that a request that comes between two beats need not wait for the next. One without
-- requests, which seldom asks, has room for one.
local spare = math.floor(left / #replicas)
if me.demand == 0 then spare = math.min(1, spare) end
mine = math.max(0, math.min(mine + spare, math.floor(value) - held))

redis.call('HSET', KEYS[2], name, string.format('%.3f %d %d %d', now, me.demand, me.under_way, mine))
redis.call('EXPIRE', KEYS[2], 60)
since = answered < 0 and -1 or math.max(0, now - answered)
return { tostring(value), mine, #replicas, tostring(refused), tostring(math.max(0, retry_at - now)), tostring(since) }
