---@meta wasm
-- luacheck: ignore 212 241 631
-- Types of the module `wasm` for editors that know LuaLS annotations (workspace.library). This file
-- is never loaded; the reference is lua_binding/README.md.

---@alias wasm.Kind "module"|"instance"|"func"|"memory"|"table"|"global"|"tag"|"exception"|"struct"|"array"|"error"
---@alias wasm.ErrorKind "io"|"malformed"|"invalid"|"unsupported"|"link"|"limit"|"trap"|"exception"|"exit"
---@alias wasm.ValueType "i32"|"i64"|"f32"|"f64"|"v128"|"funcref"|"externref"|string
---@alias wasm.Access "i8"|"u8"|"i16"|"u16"|"i32"|"u32"|"i64"|"f32"|"f64"|"v128"
---@alias wasm.Imports table<string, table<string, any>|wasm.Instance|wasm.wasi.Context>

---@class wasm.Error
---@field kind wasm.ErrorKind
---@field message string
---@field code string|integer|nil text of a trap, name of a limit, status of an exit
---@field file string|nil
---@field line integer|nil
---@field column integer|nil
---@field offset integer|nil
---@field func integer|nil
---@field frames wasm.Frame[] innermost first

---@class wasm.Frame
---@field module string|nil
---@field func string|nil
---@field index integer
---@field offset integer
---@field file string|nil
---@field line integer|nil

---@class wasm.LoadOptions
---@field name? string
---@field engine? "compiler"|"interpreter"
---@field features? table<string, boolean>
---@field eager? boolean
---@field deterministic? boolean
---@field i64? "boxed"|"auto"
---@field native? boolean

---@class wasm.Limits
---@field memory? integer bytes
---@field fuel? integer
---@field timeout? number seconds
---@field stack? integer bytes
---@field on_limit? "raise"|"yield"

---@class wasm.ImportType
---@field module string
---@field name string
---@field kind "func"|"table"|"memory"|"global"|"tag"
---@field type string

---@class wasm.ExportType
---@field name string
---@field kind "func"|"table"|"memory"|"global"|"tag"
---@field type string

---@class wasm.Module
---@field name string|nil
---@field imports wasm.ImportType[]
---@field exports wasm.ExportType[]
local Module = {}
---@param name string
---@return string[]
function Module:sections(name) end
---@param imports? wasm.Imports
---@param options? wasm.Limits
---@return wasm.Instance|nil, wasm.Error?
function Module:instantiate(imports, options) end
---@return table<string, integer>
function Module:stats() end
---@return string
function Module:serialize() end
---@param name_or_index string|integer
---@param instance? wasm.Instance with which its objects live
---@return wasm.ObjectType
function Module:type(name_or_index, instance) end

---The constructor of a structure or array type. It can be called itself.
---@class wasm.ObjectType
---@field new fun(...): wasm.Struct|wasm.Array
---A structure of a guest: fields from 0, and by name.
---@class wasm.Struct
---@field [integer|string] any
local Struct = {}
---@param field integer|string
---@return integer signed, of a packed integer
function Struct:get_s(field) end
---An array of a guest: elements from 0.
---@class wasm.Array
---@field [integer] any
local Array = {}
---@param index integer
---@return integer signed, of a packed integer
function Array:get_s(index) end

---@class wasm.Snapshot

---@class wasm.Instance
---@field exports table<string, any>
---@field module wasm.Module
local Instance = {}
---@return { memory: integer, fuel: integer?, stack: integer }
function Instance:usage() end
---@param n integer
function Instance:refuel(n) end
function Instance:interrupt() end
---@param fn fun(event: "call"|"return", name: string, ...)|nil
function Instance:trace(fn) end
---@return wasm.Snapshot|nil, wasm.Error?
function Instance:snapshot() end
---@param snapshot wasm.Snapshot
function Instance:reset(snapshot) end
function Instance:close() end

