-- Who meets whom: the rule of `pairing.rs`, over queues that all nodes share. Times are microseconds of the engine's clock.
--
-- A ticket is a field of its node's hash, which expires with the node's lease; so whoever stands in a queue without one is
-- a ghost, and is taken out by whoever comes across it.

local ROLES = { 't', 'l', 'e' }
-- What this node is told, in order.
local answer = { 'ok' }

local function ticket(member, packed)
  local id, session = member:match('^(%x+)@(%x+)$')
  packed = packed or redis.call('HGET', P .. 'tickets:' .. session, id)
  if not packed then return nil end
  local node, visitor, languages, role, avoid, joined, marks, struggling =
    packed:match('^(%x+)|(%x+)|([%l,]+)|(%l)|(%d)|(%d+)|([%x,]*)|(%d)$')
  local it = { member = member, id = id, session = session, packed = packed, node = node, visitor = visitor,
    languages = languages, role = role, avoid = avoid == '1', struggling = struggling == '1',
    joined = tonumber(joined), networks = {} }
  for mark in marks:gmatch('%x+') do
    if #it.networks < 2 then table.insert(it.networks, mark) end
  end
  return it
end

-- Those who are struggling badly stand in queues of their own, since two of them never meet.
local function queue(tag, role, struggling)
  return P .. 'queue:' .. tag .. ':' .. role .. (struggling and ':s' or '')
end

local function each_queue(one, what)
  for tag in one.languages:gmatch('%l+') do what(queue(tag, one.role, one.struggling)) end
end

-- The order of waiting: who joined first, and between equals who has the lower number.
local function is_before(joined, member, other_joined, other_member)
  return joined < other_joined or (joined == other_joined and member < other_member)
end

local function complement(one, other)
  return one == 'e' or other == 'e' or one ~= other
end

-- Who of those waiting fits, and has waited longest.
local function oldest_fit(one, now)
  local known = known_of(one)
  local widened = one.joined + WIDEN <= now
  local best
  local function look(key, any_age)
    local from = 0
    while true do
      -- Nearly always it is the first.
      local some = redis.call('ZRANGE', key, from, from == 0 and 0 or from + 31, 'WITHSCORES')
      if #some == 0 then return end
      for index = 1, #some, 2 do
        local member, joined = some[index], tonumber(some[index + 1])
        if not any_age and joined + WIDEN > now then return end
        if best and not is_before(joined, member, best.joined, best.member) then return end
        local other = ticket(member)
        if not other then
          redis.call('ZREM', key, member)
        else
          from = from + 1
          if other.visitor ~= one.visitor and not are_apart(known, one, other, now) then
            best = other
            return
          end
        end
      end
    end
  end
  for tag in one.languages:gmatch('%l+') do
    for _, role in ipairs(ROLES) do
      local any_age = widened or complement(one.role, role)
      look(queue(tag, role, false), any_age)
      if not one.struggling then look(queue(tag, role, true), any_age) end
    end
  end
  return best
end

local function take(one)
  redis.call('HDEL', P .. 'tickets:' .. one.session, one.id)
  each_queue(one, function(key) redis.call('ZREM', key, one.member) end)
end

local function insert(one)
  local tickets = P .. 'tickets:' .. one.session
  redis.call('HSET', tickets, one.id, one.packed)
  if redis.call('PTTL', tickets) < 0 then
    redis.call('PEXPIRE', tickets, math.max(1, redis.call('PTTL', P .. 'node:' .. one.session)))
  end
  each_queue(one, function(key)
    redis.call('ZADD', key, string.format('%.0f', one.joined), one.member)
    redis.call('PEXPIRE', key, 2 * LEASE)
    redis.call('SADD', P .. 'queues', key)
  end)
  redis.call('PEXPIRE', P .. 'queues', 2 * LEASE)
end

-- Tells a node something. To this one it is the answer; to others a hint, and the truth is in its inbox.
local function tell(node, word)
  local text = cjson.encode(word)
  if node == NODE then
    table.insert(answer, text)
    return
  end
  local inbox = P .. 'inbox:' .. node
  redis.call('HSET', inbox, word.t .. word.call, text)
  redis.call('PEXPIRE', inbox, LEASE)
  redis.call('PUBLISH', P .. 'to:' .. node, text)
end

local function microseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Brings two together. Where they are on two nodes, each has to agree; the relay is one of these two, by a coin.
local function meet(one, other, call)
  local older, newer = one, other
  if is_before(other.joined, other.member, one.joined, one.member) then older, newer = other, one end
  if one.session == other.session then
    tell(one.node, { t = 'both', call = call, older = older.id, newer = newer.id })
    return
  end
  local coin = tonumber(call:sub(-1), 16) % 2 == 0 and older or newer
  local relay = redis.call('HMGET', P .. 'node:' .. coin.session, 'host', 'tls')
  local match = P .. 'match:' .. call
  redis.call('HSET', match, 'a', older.member, 'b', newer.member, 'packed_a', older.packed, 'packed_b', newer.packed,
    'at', string.format('%.0f', microseconds()))
  redis.call('PEXPIRE', match, LEASE)
  local function offer(side, own, partner)
    tell(own.node, { t = 'offer', call = call, side = side, ticket = own.id, partner = partner.packed,
      host = relay[1] or '', tls = relay[2] == '1' })
  end
  offer('a', older, newer)
  offer('b', newer, older)
end

-- Puts somebody in, or pairs them at once.
local function place(one, now, call)
  local other = oldest_fit(one, now)
  if other then
    take(other)
    meet(one, other, call)
  else
    insert(one)
  end
end
