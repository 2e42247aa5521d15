-- Frees what a replica held in an account of slots, which has died.
--
-- KEYS[1] is the account (`account.lua`). ARGV: the life of Redis in which it was looked at, the replica, and the last message that
-- was heard of it by then: if more was heard, it lives. Its messages that are still under way are made too late by far, so that
-- if it lives after all it finds out, and tells what it holds.

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local key, field = KEYS[1], '=' .. ARGV[2]
local share = run_id == ARGV[1] and redis.call('HGET', key, field)
if not share then
  return 0
end
local seq, settled, held = string.match(share, '(%d+) (%d+) (%d+)')
if seq ~= ARGV[3] or held == '0' then
  return 0
end
redis.call('HSET', key, field, string.format('%.0f', tonumber(seq) + 1048576) .. ' ' .. settled .. ' 0')
redis.call('HINCRBY', key, 'held', '-' .. held)
redis.call('HINCRBY', key, 'holders', -1)
return 1
