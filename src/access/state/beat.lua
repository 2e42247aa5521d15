-- Notes that a replica lives, and lists all replicas.
--
-- KEYS[1]: a hash. A replica's name leads to `last beat,version seen,version joined with,told,life`, `version` to the present one, and
-- `era` to `run_id,since,is_new`. Each join, leave and loss makes a new version: a time in µs, so that none comes again after Redis has
-- lost its data. An era is a life of Redis; it is new where nothing was left of the one before. It is settled when every replica
-- has told it what it holds (`told` is its run_id); a new one not before all had the time to come back.
-- ARGV: the replica, its life, the channel on which changes are told, the version that it has seen and the run_id of the Redis that
-- it saw it of, the run_id that it has told, after how many ms of silence a replica is forgotten, after how many another life may take
-- its name, how many ms a new era takes; how many replicas it knows that Redis has lost, and of each name and last beat; then the
-- names of those that are dead, of which it has told what they held.
-- Answers: version, run_id, version joined with, now in µs, since when there is this era in ms, whether the era is settled, whether another life has this name; then of
-- each replica name, last beat in ms, version seen, and whether it has told.
local replica, life, channel, seen, seen_of, told = unpack(ARGV, 1, 6)
local forgotten_after, taken_after, new_for = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now = math.floor(now_us / 1000)
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''

local version, era, members, is_changed = 0, nil, {}, false
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'version' then
        version = tonumber(value)
    elseif name == 'era' then
        local of, since, is_new = string.match(value, '^(%x*),(%d+),(%d)$')
        era = { run_id = of, since = tonumber(since), is_new = is_new == '1' }
    else
        local beat, seen_there, joined, told_there, of = string.match(value, '^(%d+),(%d+),(%d+),(%x*),(%x*)$')
        -- What another version has written is as good as lost.
        members[name] = beat and {
            beat = tonumber(beat), seen = tonumber(seen_there), joined = tonumber(joined), told = told_there, life = of
        }
    end
end
if not era or era.run_id ~= run_id then
    era = { run_id = run_id, since = now, is_new = #fields == 0 }
    redis.call('HSET', KEYS[1], 'era', string.format('%s,%.0f,%d', run_id, now, era.is_new and 1 or 0))
end

local function is_settled()
    for _, member in pairs(members) do
        if member.told ~= run_id then
            return false
        end
    end
    return not (era.is_new and now - era.since < new_for)
end
-- Who joins a settled era holds nothing that it does not know of.
local told_by_new = is_settled() and run_id or ''

local function is_forgotten(beat)
    return now - beat > forgotten_after
end
for name, member in pairs(members) do
    if is_forgotten(member.beat) and name ~= replica then
        members[name] = nil
        redis.call('HDEL', KEYS[1], name)
        is_changed = true
    end
end

local next_version = math.max(version + 1, now_us)
local function note(name)
    local member = members[name]
    local value = string.format(
        '%.0f,%.0f,%.0f,%s,%s', member.beat, member.seen, member.joined, member.told, member.life)
    redis.call('HSET', KEYS[1], name, value)
end
local first = 11
local last = first + 2 * tonumber(ARGV[10]) - 1
for i = first, last, 2 do
    local name, beat = ARGV[i], tonumber(ARGV[i + 1])
    if not members[name] and not is_forgotten(beat) then
        members[name] = { beat = beat, seen = 0, joined = next_version, told = '', life = '' }
        note(name)
        is_changed = true
    end
end
if told == run_id then
    for i = last + 1, #ARGV do
        local member = members[ARGV[i]]
        if member and member.told ~= run_id then
            member.told = run_id
            note(ARGV[i])
        end
    end
end

local own = members[replica]
local is_taken = own and own.life ~= life and now - own.beat < taken_after
local was_listed = own ~= nil
if not is_taken then
    if not own or own.life ~= life then
        own = { joined = next_version, told = own and own.told or told_by_new, life = life }
        is_changed = true
    end
    own.beat = now
    own.told = told == run_id and run_id or own.told
    members[replica] = own
end
if is_changed then
    version = next_version
    redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
    redis.call('PUBLISH', channel, replica)
end
if not is_taken then
    if seen_of == '' then
        -- It knows nothing of anybody, or this answer: nobody has to wait until it says so.
        own.seen = version
    else
        -- What was seen of another Redis, or of this one before it was emptied, says nothing of what is here now.
        own.seen = seen_of == run_id and was_listed and tonumber(seen) or 0
    end
    note(replica)
end

local answer = {
    version, run_id, own.joined, now_us, era.since, is_settled() and 1 or 0, is_taken and 1 or 0
}
for name, member in pairs(members) do
    answer[#answer + 1] = name
    answer[#answer + 1] = member.beat
    answer[#answer + 1] = member.seen
    answer[#answer + 1] = member.told == run_id and 1 or 0
end
return answer
