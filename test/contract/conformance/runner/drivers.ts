/** The drivers: those of the TypeScript SDK and of curl, and those that other SDKs describe. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { onPath } from "../../../helpers/programs.ts";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
/** 10 minutes to build a driver. */
const BUILD_MS = 600_000;

/** How to build and to start a driver. */
export interface Described {
  /** Default: the name of the SDK's folder. */
  readonly name: string;
  /** Programs on PATH, or files of the checkout, without which the driver cannot run. */
  readonly needs?: readonly string[];
  readonly build?: readonly string[];
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const OURS = "test/contract/conformance/drivers";
const TYPESCRIPT = `${OURS}/typescript.ts`;

/** The drivers that are part of the suite. */
const OWN: readonly Described[] = [
  { name: "node", command: [process.execPath, TYPESCRIPT, "node"] },
  { name: "node portable", command: [process.execPath, TYPESCRIPT, "portable"] },
  { name: "bun node", needs: ["bun"], command: ["bun", TYPESCRIPT, "node"] },
  { name: "deno node", needs: ["deno"], command: ["deno", "run", "-A", TYPESCRIPT, "node"] },
  { name: "bun", needs: ["bun"], command: ["bun", TYPESCRIPT, "portable"] },
  { name: "deno", needs: ["deno"], command: ["deno", "run", "-A", TYPESCRIPT, "portable"] },
  { name: "curl", needs: ["curl"], command: [process.execPath, `${OURS}/curl.ts`] },
];

/** All drivers, also those that cannot run here. */
export function allDrivers(): Described[] {
  const sdks = readdirSync(join(ROOT, "sdk")).sort();
  const others = sdks.flatMap((name): Described[] => {
    const file = join(ROOT, "sdk", name, "conformance.json");
    if (!existsSync(file)) return [];
    const found = JSON.parse(readFileSync(file, "utf8")) as Described | Described[];
    return [found].flat().map((each) => ({ ...each, name: each.name ?? name }));
  });
  return [...OWN, ...others];
}

/** Why a driver cannot run here; undefined where it can. */
export function missingFor({ needs = [] }: Described): string | undefined {
  const missing = needs.filter((each) =>
    each.includes("/") ? !existsSync(join(ROOT, each)) : !onPath(each),
  );
  return missing.length > 0 ? `there is no ${missing.join(", no ")}` : undefined;
}

/** Builds a driver. @throws with the end of the output when that fails. */
export async function build({ name, build: command, env }: Described): Promise<void> {
  if (!command) return;
  const [program = "", ...args] = command;
  const options = { cwd: ROOT, env: { ...process.env, ...env }, timeout: BUILD_MS };
  await promisify(execFile)(program, args, options).catch((error) => {
    const output = `${error.stdout}${error.stderr || error.message}`.slice(-4_096);
    throw new Error(`the driver ${name} could not be built: ${output}`, { cause: error });
  });
}
