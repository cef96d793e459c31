/** What this machine has for faults that not every machine can make. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { onPath } from "../../helpers/programs.ts";
import { networkMissing } from "./network.ts";

const LIBRARIES = "/usr/lib";
/** The last commit of the contract 0.1.0, for as long as no release has a tag. */
const FALLBACK = "753d7d5";
const SCRIPT = fileURLToPath(new URL("../../../.dev/released.sh", import.meta.url));
const BUILD_MS = 600_000;

/** The library that lets a process of a host see another wall clock; undefined without it. */
export function clockLibrary(): string | undefined {
  if (networkMissing) return undefined;
  for (const folder of existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : []) {
    const file = `${LIBRARIES}/${folder}/faketime/libfaketime.so.1`;
    if (existsSync(file)) return file;
  }
  return undefined;
}

export const clockMissing = () =>
  networkMissing ?? (clockLibrary() === undefined ? "libfaketime is not installed" : undefined);

export const prlimitMissing = () => (onPath("prlimit") ? undefined : "prlimit is not on PATH");

/** The program of the last release, built once into `.tools`, or why there is none. */
export function released(): { readonly cli?: string; readonly missing?: string } {
  const built = spawnSync("sh", [SCRIPT, FALLBACK], { encoding: "utf8", timeout: BUILD_MS });
  const last = (text: string) => text.trim().split("\n").at(-1) ?? "";
  if (built.status === 0) return { cli: last(built.stdout) };
  return { missing: last(built.stderr) || "the last release cannot be built" };
}
