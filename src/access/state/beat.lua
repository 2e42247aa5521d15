-- Notes that a replica lives, and lists all replicas.
--
-- KEYS[1]: a hash. A replica's name leads to `last beat,version seen,version joined with`, `version` to the present one, and
-- `server` to the run_id of the Redis that last kept the list, and since when. Each join, leave and loss makes a new version: a
-- time in µs, so that none comes again after Redis has lost its data.
-- ARGV: the replica, the channel on which changes are told, the version that it has seen and the run_id of the Redis that it saw it
-- of, after how many ms of silence a replica is forgotten; then, by name and last beat, those that it knows and Redis has lost.
-- Answers: version, run_id, version joined with, now in µs, since when this Redis keeps the list in ms; then of each replica name, last beat in ms, version seen.
local replica, channel, seen, seen_of, forgotten_after = unpack(ARGV, 1, 5)
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now = math.floor(now_us / 1000)
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''

local version, members, is_changed = 0, {}, false
local kept_by, kept_since
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'version' then
        version = tonumber(value)
    elseif name == 'server' then
        kept_by, kept_since = string.match(value, '^(%x*),(%d+)$')
    else
        local beat, seen_there, joined = string.match(value, '^(%d+),(%d+),(%d+)$')
        members[name] = { tonumber(beat), tonumber(seen_there), tonumber(joined) }
    end
end

if kept_by ~= run_id then
    kept_since = now
    redis.call('HSET', KEYS[1], 'server', string.format('%s,%.0f', run_id, now))
end

local function is_forgotten(beat)
    return now - beat > tonumber(forgotten_after)
end
for name, member in pairs(members) do
    if is_forgotten(member[1]) and name ~= replica then
        members[name] = nil
        redis.call('HDEL', KEYS[1], name)
        is_changed = true
    end
end

local next_version = math.max(version + 1, now_us)
local function note(name)
    local member = members[name]
    local value = string.format('%.0f,%.0f,%.0f', member[1], member[2], member[3])
    redis.call('HSET', KEYS[1], name, value)
end
for i = 6, #ARGV, 2 do
    local name, beat = ARGV[i], tonumber(ARGV[i + 1])
    if not members[name] and not is_forgotten(beat) then
        members[name] = { beat, 0, next_version }
        note(name)
        is_changed = true
    end
end

if members[replica] then
    -- What was seen of another Redis, or of this one before it was emptied, says nothing of what is here now.
    local is_of_here = seen_of == run_id
    members[replica][1] = now
    members[replica][2] = is_of_here and tonumber(seen) or 0
else
    members[replica] = { now, 0, next_version }
    is_changed = true
end
note(replica)
if is_changed then
    version = next_version
    redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
    redis.call('PUBLISH', channel, replica)
end

local answer = { version, run_id, members[replica][3], now_us, tonumber(kept_since) }
for name, member in pairs(members) do
    answer[#answer + 1] = name
    answer[#answer + 1] = member[1]
    answer[#answer + 1] = member[2]
end
return answer
