-- What everybody has of one budget in one window: {run_id, name, "seq settled held", …}.
local answer = { string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') }
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  if string.sub(fields[at], 1, 1) == '=' then
    answer[#answer + 1] = string.sub(fields[at], 2)
    answer[#answer + 1] = fields[at + 1]
  end
end
return answer
