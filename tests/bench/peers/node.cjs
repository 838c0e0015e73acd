// A runner of the benchmark: node node.cjs FILE [EXPORT N]. Prints "bench NS" on stderr for the call
// of the export, or for what lies between bench.start and bench.end of _start. Of WASI only what
// the benchmark programs use: writing, and leaving.
const fs = require("fs");
const [path, name, n] = process.argv.slice(2);
const guest = new WebAssembly.Module(fs.readFileSync(path));
let instance, began;

function report() {
  fs.writeSync(2, `bench ${process.hrtime.bigint() - began}\n`);
}

function fdWrite(fd, vectors, count, writtenAt) {
  const view = new DataView(instance.exports.memory.buffer);
  let written = 0;
  for (let i = 0; i < count; i++) {
    const at = view.getUint32(vectors + 8 * i, true);
    const size = view.getUint32(vectors + 8 * i + 4, true);
    if (size > 0) fs.writeSync(fd, new Uint8Array(view.buffer, at, size));
    written += size;
  }
  view.setUint32(writtenAt, written, true);
  return 0;
}

const imports = {
  bench: {
    start: () => { began = process.hrtime.bigint(); },
    end: report,
  },
  wasi_snapshot_preview1: {
    fd_close: () => 0,
    fd_fdstat_get: (fd, at) => {
      new Uint8Array(instance.exports.memory.buffer, at, 24).fill(0);
      new Uint8Array(instance.exports.memory.buffer)[at] = 2;
      return 0;
    },
    fd_seek: () => 70,
    fd_write: fdWrite,
    proc_exit: (status) => process.exit(status),
  },
};

instance = new WebAssembly.Instance(guest, imports);
if (name) {
  began = process.hrtime.bigint();
  const result = instance.exports[name](Number(n));
  report();
  console.log(String(result));
} else {
  instance.exports._start();
}
