/** SIGHUP: the configuration file is read again, and the members take of it what they can. */
import { isDeepStrictEqual } from "node:util";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { DEFAULTS, type MemberOptions } from "../member/options.ts";
import { CHANGEABLE } from "../member/reload.ts";
import type { RunningMember } from "../member/running-member.ts";
import { configured, log } from "./member-options.ts";
import { COMMANDS, camelCase, type Parsed } from "./options.ts";

export interface Serving {
  /** The command line, which goes on winning over the file. */
  readonly line: Parsed;
  /** The command line and the file as they were at the start. */
  readonly started: Parsed;
  readonly members: readonly RunningMember[];
  /** The options of each member. */
  optionsOf(parsed: Parsed): readonly MemberOptions[];
}

/**
 * From now on SIGHUP does not end the process. One that comes while nothing is served yet, or while the file is being read,
 * has it read once more afterwards.
 *
 * @param serving there once the members have started.
 */
export function reloadOnHangup(line: Parsed, serving: Promise<Serving>): void {
  let again = false;
  let reloading: Promise<unknown> = serving;
  process.on("SIGHUP", () => {
    if (line.given.config === undefined)
      return log("info", "SIGHUP: without --config there is nothing to read again");
    if (again) return;
    again = true;
    reloading = reloading
      .then(async () => {
        again = false;
        await reload(await serving);
      })
      .catch(() => {});
  });
}

async function reload({ line, started, members, optionsOf }: Serving): Promise<void> {
  try {
    const parsed = await configured(line);
    const options = optionsOf({ ...parsed, given: { ...parsed.given, members: members.length } });
    const changed = new Set<string>();
    const restart = wordsOfRestart(started, parsed);
    for (const [index, member] of members.entries()) {
      const reloaded = await member.reload(options[index] as MemberOptions).catch(unlessDraining);
      for (const key of reloaded?.changed ?? []) changed.add(key);
    }
    if (changed.size > 0) log("info", `SIGHUP: changed: ${[...changed].join(", ")}`);
    if (restart.length > 0) log("warn", `SIGHUP: needs a restart: ${restart.join(", ")}`);
    if (changed.size + restart.length === 0) log("info", "SIGHUP: nothing has changed");
  } catch (error) {
    for (const problem of messageOf(error).split("\n")) log("error", problem);
    log("error", "SIGHUP: everything stays as it was");
  }
}

/** A member that leaves takes nothing more; the others of this process go on. */
function unlessDraining(error: unknown): undefined {
  if (!(error instanceof PoolError && error.code === "draining")) throw error;
}

/** The options, in the words of the file, that differ from those at the start and cannot be had without another. */
function wordsOfRestart(started: Parsed, now: Parsed): string[] {
  const defaults: Readonly<Record<string, unknown>> = DEFAULTS;
  return COMMANDS[started.command].options
    .filter((name) => {
      const word = camelCase(name);
      const [before, after] = [started, now].map(
        ({ given }) => given[name as keyof typeof given] ?? defaults[word],
      );
      return !CHANGEABLE.some((key) => key === word) && !isDeepStrictEqual(before, after);
    })
    .map(camelCase);
}
