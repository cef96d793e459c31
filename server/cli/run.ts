/** Runs a command. */
import { PoolError } from "../../openapi/errors.ts";
import { keepYoungGeneration } from "../member/young-generation.ts";
import { ASKING, type Command } from "./command-table.ts";
import { askingOptionsOf } from "./options/asking.ts";
import { help } from "./output/help.ts";
import { FAILED, tellProblem } from "./output/problem-text.ts";
import { widthOf } from "./output/wrap.ts";
import { isCommand, isJson, type OptionsOf, type Parsed, parse } from "./parse.ts";

/** 2: a mistake at the command line. */
const USAGE = 2;
/** The scripts of `dpool completion` ask by this word. Nobody types it. */
const COMPLETE = "__complete";

/** The commands of an operator load all of a member's options; the others do not. */
async function optionsFor(command: Command | undefined): Promise<OptionsOf> {
  const isLight = [undefined, "completion", ...ASKING].some((name) => name === command);
  return isLight ? askingOptionsOf : (await import("./command-options.ts")).optionsOf;
}

/** Finds the program of a command. A command loads no program of another kind. */
async function programOf(command: Command) {
  switch (command) {
    case "serve":
    case "dev":
      return (await import("./commands/serve.ts")).serve;
    case "check-config":
      return (await import("./commands/check-config.ts")).checkConfig;
    case "config-schema":
      return (await import("./commands/config-schema.ts")).printConfigSchema;
    case "doctor":
      return (await import("./doctor/doctor.ts")).doctor;
    case "init":
      return (await import("./commands/init.ts")).init;
    case "token":
      return (await import("./commands/token.ts")).token;
    case "completion":
      return (await import("./completion/scripts.ts")).printScript;
    default:
      return (await import("./commands/asking.ts")).ASK[command];
  }
}

/** Runs the command of the command line. Resolves with the exit code of the process. */
export async function run(): Promise<number> {
  let line: Parsed | undefined;
  try {
    const argv = process.argv.slice(2);
    // `serve` ends this once its members serve.
    if (["serve", "dev"].includes(argv[0] ?? "")) keepYoungGeneration();
    if (argv[0] === COMPLETE) return await complete(argv.slice(1));
    const optionsOf = await optionsFor(argv.slice(0, 2).find(isCommand));
    const parsed = parse(argv, process.env, optionsOf);
    if ("help" in parsed) {
      process.stdout.write(help(parsed.help, optionsOf, widthOf(process.stdout)));
      return 0;
    }
    line = parsed;
    const run = await programOf(parsed.command);
    return await run(parsed, process.env);
  } catch (error) {
    // The bundle of this command line has a copy of the class, and the member's has another.
    if (error instanceof Error && error.name === "UsageError") {
      process.stderr.write(`dpool: ${error.message}\n`);
      return USAGE;
    }
    if (error instanceof PoolError) {
      tellProblem(error.problem, line !== undefined && isJson(line));
      return FAILED;
    }
    throw error;
  }
}

/** A person at a key gets no message: where a candidate cannot be found, there is none. */
async function complete(words: readonly string[]): Promise<number> {
  try {
    const optionsOf = await optionsFor(words.slice(1, 2).find(isCommand));
    const { printCandidates } = await import("./completion/complete.ts");
    return await printCandidates(words, process.env, optionsOf);
  } catch {
    return FAILED;
  }
}
