-- One limit in one window, as all replicas have used it: `log::model` says the same in Rust, and says why.
--
-- KEYS[1]  the log, a hash:
--   epoch        the life of the server that it belongs to
--   born         when it began, in microseconds, which it is known by
--   at           the part of time in which it was last asked
--   sum          what counts; by parts: the field `3` is what may be used until the end of the third part
--   old, new     the first and the last part that may have something
--   awaited      how many replicas have still to say what they have used; whole: 1 when no more are waited for
--   most         the most that one of them had heard of; lost, lost_part: what is counted for those who never answered
--   =replica     `seq part granted at`: its last message, what that was granted, and when it came
--   ?replica     it is waited for
-- ARGV  replica, part's length (µs), window (parts), seq, heard, limit, need (or -1), largest, want, welcome, life,
--       batch, is_anew, born, most, clock, channel and text of the prompt, number of replicas,
--       amendments, uses, and where the log may not be whole the other replicas …
-- Answers {state, born, granted, part, total, wait, wait_largest, reset}; state: 0 counted, 1 report, 2 wait.

local key, replica = KEYS[1], ARGV[1]
local length, parts = tonumber(ARGV[2]), tonumber(ARGV[3])
local seq, heard, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local need, largest, want, welcome = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local life, batch, is_anew = tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13] == '1'
local born, most, clock = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local channel, prompt, replicas = ARGV[17], ARGV[18], tonumber(ARGV[19])
local amendments, uses, OTHERS = ARGV[20], ARGV[21], 22
local LEASE, REPORTS_WITHIN, KEPT = 2, 1000000, 600000

local time = redis.call('TIME')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function text(number) return string.format('%.0f', number) end

local fields = { 'epoch', 'born', 'at', 'sum', 'old', 'new', 'awaited', 'whole', 'most', 'lost', 'lost_part' }
local values, log = redis.call('HMGET', key, unpack(fields)), {}
for index, field in ipairs(fields) do log[field] = tonumber(values[index]) end
local part = math.floor(now / length)

-- Of another life of the server, or of another time.
if values[1] ~= run or log.at - part > parts then
  redis.call('DEL', key)
  redis.call('HSET', key, 'epoch', run)
  log = { born = now }
end
log.sum, log.awaited = log.sum or 0, log.awaited or 0
-- A clock that was set back a little stands still.
part = math.max(part, log.at or 0)
now = math.max(now, part * length)
log.at = part

local function leaves(at) return (at + parts + 1) * length - now end

