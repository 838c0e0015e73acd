-- Runs inside of Neovim: nvim --headless -u NONE -c 'luafile test.lua'

local home = os.getenv "APP_HOME"
package.path = home .. "/?.lua;" .. package.path
local align = require "align"
local failed = 0

local function check(name, got, wanted)
  if got == wanted then
    print("ok: " .. name)
  else
    failed = failed + 1
    print(("FAILED: %s: got %s, wanted %s"):format(name, vim.inspect(got), vim.inspect(wanted)))
  end
end

-- Starts the plugin and lets the event loop run until it is done: tables, error, ticks of a timer.
local function run(guest, lines)
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  local ticks, is_done, tables, err = 0, false, nil, nil
  local timer = vim.loop.new_timer()
  timer:start(0, 1, function() ticks = ticks + 1 end)
  align.start(home .. "/" .. guest, buffer, function(...)
    is_done, tables, err = true, ...
  end)
  vim.wait(10000, function() return is_done end, 1)
  timer:stop()
  timer:close()
  return buffer, tables, err, ticks
end

local function text_of(buffer)
  return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n")
end

local buffer, tables = run("align.wasm", { "# Shop", "", "|item|price|", "|-|:-:|", "|tea|3|",
  "|green \\| black|  12.50 |", "", "| über |x|", "no table | here" })
check("tables", tables, 2)
check("the text", text_of(buffer), table.concat({ "# Shop", "", "| item           | price |",
  "| -------------- | :---: |", "| tea            | 3     |", "| green \\| black | 12.50 |", "",
  "| über | x |", "no table | here" }, "\n"))

local lines = { "| number | square |", "|-|-|" }
for i = 1, 2000 do lines[#lines + 1] = ("|%d|%d|"):format(i, i * i) end
local err, ticks
buffer, tables, err, ticks = run("align.wasm", lines)
check("a long table", tables, 1)
check("no error", err, nil)
check("its last line", vim.api.nvim_buf_get_lines(buffer, -2, -1, false)[1], "| 2000   | 4000000 |")
check("the editor went on meanwhile", ticks > 3, true)

-- Another buffer is edited while the guest is suspended.
local other = vim.api.nvim_create_buf(false, true)
vim.schedule(function() vim.api.nvim_buf_set_lines(other, 0, -1, false, { "typed" }) end)
run("align.wasm", lines)
check("another buffer", text_of(other), "typed")

buffer, tables, err = run("hostile.wat", lines)
check("a guest that loops", tables, nil)
check("leaves the text", text_of(buffer), table.concat(lines, "\n"))
check("is stopped", err.code, "timeout")
check("and the editor lives", vim.api.nvim_eval "6 * 7", 42)

print(("%d passed, %d failed"):format(11 - failed, failed))
vim.cmd(failed == 0 and "qa!" or "cq!")
