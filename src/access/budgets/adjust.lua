-- What operators have added to one budget in one window: hears of adjustments, and tells of all.
--
-- KEYS[1] is a hash: of each adjustment, under its id, "kind amount". What is there stays as it is.
--
-- ARGV: how long the key lives (ms, 0: for ever); the channel and name by which all replicas are prompted when there are new
-- ones; and those that the replica knows (id, adjustment …).
--
-- Answers {id, adjustment, …}.

local is_news = false
for at = 4, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 1 then
    is_news = true
  end
end
if is_news then
  if tonumber(ARGV[1]) > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
