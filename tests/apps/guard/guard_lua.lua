--- What guard.c does, in Lua 5.3: the measure for it.

local guard = {}

local words = {
  { "../", 10 }, { "<script", 20 }, { "union select", 20 }, { "' or '1'='1", 20 },
  { "/etc/passwd", 20 }, { "sleep(", 10 }, { "onerror=", 10 }, { "javascript:", 10 },
  { "${jndi:", 20 }, { "xp_cmdshell", 20 }, { "waitfor delay", 20 }, { "/bin/sh", 10 },
  { "wget http", 10 }, { "base64_decode", 10 }, { "information_schema", 20 }, { "sqlmap", 20 },
}

local function decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function mix(a, b, c, d, rounds)
  for _ = 1, rounds do
    a = a + b & 0xffffffff
    b = (b << 5 | b >> 27) & 0xffffffff ~ a
    a = (a << 16 | a >> 16) & 0xffffffff
    c = c + d & 0xffffffff
    d = (d << 8 | d >> 24) & 0xffffffff ~ c
    a = a + d & 0xffffffff
    d = (d << 7 | d >> 25) & 0xffffffff ~ a
    c = c + b & 0xffffffff
    b = (b << 13 | b >> 19) & 0xffffffff ~ c
    c = (c << 16 | c >> 16) & 0xffffffff
  end
  return a, b, c, d
end

local function hash(text)
  local k0, k1 = 0x243f6a88, 0x85a308d3
  local a, b, c, d = k0, k1, 0x6c796765 ~ k0, 0x74656462 ~ k1
  local function add(word)
    a, b, c, d = mix(a, b, c, d ~ word, 2)
    a = a ~ word
  end
  local whole = #text - #text % 4
  for i = 1, whole, 4 do add((("<I4"):unpack(text, i))) end
  add(("<I4"):unpack(text:sub(whole + 1) .. ("\0"):rep(4 - #text % 4)) | (#text & 0xff) << 24)
  a, b, c, d = mix(a, b, c ~ 0xff, d, 4)
  return b ~ d
end

--- function(text) -> score, fingerprint, as guard.new of guard.lua gives it.
function guard.new(wait)
  return function(text)
    text = decode(decode(text)):lower():gsub("[+ \t\r\n]+", " ")
    local sum = 0
    for _, word in ipairs(words) do
      if text:find(word[1], 1, true) then sum = sum + word[2] end
    end
    local fingerprint = hash(text)
    if sum >= 10 and sum < 20 then wait(20) end
    return sum, fingerprint
  end
end

return guard
