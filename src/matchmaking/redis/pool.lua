-- What a node can ask for. Whoever's lease is over is told so and nothing else: what it asked may be long ago.

local command = {}

local function time_to_live()
  return redis.call('PTTL', P .. 'node:' .. SESSION)
end

-- Takes out of the queues whatever a session has left in them.
local function purge(session)
  redis.call('DEL', P .. 'tickets:' .. session, P .. 'node:' .. session)
  redis.call('ZREM', P .. 'sessions', session)
  for _, key in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if member:sub(-#session - 1) == '@' .. session then redis.call('ZREM', key, member) end
    end
  end
end

-- The random half of the key that networks are marked with, for this day and the one before. Redis has it for two days
-- and never the other half, and a node that has one already brings it back to a Redis that was emptied.
local function salts(known)
  local day = 86400000000
  local now = microseconds()
  local today = math.floor(now / day)
  table.insert(answer, string.format('%.0f', now))
  table.insert(answer, string.format('%.0f', today))
  table.insert(answer, string.format('%.0f', (today + 1) * day - now))
  for index, number in ipairs({ today, today - 1 }) do
    local key = P .. 'salt:' .. string.format('%.0f', number)
    local own = known[string.format('%.0f', number)] or known['fresh' .. index]
    redis.call('SET', key, own, 'NX', 'PX', math.ceil(((number + 2) * day - now) / 1000))
    table.insert(answer, redis.call('GET', key))
  end
end

-- Begins a session in place of an earlier one: its relay's host, whether that has TLS, from which moment on reports are
-- wanted, and what the node knows of salts. Tells whether everything was lost since anybody was here.
function command.register(before, host, tls, since, known)
  local emptied = redis.call('EXISTS', P .. 'alive') == 0
  purge(before)
  redis.call('HSET', P .. 'node:' .. SESSION, 'node', NODE, 'host', host, 'tls', tls)
  command.beat(known)
  table.insert(answer, emptied and '1' or '0')
  for _, report in ipairs(redis.call('ZRANGE', P .. 'reports', '(' .. since, '+inf', 'BYSCORE')) do
    table.insert(answer, report)
  end
end

-- Another lease, for this node and for what all of them share; and those that are gone are seen off. Tells the time, the
-- salts, and who is there.
function command.beat(known)
  local now = microseconds()
  redis.call('ZADD', P .. 'sessions', string.format('%.0f', now), SESSION)
  for _, gone in ipairs(redis.call('ZRANGE', P .. 'sessions', '-inf', string.format('%.0f', now - LEASE * 1000), 'BYSCORE')) do
    purge(gone)
  end
  redis.call('PEXPIRE', P .. 'node:' .. SESSION, LEASE)
  redis.call('PEXPIRE', P .. 'tickets:' .. SESSION, LEASE)
  redis.call('PEXPIRE', P .. 'sessions', 2 * LEASE)
  redis.call('SET', P .. 'alive', 1, 'PX', 2 * LEASE)
  redis.call('PEXPIRE', P .. 'queues', 2 * LEASE)
  for _, key in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    if redis.call('PEXPIRE', key, 2 * LEASE) == 0 then redis.call('SREM', P .. 'queues', key) end
  end
  salts(cjson.decode(known))
  local nodes = {}
  for _, session in ipairs(redis.call('ZRANGE', P .. 'sessions', 0, -1)) do
    local node = redis.call('HGET', P .. 'node:' .. session, 'node')
    if node then table.insert(nodes, node) end
  end
  table.insert(answer, table.concat(nodes, ','))
end

function command.close()
  purge(SESSION)
  redis.call('DEL', P .. 'inbox:' .. NODE)
end

-- These words need not lie in the inbox any more.
function command.heard(...)
  redis.call('HDEL', P .. 'inbox:' .. NODE, ...)
end

-- How many of this node wait, and what it was told and has not heard.
function command.look()
  table.insert(answer, tostring(redis.call('HLEN', P .. 'tickets:' .. SESSION)))
  for _, word in ipairs(redis.call('HVALS', P .. 'inbox:' .. NODE)) do table.insert(answer, word) end
end

-- Which tickets of this node wait.
function command.list()
  for _, id in ipairs(redis.call('HKEYS', P .. 'tickets:' .. SESSION)) do table.insert(answer, id) end
end

function command.join(id, packed, now, call)
  local one = ticket(id .. '@' .. SESSION, packed)
  if redis.call('HEXISTS', P .. 'tickets:' .. SESSION, id) == 1 then take(one) end
  place(one, tonumber(now), call)
end

-- Somebody's role has stopped to count, or a meeting has faded.
function command.retry(id, now, call)
  local one = ticket(id .. '@' .. SESSION)
  local other = one and oldest_fit(one, tonumber(now))
  if other then
    take(one)
    take(other)
    meet(one, other, call)
  end
end

function command.leave(id)
  local one = ticket(id .. '@' .. SESSION)
  if one then take(one) end
end

-- A match that is not made yet, as this side sees it: itself and the other.
local function match_of(call, side)
  local a, b, packed_a, packed_b, yes_a, yes_b, at =
    unpack(redis.call('HMGET', P .. 'match:' .. call, 'a', 'b', 'packed_a', 'packed_b', 'yes_a', 'yes_b', 'at'))
  if not a then return nil end
  local one, other = ticket(a, packed_a), ticket(b, packed_b)
  one.yes, other.yes = yes_a, yes_b
  if side == 'a' then return one, other, tonumber(at) end
  return other, one, tonumber(at)
end

-- Ends a match that is not made; the other goes back to their place, or straight into another match.
local function undo(call, other, now, next_call)
  redis.call('DEL', P .. 'match:' .. call)
  local lives = redis.call('EXISTS', P .. 'node:' .. other.session) == 1
  tell(other.node, { t = 'void', call = call, ticket = other.id, placed = lives })
  if lives then
    take(other)
    place(other, now, next_call)
  end
end

-- This side agrees. Once both do, the match is made.
function command.accept(call, side, id)
  local one, other = match_of(call, side)
  if not one or one.session ~= SESSION then
    table.insert(answer, cjson.encode({ t = 'void', call = call, ticket = id, placed = false }))
    return
  end
  -- It may have been put in anew since.
  take(one)
  redis.call('HSET', P .. 'match:' .. call, 'yes_' .. side, 1)
  if other.yes then
    table.insert(answer, cjson.encode({ t = 'made', call = call, ticket = one.id, peer = other.node }))
    tell(other.node, { t = 'made', call = call, ticket = other.id, peer = one.node })
  end
end

-- This side has moved on.
function command.refuse(call, side, now, next_call)
  local one, other = match_of(call, side)
  if one and not (one.yes and other.yes) then undo(call, other, tonumber(now), next_call) end
end

-- This side has waited for the other's word for a while. A node that does not answer has no place in the queues: if it
-- lives, it is told with the next thing it asks for, and puts everybody in again.
function command.resolve(call, side, id, now, next_call)
  local one, other, at = match_of(call, side)
  if not one then
    table.insert(answer, cjson.encode({ t = 'void', call = call, ticket = id, placed = false }))
  elseif one.yes and other.yes then
    table.insert(answer, cjson.encode({ t = 'made', call = call, ticket = one.id, peer = other.node }))
  elseif at + ANSWER * 1000 <= microseconds() then
    redis.call('DEL', P .. 'match:' .. call)
    if not other.yes then purge(other.session) end
    undo(call, one, tonumber(now), next_call)
  end
end

-- Two have talked.
function command.apart(one, other, until_)
  for visitor, partner in pairs({ [one] = other, [other] = one }) do
    redis.call('ZADD', P .. 'recent:' .. visitor, until_, partner)
    redis.call('PEXPIRE', P .. 'recent:' .. visitor, RECENT)
  end
end

function command.forget(visitor)
  for _, partner in ipairs(redis.call('ZRANGE', P .. 'recent:' .. visitor, 0, -1)) do
    redis.call('ZREM', P .. 'recent:' .. partner, visitor)
  end
  redis.call('DEL', P .. 'recent:' .. visitor)
end

-- Two are kept strictly apart, for what costs nobody anything to do.
function command.strict(one, other, until_, now)
  both_ways('lesser', 'v' .. one, 'v' .. other, until_, tonumber(now))
end

-- The same by a report that counts: the two of them, by their networks where they have two, and who comes to it where it
-- is one.
function command.never(one, other, near, far, same, newcomer, until_, now)
  now = tonumber(now)
  both_ways('counted', 'v' .. one, 'v' .. other, until_, now)
  if near == '' or far == '' then return end
  if same == '1' then
    bar_newcomers(one, far, newcomer, until_, now)
    bar_newcomers(other, near, newcomer, until_, now)
  else
    both_ways('counted', 'v' .. one, 'n' .. far, until_, now)
    both_ways('counted', 'v' .. other, 'n' .. near, until_, now)
    both_ways('counted', 'n' .. near, 'n' .. far, until_, now)
  end
end

-- What was reported: all nodes hear of it, now and when they come back.
function command.report(text)
  local reports = P .. 'reports'
  local now = microseconds()
  redis.call('ZADD', reports, string.format('%.0f', now), text)
  redis.call('ZREMRANGEBYSCORE', reports, '-inf', string.format('%.0f', now - NEVER * 1000))
  redis.call('ZREMRANGEBYRANK', reports, 0, -MAX_BARS - 1)
  redis.call('PEXPIRE', reports, NEVER)
  redis.call('PUBLISH', P .. 'all', text)
end

-- Somebody of a network has left a match with a visitor before there was a conversation.
function command.drop(network, visitor, same, until_, now)
  local key = P .. 'drops:' .. network .. ':' .. visitor
  local first = redis.call('HGET', key, 'first')
  if not first or tonumber(first) + RECENT * 1000 <= tonumber(now) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'first', now)
    redis.call('PEXPIRE', key, RECENT)
  end
  local count = redis.call('HINCRBY', key, 'count', 1)
  if count >= DROPS and same ~= '1' then both_ways('lesser', 'v' .. visitor, 'n' .. network, until_, tonumber(now)) end
end

local what = ARGV[3]
if what ~= 'register' and time_to_live() < 0 then return { 'fenced' } end
command[what](unpack(ARGV, 4))
return answer
