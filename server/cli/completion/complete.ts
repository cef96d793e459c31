/** The candidates for the word at the cursor, for the script of a shell. */
import { SIGNALS } from "../../../openapi/names.ts";
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import { within } from "../../../sdk/typescript/time/within.ts";
import { CLIENTS, COMMANDS, type Command } from "../command-table.ts";
import { connect } from "../commands/connect.ts";
import { HELP } from "../options/asking.ts";
import { choicesOf, flagOf } from "../options/values.ts";
import { write } from "../output/write.ts";
import { type Environment, isCommand, type OptionsOf, parse } from "../parse.ts";
import { SHELLS } from "./scripts.ts";
import { joined, wantedIn } from "./words.ts";

/** 1 second for a member to answer: a person waits at the key. */
const ANSWER_MS = 1_000;

/** A word, and what it means. */
type Candidate = readonly [word: string, meaning: string];

type Argument = "pool" | "child" | "running" | "signal" | "shell";

/** The arguments of the commands, by position. Files are left to the shell. */
const ARGUMENTS: Readonly<Partial<Record<Command, readonly Argument[]>>> = {
  call: ["pool"],
  run: ["pool"],
  map: ["pool"],
  place: ["pool"],
  ps: ["pool"],
  members: ["pool"],
  doctor: ["pool"],
  logs: ["child"],
  attach: ["running"],
  stop: ["running"],
  stdin: ["running"],
  signal: ["running", "signal"],
  completion: ["shell"],
};

/**
 * Prints the candidates, one a line, with their meanings behind a tab for the shells that show
 * them.
 *
 * @param line the name of the shell, and the words behind `dpool` up to the cursor.
 */
export async function printCandidates(
  [shell, ...typed]: readonly string[],
  env: Environment,
  optionsOf: OptionsOf,
): Promise<number> {
  const isBash = shell === "bash";
  const words = isBash ? joined(typed) : typed;
  const current = words.at(-1) ?? "";
  // bash has the part before the last `=` or `:` as a word of its own.
  const known = isBash ? (/^.*[=:]/.exec(current)?.[0].length ?? 0) : 0;
  const lines = (await candidatesFor(words, env, optionsOf))
    .filter(([word]) => word.startsWith(current))
    .map(([word, meaning]) => (isBash ? word.slice(known) : `${word}\t${meaning}`));
  await write(process.stdout, lines.map((line) => `${line}\n`).join(""));
  return 0;
}

async function candidatesFor(
  words: readonly string[],
  env: Environment,
  optionsOf: OptionsOf,
): Promise<Candidate[]> {
  const [command] = words.slice(0, 1).filter(isCommand);
  const options = command === undefined ? new Map() : optionsOf(command);
  const wanted = wantedIn(words, command, options);
  if (wanted.kind === "command")
    return Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary]);
  if (wanted.kind === "flag")
    return [...options, ["help", HELP] as const].map(([key, { doc }]) => [`--${flagOf(key)}`, doc]);
  if (wanted.kind === "value")
    return choicesOf(wanted.option).map((word) => [wanted.prefix + word, ""]);
  const argument = wanted.kind === "argument" && command && ARGUMENTS[command]?.[wanted.index];
  if (argument === "signal") return SIGNALS.map((name) => [name.replace("SIG", ""), name]);
  if (argument === "shell") return SHELLS.map((name) => [name, ""]);
  if (!argument || !CLIENTS.some((name) => name === command)) return [];
  const parsed = parse(words.slice(0, -1), env, optionsOf);
  if ("help" in parsed) return [];
  const pools = connect(parsed, env);
  try {
    const asked = argument === "pool" ? poolsOf(pools) : childrenOf(pools, argument === "running");
    return (await within(ANSWER_MS, asked)) ?? [];
  } finally {
    await pools.close();
  }
}

async function poolsOf(pools: DistributedPool): Promise<Candidate[]> {
  return (await pools.pools()).pools.map(({ pool }) => [pool, "pool"]);
}

async function childrenOf(pools: DistributedPool, isRunning: boolean): Promise<Candidate[]> {
  const names = (await pools.pools()).pools.map(({ pool }) => pool);
  const filter = isRunning ? ({ status: "running" } as const) : {};
  const lists = await Promise.all(names.map((pool) => pools.children(pool, filter)));
  return lists.flatMap(({ children }) =>
    children.map(({ id, pool, status, kind, labels }) => {
      const named = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
      return [id, [pool, status, kind, ...named].join(" ").replaceAll(/[\t\n]/g, " ")] as const;
    }),
  );
}
