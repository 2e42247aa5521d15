-- Removes a replica that leaves or is forgotten.
--
-- KEYS[1]: the hash that beat.lua describes.
-- ARGV: the replica, the channel on which changes are told, for how many ms it must have been silent; 0 where it leaves by itself.
-- Answers 1 if it is removed, 0 if it was not there, -1 if it was not silent for so long.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then
    return 0
end
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local silent = math.floor(now_us / 1000) - tonumber(string.match(value, '^%d+'))
local silent_min = tonumber(ARGV[3])
if silent_min > 0 and silent < silent_min then
    return -1
end
redis.call('HDEL', KEYS[1], ARGV[1])
local version = tonumber(redis.call('HGET', KEYS[1], 'version')) or 0
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', math.max(version + 1, now_us)))
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1