---@class wasm.Memory
---@operator len: integer
local Memory = {}
---@return integer
function Memory:pages() end
---@param n integer
---@return integer|nil, wasm.Error?
function Memory:grow(n) end
---@param at integer
---@param n integer
---@return string
function Memory:read(at, n) end
---@param at integer
---@param bytes string
---@return integer next
function Memory:write(at, bytes) end
---@param access wasm.Access
---@param at integer
---@return any
function Memory:load(access, at) end
---@param access wasm.Access
---@param at integer
---@param value any
function Memory:store(access, at, value) end
---@param format string
---@param at integer
---@return any ... values, then the next address
function Memory:unpack(format, at) end
---@param format string
---@param at integer
---@param ... any
---@return integer next
function Memory:pack(format, at, ...) end
---@param at integer
---@param max? integer
---@return string
function Memory:cstring(at, max) end
---@param at integer
---@param byte integer
---@param n integer
function Memory:fill(at, byte, n) end
---@param to integer
---@param from integer
---@param n integer
function Memory:copy(to, from, n) end
---@param access wasm.Access
---@param at integer
---@param n integer
---@return table<integer, any> view 1 to n, live
function Memory:view(access, at, n) end
---@return lightuserdata pointer
---@return boolean is_stable
function Memory:pointer() end

---@class wasm.Table
---@operator len: integer
local Table = {}
---@param index integer
---@return any
function Table:get(index) end
---@param index integer
---@param value any
function Table:set(index, value) end
---@param n integer
---@param init? any
---@return integer|nil, wasm.Error?
function Table:grow(n, init) end

---@class wasm.Global
---@field value any
---@field mutable boolean

---@class wasm.Tag

---@class wasm.Exception: wasm.Error
---@field tag wasm.Tag
---@field [integer] any

---@class wasm
---@field limit userdata what a call yields at a limit
---@field luaerror wasm.Tag
---@field _VERSION string
local wasm = {}
---@param source string binary or text
---@param options? wasm.LoadOptions
---@return wasm.Module|nil, wasm.Error?
function wasm.load(source, options) end
---@param path string
---@param options? wasm.LoadOptions
---@return wasm.Module|nil, wasm.Error?
function wasm.loadfile(path, options) end
---@param source string|wasm.Module
---@param imports? wasm.Imports
---@param options? wasm.Limits|wasm.LoadOptions
---@return wasm.Instance|nil, wasm.Error?
function wasm.instantiate(source, imports, options) end
---@param source string
---@param options? wasm.LoadOptions
---@return true|nil, wasm.Error?
function wasm.validate(source, options) end
---@param text string
---@return string|nil, wasm.Error?
function wasm.wat2wasm(text) end
---@param binary string
---@return string|nil, wasm.Error?
function wasm.wasm2wat(binary) end
---@param options? { min?: integer, max?: integer, shared?: boolean, index?: "i32"|"i64", pagesize?: integer }
---@return wasm.Memory|nil, wasm.Error?
function wasm.memory(options) end
---@param options? { type?: string, min?: integer, max?: integer, init?: any, index?: "i32"|"i64" }
---@return wasm.Table|nil, wasm.Error?
function wasm.table(options) end
---@param type wasm.ValueType
---@param value any
---@param mutable? boolean
---@return wasm.Global
function wasm.global(type, value, mutable) end
---@param ... wasm.ValueType
---@return wasm.Tag
function wasm.tag(...) end
---@param tag wasm.Tag
---@param ... any
---@return wasm.Exception
function wasm.exception(tag, ...) end
---@param type string e.g. "(param i32) (result i32)"
---@param fn function
---@return function
function wasm.func(type, fn) end
---@param x any
---@return wasm.Kind|nil
function wasm.type(x) end
---@param x any
---@return string
function wasm.signature(x) end
---@param message string
function wasm.trap(message) end
---@param message? any
---@param level? integer
---@return any
function wasm.traceback(message, level) end
---@param x wasm.Module|wasm.Memory
---@return string token
function wasm.share(x) end
---@param token string
---@return wasm.Module|wasm.Memory|nil, wasm.Error?
function wasm.adopt(token) end
---@param settings? table
---@return table
function wasm.config(settings) end
---@param x number|string
---@return integer|userdata
function wasm.i64(x) end

