std = "max"
max_line_length = 100
exclude_files = { "build", ".luarocks" }
files["*.rockspec"] = { std = "+rockspec" }
-- Tests quote long messages, and forget values so that they are collected.
files["tests"] = { max_line_length = 120, ignore = { "311", "331" } }
