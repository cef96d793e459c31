/** Benchmarks that are programs of their own, and print sentences. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Context, Outcome } from "../benchmark.ts";

/** @param name of the program in `more/`. */
export async function runScript(name: string, { log }: Context): Promise<Outcome> {
  const file = fileURLToPath(new URL(`../more/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const notes: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    notes.push(line.trim());
    log(line);
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
  return { tables: [], notes };
}