---@class wasm.wasi.Options
---@field args? string[]
---@field env? table<string, string|number>
---@field dirs? table<string, string|{ path: string, readonly: boolean? }>
---@field stdin? "inherit"|string|file*|fun(max: integer): string?
---@field stdout? "inherit"|"capture"|file*|fun(chunk: string)
---@field stderr? "inherit"|"capture"|file*|fun(chunk: string)
---@field clock? { realtime?: fun(): integer, monotonic?: fun(): integer }
---@field random? fun(n: integer): string
---@field sockets? { listen?: string[], streams?: any[] }
---@field block? fun(what: table)
---@field trace? fun(...)

---@class wasm.wasi.Context
local Context = {}
---@return string
function Context:output() end
---@return string
function Context:errors() end
function Context:close() end

---@class wasm.wasi
local wasi = {}
---@param options? wasm.wasi.Options
---@return wasm.wasi.Context|nil, wasm.Error?
function wasi.new(options) end
---@param module wasm.Module|string
---@param options? wasm.wasi.Options|wasm.Limits
---@return integer|nil status
---@return wasm.wasi.Context|wasm.Error
function wasi.run(module, options) end
---@param instance wasm.Instance
---@return integer status
function wasi.start(instance) end
---@param context wasm.wasi.Context
---@return string[]
function wasi.addresses(context) end
---@param context wasm.wasi.Context
---@param module "wasi_snapshot_preview1"|"wasi_unstable"
---@param name string
---@return function|nil
function wasi.func(context, module, name) end

---@class wasm.loader.Options
---@field name? string
---@field imports? wasm.Imports|fun(name: string, manifest: table): wasm.Imports
---@field wasi? wasm.wasi.Options|wasm.wasi.Context
---@field limits? wasm.Limits
---@field permissions? string[]
---@field manifest? table
---@field exports? string[]|table<string, string|true>
---@field keep? boolean|"hooks"|string[]|fun(old: table, new: table): boolean?
---@field engine? "compiler"|"interpreter"
---@field features? table<string, boolean>

---@class wasm.loader.InstallOptions: wasm.loader.Options
---@field path? string
---@field position? integer

---@class wasm.Plugin
---@field exports table<string, any>
---@field manifest table
---@field limits wasm.Limits
---@field instance wasm.Instance
---@field module wasm.Module
---@field path string
---@field name string
---@field version integer
local Plugin = {}
---@return true|nil
---@return { added: string[], removed: string[], changed: string[] }|wasm.Error
function Plugin:reload() end
---@return boolean
function Plugin:changed() end
function Plugin:close() end

---@class wasm.loader
local loader = {}
---@param path string
---@param options? wasm.loader.Options
---@return wasm.Plugin|nil, wasm.Error?
function loader.load(path, options) end
---@param options? wasm.loader.InstallOptions
---@return fun() remove
function loader.install(options) end
---@param x string|table
---@return wasm.Plugin|nil
function loader.plugin(x) end

---@class wasm.extism.Entry
---@field path? string
---@field data? string base64, or the bytes or text of a module
---@field url? string
---@field headers? table<string, string>
---@field method? string
---@field name? string
---@field hash? string SHA-256 in hexadecimal

---@class wasm.extism.Manifest
---@field wasm wasm.extism.Entry[]
---@field memory? { max_pages?: integer, max_http_response_bytes?: integer, max_var_bytes?: integer }
---@field config? table<string, string>
---@field allowed_hosts? string[]
---@field allowed_paths? table<string, string> host path to guest path
---@field timeout_ms? integer

---@class wasm.extism.Request
---@field url string
---@field method string
---@field headers table<string, string>
---@field max_bytes? integer

---@class wasm.extism.Response
---@field status? integer
---@field headers? table<string, string>
---@field body? string

