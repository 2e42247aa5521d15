-- The account of one budget in one window: hears a replica and grants it what there is, step by step as `Account` does.
--
-- KEYS[1] is a hash: `spent` and `held` by all, `holders` of more than nothing, and of each replica "seq settled held" under
-- "=" and its name. Amounts are whole nano-dollars. Doubles hold them exactly up to 2^53, but are to be written in full.
--
-- ARGV: the life of Redis that the replica believes in, and whether all have told that life what they hold (1 or 0); how long the
-- key lives (ms, 0: for ever); the channel and name by which others are prompted to give back what they do not need; the ask
-- (replica, seq, limit, settled, held, need, want, spare); and, of others, what the replica knows (name, seq, settled, held …).
--
-- Answers {run_id, heard, is_open, granted, spent, held}.

local key = KEYS[1]
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function number(index)
  return tonumber(ARGV[index])
end

local function text(amount)
  return string.format('%.0f', amount)
end

local sums = redis.call('HMGET', key, 'spent', 'held', 'holders')
local spent, held, holders = tonumber(sums[1] or 0), tonumber(sums[2] or 0), tonumber(sums[3] or 0)

local function read(replica)
  local share = redis.call('HGET', key, '=' .. replica)
  if not share then
    return 0, 0, 0
  end
  local seq, has_settled, has_held = string.match(share, '(%d+) (%d+) (%d+)')
  return tonumber(seq), tonumber(has_settled), tonumber(has_held)
end

local function write(replica, seq, now_settled, now_held, was_settled, was_held)
  spent = spent - was_settled + now_settled
  held = held - was_held + now_held
  holders = holders - (was_held > 0 and 1 or 0) + (now_held > 0 and 1 or 0)
  redis.call('HSET', key, '=' .. replica, text(seq) .. ' ' .. text(now_settled) .. ' ' .. text(now_held))
end

-- The newest word on each share counts.
local function hear(replica, seq, now_settled, now_held)
  local known, was_settled, was_held = read(replica)
  if seq <= known then
    return known, was_held
  end
  write(replica, seq, now_settled, now_held, was_settled, was_held)
  return seq, now_held
end

for at = 14, #ARGV, 4 do
  hear(ARGV[at], number(at + 1), number(at + 2), number(at + 3))
end

local replica, seq, limit = ARGV[6], number(7), number(8)
local need, want, spare = number(11), number(12), number(13)
local known = read(replica)
local heard, own = hear(replica, seq, number(9), number(10))
local is_news = seq > known
local is_open = ARGV[1] == run_id and ARGV[2] == '1'
local spent_before, held_before = spent, held
local room = math.max(0, limit - spent - held)
local granted = 0
if is_open and is_news and room >= need then
  local wanted = math.min(want, room)
  local sharing = holders + (own > 0 and 0 or 1)
  granted = wanted + math.min(spare, math.floor((room - wanted) / (2 * sharing)))
  if granted > 0 then
    write(replica, seq, number(9), own + granted, number(9), own)
  end
end

redis.call('HSET', key, 'spent', text(spent), 'held', text(held), 'holders', text(holders))
if number(3) > 0 then
  redis.call('PEXPIRE', key, ARGV[3])
end
if is_open and granted < want and held_before > own then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return { run_id, heard, is_open and 1 or 0, granted, spent_before, held_before + granted }
