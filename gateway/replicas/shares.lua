-- One limit of all replicas, and the share of the one that asks. Times are those of the server.
-- KEYS: 1 the limit (hash), 2 the replicas (hash: name -> "time demand under_way share")
-- ARGV: 1 name, 2 demand, 3 under way, 4 growth, 5 refused (0 or 1), 6 start, 7 highest, 8 seconds of a beat
-- Returns the limit, the share of the replica, and the number of replicas.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local name, beat = ARGV[1], tonumber(ARGV[8])
local highest = tonumber(ARGV[7])
local stored = redis.call('HMGET', KEYS[1], 'value', 'decreased')
local value = tonumber(stored[1]) or tonumber(ARGV[6])
local decreased = tonumber(stored[2]) or 0

local me = { name = name, demand = tonumber(ARGV[2]), under_way = tonumber(ARGV[3]), held = 0 }
local replicas, total, held = { me }, me.under_way, 0
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  if entries[i] ~= name then
    local at, demand, under_way, share = string.match(entries[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
    demand, under_way, share = tonumber(demand), tonumber(under_way), tonumber(share)
    local age = now - tonumber(at)
    if age > 30 * beat then
      redis.call('HDEL', KEYS[2], entries[i])
    else
      -- One that had requests and says nothing for some beats is gone. One without any says little.
      if demand > 0 and age > 3 * beat then demand, under_way, share = 0, 0, 0 end
      total = total + under_way
      -- What it was given is its own until it asks again, and what it has under way until that has ended.
      held = held + math.max(share, under_way)
      replicas[#replicas + 1] = { name = entries[i], demand = demand }
    end
  end
end

value = math.min(highest, value + tonumber(ARGV[4]))
if ARGV[5] == '1' then
  if now - decreased >= 1 then
    value = value * 0.7
    decreased = now
  else
    value = math.min(value, total)
  end
  value = math.max(1, value)
end
redis.call('HSET', KEYS[1], 'value', tostring(value), 'decreased', string.format('%.3f', decreased))
redis.call('EXPIRE', KEYS[1], 3600)

-- Max-min fair: who wants least comes first, and what it leaves is for the others. Among equals the first place goes
-- round, so that a limit below the number of replicas is everybody's in turn.
table.sort(replicas, function(a, b) return a.name < b.name end)
local turn = math.floor(now / beat) % #replicas
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
return { tostring(value), mine, #replicas }
