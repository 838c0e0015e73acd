-- C declarations: what they mean, and what is said about bad ones.
local t = ...
local parser = require "wasm.ffi.parser"
local ctype = require "wasm.ffi.ctype"

local function parse(text)
  local scope = parser.new_scope()
  local ok, err = pcall(parser.declarations, scope, text)
  if not ok then
    error(type(err) == "table" and ("%d:%d: %s"):format(err.line, err.column, err.message) or err, 2)
  end
  return scope
end

-- The declaration as C writes it, after it was read.
local function declared(text, name)
  local scope = parse(text)
  local entry = scope.functions[name] or scope.variables[name] or scope.typedefs[name]
  if entry.params then return ctype.prototype(entry.type, entry.params, name) end
  return ctype.text(entry.type, entry.const, name)
end

local function constant(text, name)
  local value = parse(text).constants[name or "X"]
  return value and value.v, value and value.k
end

-- Line, column and message of what is wrong.
local function bad(text, wanted)
  local ok, err = pcall(parser.declarations, parser.new_scope(), text)
  if ok then t.fail("accepted: " .. text, 2) end
  if type(err) ~= "table" then t.fail(tostring(err), 2) end
  local got = ("%d:%d: %s"):format(err.line, err.column, err.message)
  if got ~= wanted then t.fail(("got %q, wanted %q"):format(got, wanted), 2) end
end

local function same(got, wanted)
  if tostring(got):gsub("LL$", "") ~= tostring(wanted) then
    t.fail(("got %s, wanted %s"):format(tostring(got), tostring(wanted)), 2)
  end
end

t.test("declarators", function()
  t.eq(declared("int f(void);", "f"), "int f(void)")
  t.eq(declared("int f();", "f"), "int f(void)")
  t.eq(declared("char *(*f)(int, const char *[]);", "f"), "char *(*f)(int, const char **)")
  t.eq(declared("void (*signal(int sig, void (*func)(int)))(int);", "signal"),
    "void (*signal(int sig, void (*func)(int)))(int)")
  t.eq(declared("extern int (*table[3])(double);", "table"), "int (*table[3])(double)")
  t.eq(declared("extern const char *const names[4];", "names"), "const char *const names[4]")
  t.eq(declared("typedef int grid[2][3]; extern grid g;", "g"), "int g[2][3]")
  t.eq(declared("int f(int a[10], int g(char));", "f"), "int f(int *a, int (*g)(char))")
  t.eq(declared("unsigned long long int f(long unsigned int long);", "f"),
    "unsigned long long f(unsigned long long)")
  t.eq(declared("short int signed f(signed char, char, unsigned);", "f"),
    "short f(signed char, char, unsigned int)")
  t.eq(declared("double long f(_Bool, bool, float);", "f"), "long double f(bool, bool, float)")
  t.eq(declared("extern const volatile unsigned char *restrict p;", "p"), "const unsigned char *p")
  t.eq(declared("int const *f(int const *const p);", "f"), "const int *f(const int *p)")
  t.eq(declared("struct s; struct s *f(struct s **);", "f"), "struct s *f(struct s **)")
  t.eq(declared("extern int (*(*fn)(void))[5];", "fn"), "int (*(*fn)(void))[5]")
  t.eq(declared("int a(void), *b(int);", "b"), "int *b(int)")
  t.eq(declared("size_t f(uint8_t, int64_t, uintptr_t);", "f"),
    "unsigned long f(unsigned char, long long, unsigned long)")
  t.eq(declared("extern __attribute__((visibility(\"default\"))) int f(void) " ..
    "__attribute__((noreturn, format(printf, 1, 2)));", "f"), "int f(void)")
  t.eq(declared("static inline __inline__ _Noreturn void f(void);", "f"), "void f(void)")
  t.eq(declared("typedef struct { int a; } pair; pair f(pair);", "f"), "pair f(pair)")
  t.eq(declared("typedef int T; int f(T T);", "f"), "int f(int T)")
end)

