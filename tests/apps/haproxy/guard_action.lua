-- HAProxy: `http-request lua.guard` scores a request in Wasm. The guest may make the client wait, by
-- core.msleep: its frames stay where they are while HAProxy serves others.

local new = require(os.getenv "GUARD" or "guard").new -- the benchmark takes that in Lua, too
local file = os.getenv "GUARD_WASM"
if file == "" then file = nil end
local waits, failures = 0, 0

local function wait(milliseconds)
  waits = waits + 1
  core.msleep(milliseconds)
end

local check = file and new(file, wait) or new(wait)

local function text_of(txn)
  local lines = { txn.f:url() }
  for name, values in pairs(txn.http:req_get_headers()) do
    for i = 0, #values do lines[#lines + 1] = name .. ": " .. (values[i] or "") end
  end
  table.sort(lines) -- the target, which starts with a slash, comes first
  return table.concat(lines, "\n")
end

core.register_action("guard", { "http-req" }, function(txn)
  local ok, score, fingerprint = pcall(check, text_of(txn))
  if not ok then -- a trap, or a limit: the request is refused, and the next one has its chance
    failures = failures + 1
    score, fingerprint = -1, 0
  end
  txn:set_var("txn.score", score)
  txn:set_var("txn.fingerprint", ("%08x"):format(fingerprint))
end)

-- What the tests look at.
core.register_service("state", "http", function(applet)
  collectgarbage()
  local text = ("%d waits, %d failures, %d kB\n"):format(waits, failures,
    math.floor(collectgarbage "count"))
  applet:set_status(200)
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end)
