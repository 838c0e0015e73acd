// objects.ts - strings and buffers of AssemblyScript, both ways, and what its programs import.

let kept: string = "";

export function greet(name: string): string {
  return "Hello, " + name + "!";
}

export function units(text: string): i32 {
  return text.length;
}

export function nothing(): string | null {
  return null;
}

export function keep(text: string): void {
  kept = text;
}

export function recall(): string {
  return kept;
}

export function joined(a: string, b: string): string {
  return a + b;
}

// The bytes in reverse order.
export function reversed(bytes: ArrayBuffer): ArrayBuffer {
  return Uint8Array.wrap(bytes).slice().reverse().buffer;
}

export function squares(n: i32): Uint8Array {
  const list = new Uint8Array(n);
  for (let i = 0; i < n; i++) list[i] = <u8>(i * i);
  return list.subarray(1);
}

export function fail(why: string): void {
  throw new Error(why);
}

export function note(): void {
  trace("numbers", 3, 1, 2.5, -3);
  console.log("logged");
  console.error("wrong");
}

export function random(): f64 {
  return Math.random();
}

export function today(): f64 {
  return <f64>Date.now();
}

// So much garbage that the collector runs.
export function litter(n: i32): i32 {
  let text = "";
  for (let i = 0; i < n; i++) text = "litter " + i.toString();
  return text.length;
}
