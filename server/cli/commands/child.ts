/** The commands about one child: logs, stop, stdin, signal. */
import { SignalSchema } from "../../../openapi/resources.ts";
import { PoolError } from "../../../sdk/typescript/index.ts";
import type { Environment, Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { onePositional, withPools } from "./connect.ts";
import { printEvent, printEvents } from "./print-events.ts";

/** 500 ms without an event end `logs` without `-f`: the reader has seen the output so far. */
const QUIET_MS = 500;

export async function logs(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  return withPools(parsed, env, async (pools) => {
    if (parsed.values.follow) return printEvents(pools.child(id).events());
    const quiet = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      // `placed` comes at once, so the time without an event always begins at one.
      for await (const event of pools.child(id).events({ signal: quiet.signal })) {
        clearTimeout(timer);
        await printEvent(event);
        timer = setTimeout(() => quiet.abort(), QUIET_MS);
      }
    } catch (error) {
      if (!quiet.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    return 0;
  });
}

export async function stop(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  return withPools(parsed, env, async (pools) => {
    const child = pools.child(id);
    await child.stop({ graceMs: parsed.values.graceMs });
    // The child has ended, by `cancelled` or by an earlier cause, unless its member is lost.
    await child.exit.catch((error: unknown) => {
      if (error instanceof PoolError && error.code === "member_lost") throw error;
    });
    return 0;
  });
}

export async function stdin(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  const end = parsed.values.end ?? false;
  await withPools(parsed, env, (pools) => pools.child(id).write(process.stdin, { end }));
  return 0;
}

export async function signal(parsed: Parsed, env: Environment): Promise<number> {
  const [id, name, ...more] = parsed.positionals;
  if (id === undefined || name === undefined || more.length > 0)
    throw new UsageError(
      `expected a child id and a signal; got ${parsed.positionals.join(" ") || "none"}`,
    );
  const checked = SignalSchema.safeParse({ signal: name });
  if (!checked.success) throw new UsageError(`${checked.error.issues[0]?.message}; got ${name}`);
  await withPools(parsed, env, (pools) => pools.child(id).signal(checked.data.signal));
  return 0;
}