---@class wasm.extism.Options
---@field functions? table<string, fun(current: wasm.extism.Current, ...): ...>|table<string, table<string, function>>
---@field wasi? boolean|wasm.wasi.Options|wasm.wasi.Context
---@field http? fun(request: wasm.extism.Request, body: string?): wasm.extism.Response?, string?
---@field read? false|fun(path: string): string?, string?
---@field log? fun(level: "trace"|"debug"|"info"|"warn"|"error", text: string)
---@field log_level? "trace"|"debug"|"info"|"warn"|"error"|"off"
---@field config? table<string, string>
---@field limits? wasm.Limits
---@field engine? "compiler"|"interpreter"
---@field features? table<string, boolean>

---@class wasm.extism.PoolOptions: wasm.extism.Options
---@field max? integer plugins at once

---@class wasm.extism.Current
---@field context any what was given to `call`
local Current = {}
---@param handle integer
---@return string|nil
function Current:read(handle) end
---@param bytes string
---@return integer handle
function Current:store(bytes) end
---@param handle integer
function Current:free(handle) end

---@class wasm.extism.Plugin
---@field vars table<string, string>
---@field config table<string, string>
---@field manifest wasm.extism.Manifest
local ExtismPlugin = {}
---@param name string
---@param input? string
---@param context? any
---@return string|nil, wasm.Error?
function ExtismPlugin:call(name, input, context) end
---@param name string
---@return boolean
function ExtismPlugin:exists(name) end
---@return true|nil, wasm.Error?
function ExtismPlugin:reset() end
---@return wasm.extism.Plugin|nil, wasm.Error?
function ExtismPlugin:clone() end
function ExtismPlugin:interrupt() end
function ExtismPlugin:close() end

---@class wasm.extism.Pool
local Pool = {}
---@param name string
---@param input? string
---@param context? any
---@return string|nil, wasm.Error?
function Pool:call(name, input, context) end
function Pool:close() end

---@class wasm.extism
local extism = {}
---@param source string|wasm.Module|wasm.extism.Manifest
---@param options? wasm.extism.Options
---@return wasm.extism.Plugin|nil, wasm.Error?
function extism.new(source, options) end
---@param source string|wasm.Module|wasm.extism.Manifest
---@param options? wasm.extism.PoolOptions
---@return wasm.extism.Pool|nil, wasm.Error?
function extism.pool(source, options) end

---@class wasm.emscripten.Options
---@field imports? wasm.Imports
---@field missing? fun(import: wasm.ImportType): any
---@field wasi? boolean|wasm.wasi.Options|wasm.wasi.Context
---@field clock? { realtime?: fun(): number, monotonic?: fun(): number } nanoseconds
---@field on_grow? fun(memory: wasm.Memory)
---@field limits? wasm.Limits
---@field name? string
---@field engine? "compiler"|"interpreter"
---@field features? table<string, boolean>

---@class wasm.emscripten.Program
---@field instance wasm.Instance
---@field exports table<string, any>
---@field memory wasm.Memory
---@field table wasm.Table|nil
local EmscriptenProgram = {}
---@param args? string[]
---@return integer|nil status
---@return wasm.Error?
function EmscriptenProgram:main(args) end
---@param index integer
---@return function|nil
function EmscriptenProgram:func(index) end

---@class wasm.emscripten
local emscripten = {}
---@param source string|wasm.Module
---@param options? wasm.emscripten.Options
---@return wasm.emscripten.Program|nil, wasm.Error?
function emscripten.instantiate(source, options) end

---@class wasm.assemblyscript.Options
---@field imports? wasm.Imports
---@field wasi? boolean|wasm.wasi.Options|wasm.wasi.Context
---@field trace? fun(text: string, ...: number)
---@field log? fun(level: string, text: string)
---@field seed? number
---@field clock? { realtime?: fun(): number, monotonic?: fun(): number } nanoseconds
---@field limits? wasm.Limits
---@field name? string
---@field engine? "compiler"|"interpreter"
---@field features? table<string, boolean>

