/** Tries one generator: generates a client, compiles it, and calls a member with it. */
import { accessSync, constants, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { CHECKS, type Check, type Generator, TOOLS } from "./generator.ts";
import { type Command, linesOf, type Place, step } from "./steps.ts";

/** A mark for each check; or why the generator was not tried. */
export type Cells = Partial<Record<Check, string>> & { skipped?: string };

/** What a try may take from its caller. */
interface Caller {
  /** The URL of a member with the pools `pipeline`, of several slots, and `single`, of one. */
  readonly url: string;
  /** Told the cause of a step that failed, with the end of its log. */
  onFailure(message: string): void;
}

/** Whether a program is a file that runs, or is in a folder of PATH. */
function hasProgram(program: string): boolean {
  const folders = program.includes("/") ? [""] : (process.env.PATH ?? "").split(":");
  return folders.some((folder) => {
    try {
      accessSync(folder ? `${folder}/${program}` : program, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The cells of the checks that a call program makes. */
function cellsOf(lines: readonly string[]): Partial<Record<Check, string>> {
  const answers = lines.flatMap((line) => {
    const [, check, outcome] = /^(call|place|errors|stream): (.*)$/.exec(line) ?? [];
    return check && outcome ? [[check, outcome === "ok" ? "✓" : `✗ ${outcome}`] as const] : [];
  });
  return Object.fromEntries(answers);
}

async function steps(commands: readonly Command[] = [], place: Place): Promise<void> {
  for (const command of commands) await step(command, place);
}

/** The programs that a generator needs, and that are not installed. */
export const missing = ({ needs }: Generator) => needs.filter((program) => !hasProgram(program));

/** Tries one generator with a member. */
export async function tried(generator: Generator, { url, onFailure }: Caller): Promise<Cells> {
  const absent = missing(generator);
  if (absent.length > 0) return { skipped: `skipped: no ${absent.join(", ")}` };
  const folder = `${TOOLS}/work/${generator.name}`;
  mkdirSync(TOOLS, { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  cpSync(new URL(generator.name, import.meta.url), folder, { recursive: true });
  const env = { POOL_URL: url, CARGO_TARGET_DIR: `${TOOLS}/cargo` };
  const place = { folder, log: `${folder}/log`, env };
  writeFileSync(place.log, "");
  const cells: Cells = {};
  try {
    await steps(generator.install, place);
    await steps(generator.generate, place);
    cells.generates = "✓";
    await steps(generator.compile, place);
    cells.compiles = "✓";
    await steps(generator.call.slice(0, -1), place);
    const last = generator.call.slice(-1);
    const answers = await Promise.all(last.map((each) => linesOf(each, place)));
    Object.assign(cells, cellsOf(answers.flat()));
  } catch (error) {
    onFailure(`${generator.title}: ${(error as Error).message}`);
  }
  for (const check of CHECKS) cells[check] ??= "✗";
  return cells;
}