local function save()
  local saved, gone = {}, {}
  for index = 2, #fields do
    local value = log[fields[index]]
    if value then
      saved[#saved + 1] = fields[index]
      saved[#saved + 1] = text(value)
    else
      gone[#gone + 1] = fields[index]
    end
  end
  redis.call('HSET', key, unpack(saved))
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  redis.call('PEXPIRE', key, text(math.ceil((parts + life + 1) * length / 1000) + KEPT))
end

local function forget_old()
  while log.old and log.old + parts + 1 <= part do
    local amount = redis.call('HGET', key, text(log.old))
    if amount then
      log.sum = log.sum - tonumber(amount)
      redis.call('HDEL', key, text(log.old))
    end
    log.old = log.old + 1
    if log.old > log.new then log.old, log.new = nil, nil end
  end
end

local function enter(at, amount)
  if amount == 0 or at + parts + 1 <= part then return end
  redis.call('HINCRBY', key, text(at), text(amount))
  log.sum = log.sum + amount
  log.old, log.new = math.min(log.old or at, at), math.max(log.new or at, at)
end

local function take_out(at, amount)
  local there = tonumber(redis.call('HGET', key, text(at)) or 0)
  enter(at, -math.min(amount, there))
end

local function wait_for(amount)
  local excess = log.sum - math.max(limit - amount, 0)
  local at = log.old
  while excess > 0 and at <= log.new do
    local last = math.min(at + 49, log.new)
    local names = {}
    for index = at, last do names[#names + 1] = text(index) end
    for index, there in ipairs(redis.call('HMGET', key, unpack(names))) do
      excess = excess - tonumber(there or 0)
      if excess <= 0 then return leaves(at + index - 1) end
    end
    at = last + 1
  end
  return 0
end

-- Replicas of which nothing counts any more, and no message can be under way.
local function forget_replicas()
  local all = redis.call('HGETALL', key)
  for index = 1, #all, 2 do
    if string.sub(all[index], 1, 1) == '=' then
      local last, _, at = string.match(all[index + 1], '^%d+ (%d+) (%d+) (%d+)$')
      if math.max(tonumber(last), tonumber(at)) + parts + 1 <= part then redis.call('HDEL', key, all[index]) end
    end
  end
end

forget_old()

local mine = redis.call('HGET', key, '=' .. replica)
local is_in_touch = born == log.born and (mine or is_anew)
if not is_in_touch and not (is_anew and born == 0) then
  save()
  return { 1, log.born, 0, 0, 0, 0, 0, 0 }
end
local known, given_part, given
if mine then
  known, given_part, given = string.match(mine, '^(%d+) (%d+) (%d+) %d+$')
  known, given_part, given = tonumber(known), tonumber(given_part), tonumber(given)
else
  forget_replicas()
  known, given_part, given = 0, 0, 0
end
local is_news = seq > known
local granted, granted_part = 0, part + life

if is_news then
  -- Its answer was lost.
  if heard < known then take_out(given_part, given) end
  local used = 0
  if batch > known then
    for at, amount in string.gmatch(amendments, '(%d+):(%-?%d+)') do
      at, amount = tonumber(at), tonumber(amount)
      if amount < 0 then take_out(at, -amount) else enter(at, amount) end
    end
    for at, amount in string.gmatch(uses, '(%d+):(%d+)') do
      used = used + tonumber(amount)
      enter(part + LEASE - (clock - tonumber(at)), tonumber(amount))
    end
  end
  if not log.whole then log.most = math.max(log.most or 0, most) end
  if redis.call('HDEL', key, '?' .. replica) == 1 then
    log.awaited = log.awaited - 1
    -- Late: what was counted for it is known now.
    if log.lost then
      local found = math.min(used, log.lost)
      take_out(log.lost_part, found)
      log.lost = log.lost - found
    end
  end
  redis.call('HSET', key, '=' .. replica, text(seq) .. ' ' .. text(granted_part) .. ' 0 ' .. text(part))
end

if not log.whole then
  for index = OTHERS, #ARGV do
    if redis.call('HEXISTS', key, '=' .. ARGV[index]) == 0 then
      log.awaited = log.awaited + redis.call('HSETNX', key, '?' .. ARGV[index], '1')
    end
  end
  if log.awaited > 0 and now - log.born < REPORTS_WITHIN then
    save()
    redis.call('PUBLISH', channel, prompt)
    return { 2, log.born, 0, 0, 0, 0, 0, 0 }
  end
  if log.awaited > 0 then
    log.lost, log.lost_part = math.max((log.most or 0) - log.sum, 0), part + LEASE
    enter(log.lost_part, log.lost)
  end
  log.whole, log.most = 1, nil
end

local wait, wait_largest = 0, 0
if is_news then
  local room = math.max(limit - log.sum, 0)
  local fits = need < 0 or log.sum <= math.max(limit - need, 0)
  if fits then
    -- What is larger than the limit goes alone.
    local wanted = math.max(math.min(want, room), need, 0)
    -- The nearer the limit, the smaller the portions, so that little lies idle with one while another lacks it.
    granted = wanted + math.min(welcome, math.floor(math.max(room - wanted, 0) / (2 * replicas)))
    enter(granted_part, granted)
    redis.call('HSET', key, '=' .. replica,
      text(seq) .. ' ' .. text(granted_part) .. ' ' .. text(granted) .. ' ' .. text(part))
  else
    wait, wait_largest = wait_for(need), wait_for(largest)
  end
end
save()
return { 0, log.born, granted, granted_part, log.sum, wait, wait_largest, log.sum > 0 and leaves(log.new) or 0 }
