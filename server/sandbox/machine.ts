/** The parts of a machine that the sandbox needs, each looked at alone. */
import { execFile } from "node:child_process";
import { accessSync, constants, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../openapi/errors.ts";
import { BASE_ENVIRONMENT } from "./bubblewrap-arguments.ts";
import { Cgroups } from "./cgroups.ts";
import { refuseSetuid } from "./refuse-setuid.ts";
import { newName } from "./sweep.ts";

const PATH = BASE_ENVIRONMENT.PATH.split(":");
/** 5 seconds for a program that does next to nothing. */
const TIMEOUT_MS = 5_000;
/** The first version with `--disable-userns`. */
const MIN_BUBBLEWRAP = [0, 8] as const;

/** The programs of the sandbox, by the package that Debian has them in. */
const PROGRAMS = {
  bubblewrap: ["bwrap"],
  "util-linux": ["setpriv", "prlimit", "taskset"],
  coreutils: ["mkfifo"],
} as const;

export type SandboxPackage = keyof typeof PROGRAMS;

const run = promisify(execFile);
const options = { timeout: TIMEOUT_MS, env: { PATH: BASE_ENVIRONMENT.PATH } };

function isThere(program: string): boolean {
  return PATH.some((folder) => {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

/** The programs of the sandbox that are missing, each with its package. */
export function missingPrograms(): { readonly program: string; readonly from: SandboxPackage }[] {
  return Object.entries(PROGRAMS).flatMap(([from, programs]) =>
    programs
      .filter((program) => !isThere(program))
      .map((program) => ({ program, from: from as SandboxPackage })),
  );
}

/**
 * The version of bubblewrap.
 *
 * @throws {Error} where it does not answer, is too old, or is setuid.
 */
export async function bubblewrapVersion(): Promise<string> {
  refuseSetuid(PATH);
  const { stdout } = await run("bwrap", ["--version"], options);
  const version = /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? "unknown";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [least, leastMinor] = MIN_BUBBLEWRAP;
  if (major < least || (major === least && minor < leastMinor))
    throw new Error(`expected bubblewrap ${MIN_BUBBLEWRAP.join(".")} or newer; got ${version}`);
  return version;
}

/** Why bubblewrap cannot make a user namespace; undefined where it can. */
export async function namespaceFault(): Promise<string | undefined> {
  // Without --disable-userns, which would hide the kernel's own reason.
  const flags = ["--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "true"];
  try {
    await run("bwrap", flags, options);
    return undefined;
  } catch (error) {
    const { stderr = "" } = error as { readonly stderr?: string };
    return stderr.trim().split("\n").at(-1) || messageOf(error);
  }
}

/**
 * Makes a control group and removes it.
 *
 * @returns the version of control groups.
 * @throws {PoolError} `sandbox_unavailable` with the reason where no group can be made.
 */
export function tryCgroups(): 1 | 2 {
  const groups = new Cgroups(newName());
  groups.make();
  for (const folder of groups.folders) rmdirSync(folder);
  return groups.version;
}
