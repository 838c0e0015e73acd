std = "max"
max_line_length = 100
exclude_files = { "build", ".luarocks" }
files["*.rockspec"] = { std = "+rockspec" }
