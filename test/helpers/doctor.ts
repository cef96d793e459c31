/** `dpool doctor` before and after its cure, in one shell. */
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLI } from "./command-line.ts";
import { cleanEnvironment } from "./processes.ts";
import { within } from "./wait.ts";

const TIMEOUT_MS = 30_000;

/** A line of the report, as JSON. */
export interface Checked {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly detail: string;
  readonly cure: string | null;
  readonly command: string | null;
}

export interface Report {
  readonly status: "ok" | "warning" | "failed";
  readonly checks: readonly Checked[];
  readonly code: number;
}

/** The checks that found something. */
export const faultsOf = ({ checks }: Report): Checked[] =>
  checks.filter(({ status }) => status === "failed" || status === "warning");

/** The names of the checks that found something. */
export const namesOf = (report: Report): string[] => faultsOf(report).map(({ name }) => name);

export interface Visit {
  /** The options of `dpool doctor`. */
  readonly args: readonly string[];
  /** Shell commands that make the fault, in the shell of both visits. */
  readonly fault?: string;
  /** Programs by their names, as scripts of `sh`, that stand before those of the machine. */
  readonly programs?: Readonly<Record<string, string>>;
  /** A program with arguments that runs the shell. */
  readonly by?: readonly string[];
  /** A program with arguments that runs `dpool`, as words of the shell. Default: this Node. */
  readonly node?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Is called once the shell runs, which waits for its end. */
  readonly begun?: (pid: number) => Promise<void>;
}

/** The second visit follows the command that the first fault of the first visit names. */
const VISITS = `
eval "$FAULT"
eval "$DOCTOR" >"$OUT/before"; echo $? >"$OUT/before.code"
command=$("$NODE_BIN" -e '
  const { checks } = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const command = checks.find(({ name }) => name === process.argv[1])?.command;
  process.stdout.write(command ?? "");
' "$CURED" <"$OUT/before")
eval "$command" >"$OUT/cure" 2>&1
eval "$DOCTOR" >"$OUT/after"; echo $? >"$OUT/after.code"
`;
/** The program that makes its users known to the kernel gets its rights by the next `exec`. */
const SCRIPT = 'read -r _; exec sh -c "$VISITS" sh';

/**
 * Makes a fault, asks the doctor, runs the command that the check `cured` names, and asks again.
 *
 * @returns both reports. Without a command, the second visit follows at once.
 */
export async function visitTwice(
  cured: string,
  { programs = {}, ...visit }: Visit,
): Promise<{ readonly before: Report; readonly after: Report }> {
  // A test that runs beside others cleans up by itself: their ends are not its own.
  const folder = mkdtempSync(join(tmpdir(), "dpool-doctor-"));
  try {
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const log = await runVisits(cured, folder, visit);
    const report = (name: string): Report => {
      try {
        const answer = JSON.parse(readFileSync(join(folder, name), "utf8"));
        return { ...answer, code: Number(readFileSync(join(folder, `${name}.code`), "utf8")) };
      } catch (error) {
        throw new Error(`no report ${name}: ${log}`, { cause: error });
      }
    };
    return { before: report("before"), after: report("after") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the shell to its end. Resolves with what it wrote to stderr. */
async function runVisits(cured: string, folder: string, visit: Omit<Visit, "programs">) {
  const { args, fault = "", by = [], node, env = {}, begun } = visit;
  const [program = "sh", ...rest] = [...by, "sh", "-c", SCRIPT];
  const clean = cleanEnvironment();
  const words = args.map((each) => `'${each}'`).join(" ");
  const child = spawn(program, rest, {
    env: {
      ...clean,
      PATH: `${folder}:${clean.PATH}`,
      OUT: folder,
      VISITS,
      FAULT: fault,
      CURED: cured,
      NODE_BIN: process.execPath,
      DOCTOR: `${node ?? `'${process.execPath}'`} '${CLI}' doctor --output json ${words}`,
      ...env,
    },
    stdio: ["pipe", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    await begun?.(child.pid as number);
    child.stdin.end("\n");
    await within(`two visits of the doctor for ${cured}`, TIMEOUT_MS, ended);
  } finally {
    child.kill("SIGKILL");
  }
  return log;
}
