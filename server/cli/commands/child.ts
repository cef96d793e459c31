/** The commands about one child: logs, stop, stdin, signal. */
import { SIGNALS } from "../../../openapi/names.ts";
import { type DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import { argumentsOf, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { printEvent, printEvents } from "./print-events.ts";

/** 500 ms without an event end `logs` without `-f`: the reader has seen the output so far. */
const QUIET_MS = 500;

/** The child that the command line names. */
function childOf(pools: DistributedPool, parsed: Parsed) {
  const [id] = argumentsOf(parsed, "one child id");
  return pools.child(id);
}

export async function logs(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const child = childOf(pools, parsed);
  if (parsed.values.follow) return printEvents(child.events());
  const quiet = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    // `placed` comes at once, so the time without an event always begins at one.
    for await (const event of child.events({ signal: quiet.signal })) {
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
}

export async function stop(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const child = childOf(pools, parsed);
  await child.stop({ graceMs: parsed.values.graceMs });
  // The child has ended, by `cancelled` or by an earlier cause, unless its member is lost.
  await child.exit.catch((error: unknown) => {
    if (error instanceof PoolError && error.code === "member_lost") throw error;
  });
  return 0;
}

export async function stdin(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const { end = false } = parsed.values;
  await childOf(pools, parsed).write(process.stdin, { end });
  return 0;
}

export async function signal(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const [id, name] = argumentsOf(parsed, "a child id", "a signal");
  const signal = SIGNALS.find((each) => each === name);
  if (!signal) throw new UsageError(`expected one of ${SIGNALS.join(", ")}; got ${name}`);
  await pools.child(id).signal(signal);
  return 0;
}
