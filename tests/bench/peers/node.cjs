// A runner of the benchmark: node node.cjs FILE [EXPORT N]. Prints "bench NS" on stderr, processor
// time, for the second call of the export, or for what lies between bench.start and bench.end of
// _start. Programs see the current directory. Imports that are not known return 0.
const fs = require("fs");
process.removeAllListeners("warning");
const { WASI } = require("wasi");
const [path, name, n] = process.argv.slice(2);
const guest = new WebAssembly.Module(fs.readFileSync(path));
let instance, began;

// Of the whole process, since that of a thread is only known to the tick; the others idle.
function now() {
  const used = process.cpuUsage();
  return used.user + used.system;
}

function report() {
  fs.writeSync(2, `bench ${Math.round((now() - began) * 1000)}\n`);
}

const wasi = new WASI({ version: "preview1", args: [path], preopens: { ".": "." }, returnOnExit: true });
const imports = {
  bench: {
    start: () => { began = now(); },
    end: report,
  },
  wasi_snapshot_preview1: wasi.wasiImport,
};
for (const wanted of WebAssembly.Module.imports(guest)) {
  const from = imports[wanted.module] ??= {};
  if (wanted.kind === "function") from[wanted.name] ??= () => 0;
}

instance = new WebAssembly.Instance(guest, imports);
if (name) {
  instance.exports[name](Number(n));
  began = now();
  const result = instance.exports[name](Number(n));
  report();
  console.log(String(result));
} else {
  wasi.start(instance);
}
