/** On SIGHUP the members take what they can of the changed configuration file. */
import { isDeepStrictEqual } from "node:util";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { MemberOptions } from "../member/options.ts";
import type { RunningMember } from "../member/running-member.ts";
import { optionsOf, valueInForce } from "./command-options.ts";
import type { ServerLog } from "./log/server-log.ts";
import { configured } from "./member-options.ts";
import { DEFAULT_LEVEL } from "./options/log.ts";
import type { Parsed } from "./parse.ts";

export interface Serving {
  /** The command line with the file as it was at the start. */
  readonly started: Parsed;
  readonly members: readonly RunningMember[];
  /** The options of each member. */
  memberOptions(parsed: Parsed): readonly MemberOptions[];
}

/**
 * Reloads on SIGHUP, which no longer ends the process from now on. The command line wins over the
 * file at each reload. A signal that comes before the
 * members serve, or during a reload, causes one more reload afterwards.
 *
 * @param logs whose level changes, and whose audit file is opened again.
 * @param serving resolves once the members have started.
 */
export function reloadOnHangup(line: Parsed, logs: ServerLog, serving: Promise<Serving>): void {
  let again = false;
  let reloading: Promise<unknown> = serving;
  process.on("SIGHUP", () => {
    logs.reopenAudit();
    if (line.values.config === undefined)
      return logs.log("info", "SIGHUP: without --config there is nothing to read again");
    if (again) return;
    again = true;
    reloading = reloading
      .then(async () => {
        again = false;
        await reload(line, logs, await serving);
      })
      .catch(() => {});
  });
}

async function reload(line: Parsed, logs: ServerLog, serving: Serving): Promise<void> {
  const { started, members, memberOptions } = serving;
  const { log } = logs;
  try {
    const parsed = await configured(line);
    const options = memberOptions({
      ...parsed,
      values: { ...parsed.values, members: members.length },
    });
    const changed = new Set<string>();
    const restart = keysOfRestart(started, parsed);
    for (const [index, member] of members.entries()) {
      const reloaded = await member.reload(options[index] as MemberOptions).catch(unlessDraining);
      for (const key of reloaded?.changed ?? []) changed.add(key);
    }
    const { logLevel = DEFAULT_LEVEL } = parsed.values;
    if (logLevel !== logs.level) changed.add("logLevel");
    logs.level = logLevel;
    if (changed.size > 0) log("info", `SIGHUP: changed: ${[...changed].join(", ")}`);
    if (restart.length > 0) log("warn", `SIGHUP: needs a restart: ${restart.join(", ")}`);
    if (changed.size + restart.length === 0) log("info", "SIGHUP: nothing has changed");
  } catch (error) {
    for (const problem of messageOf(error).split("\n")) log("error", problem);
    log("error", "SIGHUP: everything stays as it was");
  }
}

/** A member that drains takes no options; the other members of this process still do. */
function unlessDraining(error: unknown): undefined {
  if (!(error instanceof PoolError && error.code === "draining")) throw error;
}

/** Keys of the options that differ from those at the start, and that only a restart changes. */
function keysOfRestart(started: Parsed, now: Parsed): string[] {
  return [...optionsOf(started.command)]
    .filter(([key, option]) => {
      const [before, after] = [started, now].map(({ values }) => valueInForce(values, key, option));
      return !option.reload && !isDeepStrictEqual(before, after);
    })
    .map(([key]) => key);
}
