// words.ts - an Extism plugin in AssemblyScript, on its kit as that is published.
import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk";

@external("extism:host/user", "translate")
declare function translate(word: u64): u64;

function myAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

// The words of the input, each with what config "before" says in front, sorted.
export function words(): i32 {
  const before = Config.get("before");
  const list = Host.inputString().split(" ");
  list.sort();
  let text = "";
  for (let i = 0; i < list.length; i++) {
    if (list[i].length > 0) text += (before ? before : "") + list[i] + "\n";
  }
  Host.log(LogLevel.Info, list.length.toString() + " words");
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)));
  return 0;
}

// How often it was called, kept in a variable.
export function calls(): i32 {
  const before = Var.getString("calls");
  const count = (before ? I32.parseInt(before) : 0) + 1;
  Var.set("calls", Uint8Array.wrap(String.UTF8.encode(count.toString())));
  Host.outputString(count.toString());
  return 0;
}

export function forget(): i32 {
  Var.remove("calls");
  return 0;
}

export function translated(): i32 {
  const word = Memory.allocateString(Host.inputString());
  const answer = translate(word.offset);
  Host.outputMemory(new Memory(answer, Host.input().length));
  return 0;
}

// The input's bytes backwards, through eight bytes at once and single ones.
export function backwards(): i32 {
  Host.output(Host.input().reverse());
  return 0;
}

export function fails(): i32 {
  assert(false, "never true");
  return 0;
}