t.test("constants", function()
  local function x(text) return constant("#define X " .. text) end
  t.eq(x "1 + 2 * 3", 7)
  t.eq(x "(1 << 4) | 0x0f & ~3", 28)
  t.eq(x "-7 / 2", -3)
  t.eq(x "-7 % 3", -1)
  t.eq(x "1 ? 2 : 3 ? 4 : 5", 2)
  t.eq(x "5 > 3 && !(2 == 3) || 0", 1)
  t.eq(x "~0u", 4294967295)
  t.eq(x "-1 > 0u", 1)
  t.eq(x "2147483647 + 1", -2147483648)
  same(x "2147483648", 2147483648)
  same(x "1LL << 40", "1099511627776")
  same(x "0x7fffffffffffffff", "9223372036854775807")
  same(x "(-1LL) >> 60", -1)
  t.eq(x "010 + 0b101 + 0xA", 23)
  t.eq(x "'a' + '\\n' + '\\x41' + '\\101' + '\\0'", 97 + 10 + 65 + 65)
  t.eq(x "'\\377'", -1)
  t.eq(x "\"a\" \"b\\tc\\\"\"", "ab\tc\"")
  t.eq(x "sizeof(int[3]) + sizeof(char *)", 16)
  t.eq(x "(unsigned char)300 + (signed char)200", 44 - 56)
  t.eq(x "(int)3.9", 3)
  t.eq(x "1.5e1 * 2 == 30", 1)
  t.eq(x "0x1p4 + .5 == 16.5", 1)
  t.eq(constant("enum { A, B = 7, C, X = C * 2 };"), 16)
  t.eq(constant("enum e { A = -1 };\n#define X A", "A"), -1)
  t.eq(constant("#define Y 4\n#define X (Y * Z)\n#define Z 3\n"), 12)
  t.eq(constant("#define X X\n"), nil)
  t.eq(constant("#define X foo(1)\n"), nil)
  t.eq(constant("#define X(a) a\n"), nil)
  t.eq(constant("#define X\n"), nil)
  t.eq(constant("#define X 1 \\\n  + 2 /* three */ // not four\n"), 3)
  t.eq(select(2, constant("#define X 3000000000u")), "u32")
end)

