/** What this machine has for faults that not every machine can make. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
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

export interface Release {
  /** The path of its program. */
  readonly cli?: string;
  /** Why there is none. */
  readonly missing?: string;
}

const last = (text: string) => text.trim().split("\n").at(-1) ?? "";

/** The program of the last release, built once into `.tools`. */
export async function released(): Promise<Release> {
  try {
    const { stdout } = await promisify(execFile)("sh", [SCRIPT, FALLBACK], { timeout: BUILD_MS });
    return { cli: last(stdout) };
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    return { missing: last(stderr) || "the last release cannot be built" };
  }
}
