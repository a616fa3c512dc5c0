-- Who is not to meet whom: `bars.rs`, and who has just talked. Each bar is kept from both ends, so that it is enough to
-- look at what is known of one of the two, which is nothing of nearly everybody.

-- What is known of somebody; nil when it is nothing.
local function known_of(one)
  local recent, own, late = P .. 'recent:' .. one.visitor, { 'v' .. one.visitor }, { P .. 'late:v' .. one.visitor }
  for _, network in ipairs(one.networks) do
    table.insert(own, 'n' .. network)
    table.insert(late, P .. 'late:n' .. network)
  end
  local bars = {}
  for _, name in ipairs(own) do table.insert(bars, P .. 'bar:' .. name) end
  local keys = { recent }
  for _, key in ipairs(bars) do table.insert(keys, key) end
  for _, key in ipairs(late) do table.insert(keys, key) end
  if redis.call('EXISTS', unpack(keys)) == 0 then return nil end
  return { recent = recent, bars = bars }
end

-- Whether somebody came to a network, in which a report was made, after it.
local function is_late(whose, one, later)
  local list = redis.call('ZRANGE', P .. 'late:v' .. whose, 0, -1, 'WITHSCORES')
  for index = 1, #list, 2 do
    local network, first = list[index]:match('^(%x+):(%x+)$')
    if later < tonumber(list[index + 1]) and one.visitor >= first then
      for _, own in ipairs(one.networks) do
        if own == network then return true end
      end
    end
  end
  return false
end

local function are_apart(known, one, other, now)
  if not known then return false end
  if one.avoid or other.avoid then
    local until_ = redis.call('ZSCORE', known.recent, other.visitor)
    if until_ and tonumber(until_) > now then return true end
  end
  -- A bar is about two waits: it counts for as long as it stood when the later of them began.
  local later = math.max(one.joined, other.joined)
  local names = { 'v' .. other.visitor }
  for _, network in ipairs(other.networks) do table.insert(names, 'n' .. network) end
  for _, key in ipairs(known.bars) do
    for _, until_ in ipairs(redis.call('ZMSCORE', key, unpack(names))) do
      if until_ and later < tonumber(until_) then return true end
    end
  end
  return is_late(one.visitor, other, later) or is_late(other.visitor, one, later)
end

local function forget_bar(line)
  local kind, from, to, until_ = line:match('^(%l+)>([^>]+)>([^>]+)>(%d+)$')
  local key = P .. kind .. ':' .. from
  local stands = redis.call('ZSCORE', key, to)
  -- It may have been put again since.
  if stands and tonumber(stands) <= tonumber(until_) then redis.call('ZREM', key, to) end
end

-- Puts a bar, and lets the oldest go when there are too many of its order.
local function bar(order, kind, from, to, until_, now)
  local key, list = P .. kind .. ':' .. from, P .. 'order:' .. order
  redis.call('ZADD', key, 'GT', until_, to)
  redis.call('PEXPIRE', key, KEPT)
  redis.call('ZADD', list, string.format('%.0f', now), kind .. '>' .. from .. '>' .. to .. '>' .. until_)
  redis.call('PEXPIRE', list, KEPT)
  while redis.call('ZCARD', list) > MAX_BARS do forget_bar(redis.call('ZPOPMIN', list)[1]) end
  local over = redis.call('ZRANGE', list, '-inf', string.format('%.0f', now - KEPT * 1000), 'BYSCORE', 'LIMIT', 0, 64)
  for _, line in ipairs(over) do
    forget_bar(line)
    redis.call('ZREM', list, line)
  end
end

local function both_ways(order, one, other, until_, now)
  bar(order, 'bar', one, other, until_, now)
  bar(order, 'bar', other, one, until_, now)
end

-- Within one network everybody would be parted from everybody: there it is whoever came to it since.
local function bar_newcomers(visitor, network, first, until_, now)
  bar('counted', 'late', 'v' .. visitor, network .. ':' .. first, until_, now)
  redis.call('SET', P .. 'late:n' .. network, 1, 'PX', KEPT)
end