t.test("the preprocessor", function()
  local scope = parse [[
    #include <stdio.h>
    #ifndef GUARD
    #define GUARD
    #define API extern __attribute__((visibility("default")))
    #define INT int
    #ifdef __cplusplus
    extern "C" {
    #endif
    #if defined(GUARD) && !defined NOTHING && 2 > 1
    API INT yes(INT a);
    #elif 1
    API INT no(INT a);
    #else
    broken ( declaration
    #endif
    #if 0
    # if 1
    also broken
    # else
    # endif
    #elif defined(__wasm32__)
    INT second(void);
    #endif
    #undef INT
    typedef int INT;
    #pragma once
    #ifdef __cplusplus
    }
    #endif
    #endif
  ]]
  t.eq(scope.functions.yes ~= nil, true)
  t.eq(scope.functions.second ~= nil, true)
  t.eq(scope.functions.no, nil)
  t.eq(scope.typedefs.INT ~= nil, true)
  t.eq(scope.constants.__wasm32__, nil)
end)

t.test("errors have their place", function()
  bad("int f(int a;", "1:12: ')' expected near ';'")
  bad("int f(void)", "1:12: ';' expected near 'end of the declarations'")
  bad("\n\n  foo f(void);", "3:3: unknown type 'foo'")
  bad("int printf(const char *, ...);",
    "1:26: functions with variable arguments ('...') are not supported")
  bad("struct s { int a; int a; };", "1:23: member 'a' is there twice")
  bad("struct s { struct t x; };", "1:21: member 'x' has the incomplete type 'struct t'")
  bad("struct s { int a; };\nstruct s { int b; };", "2:8: 'struct s' is defined twice")
  bad("struct s { int a : 33; };", "1:20: width of a bit-field is out of range (33)")
  bad("struct s { float a : 3; };", "1:18: a bit-field cannot have the type 'float'")
  bad("struct s { int f(void); };", "1:16: a member cannot be a function")
  bad("int a[-1];", "1:7: length of an array is out of range (-1)")
  bad("int a[2.5];", "1:7: length of an array must be an integer")
  bad("int a[N];", "1:7: 'N' is no constant")
  bad("int f(void) { return 1; }", "1:13: a declaration has no function body")
  bad("int x = 5;", "1:7: a declaration has no initialiser")
  bad("long char x;", "1:1: 'char long' is no type")
  bad("enum e { A, A };", "1:13: 'A' is defined twice")
  bad("enum e { A = 1 / 0 };", "1:16: division by zero")
  bad("_Complex double f(void);", "1:1: complex numbers are not supported")
  bad("__int128 f(void);", "1:1: 128-bit integers are not supported")
  bad("int f(int);\nint f(long);", "2:5: 'f' is declared with another type already: int f(int)")
  bad("typedef int T;\ntypedef char T;", "2:14: typedef 'T' is another type already: int")
  bad("struct s; union s *p;", "1:17: 's' is declared as struct s already")
  bad("/* never ends", "1:1: comment without an end")
  bad("#define X \"abc\nint y;", "1:11: literal without an end")
  bad("#define X 0xg", "1:11: malformed number '0xg'")
  bad("#define X 99999999999999999999", "1:11: number '99999999999999999999' is too large")
  bad("#if 1\nint f(void);", "1:1: #if without #endif")
  bad("#endif", "1:1: #endif without #if")
  bad("#frobnicate", "1:1: unknown directive '#frobnicate'")
  bad("#error no", "1:1: #error")
  bad("#define F(x) x\nint f(F(int));", "2:7: macro 'F' takes arguments, which is not supported")
  bad("_Static_assert(sizeof(int) == 8, \"int\");", "1:16: static assertion failed: int")
  bad("extern void x;", "1:13: variable 'x' cannot be void")
  bad("int f(void)[3];", "1:6: a function cannot return the type 'int [3]'")
  bad("extern \"C\" int f(void);",
    "1:8: extern \"C\" is for C++; guard it with #ifdef __cplusplus")
  bad("int f(int @);", "1:11: unexpected character '@'")
  bad(("("):rep(300) .. "x", "1:1: type expected near '('")
  bad("int " .. ("("):rep(300) .. "x" .. (")"):rep(300) .. ";",
    "1:105: declarations are nested too deeply")
  bad("#define X " .. ("("):rep(300) .. "1" .. (")"):rep(300) .. "\nint a[X];",
    "2:7: expression is nested too deeply")
  bad(("struct { "):rep(200), "1:908: declarations are nested too deeply")
end)

-- Text that is no declaration ends in a message, whatever it is.
t.test("noise", function()
  local pieces = { "int ", "struct ", "{", "}", "(", ")", "*", "[", "]", ";", ",", "x", "3", ":", "=",
    "typedef ", "enum ", "#define ", "\n", "\"a\"", "'", "/*", "*/", "const ", "...", "union ", "y",
    "unsigned ", "__attribute__((packed))", "#if ", "#endif\n", "sizeof", "+" }
  local seed = 7
  for _ = 1, 2000 do
    local parts = {}
    for i = 1, 30 do
      seed = (seed * 16807) % 2147483647
      parts[i] = pieces[seed % #pieces + 1]
    end
    local ok, err = pcall(parser.declarations, parser.new_scope(), table.concat(parts))
    if not ok and type(err) ~= "table" then t.fail(tostring(err) .. "\n" .. table.concat(parts)) end
  end
end)

t.test("signatures", function()
  local function signature(text)
    return ctype.signature(parse(text).functions.f.type)
  end
  t.eq(signature "void f(void);", "(func)")
  t.eq(signature "long double f(long double, char);", "(func (param i32 i64 i64 i32))")
  t.eq(signature "struct { int a; } f(struct { double d[1]; } s, struct { } e);",
    "(func (param f64) (result i32))")
  t.eq(signature "struct s { int a, b; } f(struct s);", "(func (param i32 i32))")
  t.eq(signature "union u { int a; } f(union u);", "(func (param i32) (result i32))")
  t.eq(signature "struct s { int a; struct { } e; } f(struct s);", "(func (param i32) (result i32))")
  t.eq(signature "struct s { char c; } __attribute__((aligned(4))); void f(struct s);",
    "(func (param i32))")
  t.eq(signature "struct s { long long a : 40; }; void f(struct s);", "(func (param i64))")
  t.eq(signature "enum e { A = 0x100000000 }; enum e f(enum e);", "(func (param i64) (result i64))")
end)
