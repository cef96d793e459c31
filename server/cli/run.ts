/** Runs a command. */
import { PoolError } from "../../openapi/errors.ts";
import { keepYoungGeneration } from "../member/young-generation.ts";
import { ASKING, type Command } from "./command-table.ts";
import { help } from "./help.ts";
import { askingOptionsOf } from "./options/asking.ts";
import { isCommand, type OptionsOf, parse } from "./parse.ts";
import { FAILED, problemText } from "./problem-text.ts";

/** 2: a mistake at the command line. */
const USAGE = 2;

/** The commands of an operator load all of a member's options; those that ask a member do not. */
async function optionsFor(command: Command | undefined): Promise<OptionsOf> {
  const isAsking = command === undefined || ASKING.some((name) => name === command);
  return isAsking ? askingOptionsOf : (await import("./command-options.ts")).optionsOf;
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
    case "token":
      return (await import("./commands/token.ts")).token;
    default:
      return (await import("./commands/asking.ts")).ASK[command];
  }
}

/** Runs the command of the command line. Resolves with the exit code of the process. */
export async function run(): Promise<number> {
  try {
    const argv = process.argv.slice(2);
    // `serve` ends this once its members serve.
    if (["serve", "dev"].includes(argv[0] ?? "")) keepYoungGeneration();
    const optionsOf = await optionsFor(argv.slice(0, 2).find(isCommand));
    const parsed = parse(argv, process.env, optionsOf);
    if ("help" in parsed) {
      process.stdout.write(help(parsed.help, optionsOf));
      return 0;
    }
    const run = await programOf(parsed.command);
    return await run(parsed, process.env);
  } catch (error) {
    // The bundle of this command line has a copy of the class, and the member's has another.
    if (error instanceof Error && error.name === "UsageError") {
      process.stderr.write(`dpool: ${error.message}\n`);
      return USAGE;
    }
    if (error instanceof PoolError) {
      process.stderr.write(problemText(error.problem));
      return FAILED;
    }
    throw error;
  }
}
