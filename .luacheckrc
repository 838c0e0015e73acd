std = "max"
max_line_length = 100
exclude_files = { "build", ".luarocks" }
files["*.rockspec"] = { std = "+rockspec" }
-- Tests quote long messages, and forget values so that they are collected.
files["tests"] = { max_line_length = 120, ignore = { "311", "331" } }
-- What the applications give their scripts.
files["tests/apps"] = { max_line_length = 120,
  read_globals = { "vim", "core", "lighty", "pandoc", "collectd", "Proto", "ProtoField", "DissectorTable" },
  globals = { "ngx", "lighty" } }