---@class wasm.assemblyscript.Program
---@field instance wasm.Instance
---@field exports table<string, any>
---@field memory wasm.Memory
local AssemblyScriptProgram = {}
---@param address integer
---@return string|nil
function AssemblyScriptProgram:string(address) end
---@param text string
---@return integer address
function AssemblyScriptProgram:new_string(text) end
---@param address integer
---@return string|nil
function AssemblyScriptProgram:buffer(address) end
---@param bytes string
---@return integer address
function AssemblyScriptProgram:new_buffer(bytes) end
---@param address integer
---@return string|nil
function AssemblyScriptProgram:view(address) end
---@param address integer
---@return integer address
function AssemblyScriptProgram:pin(address) end
---@param address integer
function AssemblyScriptProgram:unpin(address) end
function AssemblyScriptProgram:collect() end

---@class wasm.assemblyscript
local assemblyscript = {}
---@param source string|wasm.Module
---@param options? wasm.assemblyscript.Options
---@return wasm.assemblyscript.Program|nil, wasm.Error?
function assemblyscript.instantiate(source, options) end

---@class wasm.ffi.Options: wasm.LoadOptions, wasm.Limits
---@field wasi? table options of wasi.new for a context of the library's own
---@field malloc? string
---@field free? string
---A library: its functions, constants and variables.
---@class wasm.ffi.Library
---@field [string] any
---A C value: an object in the library's memory, or a pointer.
---@class wasm.ffi.Value
---@field [integer|string] any
---@operator add(integer): wasm.ffi.Value
---@operator sub(integer): wasm.ffi.Value
---@operator len: integer
---@overload fun(...): any
local FfiValue = {}
---Of callbacks: the function is gone, its place in the table free again.
function FfiValue:free() end
---@param fn function
function FfiValue:set(fn) end
---A C type. Calling it makes a value.
---@class wasm.ffi.Type
---@overload fun(...): any
---@alias wasm.ffi.AnyType string|wasm.ffi.Type|wasm.ffi.Value

---In all of these the library may be left out where another argument knows it.
---@class wasm.ffi
local ffi = {}
---@param source string|wasm.Module a path, a binary, a text or a module
---@param declarations string in C
---@param imports? wasm.Imports
---@param options? wasm.ffi.Options
---@return wasm.ffi.Library|nil, wasm.Error?
function ffi.load(source, declarations, imports, options) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@param ... any number of elements for an open array, then what it is initialised with
---@return any
function ffi.new(lib, ct, ...) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@param value any
---@return any
function ffi.cast(lib, ct, value) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@return wasm.ffi.Type
function ffi.typeof(lib, ct) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@param n? integer elements of an open array
---@return integer|nil bytes
function ffi.sizeof(lib, ct, n) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@return integer|nil bytes
function ffi.alignof(lib, ct) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@param member string
---@return integer|nil offset, integer? first_bit, integer? bits
function ffi.offsetof(lib, ct, member) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType
---@param value any
---@return boolean
function ffi.istype(lib, ct, value) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType of a structure or union
---@param metatable table
---@return wasm.ffi.Type
function ffi.metatype(lib, ct, metatable) end
---@param value wasm.ffi.Value
---@param n? integer
---@return string
function ffi.string(value, n) end
---@param to wasm.ffi.Value
---@param from wasm.ffi.Value|string
---@param n? integer
function ffi.copy(to, from, n) end
---@param to wasm.ffi.Value
---@param n integer
---@param byte? integer
function ffi.fill(to, n, byte) end
---@param value wasm.ffi.Value
---@param fn fun(value: wasm.ffi.Value)|nil
---@return wasm.ffi.Value
function ffi.gc(value, fn) end
---@param value wasm.ffi.Value made by ffi.new
function ffi.free(value) end
---@param lib wasm.ffi.Library
---@param ct wasm.ffi.AnyType of a function or a pointer to one
---@param fn function
---@return wasm.ffi.Value
function ffi.callback(lib, ct, fn) end
---@param lib wasm.ffi.Library
---@param value? integer
---@return integer before
function ffi.errno(lib, value) end
---@param lib wasm.ffi.Library
---@return wasm.Instance
function ffi.instance(lib) end

---@class wasm.repl
---@overload fun(source: string|wasm.Module, options?: table)
local repl = {}
---@param source string|wasm.Module
---@param options? table
---@return table session
function repl.new(source, options) end
---@param source string|wasm.Module
---@param options? table
function repl.run(source, options) end

return wasm
